"""Work that may carry noise: a record moves the sum by at most the clip, sums add up, and sharding changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cohorts import ask, hospitals, pooled

from sixfold.errors import ConfigError
from sixfold.systems.hospital.train.algorithm import Algorithm, State, Total
from sixfold.systems.hospital.train.gradients import PrivateGradient, clipped_sum
from sixfold.systems.hospital.train.models import Cox, Linear, Logistic, Mlp
from sixfold.systems.hospital.train.pooled import fit_pooled, run_in_plain
from sixfold.systems.hospital.train.ridge import Ridge
from sixfold.systems.hospital.train.server_optimizers import Averaging

sizes = st.lists(st.integers(0, 8), min_size=1, max_size=5).filter(any)


def _algorithms(clip: float) -> list[Algorithm]:
    return [
        PrivateGradient(Logistic(3), 1, clip, 10.0),
        PrivateGradient(Mlp(3, 4), 1, clip, 10.0),
        PrivateGradient(Linear(3), 1, clip, 10.0),
        Ridge(Linear(3), 0.1, clip),
    ]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(1, 8), st.floats(0.01, 20.0), st.sampled_from(range(4)))
def test_a_record_moves_the_sum_by_at_most_the_clip(seed: int, n: int, clip: float, which: int) -> None:
    algorithm = _algorithms(clip)[which]
    (cohort,) = hospitals(seed, [n])
    order = algorithm.order(algorithm.init(seed))
    assert order.per_record
    assert order.settings["clip"] == clip
    whole = ask(order, cohort).vector
    assert whole.shape == (order.length,)
    for left_out in range(n):
        rest = ask(order, cohort.take(np.arange(n) != left_out)).vector
        assert np.linalg.norm(whole - rest) <= clip * (1 + 1e-9)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 99), sizes, st.sampled_from(range(5)))
def test_sums_do_not_depend_on_how_records_are_spread(seed: int, sizes: list[int], which: int) -> None:
    algorithm = [*_algorithms(0.5), Ridge(Linear(3), 0.1)][which]
    cohorts = hospitals(seed, sizes)
    order = algorithm.order(algorithm.init(seed))
    parts = np.sum([ask(order, cohort).vector for cohort in cohorts], axis=0)
    np.testing.assert_allclose(parts, ask(order, pooled(cohorts)).vector, atol=1e-9)


@given(st.floats(0.1, 10.0))
def test_short_rows_are_not_touched_and_long_ones_keep_their_direction(clip: float) -> None:
    rows = np.array([[0.6, 0.8], [3.0, 4.0], [0.0, 0.0]]) * clip
    np.testing.assert_allclose(clipped_sum(rows, clip), [1.2 * clip, 1.6 * clip])
    assert clipped_sum(rows[:0], clip).tolist() == [0.0, 0.0]


def test_without_clipping_the_private_rounds_are_gradient_descent() -> None:
    every = pooled(hospitals(1, [20, 30]))
    algorithm = PrivateGradient(Logistic(3), 1, 1e9, 50.0, l2=0.1, server=Averaging(0.5))
    state = State(0, {**algorithm.init(0).arrays, "iterate": np.array([0.3, -0.2, 0.1, 0.4])})
    _, gradient = Logistic(3).loss_and_gradient(state.arrays["iterate"], every.X_ND, every.y_N)
    after = algorithm.step(state, Total(ask(algorithm.order(state), every).vector, 2))
    expected = state.arrays["iterate"] - 0.5 * (gradient + 0.1 * np.array([0.3, -0.2, 0.1, 0.0]))
    np.testing.assert_allclose(after.arrays["iterate"], expected, atol=1e-14)


@pytest.mark.parametrize("rounds", [1, 2, 5, 8])
def test_the_result_is_the_mean_of_the_second_half(rounds: int) -> None:
    every = pooled(hospitals(1, [20, 30]))
    algorithm = PrivateGradient(Logistic(3), rounds, 1.0, 50.0)
    state, iterates = algorithm.init(0), []
    for _ in range(rounds):
        state = algorithm.step(state, Total(ask(algorithm.order(state), every).vector, 2))
        iterates.append(state.arrays["iterate"])
    np.testing.assert_allclose(state.arrays["theta"], np.mean(iterates[rounds // 2 :], axis=0), atol=1e-14)


def test_the_mean_of_iterates_is_less_noisy_than_the_last() -> None:
    cohort = pooled(hospitals(1, [100, 100]))
    model = Logistic(3)
    best = fit_pooled(model, cohort.X_ND, cohort.y_N, 0.05)
    algorithm = PrivateGradient(model, 60, 10.0, 200.0, l2=0.05, server=Averaging(2.0))
    errors = []
    for seed in range(12):
        rng, state = np.random.default_rng(seed), algorithm.init(0)
        for _ in range(algorithm.rounds):
            vector = ask(algorithm.order(state), cohort).vector
            state = algorithm.step(state, Total(vector + rng.normal(scale=10.0, size=4), 2))
        errors.append([np.sum((state.arrays[name] - best) ** 2) for name in ("theta", "iterate")])
    mean, last = np.mean(errors, axis=0)
    assert mean < last / 2


def test_ridge_is_the_pooled_least_squares_however_records_are_spread() -> None:
    from sklearn.linear_model import Ridge as Reference

    cohorts = hospitals(5, [30, 0, 12])
    every = pooled(cohorts)
    state, _ = run_in_plain(Ridge(Linear(3), 0.1), cohorts, 0)
    reference = Reference(alpha=0.1 * len(every), tol=1e-12).fit(every.X_ND, 2 * every.y_N - 1)
    expected = np.append(reference.coef_, reference.intercept_)
    np.testing.assert_allclose(state.arrays["theta"], expected, atol=1e-9)
    np.testing.assert_allclose(expected, fit_pooled(Linear(3), every.X_ND, every.y_N, 0.1), atol=1e-6)


def test_a_wide_clip_changes_nothing_and_a_narrow_one_weighs_long_records_down() -> None:
    cohorts = hospitals(5, [30, 12])
    exact, wide, narrow = (
        run_in_plain(Ridge(Linear(3), 0.1, clip), cohorts, 0)[0].arrays["theta"] for clip in (None, 1e9, 1.0)
    )
    np.testing.assert_allclose(wide, exact, atol=1e-12)
    assert np.linalg.norm(narrow - exact) > 1e-3
    assert np.corrcoef(narrow[:-1], exact[:-1])[0, 1] > 0.9


@given(st.integers(0, 99))
def test_noise_that_outweighs_the_data_still_gives_a_finite_model(seed: int) -> None:
    algorithm = Ridge(Linear(3), 0.1, 1.0)
    noise = np.random.default_rng(seed).normal(scale=100.0, size=14)
    assert np.isfinite(algorithm.step(algorithm.init(0), Total(noise, 2)).arrays["theta"]).all()


def test_cox_cannot_be_clipped() -> None:
    (cohort,) = hospitals(0, [5])
    order = PrivateGradient(Cox(3), 1, 1.0, 5.0)
    with pytest.raises(ConfigError, match="no gradient of a single record"):
        ask(order.order(order.init(0)), cohort)


@pytest.mark.parametrize(
    "bad", [{"clip": 0.0, "expected_batch": 5.0}, {"clip": 1.0, "expected_batch": 0.0}, {"clip": np.nan}]
)
def test_bounds(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="clip="):
        PrivateGradient(Logistic(3), 1, **{"expected_batch": 1.0, **bad})
    with pytest.raises(ConfigError, match="l2=-1"):
        Ridge(Linear(3), -1.0)
