"""Promises of privacy_audit: the bound is below the truth as often as stated, and above zero where privacy leaks."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from sixfold.errors import ConfigError, InputError
from sixfold.parts.discrete_gaussian import KeyStream, discrete_gaussian
from sixfold.parts.privacy_audit import guesses_bound, many_runs_bound, one_run_bound
from sixfold.parts.privacy_mechanism import Accounting, Mechanism, epsilon_of

cached_guesses_bound = lru_cache(None)(guesses_bound)
cached_many_runs_bound = lru_cache(None)(many_runs_bound)
AUDITS = 2000
TOO_OFTEN = 0.05 + 4 * (0.05 * 0.95 / AUDITS) ** 0.5  # of 2000 audits at a confidence of 95 %


def right(epsilon: float) -> float:
    """How often epsilon-DP randomized response says the truth."""
    return 1 / (1 + np.exp(-epsilon))


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize(("canaries", "guesses"), [(30, 30), (300, 300), (300, 80)])
def test_one_run_of_randomized_response_is_not_overstated(epsilon: float, canaries: int, guesses: int) -> None:
    correct = np.random.default_rng(1).binomial(guesses, right(epsilon), AUDITS)
    bounds = np.array([cached_guesses_bound(canaries, guesses, int(each), 0.0) for each in correct])
    assert np.mean(bounds > epsilon) <= TOO_OFTEN


@pytest.mark.parametrize("delta", [1e-4, 1e-3])
@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_one_run_is_not_overstated_where_delta_tells_all(epsilon: float, delta: float) -> None:
    """Each canary is told with probability delta, all of them at once: all that (epsilon, delta) allows."""
    canaries, rng = 400, np.random.default_rng(2)
    told = rng.random(AUDITS) < delta
    correct = np.where(told, canaries, rng.binomial(canaries, right(epsilon), AUDITS))
    bounds = np.array([cached_guesses_bound(canaries, canaries, int(each), delta) for each in correct])
    assert np.mean(bounds > epsilon) <= TOO_OFTEN


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_many_runs_are_not_overstated(epsilon: float) -> None:
    rng, runs = np.random.default_rng(3), 200
    detected = rng.binomial(runs, right(epsilon), AUDITS)
    false_alarms = rng.binomial(runs, 1 - right(epsilon), AUDITS)
    bounds = [
        cached_many_runs_bound(int(d), runs, int(f), runs, 0.0) for d, f in zip(detected, false_alarms, strict=True)
    ]
    assert np.mean(np.array(bounds) > epsilon) <= TOO_OFTEN


def test_more_evidence_comes_closer_to_the_truth() -> None:
    one_run = [guesses_bound(m, m, round(m * right(2.0)), 0.0) for m in (30, 300, 3000, 300_000)]
    runs = [many_runs_bound(round(n * right(2.0)), n, round(n * (1 - right(2.0))), n, 0.0) for n in (30, 300, 300_000)]
    for bounds in (one_run, runs):
        assert bounds == sorted(bounds)
        assert 1.9 < bounds[-1] < 2.0
        assert bounds[0] > 0.5


def test_what_is_found_and_what_is_missed_both_tell() -> None:
    """Nearly no false alarm, or nearly no miss: the one is as good as the other."""
    few_alarms, few_misses = many_runs_bound(500, 1000, 2, 1000, 1e-5), many_runs_bound(998, 1000, 500, 1000, 1e-5)
    assert few_alarms == pytest.approx(few_misses)
    assert few_alarms > 4
    assert many_runs_bound(50, 100, 50, 100, 0.0) == many_runs_bound(0, 100, 100, 100, 0.0) == 0.0


def test_an_exact_interval_is_used() -> None:
    """No false alarm in n runs: the rate is at most 1 - a^(1 / n), of a the chance to see none."""
    n, each = 100, 0.025
    most, least = 1 - each ** (1 / n), each ** (1 / n)
    assert many_runs_bound(n, n, 0, n, 1e-3) == pytest.approx(np.log((least - 1e-3) / most))


@settings(max_examples=60)
@given(st.integers(1, 60), st.data())
def test_the_bound_is_where_the_published_formula_crosses(canaries: int, data: st.DataObject) -> None:
    guesses = data.draw(st.integers(1, canaries))
    correct = data.draw(st.integers(0, guesses))
    delta = data.draw(st.sampled_from([0.0, 1e-4, 1e-3, 1 / (2 * canaries)]))
    bound = guesses_bound(canaries, guesses, correct, delta)

    def p_value(epsilon: float) -> float:
        f = [binom.sf(v - 1, guesses, right(epsilon)) for v in range(correct + 1)]
        spread = max([(f[correct - i] - f[correct]) / i for i in range(1, correct + 1)], default=0.0)
        return float(f[correct] + 2 * canaries * delta * spread)

    if bound == 0.0:
        assert p_value(0.0) > 0.05 - 1e-9
    else:
        assert p_value(bound) == pytest.approx(0.05, rel=1e-6)
        assert p_value(bound + 1.0) > 0.05 > p_value(bound / 2)
    assert bound <= guesses_bound(canaries, guesses, correct, 0.0) + 1e-9
    assert guesses_bound(canaries, guesses, correct, delta, confidence=0.99) <= bound + 1e-9


@pytest.mark.parametrize(("noise", "leaks"), [(0.5, True), (1.0, True), (4.0, False)])
def test_the_mechanism_loses_no_more_than_is_claimed_and_the_audit_sees_that_it_loses_something(
    noise: float, leaks: bool
) -> None:
    """A sum of clipped rows and discrete noise, as hospitals make it: each canary is a row along an axis of its own."""
    canaries, delta, scale = 400, 1e-4, 2**20
    claimed = epsilon_of([Mechanism(1.0, noise, 1)], delta, Accounting.PLD)
    bounds = []
    for run in range(40):
        stream = KeyStream(bytes(range(32)), f"audit {noise} {run}".encode())
        included = stream.uniform(canaries) < 0.5
        sum_ = included * scale + discrete_gaussian(stream, int((noise * scale) ** 2), canaries)
        bounds.append(one_run_bound(sum_.astype(np.float64), included, 40, 40, delta))
    assert max(bounds) < claimed
    if leaks:
        assert np.median(bounds) > 0.4
    assert min(bounds) >= 0.0


def test_guesses_go_by_rank_and_the_middle_is_left_open() -> None:
    scores = np.array([5.0, 1.0, 4.0, 0.0, 2.0, 3.0] * 10) + np.repeat(np.arange(10) * 1e-3, 6)
    included = scores >= 3.0
    assert one_run_bound(scores, included, 10, 10, 0.0) == guesses_bound(60, 20, 20, 0.0)
    assert one_run_bound(scores, ~included, 10, 10, 0.0) == guesses_bound(60, 20, 0, 0.0) == 0.0
    assert one_run_bound(scores, included, 0, 0, 0.0) == 0.0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((10, 11, 5, 0.0), "guesses"),
        ((10, 5, 6, 0.0), "correct"),
        ((10, 5, -1, 0.0), "correct"),
        ((501, 5, 5, 1e-3), "at most 500"),
        ((10, 5, 5, 1.0), "delta"),
        ((10, 5, 5, 0.0, 1.0), "confidence"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(arguments: tuple[int, int, int, float], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        guesses_bound(*arguments)


def test_scores_without_a_rank_and_runs_that_were_not_made_are_refused() -> None:
    coins = np.array([True, False])
    with pytest.raises(InputError, match="a number for each coin"):
        one_run_bound(np.array([1.0, np.nan]), coins, 1, 1, 0.0)
    with pytest.raises(InputError, match="a number for each coin"):
        one_run_bound(np.array([1.0]), coins, 1, 0, 0.0)
    with pytest.raises(ConfigError, match="guesses about 2"):
        one_run_bound(np.array([1.0, 0.0]), coins, 2, 1, 0.0)
    with pytest.raises(ConfigError, match="0 without"):
        many_runs_bound(1, 1, 0, 0, 0.0)
