"""How much privacy is lost at least: a lower bound on epsilon, from guesses who was in the data.

Canaries are records made for the purpose; an independent fair coin decides for each whether it is put into the data.
Guesses that are right too often contradict a claimed (epsilon, delta). Neighbouring data sets differ by one record,
added or removed. A bound of 0 says that nothing was found, not that nothing is lost.
"""

# Shapes: M canaries.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import binom, binomtest

from sixfold.errors import ConfigError, InputError

__all__ = ["guesses_bound", "many_runs_bound", "one_run_bound"]

_CERTAIN = 40.0  # epsilon at which every guess may be right, in float64


def one_run_bound(
    scores_M: NDArray[np.float64],
    included_M: NDArray[np.bool_],
    guessed_in: int,
    guessed_out: int,
    delta: float,
    confidence: float = 0.95,
) -> float:
    """The bound from one run: the highest scores are guessed to be in, the lowest to be out, and the rest is left open.

    scores_M: higher where a canary rather seems to be in. How many are guessed has to be fixed before `included_M` is
    looked at. Raises InputError for scores that cannot be ranked, ConfigError as `guesses_bound` does.
    """
    if scores_M.ndim != 1 or scores_M.shape != included_M.shape or np.isnan(scores_M).any():
        raise InputError(f"got scores {scores_M.shape} and coins {included_M.shape}, expected a number for each coin")
    guesses = guessed_in + guessed_out
    if min(guessed_in, guessed_out) < 0 or guesses > len(scores_M):
        raise ConfigError(f"got {guessed_in} + {guessed_out} guesses about {len(scores_M)} canaries")
    order_M = np.argsort(scores_M, kind="stable")  # ties by position, of which the coins know nothing
    out, in_ = order_M[:guessed_out], order_M[len(order_M) - guessed_in :]
    correct = int(included_M[in_].sum() + (~included_M[out]).sum())
    return guesses_bound(len(scores_M), guesses, correct, delta, confidence)


def guesses_bound(canaries: int, guesses: int, correct: int, delta: float, confidence: float = 0.95) -> float:
    """The largest epsilon that so many correct guesses in one run contradict, at `delta`; 0 if they contradict none.

    It exceeds the true epsilon in at most a share 1 - confidence of runs. Raises ConfigError for numbers that do not
    fit together, and for more canaries than 1 / (2 delta), of which nothing can be said. Source: Steinke, Nasr and
    Jagielski, "Privacy auditing with one (1) training run", NeurIPS 2023, the theorem on (epsilon, delta).
    """
    _check(delta, confidence)
    if not 0 <= correct <= guesses <= canaries:
        raise ConfigError(f"got {correct} correct of {guesses} guesses about {canaries} canaries")
    if 2 * canaries * delta > 1:
        raise ConfigError(
            f"got {canaries} canaries at delta={delta:g}, expected at most {int(0.5 / delta)}: take fewer, or state "
            "the claim at a smaller delta"
        )
    contradicted = 1.0 - confidence
    if guesses == 0 or _p_value(0.0, canaries, guesses, correct, delta) > contradicted:
        return 0.0
    excess = lambda epsilon: _p_value(epsilon, canaries, guesses, correct, delta) - contradicted  # noqa: E731
    return float(brentq(excess, 0.0, _CERTAIN))


def many_runs_bound(
    detected: int, runs_with: int, false_alarms: int, runs_without: int, delta: float, confidence: float = 0.95
) -> float:
    """The bound from independent runs with and without one canary, and a detector that was fixed before them.

    log((TPR - delta) / FPR) or, if larger, log((1 - FPR - delta) / (1 - TPR)), both rates at the unfavourable end of
    their exact intervals. It exceeds the true epsilon in at most a share 1 - confidence of such audits. Source: Nasr et
    al., "Adversary instantiation: lower bounds for differentially private machine learning", IEEE S&P 2021; Clopper
    and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26,
    1934. Raises ConfigError.
    """
    _check(delta, confidence)
    if not (0 <= detected <= runs_with and 0 <= false_alarms <= runs_without and min(runs_with, runs_without) > 0):
        raise ConfigError(f"got {detected} of {runs_with} runs with, {false_alarms} of {runs_without} without")
    each = (1.0 + confidence) / 2.0  # two limits, each wrong half as often
    least = binomtest(detected, runs_with, alternative="greater").proportion_ci(each, "exact").low
    most = binomtest(false_alarms, runs_without, alternative="less").proportion_ci(each, "exact").high
    odds = max((least - delta) / most, (1.0 - most - delta) / (1.0 - least))
    return float(np.log(max(odds, 1.0)))


def _p_value(epsilon: float, canaries: int, guesses: int, correct: int, delta: float) -> float:
    """At most how likely so many correct guesses are under (epsilon, delta): it grows with epsilon.

    f(v) + 2 m delta max_i (f(v - i) - f(v)) / i, f(v) the probability that randomized response, right with probability
    e^epsilon / (1 + e^epsilon), is right v times or more.
    """
    right = float(expit(epsilon))
    i = np.arange(1, correct + 1)
    between = np.cumsum(binom.pmf(correct - i, guesses, right))
    spread = float(np.max(between / i, initial=0.0))
    return min(1.0, float(binom.sf(correct - 1, guesses, right)) + 2.0 * canaries * delta * spread)


def _check(delta: float, confidence: float) -> None:
    if not (0 <= delta < 1 and 0 < confidence < 1):
        raise ConfigError(f"got delta={delta:g}, confidence={confidence:g}, expected within [0, 1) and (0, 1)")
