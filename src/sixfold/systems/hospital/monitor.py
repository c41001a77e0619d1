"""The released model at each hospital, period after period: what hospitals count, and when that calls for a decision.

    quiet -- one signal --> warned -- `needed` of the last `of` --> alarmed -- decide, a named person --> decided
      ^------ none left ------'                                        |                                    |
      ^-------------------- decide: keep ------------------------------'        released, a new reference --'

Nothing is retrained by an alarm alone. No clock, no randomness and no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Literal

import numpy as np

from sixfold.errors import ConfigError, InputError
from sixfold.parts.classification import ErrorRates, Gap, gap, share
from sixfold.parts.drift import (
    Cusum,
    CusumState,
    common_cells,
    cusum_limit,
    psi,
    psi_limit,
)
from sixfold.systems.hospital.monitor_report import Outcomes, Plan, Report

__all__ = ["Answer", "Disparity", "Drift", "Monitor", "Phase", "Policy", "SiteState", "disparity"]


class Phase(StrEnum):
    """Where a hospital's monitor stands; see the top of the module."""

    QUIET = "quiet"
    WARNED = "warned"
    ALARMED = "alarmed"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Policy:
    """When to warn and when to raise an alarm.

    false_alarm: probability that the histograms of one period and hospital give a signal without any drift, shared
    evenly among them; `needed` signals of the last `of` periods are an alarm. run_length: periods between false alarms
    of the chart of outcomes, which finds soonest a shift of 2 allowance standard deviations of a period's outcomes.
    most_silent: periods in a row without what should have been reported, after which there is a warning.
    """

    false_alarm: float = 0.01
    needed: int = 2
    of: int = 3
    allowance: float = 0.5
    run_length: float = 2_000.0
    most_silent: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.false_alarm < 1 or not 1 <= self.needed <= self.of or self.most_silent < 1:
            raise ConfigError(
                f"got false_alarm={self.false_alarm:g}, {self.needed} of {self.of} signals, "
                f"most_silent={self.most_silent}, expected within (0, 1), at most all, and 1 or more"
            )
        self.chart()

    def chart(self) -> Cusum:
        return Cusum(self.allowance, _limit(self.allowance, self.run_length))


@lru_cache(maxsize=64)
def _limit(allowance: float, run_length: float) -> float:
    return cusum_limit(allowance, run_length)


@dataclass(frozen=True, slots=True)
class Drift:
    """The population stability index of one histogram against the reference, and what it may be."""

    name: str
    index: float
    limit: float
    cells: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A named person's decision on an alarm. keep: go on with the model; both others end its monitoring."""

    person: str
    action: Literal["keep", "retrain", "withdraw"]
    reason: str
    period: int


@dataclass(frozen=True, slots=True)
class SiteState:
    """What is known of the model at one hospital after `period`.

    drifts: of this period. as_of: the latest period whose outcomes were counted. excess, variance: of outcomes, summed
    over the reference and all periods so far. reasons: why it is not quiet.
    """

    reference: Report
    period: int
    phase: Phase = Phase.QUIET
    drifts: tuple[Drift, ...] = ()
    signals: tuple[bool, ...] = ()
    silent: int = 0
    as_of: int | None = None
    excess: float = 0.0
    variance: float = 0.0
    chart: CusumState = field(default_factory=CusumState)
    reasons: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Monitor:
    """Turns the reports of one hospital into its state: pure."""

    plan: Plan
    policy: Policy

    def init(self, reference: Report) -> SiteState:
        """reference: patients on whom the model was released, with outcomes. Raises InputError if they are too few."""
        known = reference.outcomes
        if not known or not known.variance or not all(reference.histograms[name].cuts for name in self.plan.edges):
            raise InputError(
                f"{reference.site}: the reference has too few patients with each outcome for any cell, or no score "
                "between 0 and 1"
            )
        return SiteState(reference, reference.period, excess=known.excess, variance=known.variance)

    def step(self, state: SiteState, report: Report | None) -> SiteState:
        """After the next period; None: nothing came. Raises InputError for another hospital's or period's report."""
        site, period = state.reference.site, state.period + 1
        if report is not None and (report.site, report.period) != (site, period):
            raise InputError(f"got period {report.period} of {report.site}, expected period {period} of {site}")
        if state.phase is Phase.DECIDED:
            return replace(state, period=period)
        drifts = self._drifts(state.reference, report) if report else ()
        due = period - self.plan.delay > state.reference.period
        known = report.outcomes if report and due and report.outcomes and report.outcomes.variance else None
        complete = len(drifts) == len(self.plan.edges) and (known is not None or not due)
        after = replace(state, period=period, drifts=drifts, silent=0 if complete else state.silent + 1)
        if drifts:
            signal = any(drift.index > drift.limit for drift in drifts)
            after = replace(after, signals=(*state.signals, signal)[-self.policy.of :])
        return self._judged(self._charted(after, known, period - self.plan.delay) if known else after)

    def decide(self, state: SiteState, answer: Answer) -> SiteState:
        """An alarm is answered by a person. Raises InputError if there is none, or no name, or no reason."""
        if state.phase is not Phase.ALARMED or answer.period != state.period:
            raise InputError(
                f"{state.reference.site} is {state.phase} in period {state.period}: there is no alarm to answer in "
                f"period {answer.period}"
            )
        if not answer.person.strip() or not answer.reason.strip():
            raise InputError(f"{state.reference.site}: an alarm is answered by a named person, who gives a reason")
        answers = (*state.answers, answer)
        if answer.action == "keep":
            return replace(
                state, phase=Phase.QUIET, signals=(), silent=0, chart=CusumState(), reasons=(), answers=answers
            )
        return replace(state, phase=Phase.DECIDED, answers=answers)

    def released(self, state: SiteState, reference: Report) -> SiteState:
        """Monitoring begins anew, with another model's reference. Raises InputError unless that was decided."""
        if state.phase is not Phase.DECIDED or (reference.site, reference.period) != (
            state.reference.site,
            state.period,
        ):
            raise InputError(
                f"{state.reference.site} is {state.phase} in period {state.period}: no release was decided that a "
                f"reference of {reference.site} in period {reference.period} could belong to"
            )
        return replace(self.init(reference), answers=state.answers)

    def _drifts(self, reference: Report, report: Report) -> tuple[Drift, ...]:
        drifts, each = [], self.policy.false_alarm / len(self.plan.edges)
        for name in self.plan.edges:
            then, now = common_cells(reference.histograms[name], report.histograms[name])
            if len(then):
                limit = psi_limit(len(then), int(then.sum()), int(now.sum()), each)
                drifts.append(Drift(name, psi(then, now), limit, len(then)))
        return tuple(drifts)

    def _charted(self, state: SiteState, known: Outcomes, as_of: int) -> SiteState:
        """The chart after outcomes that came to be known.

        What the model misses by from the beginning is no drift: an intercept of the log-odds is estimated from the
        reference and all periods before, in one Newton step, excess / variance, and the chart sees what the new excess
        differs from it, over its standard deviation. These recursive residuals are independent without drift, whatever
        the error of the estimate (Brown et al., "Techniques for testing the constancy of regression relationships over
        time", JRSS B 37, 1975).
        """
        expected = state.excess / state.variance * known.variance
        spread = np.sqrt(known.variance + known.variance**2 / state.variance)
        return replace(
            state,
            as_of=as_of,
            chart=self.policy.chart().step(state.chart, float((known.excess - expected) / spread)),
            excess=state.excess + known.excess,
            variance=state.variance + known.variance,
        )

    def _judged(self, state: SiteState) -> SiteState:
        policy, chart = self.policy, self.policy.chart()
        reasons = [
            f"{d.name}: PSI {d.index:.3f} above {d.limit:.3f} in {d.cells} cells"
            for d in state.drifts
            if d.index > d.limit
        ]
        if any(state.signals):
            reasons.append(f"drift in {sum(state.signals)} of the last {len(state.signals)} periods")
        if state.chart.height > chart.limit / 2:
            more = "more" if state.chart.above > state.chart.below else "fewer"
            reasons.append(
                f"outcomes up to period {state.as_of}: {more} than before at equal scores, "
                f"CUSUM {state.chart.height:.1f} with limit {chart.limit:.1f}"
            )
        if state.silent >= policy.most_silent:
            reasons.append(f"something was not reported in {state.silent} periods in a row")
        alarm = sum(state.signals) >= policy.needed or chart.alarm(state.chart)
        if alarm or state.phase is Phase.ALARMED:  # only a person ends an alarm
            return replace(state, phase=Phase.ALARMED, reasons=tuple(reasons) if alarm else state.reasons)
        return replace(state, phase=Phase.WARNED if reasons else Phase.QUIET, reasons=tuple(reasons))


@dataclass(frozen=True, slots=True)
class Disparity:
    """Gaps of the error rates between hospitals, of patients of period `as_of`."""

    tpr: Gap
    fpr: Gap
    as_of: int


def disparity(plan: Plan, reports: Sequence[Report]) -> Disparity:
    """How differently hospitals are served. Raises InputError unless all reports are of one period."""
    if len({report.as_of for report in reports}) != 1 or len({report.site for report in reports}) != len(reports):
        raise InputError("expected one report of every hospital, and all of one period")
    unknown = ErrorRates(share(0, 0), share(0, 0))
    rates = {r.site: r.outcomes.rates(plan.told_ill) if r.outcomes else unknown for r in reports}
    tpr, fpr = (gap({site: getattr(both, metric) for site, both in rates.items()}) for metric in ("tpr", "fpr"))
    return Disparity(tpr, fpr, reports[0].as_of)
