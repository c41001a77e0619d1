"""Local training and averages: weighted by counts, equal to pooled steps where they should be, SCAFFOLD's variates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cohorts import ask, hospitals, pooled

from sixfold.errors import ConfigError, InputError
from sixfold.systems.hospital.train.algorithm import State, Total
from sixfold.systems.hospital.train.fedavg import FedAvg
from sixfold.systems.hospital.train.local_sgd import LocalSgd, descend
from sixfold.systems.hospital.train.models import Cox, Linear, Logistic, Mlp, Model, Records
from sixfold.systems.hospital.train.pooled import fit_pooled, run_in_plain
from sixfold.systems.hospital.train.scaffold import Scaffold
from sixfold.systems.hospital.train.server_optimizers import Adaptive, Rule

sizes = st.lists(st.integers(0, 12), min_size=1, max_size=5).filter(any)
ADDITIVE: list[Model] = [Linear(3), Logistic(3), Mlp(3, 4)]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 99), sizes, st.sampled_from(ADDITIVE))
def test_one_full_step_at_every_site_is_a_pooled_gradient_step(seed: int, sizes: list[int], model: Model) -> None:
    cohorts = hospitals(seed, sizes)
    every = pooled(cohorts)
    start = model.initial(seed)
    state, _ = run_in_plain(FedAvg(model, 1, LocalSgd(learning_rate=0.3, l2=0.1)), cohorts, seed)
    loss, gradient = model.loss_and_gradient(start, every.X_ND, every.y_N)
    step = gradient + 0.1 * model.penalised * start
    np.testing.assert_allclose(state.arrays["theta"], start - 0.3 * step, atol=1e-12)
    assert state.arrays["loss"][0] == pytest.approx(loss + 0.05 * np.sum(start[model.penalised] ** 2))


@pytest.mark.parametrize("work", ["local_sgd", "scaffold"])
def test_a_site_without_records_adds_nothing(work: str) -> None:
    (empty,) = hospitals(0, [0])
    local = LocalSgd(epochs=2, batch=4)
    algorithm = {"local_sgd": FedAvg(Logistic(3), 1, local), "scaffold": Scaffold(Logistic(3), 1, local, 2)}[work]
    order = algorithm.order(algorithm.init(0))
    answer = ask(order, empty)
    assert not answer.vector.any()
    assert answer.vector.shape == (order.length,)
    with pytest.raises(InputError, match="none of 1 hospitals"):
        algorithm.step(algorithm.init(0), Total(answer.vector, 1))


def test_a_site_counts_by_its_records() -> None:
    cohorts = hospitals(4, [30, 10])
    algorithm = FedAvg(Logistic(3), 1, LocalSgd(epochs=3, batch=5))
    order = algorithm.order(algorithm.init(0))
    first, second = (ask(order, cohort).vector for cohort in cohorts)
    assert (first[-2], second[-2]) == (30.0, 10.0)
    theta = algorithm.step(algorithm.init(0), Total(first + second, 2)).arrays["theta"]
    np.testing.assert_allclose(theta, 0.75 * first[:-2] / 30 + 0.25 * second[:-2] / 10, atol=1e-14)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.integers(1, 5))
def test_scaffold_on_identical_sites_is_fedavg(seed: int, epochs: int) -> None:
    (cohort,) = hospitals(seed, [15])
    local = LocalSgd(epochs=epochs, learning_rate=0.2)
    average, _ = run_in_plain(FedAvg(Logistic(3), 6, local), [cohort] * 3, seed)
    scaffold, kept = run_in_plain(Scaffold(Logistic(3), 6, local, 3), [cohort] * 3, seed)
    np.testing.assert_allclose(scaffold.arrays["theta"], average.arrays["theta"], atol=1e-10)
    for own in kept:
        np.testing.assert_allclose(own["control"], scaffold.arrays["control"], atol=1e-10)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.lists(st.integers(1, 12), min_size=2, max_size=4))
def test_the_common_variate_is_the_weighted_mean_of_the_own_ones(seed: int, sizes: list[int]) -> None:
    cohorts = hospitals(seed, sizes)
    local = LocalSgd(epochs=2, batch=4, learning_rate=0.1)
    state, kept = run_in_plain(Scaffold(Logistic(3), 4, local, len(sizes)), cohorts, seed)
    mean = np.average([own["control"] for own in kept], axis=0, weights=sizes)
    np.testing.assert_allclose(state.arrays["control"], mean, atol=1e-10)


def test_the_common_variate_moves_by_the_share_of_sites_that_took_part() -> None:
    algorithm = Scaffold(Logistic(3), 1, LocalSgd(), 4)
    (cohort,) = hospitals(0, [8])
    vector = ask(algorithm.order(algorithm.init(0)), cohort).vector
    moved = [algorithm.step(algorithm.init(0), Total(vector, k)).arrays["control"] for k in (1, 4)]
    np.testing.assert_allclose(4 * moved[0], moved[1])


def test_scaffold_reaches_the_pooled_optimum_where_fedavg_stays_away() -> None:
    cohorts = hospitals(7, [60, 20, 40])
    every, local = pooled(cohorts), LocalSgd(epochs=10, learning_rate=0.3, l2=0.05)
    best = fit_pooled(Logistic(3), every.X_ND, every.y_N, 0.05)
    average, _ = run_in_plain(FedAvg(Logistic(3), 150, local), cohorts, 0)
    scaffold, _ = run_in_plain(Scaffold(Logistic(3), 150, local, 3), cohorts, 0)
    assert np.abs(scaffold.arrays["theta"] - best).max() < 1e-6
    assert np.abs(average.arrays["theta"] - best).max() > 1e-2


def test_fedprox_keeps_sites_near_what_was_sent() -> None:
    cohorts = hospitals(7, [60, 20, 40])
    moved = []
    for proximal in (0.0, 0.1, 1.0, 5.0):
        local = LocalSgd(epochs=50, learning_rate=0.1, proximal=proximal)
        state, _ = run_in_plain(FedAvg(Logistic(3), 1, local), cohorts, 0)
        moved.append(float(np.linalg.norm(state.arrays["theta"])))
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] < moved[0] / 3


def test_a_proximal_step_is_that_of_the_penalised_loss() -> None:
    (cohort,) = hospitals(2, [10])
    records = Records(Logistic(3), np.zeros(4), cohort.X_ND, cohort.y_N)
    plain = LocalSgd(epochs=1, learning_rate=0.5)
    once, steps = descend(records, records.theta_P, plain, np.random.default_rng(0))
    assert steps == 1
    _, gradient = Logistic(3).loss_and_gradient(once, cohort.X_ND, cohort.y_N)
    twice, steps = descend(
        records, records.theta_P, LocalSgd(epochs=2, learning_rate=0.5, proximal=0.7), np.random.default_rng(0)
    )
    assert steps == 2
    np.testing.assert_allclose(twice, once - 0.5 * (gradient + 0.7 * once), atol=1e-14)


def test_momentum_is_that_of_torch() -> None:
    import torch

    (cohort,) = hospitals(2, [10])
    model = Logistic(3)
    records = Records(model, np.zeros(4), cohort.X_ND, cohort.y_N)
    ours, _ = descend(
        records, np.zeros(4), LocalSgd(epochs=7, learning_rate=0.2, momentum=0.9), np.random.default_rng(0)
    )
    theta = torch.zeros(4, dtype=torch.float64)
    optimizer = torch.optim.SGD([theta], lr=0.2, momentum=0.9)
    for _ in range(7):
        theta.grad = torch.tensor(model.loss_and_gradient(theta.numpy(), cohort.X_ND, cohort.y_N)[1])
        optimizer.step()
    np.testing.assert_allclose(ours, theta.numpy(), atol=1e-14)


@pytest.mark.parametrize("batch", [0, 1, 4, 10, 99])
def test_an_epoch_sees_every_record(batch: int) -> None:
    (cohort,) = hospitals(2, [10])
    records = Records(Linear(3), np.zeros(4), cohort.X_ND, cohort.y_N)
    _, steps = descend(records, np.zeros(4), LocalSgd(epochs=3, batch=batch), np.random.default_rng(0))
    assert steps == 3 * -(-10 // (batch or 10))


def test_divergence_names_the_learning_rate() -> None:
    (cohort,) = hospitals(2, [10])
    records = Records(Linear(3), np.ones(4), cohort.X_ND, cohort.y_N)
    with np.errstate(all="ignore"), pytest.raises(ConfigError, match="diverged at learning_rate=1e"):
        descend(records, np.ones(4), LocalSgd(epochs=99, learning_rate=1e9), np.random.default_rng(0))


@pytest.mark.parametrize("model", [Logistic(3), Mlp(3, 4), Cox(3)], ids=repr)
@pytest.mark.parametrize("rule", [None, *Rule])
def test_training_lowers_the_loss_and_repeats_for_a_seed(model: Model, rule: Rule | None) -> None:
    cohorts = hospitals(3, [30, 15, 25])
    local = LocalSgd(epochs=2, batch=8, learning_rate=0.1)
    algorithm = FedAvg(model, 8, local) if rule is None else FedAvg(model, 8, local, Adaptive(rule))
    state, _ = run_in_plain(algorithm, cohorts, 1)
    again, _ = run_in_plain(algorithm, cohorts, 1)
    first, _ = run_in_plain(FedAvg(model, 1, local), cohorts, 1)
    assert state.arrays["loss"][0] < first.arrays["loss"][0]
    assert all(np.array_equal(state.arrays[name], again.arrays[name]) for name in state.arrays)
    assert state.round == 8


def test_a_run_continues_from_its_arrays() -> None:
    cohorts = hospitals(3, [10, 15])
    algorithm = FedAvg(Logistic(3), 2, LocalSgd(), Adaptive(Rule.YOGI))

    def one(state: State) -> State:
        order = algorithm.order(state)
        return algorithm.step(state, Total(np.sum([ask(order, c).vector for c in cohorts], axis=0), 2))

    first = one(algorithm.init(0))
    copied = State(first.round, {name: np.array(array.tolist()) for name, array in first.arrays.items()})
    assert np.array_equal(one(first).arrays["theta"], one(copied).arrays["theta"])


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"batch": -1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"momentum": 1.0},
        {"l2": -1.0},
        {"proximal": -1.0},
    ],
)
def test_bounds_of_local_training(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        LocalSgd(**bad)


@pytest.mark.parametrize(
    ("local", "sites", "rate"),
    [(LocalSgd(momentum=0.5), 2, 1.0), (LocalSgd(proximal=0.5), 2, 1.0), (LocalSgd(), 0, 1.0), (LocalSgd(), 2, 0.0)],
)
def test_bounds_of_scaffold(local: LocalSgd, sites: int, rate: float) -> None:
    with pytest.raises(ConfigError, match="scaffold"):
        Scaffold(Logistic(3), 1, local, sites, rate)
