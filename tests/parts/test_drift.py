"""Drift: limits are exceeded as seldom as they promise, and a change is found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.parts.drift import (
    Cusum,
    CusumState,
    Histogram,
    average_run_length,
    common_cells,
    cusum_limit,
    merge_bins,
    psi,
    psi_limit,
)

pairs = st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), min_size=1, max_size=12)


@given(pairs)
def test_the_index_is_symmetric_never_negative_and_zero_for_equal_shares(counts: list[tuple[int, int]]) -> None:
    one, two = (np.array(column) for column in zip(*counts, strict=True))
    assert psi(one, two) == pytest.approx(psi(two, one))
    assert psi(one, two) >= 0
    assert psi(one, 3 * one) == pytest.approx(0, abs=1e-12)


def test_the_index_by_hand() -> None:
    assert psi(np.array([50, 50]), np.array([30, 10])) == pytest.approx(0.25 * math.log(1.5) - 0.25 * math.log(0.5))


@pytest.mark.parametrize(
    ("B", "reference", "current"), [(10, 1_000, 200), (5, 400, 100), (10, 10_000, 1_000), (3, 100, 100)]
)
@pytest.mark.parametrize("uneven", [False, True])
def test_without_drift_the_limit_is_exceeded_as_often_as_stated(
    B: int, reference: int, current: int, uneven: bool
) -> None:
    rng = np.random.default_rng(B + reference)
    p = np.arange(1, B + 1) + 3.0 if uneven else np.ones(B)
    found = np.array(
        [psi(rng.multinomial(reference, p / p.sum()), rng.multinomial(current, p / p.sum())) for _ in range(4_000)]
    )
    bias = (B - 1) * (1 / reference + 1 / current)
    assert bias * 0.97 < found.mean() < bias * 1.12
    assert 0.03 < (found > psi_limit(B, reference, current, 0.05)).mean() < 0.08
    assert 0.004 < (found > psi_limit(B, reference, current, 0.01)).mean() < 0.025


def test_the_customary_limit_alarms_for_nothing_in_small_samples() -> None:
    rng = np.random.default_rng(1)
    found = [psi(rng.multinomial(200, [0.1] * 10) + 1, rng.multinomial(60, [0.1] * 10) + 1) for _ in range(500)]
    assert np.mean(np.array(found) > 0.1) > 0.7
    assert np.mean(np.array(found) > psi_limit(10, 200, 60, 0.01)) < 0.02


def test_a_shift_by_one_standard_deviation_is_above_a_strict_limit() -> None:
    rng = np.random.default_rng(2)
    edges = np.array([-1.0, -0.4, 0.2, 0.8])
    one, two = (np.bincount(np.searchsorted(edges, rng.normal(at, 1, n)), minlength=5) for at, n in ((0, 400), (1, 60)))
    assert psi(one, two + 1) > psi_limit(5, 400, 60, 0.001)


def test_one_cell_cannot_drift() -> None:
    assert psi(np.array([5]), np.array([9])) == 0.0
    assert psi_limit(1, 5, 9, 0.01) == math.inf


def test_empty_and_missing_cells_are_named() -> None:
    with pytest.raises(InputError, match="merge"):
        psi(np.array([5, 0]), np.array([5, 5]))
    with pytest.raises(InputError, match="as many"):
        psi(np.array([5, 1]), np.array([5]))
    with pytest.raises(ConfigError, match="false_alarm=0"):
        psi_limit(5, 10, 10, 0.0)


@given(
    counts=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=2, max_size=12).map(np.array),
    least=st.integers(1, 10),
    apart=st.integers(1, 11),
)
def test_no_cell_is_small_and_nothing_is_lost(counts: np.ndarray, least: int, apart: int) -> None:
    rows = counts.T
    for at in (None, min(apart, rows.shape[1] - 1)):
        cuts = merge_bins(rows, least, at)
        if not cuts:
            assert rows.sum(axis=1).min() < least, "all bins together would have made a cell"
            continue
        assert (cuts[0], cuts[-1]) == (0, rows.shape[1])
        assert min(np.add.reduceat(rows, cuts[:-1], axis=1).min(axis=0)) >= least
        if at is not None and min(rows[:, :at].sum(axis=1).min(), rows[:, at:].sum(axis=1).min()) >= least:
            assert at in cuts, "both sides have enough without each other"


@given(
    one=st.lists(st.integers(0, 9), min_size=6, max_size=6), other=st.lists(st.integers(0, 9), min_size=6, max_size=6)
)
def test_histograms_are_compared_in_the_cells_of_both(one: list[int], other: list[int]) -> None:
    a, b = Histogram.of(np.array(one), 5), Histogram.of(np.array(other), 5)
    then, now = common_cells(a, b)
    assert len(then) == len(now)
    if a.cuts and b.cuts:
        assert (then.sum(), now.sum()) == (sum(one), sum(other))
        assert min(then.min(), now.min()) >= 5
    else:
        assert not len(then)


@pytest.mark.parametrize(
    ("limit", "shift", "exact"), [(4.0, 0.0, 168.0), (5.0, 0.0, 465.0), (4.0, 1.0, 8.38), (5.0, 1.0, 10.4)]
)
def test_run_lengths_are_near_the_exact_ones(limit: float, shift: float, exact: float) -> None:
    assert average_run_length(0.5, limit, shift) == pytest.approx(exact, rel=0.02)


def test_run_lengths_of_simulated_charts() -> None:
    chart, rng = Cusum(0.5, cusum_limit(0.5, 100.0)), np.random.default_rng(0)
    lengths = []
    for _ in range(300):
        state, n = chart.init(), 0
        while not chart.alarm(state):
            state, n = chart.step(state, float(rng.normal())), n + 1
        lengths.append(n)
    assert 85 < np.mean(lengths) < 120


@given(allowance=st.floats(0.1, 1.5), run_length=st.floats(100, 1e6))
def test_the_limit_gives_the_run_length_that_was_asked_for(allowance: float, run_length: float) -> None:
    limit = cusum_limit(allowance, run_length)
    assert average_run_length(allowance, limit) == pytest.approx(run_length, rel=1e-6)
    assert average_run_length(allowance, limit, 2 * allowance) < run_length
    assert average_run_length(allowance, limit, 1e6) < 10, "however large the shift"


@given(st.lists(st.floats(-5, 5), max_size=30), st.floats(0.1, 1))
def test_the_chart_is_the_largest_sum_of_any_latest_stretch_and_has_no_favourite_side(
    observed: list[float], allowance: float
) -> None:
    chart = Cusum(allowance, 4.0)
    state = mirrored = chart.init()
    for z in observed:
        state, mirrored = chart.step(state, z), chart.step(mirrored, -z)
    stretches = [sum(z - allowance for z in observed[at:]) for at in range(len(observed) + 1)]
    assert state.above == pytest.approx(max(stretches), abs=1e-9)
    assert (state.above, state.below) == (mirrored.below, mirrored.above)
    assert state.height == max(state.above, state.below)


def test_an_alarm_is_above_the_limit_and_settings_are_checked() -> None:
    chart = Cusum(0.5, 4.0)
    assert not chart.alarm(CusumState(4.0, 0.0))
    assert chart.alarm(CusumState(0.0, 4.1))
    with pytest.raises(InputError, match="nan"):
        chart.step(chart.init(), math.nan)
    for allowance, limit in ((0.0, 4.0), (0.5, 0.0)):
        with pytest.raises(ConfigError, match="above 0"):
            Cusum(allowance, limit)
    with pytest.raises(ConfigError, match="run_length=5"):
        cusum_limit(0.5, 5.0)
    with pytest.raises(ConfigError, match="with any limit"):
        cusum_limit(3.0, 10.0)
