"""Personal parts: they stay at their hospital, and the intercepts are those of the joint optimum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from training_cohorts import ask, hospitals, pooled

from sixfold.errors import ConfigError
from sixfold.systems.hospital.train.local_sgd import LocalSgd
from sixfold.systems.hospital.train.models import Cox, Linear, Logistic, Mlp, Records
from sixfold.systems.hospital.train.newton import Newton
from sixfold.systems.hospital.train.personal import PersonalHead, PersonalIntercept, fit_head, predict_personal
from sixfold.systems.hospital.train.pooled import run_in_plain

LOCAL = LocalSgd(epochs=2, batch=8, learning_rate=0.2)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 99), st.lists(st.integers(0, 15), min_size=2, max_size=4).filter(lambda s: sum(s) >= 8))
def test_intercepts_are_those_of_the_joint_optimum(seed: int, sizes: list[int]) -> None:
    cohorts, l2, tau = hospitals(seed, sizes), 0.05, 0.7
    n = sum(sizes)

    def joint(z: np.ndarray) -> tuple[float, np.ndarray]:
        theta, offsets = z[:4], z[4:]
        value = l2 / 2 * theta[:3] @ theta[:3] + tau / 2 / n * offsets @ offsets
        slope = np.concatenate([l2 * theta[:3], [0.0], tau / n * offsets])
        for k, c in enumerate(cohorts):
            if len(c):
                loss, gradient = Logistic(3).loss_and_gradient(theta + offsets[k] * np.eye(4)[3], c.X_ND, c.y_N)
                value += len(c) / n * loss
                slope[:4] += len(c) / n * gradient
                slope[4 + k] += len(c) / n * gradient[3]
        return value, slope

    options = {"gtol": 1e-11, "ftol": 1e-16, "maxiter": 5000}
    best = minimize(joint, np.zeros(4 + len(sizes)), jac=True, method="L-BFGS-B", options=options).x
    state, kept = run_in_plain(PersonalIntercept(Logistic(3), 9, l2, tau), cohorts, 0)
    np.testing.assert_allclose(state.arrays["theta"], best[:4], atol=2e-5)
    for k, (own, size) in enumerate(zip(kept, sizes, strict=True)):
        if size:
            assert own["head"][0] == pytest.approx(best[3] + best[4 + k], abs=2e-5)


def test_a_large_tau_is_one_intercept_for_all() -> None:
    cohorts = hospitals(1, [30, 20])
    state, kept = run_in_plain(PersonalIntercept(Logistic(3), 9, 0.05, 1e9), cohorts, 0)
    common, _ = run_in_plain(Newton(Logistic(3), 9, 0.05), cohorts, 0)
    np.testing.assert_allclose(state.arrays["theta"], common.arrays["theta"], atol=1e-6)
    for own in kept:
        assert own["head"][0] == pytest.approx(state.arrays["theta"][-1], abs=1e-6)


def test_a_hospital_with_its_own_intercept_predicts_its_own_base_rate() -> None:
    cohorts = hospitals(1, [200, 200])
    algorithm = PersonalIntercept(Logistic(3), 9, 0.05, 1e-3)
    state, kept = run_in_plain(algorithm, cohorts, 0)
    theta = state.arrays["theta"]
    for cohort, own in zip(cohorts, kept, strict=True):
        personal = predict_personal(algorithm.model, theta, own, cohort.X_ND)
        assert personal.mean() == pytest.approx(cohort.y_N.mean(), abs=1e-3)
        assert abs(predict_personal(algorithm.model, theta, {}, cohort.X_ND).mean() - cohort.y_N.mean()) > 1e-2


@pytest.mark.parametrize("head_epochs", [0, 3])
@pytest.mark.parametrize("model", [Logistic(3), Mlp(3, 4)], ids=repr)
def test_the_head_never_leaves_its_hospital(model: Logistic | Mlp, head_epochs: int) -> None:
    cohorts = hospitals(1, [30, 20])
    algorithm = PersonalHead(model, 3, LOCAL, head_epochs)
    state, kept = run_in_plain(algorithm, cohorts, 0)
    order = algorithm.order(state)
    assert order.length == np.sum(~model.head) + 2
    assert np.array_equal(state.arrays["theta"][model.head], model.initial(0)[model.head])
    assert not np.allclose(kept[0]["head"], kept[1]["head"])
    assert not order.per_record, "one record moves the head, and the head all other gradients"


def test_the_head_is_taken_up_again_in_the_next_round() -> None:
    (cohort,) = hospitals(1, [30])
    algorithm = PersonalHead(Logistic(3), 2, LocalSgd(epochs=1, learning_rate=0.2))
    order = algorithm.order(algorithm.init(0))
    fresh, later = ask(order, cohort), ask(order, cohort, {"head": np.array([2.0])})
    assert fresh.kept["head"][0] != later.kept["head"][0]
    assert later.kept["head"][0] == pytest.approx(2.0, abs=0.3)


def test_fedrep_moves_the_head_before_the_rest() -> None:
    (cohort,) = hospitals(1, [30])
    model, local = Logistic(3), LocalSgd(epochs=1, learning_rate=0.2)
    answer = ask(PersonalHead(model, 1, local, 1).order(PersonalHead(model, 1, local, 1).init(0)), cohort)
    _, first = model.loss_and_gradient(np.zeros(4), cohort.X_ND, cohort.y_N)
    head = -0.2 * first[-1]
    _, second = model.loss_and_gradient(np.array([0, 0, 0, head]), cohort.X_ND, cohort.y_N)
    assert answer.kept["head"][0] == pytest.approx(head)
    np.testing.assert_allclose(answer.vector[:3] / 30, -0.2 * second[:3], atol=1e-14)


def test_a_hospital_without_records_keeps_what_it_had() -> None:
    (empty,) = hospitals(0, [0])
    head = {"head": np.array([1.5])}
    for algorithm in (PersonalHead(Logistic(3), 1, LOCAL), PersonalIntercept(Logistic(3), 1, 0.1)):
        answer = ask(algorithm.order(algorithm.init(0)), empty, head)
        assert not answer.vector.any()
        assert answer.kept["head"][0] == 1.5


@pytest.mark.parametrize("model", [Logistic(3), Mlp(3, 4), Linear(3)], ids=repr)
def test_a_head_fitted_afterwards_lowers_the_hospitals_own_loss(model: Logistic | Mlp | Linear) -> None:
    (cohort,) = hospitals(6, [40])
    theta = model.initial(0)
    records = Records(model, theta, cohort.X_ND, cohort.y_N)
    own, held = fit_head(records, 0.1), fit_head(records, 1e9)
    before, _ = model.loss_and_gradient(theta, cohort.X_ND, cohort.y_N)
    fitted = theta.copy()
    fitted[model.head] = own["head"]
    assert model.loss_and_gradient(fitted, cohort.X_ND, cohort.y_N)[0] < before
    np.testing.assert_allclose(held["head"], theta[model.head], atol=1e-6)
    nobody = fit_head(Records(model, theta, cohort.X_ND[:0], cohort.y_N[:0]), 0.1)
    assert np.array_equal(nobody["head"], theta[model.head])


def test_what_has_no_head_is_refused() -> None:
    cohort = pooled(hospitals(0, [8]))
    with pytest.raises(ConfigError, match="no head"):
        fit_head(Records(Cox(3), np.zeros(3), cohort.X_ND, Cox(3).outcome(cohort)), 1.0)
    with pytest.raises(ConfigError, match="head_epochs"):
        PersonalHead(Logistic(3), 1, LOCAL, -1)
    with pytest.raises(ConfigError, match="tau"):
        PersonalIntercept(Logistic(3), 1, 0.1, 0.0)
    order = PersonalIntercept(Linear(3), 1, 0.1)
    with pytest.raises(ConfigError, match="logistic"):
        ask(order.order(order.init(0)), cohort)
