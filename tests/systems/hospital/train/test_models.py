"""Models: gradients are those of the loss, records add up, and what an order says gives the same model back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cohorts import ask, hospitals, numerical_gradient, pooled

from sixfold.errors import ConfigError, InputError
from sixfold.systems.hospital.train.algorithm import Order
from sixfold.systems.hospital.train.models import Cox, Linear, Logistic, Mlp, Model, model_from, number, records_of

MODELS: list[Model] = [Linear(3), Logistic(3), Cox(3), Mlp(3, 4)]
SECOND = [Linear(3), Logistic(3), Cox(3)]
PER_RECORD = [Linear(3), Logistic(3), Mlp(3, 4)]


def _theta(model: Model, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=0.5, size=model.size)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_the_gradient_is_that_of_the_loss(model: Model) -> None:
    cohort = pooled(hospitals(0, [20, 15]))
    _, gradient = model.loss_and_gradient(_theta(model), cohort.X_ND, model.outcome(cohort))
    np.testing.assert_allclose(gradient, numerical_gradient(model, _theta(model), cohort), atol=1e-7)


@pytest.mark.parametrize("model", SECOND, ids=repr)
def test_the_hessian_is_that_of_the_loss(model: Linear | Logistic | Cox) -> None:
    cohort, theta, h = pooled(hospitals(0, [20, 15])), _theta(model), 1e-5
    y = model.outcome(cohort)
    loss, gradient, hessian = model.curvature(theta, cohort.X_ND, y)
    mean_loss, mean_gradient = model.loss_and_gradient(theta, cohort.X_ND, y)
    np.testing.assert_allclose(gradient, mean_gradient * 35)
    assert loss == pytest.approx(mean_loss * 35)
    rows = [
        (model.curvature(theta + s, cohort.X_ND, y)[1] - model.curvature(theta - s, cohort.X_ND, y)[1]) / (2 * h)
        for s in np.eye(model.size) * h
    ]
    np.testing.assert_allclose(hessian, rows, atol=1e-6)


@pytest.mark.parametrize("model", PER_RECORD, ids=repr)
def test_gradients_of_records_average_to_that_of_the_loss(model: Linear | Logistic | Mlp) -> None:
    cohort, theta = pooled(hospitals(3, [12, 9])), _theta(model)
    rows = model.per_record_gradients(theta, cohort.X_ND, cohort.y_N)
    _, gradient = model.loss_and_gradient(theta, cohort.X_ND, cohort.y_N)
    assert rows.shape == (21, model.size)
    np.testing.assert_allclose(rows.mean(axis=0), gradient, atol=1e-14)
    assert model.per_record_gradients(theta, cohort.X_ND[:0], cohort.y_N[:0]).shape == (0, model.size)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 99), st.integers(2, 40))
def test_cox_is_the_partial_likelihood_term_by_term(seed: int, n: int) -> None:
    (cohort,) = hospitals(seed, [n])
    theta, time = _theta(Cox(3), seed), cohort.time_N
    assert time is not None
    score = cohort.X_ND @ theta
    expected = sum(np.log(np.exp(score[time >= time[i]]).sum()) - score[i] for i in range(n) if cohort.y_N[i])
    loss, _, hessian = Cox(3).curvature(theta, cohort.X_ND, Cox(3).outcome(cohort))
    assert loss == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert np.linalg.eigvalsh(hessian).min() > -1e-9, "the partial likelihood is concave"


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_an_orders_settings_give_the_model_back(model: Model) -> None:
    assert model_from(model.settings()) == model


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_only_weights_are_penalised_and_heads_are_the_last_layer(model: Model) -> None:
    intercepts = {Linear(3): 1, Logistic(3): 1, Cox(3): 0, Mlp(3, 4): 5}
    heads = {Linear(3): 1, Logistic(3): 1, Cox(3): 0, Mlp(3, 4): 5}
    assert np.sum(~model.penalised) == intercepts[model]
    assert np.sum(model.head) == heads[model]
    assert model.penalised.shape == model.head.shape == model.initial(0).shape == (model.size,)


def test_the_network_begins_the_same_for_a_seed_and_predicts_probabilities() -> None:
    model, cohort = Mlp(3, 4), pooled(hospitals(0, [30]))
    assert np.array_equal(model.initial(5), model.initial(5))
    assert not np.array_equal(model.initial(5), model.initial(6))
    p = model.predict(model.initial(5), cohort.X_ND)
    assert p.shape == (30,)
    assert np.all((p > 0) & (p < 1))


def test_the_network_leaves_the_number_of_threads_as_it_was() -> None:
    before = torch.get_num_threads()
    Mlp(3, 4).predict(Mlp(3, 4).initial(0), np.zeros((2, 3)))
    assert torch.get_num_threads() == before


def test_predictions_rank_like_the_score() -> None:
    X = np.array([[-9.0], [0.0], [9.0]])
    assert np.all(np.diff(Logistic(1).predict(np.array([1.0, 0.0]), X)) > 0)
    assert Linear(1).predict(np.array([1.0, 0.0]), X).tolist() == [0.0, 0.5, 1.0]
    assert Cox(1).predict(np.array([2.0]), X).tolist() == [-18.0, 0.0, 18.0]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"model": "forest", "features": 3}, "forest"),
        ({"model": "logistic", "features": 0}, "features"),
        ({"model": "mlp", "features": 3, "hidden": 0}, "hidden"),
    ],
)
def test_a_model_that_there_is_not_is_refused(settings: dict[str, float | int | str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        model_from(settings)


def test_an_order_that_does_not_fit_the_records_is_refused() -> None:
    (cohort,) = hospitals(0, [5])
    order = Order("moments", {"theta": np.zeros(9)}, Logistic(8).settings(), 9)
    with pytest.raises(InputError, match="h0: got parameters"):
        ask(order, cohort)
    with pytest.raises(InputError, match="expected a number"):
        number(order, "clip")


def test_missing_values_and_missing_times_are_named() -> None:
    (cohort,) = hospitals(0, [5])
    cohort.X_ND[2, 1] = np.nan
    with pytest.raises(InputError, match="missing"):
        records_of(Order("moments", {"theta": np.zeros(4)}, Logistic(3).settings(), 4), cohort)
    (cohort,) = hospitals(0, [5])
    object.__setattr__(cohort, "time_N", None)
    with pytest.raises(InputError, match="time"):
        Cox(3).outcome(cohort)
