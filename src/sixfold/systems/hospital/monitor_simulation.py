"""Reports drawn from a known population: how often, and how soon, a monitor raises an alarm."""

# Shapes: B bins of a plan.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sixfold.systems.hospital.monitor import Monitor, Phase
from sixfold.systems.hospital.monitor_report import SCORE, report_of_counts

__all__ = ["Truth", "first_alarms"]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Truth:
    """A population to draw reports from, for simulation.

    shares: of each histogram's bins, independent of one another but for score and outcome. score_B: the mean score in
    each bin of scores; rate_B: the probability of the outcome there.
    """

    shares: Mapping[str, Floats]
    score_B: Floats
    rate_B: Floats


def first_alarms(
    monitor: Monitor,
    truth: Truth,
    *,
    patients: int,
    reference_patients: int,
    periods: int,
    runs: int,
    rng: np.random.Generator,
    later: Truth | None = None,
    since: int = 1,
) -> NDArray[np.int64]:
    """The period of the first alarm of each simulated run, 0 where there was none in `periods`.

    patients: in each period. later: what patients are drawn from since that period; without it every alarm is false.
    """
    plan, alarms = monitor.plan, np.zeros(runs, dtype=np.int64)

    def counts_of(of: Truth, n: int) -> dict[str, Counts]:
        return {name: rng.multinomial(n, shares) for name, shares in of.shares.items()}

    def outcomes_of(of: Truth, score_counts: Counts) -> tuple[Counts, Counts, Floats]:
        return score_counts, rng.binomial(score_counts, of.rate_B), score_counts * of.score_B

    for run in range(runs):
        counts = counts_of(truth, reference_patients)
        state = monitor.init(report_of_counts(plan, "simulated", 0, counts, outcomes_of(truth, counts[SCORE])))
        waiting: list[tuple[Truth, Counts]] = []  # for their outcomes
        for period in range(1, periods + 1):
            now = truth if later is None or period < since else later
            counts = counts_of(now, patients)
            waiting.append((now, counts[SCORE]))
            known = outcomes_of(*waiting.pop(0)) if len(waiting) > plan.delay else None
            state = monitor.step(state, report_of_counts(plan, "simulated", period, counts, known))
            if state.phase is Phase.ALARMED:
                alarms[run] = period
                break
    return alarms
