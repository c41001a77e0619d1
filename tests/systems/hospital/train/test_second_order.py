"""Second order: the optimum over pooled records, in a few rounds, from sums alone; exact for what it says."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cohorts import ask, hospitals, pooled

from sixfold.errors import ConfigError, InputError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Algorithm, Order, Total
from sixfold.systems.hospital.train.cox import CoxBreslow, even_grid
from sixfold.systems.hospital.train.models import Cox, Linear, Logistic, Mlp
from sixfold.systems.hospital.train.newton import Newton
from sixfold.systems.hospital.train.pooled import fit_pooled, run_in_plain
from sixfold.systems.hospital.train.second_order import from_upper, minimise_quadratic, upper, upper_size

sizes = st.lists(st.integers(0, 15), min_size=1, max_size=5).filter(lambda s: sum(s) >= 5)


def _theta(algorithm: Algorithm, cohorts: list[Cohort]) -> np.ndarray:
    return run_in_plain(algorithm, cohorts, 0)[0].arrays["theta"]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 99), sizes, st.sampled_from([Linear(3), Logistic(3)]))
def test_curvature_adds_up_however_records_are_spread(seed: int, sizes: list[int], model: Linear | Logistic) -> None:
    cohorts = hospitals(seed, sizes)
    theta = np.random.default_rng(seed).normal(size=4)
    order = Order("newton_terms", {"theta": theta}, model.settings(), 16)
    parts = np.sum([ask(order, cohort).vector for cohort in cohorts], axis=0)
    np.testing.assert_allclose(parts, ask(order, pooled(cohorts)).vector, atol=1e-9)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 99), sizes)
def test_nine_rounds_give_the_pooled_logistic_regression(seed: int, sizes: list[int]) -> None:
    cohorts = hospitals(seed, sizes)
    theta = _theta(Newton(Logistic(3), 9, 0.05), cohorts)
    np.testing.assert_allclose(theta, _theta(Newton(Logistic(3), 30, 0.05), [pooled(cohorts)]), atol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_logistic_regression_of_scikit_learn(seed: int) -> None:
    from sklearn.linear_model import LogisticRegression

    cohorts = hospitals(seed, [30, 10, 25])
    every = pooled(cohorts)
    reference = LogisticRegression(C=1 / (0.02 * len(every)), tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    reference.fit(every.X_ND, every.y_N)
    theta = _theta(Newton(Logistic(3), 9, 0.02), cohorts)
    np.testing.assert_allclose(theta, np.append(reference.coef_, reference.intercept_), atol=1e-8)
    np.testing.assert_allclose(theta, fit_pooled(Logistic(3), every.X_ND, every.y_N, 0.02), atol=1e-6)


def test_sums_in_fixed_point_end_at_the_same_optimum() -> None:
    cohorts = hospitals(1, [30, 10, 25])
    algorithm = Newton(Logistic(3), 12, 0.02)
    state = algorithm.init(0)
    for _ in range(algorithm.rounds):
        order = algorithm.order(state)
        vectors = [np.round(ask(order, cohort).vector * 2**24) / 2**24 for cohort in cohorts]
        state = algorithm.step(state, Total(np.sum(vectors, axis=0), 3))
    np.testing.assert_allclose(state.arrays["theta"], _theta(algorithm, cohorts), atol=1e-7)


def test_a_step_too_far_is_halved_until_the_loss_falls() -> None:
    X = np.array([[-1.0], [1.0], [30.0], [-30.0]])
    cohort = Cohort("h0", np.array(list("abcd")), ("x",), X, np.array([1.0, 0.0, 1.0, 0.0]))
    algorithm = Newton(Logistic(1), 60, 1e-6)
    state, losses, halved = algorithm.init(0), [], 0
    for _ in range(algorithm.rounds):
        before = state
        state = algorithm.step(state, Total(ask(algorithm.order(state), cohort).vector, 1))
        losses.append(float(state.arrays["loss"][0]))
        halved += np.array_equal(state.arrays["best"], before.arrays["best"])
    assert all(later <= earlier + 1e-7 for earlier, later in pairwise(losses))
    assert halved > 0, "the example was meant to overshoot"
    np.testing.assert_allclose(state.arrays["theta"], fit_pooled(Logistic(1), X, cohort.y_N, 1e-6), atol=1e-3)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 99), st.floats(0.01, 0.3))
def test_with_l1_the_conditions_of_the_optimum_hold(seed: int, l1: float) -> None:
    cohorts = hospitals(seed, [30, 10, 25])
    every = pooled(cohorts)
    theta = _theta(Newton(Logistic(3), 30, 0.02, l1), cohorts)
    _, gradient = Logistic(3).loss_and_gradient(theta, every.X_ND, every.y_N)
    gradient[:-1] += 0.02 * theta[:-1]
    assert gradient[-1] == pytest.approx(0.0, abs=1e-7)
    for weight, slope in zip(theta[:-1], gradient[:-1], strict=True):
        if weight:
            assert slope == pytest.approx(-l1 * np.sign(weight), abs=1e-6)
        else:
            assert abs(slope) <= l1 + 1e-6


def test_a_strong_l1_leaves_the_intercept_alone() -> None:
    cohorts = hospitals(3, [30, 10])
    theta = _theta(Newton(Logistic(3), 20, 0.0, 100.0), cohorts)
    rate = pooled(cohorts).y_N.mean()
    assert theta[:-1].tolist() == [0.0, 0.0, 0.0]
    assert theta[-1] == pytest.approx(np.log(rate / (1 - rate)), abs=1e-8)


def test_stratified_cox_is_exact_for_a_baseline_hazard_per_hospital() -> None:
    cohorts = hospitals(2, [30, 0, 25, 12])

    class Stratified(Cox):
        def loss_and_gradient(self, theta_P: np.ndarray, X_ND: np.ndarray, y_N2: np.ndarray) -> tuple:
            terms = [Cox(3).curvature(theta_P, c.X_ND, self.outcome(c)) for c in cohorts if len(c)]
            return sum(t[0] for t in terms) / len(y_N2), np.sum([t[1] for t in terms], axis=0) / len(y_N2)

    every = pooled(cohorts)
    expected = fit_pooled(Stratified(3), every.X_ND, Cox(3).outcome(every), 0.05)
    theta = _theta(Newton(Cox(3), 9, 0.05), cohorts)
    np.testing.assert_allclose(theta, expected, atol=1e-6)
    one_baseline = fit_pooled(Cox(3), every.X_ND, Cox(3).outcome(every), 0.05)
    assert np.abs(theta - one_baseline).max() > 1e-3, "hospitals differ: the two models are not the same"


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 99), sizes, st.booleans())
def test_cox_on_a_grid_of_all_event_times_is_the_pooled_one(seed: int, sizes: list[int], ties: bool) -> None:
    cohorts = hospitals(seed, sizes, ties=ties)
    every = pooled(cohorts)
    assert every.time_N is not None
    if not every.y_N.any():
        return
    grid = tuple(np.unique(every.time_N[every.y_N == 1.0]).tolist())
    theta = _theta(CoxBreslow(Cox(3), 9, grid, 0.1), cohorts)
    np.testing.assert_allclose(theta, _theta(Newton(Cox(3), 30, 0.1), [every]), atol=1e-8)


def test_on_a_coarse_grid_it_is_the_pooled_one_of_rounded_times() -> None:
    cohorts, grid = hospitals(2, [30, 25], ties=False), (30.0, 60.0, 90.0, 200.0)
    every = pooled(cohorts)
    assert every.time_N is not None
    up, down = np.array([*grid, 1e9]), np.array([0.0, *grid])
    time = np.where(
        every.y_N == 1.0,
        up[np.searchsorted(up, every.time_N)],
        down[np.searchsorted(down, every.time_N, side="right") - 1],
    )
    rounded = replace(every, time_N=time)
    theta = _theta(CoxBreslow(Cox(3), 9, grid, 0.1), cohorts)
    np.testing.assert_allclose(theta, _theta(Newton(Cox(3), 30, 0.1), [rounded]), atol=1e-8)
    assert np.abs(theta - _theta(Newton(Cox(3), 30, 0.1), [every])).max() > 1e-4


def test_elastic_net_leaves_out_what_does_not_matter() -> None:
    cohorts = hospitals(2, [60, 60], dims=6)
    some = _theta(Newton(Cox(6), 25, 0.01, 0.05), cohorts)
    none = _theta(Newton(Cox(6), 25, 0.01, 5.0), cohorts)
    assert 0 < np.sum(some == 0.0) < 6
    assert not none.any()


@given(st.integers(1, 6))
def test_a_triangle_gives_its_matrix_back(size: int) -> None:
    M = np.random.default_rng(size).normal(size=(4, size, size))
    M = M + M.transpose(0, 2, 1)
    assert upper(M).shape == (4, upper_size(size))
    assert np.array_equal(from_upper(upper(M), size), M)


def test_what_cannot_be_solved_names_the_knob() -> None:
    with pytest.raises(ConfigError, match="set l2 above 0"):
        minimise_quadratic(np.ones((2, 2)), np.ones(2), np.zeros(2), np.zeros(2))
    (cohort,) = hospitals(0, [6])
    with pytest.raises(ConfigError, match="not convex"):
        ask(Order("newton_terms", {"theta": np.zeros(21)}, Mlp(3, 4).settings(), 9), cohort)


@pytest.mark.parametrize("algorithm", [Newton(Logistic(3), 2, 0.1), CoxBreslow(Cox(3), 2, (50.0,), 0.1)], ids=repr)
def test_no_records_at_all_are_refused(algorithm: Algorithm) -> None:
    with pytest.raises(InputError, match="none of 1 hospitals"):
        run_in_plain(algorithm, hospitals(0, [0]), 0)


def test_bounds() -> None:
    assert even_grid(100.0, 4) == (25.0, 50.0, 75.0, 100.0)
    for bad in ((), (2.0, 1.0)):
        with pytest.raises(ConfigError, match="grid_days"):
            CoxBreslow(Cox(3), 1, bad, 0.1)
    for horizon, bins in ((0.0, 4), (10.0, 0)):
        with pytest.raises(ConfigError, match="bins"):
            even_grid(horizon, bins)
    with pytest.raises(ConfigError, match="l1=-1"):
        Newton(Logistic(3), 1, 0.1, -1.0)
