"""Laws of tails against the numbers of their papers, and against draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.design.laws.tails import (
    any_slow_probability,
    fan_out_level,
    fan_out_quantile_s,
    hedge_extra_load,
    hedged_quantile_s,
    latency_quantile_s,
    latency_tail,
    stage_budgets_s,
    stages_mean_s,
    stages_quantile_s,
)

medians = st.floats(1e-4, 10.0)
factors = st.floats(1.0, 50.0)  # of the 99th percentile over the median
levels = st.floats(0.01, 0.999)


def draws(median: float, p99: float, count: tuple[int, ...], seed: int = 3) -> np.ndarray:
    sigma = np.log(p99 / median) / 2.3263478740408408
    return median * np.exp(sigma * np.random.default_rng(seed).standard_normal(count))


@given(medians, factors, levels)
def test_quantiles_and_tails_are_inverses(median: float, factor: float, q: float) -> None:
    time = latency_quantile_s(q, median, median * factor)
    tail = float(latency_tail(time, median, median * factor))
    assert 0.0 <= tail <= 1.0
    if factor > 1.001:
        assert tail == pytest.approx(1 - q, abs=1e-6)


def test_the_two_quantiles_that_are_given_come_back() -> None:
    assert latency_quantile_s([0.5, 0.99], 0.1, 0.7) == pytest.approx([0.1, 0.7])
    with pytest.raises(ValueError, match="p99_s"):
        latency_quantile_s(0.5, 1.0, 0.5)


def test_a_hundred_shards_make_one_percent_sixty_three() -> None:
    assert any_slow_probability(0.01, 100) == pytest.approx(0.634, abs=5e-4)  # Dean and Barroso 2013, figure
    assert any_slow_probability(1e-4, 2000) == pytest.approx(0.181, abs=5e-4)  # almost one in five
    assert any_slow_probability(1.0, 3) == 1.0


@pytest.mark.parametrize(("shards", "needed"), [(5, None), (20, None), (20, 19), (20, 10)])
def test_fan_out_is_an_order_statistic(shards: int, needed: int | None) -> None:
    drawn = np.sort(draws(0.01, 0.05, (40_000, shards)), axis=1)
    measured = np.quantile(drawn[:, (needed or shards) - 1], 0.95)
    assert float(fan_out_quantile_s(0.95, shards, 0.01, 0.05, needed=needed)) == pytest.approx(measured, rel=0.03)


@given(levels, st.integers(1, 500))
def test_more_shards_need_a_higher_level_and_fewer_answers_a_lower_one(q: float, shards: int) -> None:
    level = float(fan_out_level(q, shards))
    assert q - 1e-12 <= level <= float(fan_out_level(q, shards + 1))
    assert float(fan_out_level(q, shards, shards)) == pytest.approx(level, abs=1e-9)
    if shards > 1:
        assert float(fan_out_level(q, shards, shards - 1)) <= level
    with pytest.raises(ValueError, match="needed"):
        fan_out_level(q, shards, shards + 1)


@settings(max_examples=40)
@given(levels, medians, factors, st.floats(0.0, 5.0))
def test_hedging_never_lengthens(q: float, median: float, factor: float, wait: float) -> None:
    p99 = median * factor
    hedged = float(hedged_quantile_s(q, wait * median, median, p99))
    assert hedged <= float(latency_quantile_s(q, median, p99)) * (1 + 1e-9)
    assert float(hedged_quantile_s(q, 1e9, median, p99)) == pytest.approx(
        float(latency_quantile_s(q, median, p99)), rel=1e-6
    )


def test_hedging_is_that_of_draws() -> None:
    first, second = draws(0.01, 0.1, (200_000,), 1), draws(0.01, 0.1, (200_000,), 2)
    delay = 0.03
    measured = np.quantile(np.where(first > delay, np.minimum(first, delay + second), first), [0.5, 0.95, 0.999])
    assert hedged_quantile_s([0.5, 0.95, 0.999], delay, 0.01, 0.1) == pytest.approx(measured, rel=0.02)
    assert hedge_extra_load(delay, 0.01, 0.1) == pytest.approx(np.mean(first > delay), abs=0.003)
    assert hedge_extra_load(latency_quantile_s(0.95, 0.01, 0.1), 0.01, 0.1) == pytest.approx(0.05)


def test_stages_one_after_another_are_those_of_draws() -> None:
    medians_s, p99s_s = np.array([0.01, 0.02, 0.05]), np.array([0.05, 0.04, 0.2])
    total = sum(draws(medians_s[at], p99s_s[at], (200_000,), at) for at in range(3))
    assert stages_mean_s(medians_s, p99s_s) == pytest.approx(total.mean(), rel=0.01)
    assert stages_quantile_s(0.99, medians_s, p99s_s) == pytest.approx(np.quantile(total, 0.99), rel=0.05)
    assert stages_quantile_s(0.99, medians_s, p99s_s) < p99s_s.sum()  # they are seldom slow together


@given(st.lists(st.tuples(medians, factors), min_size=1, max_size=6), st.floats(1e-3, 100.0))
def test_budgets_make_up_the_objective(stages: list[tuple[float, float]], objective: float) -> None:
    medians_s = np.array([median for median, _ in stages])
    p99s_s = medians_s * np.array([factor for _, factor in stages])
    budgets = stage_budgets_s(objective, medians_s, p99s_s)
    assert budgets.sum() == pytest.approx(objective)
    assert np.all(budgets > 0)
    if objective >= stages_mean_s(medians_s, p99s_s):
        for budget, (median, factor) in zip(budgets, stages, strict=True):
            assert budget >= float(stages_mean_s([median], [median * factor])) * (1 - 1e-9)
