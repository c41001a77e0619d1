"""How often pages change, from visits; how often to visit them: against the papers, and as properties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.systems.rag.crawl.change_rate import (
    Visit,
    change_rate_hz,
    freshness,
    regular_change_rate_hz,
    visit_frequencies_hz,
)

RATES = st.lists(st.floats(1e-9, 1e3) | st.just(0.0), min_size=1, max_size=30)
BUDGETS = st.floats(1e-6, 1e3)


@given(st.integers(1, 200), st.data(), st.floats(1e-3, 1e8))
def test_at_equal_intervals_the_two_estimators_are_one(visits, data, interval_s):
    changed = data.draw(st.integers(0, visits))
    seen = [Visit(interval_s, n < changed) for n in range(visits)]
    expected = regular_change_rate_hz(visits, changed, interval_s)
    assert change_rate_hz(seen) == pytest.approx(expected, rel=1e-9, abs=1e-18)


def test_the_estimate_without_visits_or_changes_and_with_changes_only():
    assert change_rate_hz([], prior_hz=3.0) == 3.0
    assert change_rate_hz([Visit(5.0, False)] * 4, prior_hz=3.0) == 0.0
    assert regular_change_rate_hz(1, 1, 1.0) == pytest.approx(math.log(3))
    assert math.isfinite(change_rate_hz([Visit(1.0, True), Visit(1e9, True)]))


@given(st.lists(st.tuples(st.floats(1e-3, 1e6), st.booleans()), min_size=1, max_size=20), st.floats(0.01, 100))
def test_the_estimate_scales_with_time_and_grows_with_changes(visits, factor):
    seen = [Visit(after_s, changed) for after_s, changed in visits]
    rate = change_rate_hz(seen)
    slower = change_rate_hz([Visit(v.after_s * factor, v.changed) for v in seen])
    assert slower * factor == pytest.approx(rate, rel=1e-6)
    if not all(v.changed for v in seen):
        at = next(n for n, v in enumerate(seen) if not v.changed)
        assert change_rate_hz([*seen[:at], Visit(seen[at].after_s, True), *seen[at + 1 :]]) > rate


@pytest.mark.parametrize("rate_hz", [0.05, 0.5, 2.0])
def test_irregular_visits_of_a_poisson_process_find_its_rate(rate_hz):
    draw = np.random.default_rng(7)
    estimates = []
    for _ in range(60):
        after_s = draw.exponential(1.0, 150) + 0.05
        changed = draw.random(150) < -np.expm1(-rate_hz * after_s)
        estimates.append(change_rate_hz([Visit(float(t), bool(c)) for t, c in zip(after_s, changed, strict=True)]))
    # The naive estimate, changes over time, misses those that lie within one interval.
    assert np.mean(estimates) == pytest.approx(rate_hz, rel=0.06)


def test_the_example_of_the_paper():
    """Table III of "Effective page refresh policies": five pages at rates 1 to 5 a day and five visits a day."""
    assert visit_frequencies_hz([1, 2, 3, 4, 5], 5) == pytest.approx([1.15, 1.36, 1.35, 1.14, 0.0], abs=0.005)


@settings(max_examples=150, deadline=None)
@given(RATES, BUDGETS)
def test_the_budget_is_kept_and_no_simpler_schedule_is_fresher(rates, budget):
    rates = np.array(rates)
    found = visit_frequencies_hz(rates, budget)
    assert (found >= 0).all()
    assert found.sum() <= budget * (1 + 1e-9)
    assert (found[rates == 0] == 0).all()
    if not rates.any():
        return
    assert found.sum() == pytest.approx(budget, rel=1e-6)
    best = freshness(rates, found).mean()
    assert 0 <= best <= 1
    for other in (np.full(len(rates), budget / len(rates)), budget * rates / rates.sum()):
        assert best >= freshness(rates, other).mean() - 1e-9


@settings(max_examples=100, deadline=None)
@given(RATES, BUDGETS, st.randoms(use_true_random=False))
def test_no_shift_of_visits_between_two_pages_is_fresher(rates, budget, draw):
    rates = np.array(rates)
    found = visit_frequencies_hz(rates, budget)
    best = freshness(rates, found).sum()
    give, take = draw.randrange(len(rates)), draw.randrange(len(rates))
    part = found[give] * draw.random()
    found[give] -= part
    found[take] += part
    assert freshness(rates, found).sum() <= best + 1e-7


def test_a_simulation_agrees_with_the_closed_form_and_prefers_the_optimum():
    rates, budget, length = np.array([0.1, 0.5, 1.0, 3.0, 9.0]), 4.0, 3_000.0
    draw = np.random.default_rng(3)
    changes = [np.cumsum(draw.exponential(1 / rate, int(2 * rate * length) + 50)) for rate in rates]

    def simulated(frequencies):
        fresh = []
        for times, frequency in zip(changes, frequencies, strict=True):
            if frequency == 0:
                fresh.append(0.0)
                continue
            visits = np.arange(0, length, 1 / frequency)
            next_change = times[np.searchsorted(times, visits)]
            fresh.append(float(np.minimum(next_change - visits, 1 / frequency).sum() / (len(visits) / frequency)))
        return np.array(fresh)

    schedules = [visit_frequencies_hz(rates, budget), np.full(5, budget / 5), budget * rates / rates.sum()]
    means = []
    for schedule in schedules:
        assert simulated(schedule) == pytest.approx(freshness(rates, schedule), abs=0.03)
        means.append(simulated(schedule).mean())
    assert means[0] > means[1] > means[2]
    assert schedules[0][4] == 0  # it would be stale again at once


@pytest.mark.parametrize("budget", [-1.0, math.inf, math.nan])
def test_a_bad_budget_is_refused(budget):
    with pytest.raises(ConfigError):
        visit_frequencies_hz([1.0], budget)
    with pytest.raises(ConfigError):
        Visit(budget, True)
