"""Stage "monitor": patients change after a release; an alarm is raised when they do, and not when they do not.

Periods are simulated: each draws patients anew from those a hospital has, with replacement.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sixfold.study import Check, Context, Forecast, Measurement, Outcome, Prediction, Row, Trial
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.costs import predicted_wall
from sixfold.systems.hospital.data.features import featurise
from sixfold.systems.hospital.federation.job import Protection
from sixfold.systems.hospital.ladder_heterogeneity import ROUNDS, personal
from sixfold.systems.hospital.monitor import Monitor, Phase, Policy
from sixfold.systems.hospital.monitor_report import SCORE, Plan, site_report
from sixfold.systems.hospital.scenario import (
    MATRIX,
    cohorts_of,
    federation_of,
    job_for,
    judge,
    kept_at,
    measurement,
    model_of,
    site_names,
    train,
)
from sixfold.systems.hospital.train.personal import predict_personal

__all__ = ["STAGE", "checks", "false_alarms", "predict", "predicted_false_alarms", "run"]

STAGE = "monitor"
_PERIODS, _PATIENTS, _REFERENCE = 12, 100, 300
_LEAST_OUTCOMES = 10  # patients of either; one of the embedded hospitals has a single healthy patient
_SHIFT_AT = 4  # the first period with other patients
_WATCHED = {"age": (-1.0, 0.0, 1.0), "st depression": (-0.5, 0.1, 1.0), "greatest heart rate": (-1.0, 0.0, 1.0)}
_SHIFTED = {"age": 1.0, "st depression": 1.0}  # by one standard deviation or so: in units of the model's columns
_PLAN = Plan({SCORE: (0.1, 0.3, 0.5, 0.7, 0.9), **_WATCHED}, threshold=0.5, delay=2)
_POLICY = Policy()

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Hospital:
    """What is needed to draw a hospital's periods: its patients, and its own version of the model."""

    cohort: Cohort
    theta_P: Floats
    kept: dict[str, Floats]

    def values(self, rows: NDArray[np.intp], shift: float) -> tuple[dict[str, Floats], Floats, Floats]:
        """Histogrammed values, outcomes and scores of these patients, after a shift of the shifted columns."""
        X_ND = self.cohort.X_ND[rows].copy()
        for name, by in _SHIFTED.items():
            X_ND[:, self.cohort.features.index(name)] += shift * by
        score_N = predict_personal(model_of(), self.theta_P, self.kept, X_ND)
        watched = {name: X_ND[:, self.cohort.features.index(name)] for name in _WATCHED}
        return {SCORE: score_N, **watched}, self.cohort.y_N[rows], score_N


def run(trial: Trial) -> Measurement:
    """Train the model, masked; then watch it in many runs without a shift, and as many with one at one hospital."""
    federation = federation_of(trial)
    job = job_for(federation, STAGE, protection=Protection.MASKED)
    trained = train(trial, federation, job, personal(trial.context))
    judged = judge(trained)
    hospitals = [
        _Hospital(featurise(cohort, MATRIX), trained.theta_P, kept_at(trained, cohort.site))
        for cohort in _watched(trial.context)
    ]
    runs = int(trial.context.settings["monitor_runs"])
    rng = np.random.default_rng([trial.context.seed, 7])
    quiet, delays = 0, []
    for at in range(runs):
        trial.context.emit("progress", step="runs of the monitor", done=at + 1, total=runs)
        quiet += not any(_first_alarm(hospital, None, rng) for hospital in hospitals)
        shifted = _first_alarm(hospitals[at % len(hospitals)], _SHIFT_AT, rng)
        delays.append(shifted - _SHIFT_AT + 1 if shifted >= _SHIFT_AT else np.inf)
    found = np.isfinite(delays)
    return measurement(
        trained,
        judged,
        hospitals_watched=float(len(hospitals)),
        monitor_runs=float(runs),
        runs_with_false_alarm=float(runs - quiet),
        shifts_found=float(found.mean()),
        periods_to_alarm=float(np.median(delays)),
        findings=float(len(federation.verify().findings)),
    )


def predict(context: Context, baseline: Row, workers: int) -> Prediction:
    """Training; watching is not timed."""
    return predicted_wall(context, baseline, workers, rounds=ROUNDS, sites=len(site_names(context)), masked=True)


def predicted_false_alarms(forecast: Forecast) -> float:
    """The share of runs in which any hospital's drift rule or chart of outcomes alarms without a cause.

    Two of three successive periods signal with probability 2 p^2 a period, p as the policy states it; the chart alarms
    once in its run length. Both are small, so that they add up over periods and hospitals.
    """
    each = 2.0 * _POLICY.false_alarm**2 + 1.0 / _POLICY.run_length
    return 1.0 - (1.0 - each) ** (_PERIODS * len(_watched(forecast.context)))


def false_alarms(outcome: Outcome) -> float:
    """The share of runs without a shift that raised an alarm."""
    extra = outcome.last.extra
    return extra["runs_with_false_alarm"] / extra["monitor_runs"]


def checks(outcome: Outcome) -> Iterable[Check]:
    """A shift is found, and soon."""
    extra = outcome.last.extra
    found, delay = extra["shifts_found"], extra["periods_to_alarm"]
    yield Check("shifts are found", found >= 0.95, f"{found:.1%} of {extra['monitor_runs']:.0f} injected shifts")
    yield Check("soon", delay <= 3, f"median of {delay:.0f} periods of {_PATIENTS} patients until the alarm")
    false, runs, watched = (extra[name] for name in ("runs_with_false_alarm", "monitor_runs", "hospitals_watched"))
    yield Check(
        "quiet otherwise",
        false <= 0.1 * runs,
        f"{false:.0f} of {runs:.0f} runs of {_PERIODS} periods at {watched:.0f} hospitals",
    )
    yield Check("logs", extra["findings"] == 0, f"{extra['findings']:.0f} findings in the logs of all parties")


def _watched(context: Context) -> list[Cohort]:
    """The hospitals that have enough patients of either outcome to tell one kind of error from the other."""
    return [
        cohort
        for cohort in cohorts_of(context)
        if min(np.bincount(cohort.y_N.astype(int), minlength=2)) >= _LEAST_OUTCOMES
    ]


def _first_alarm(hospital: _Hospital, since: int | None, rng: np.random.Generator) -> int:
    """The period of the first alarm, 0 if there is none; since: from when on patients are others."""
    monitor, site, n = Monitor(_PLAN, _POLICY), hospital.cohort.site, len(hospital.cohort)
    values, y_N, score_N = hospital.values(rng.integers(0, n, _REFERENCE), 0.0)
    state = monitor.init(site_report(_PLAN, site, 0, values, (y_N, score_N)))
    waiting: list[tuple[Floats, Floats]] = []
    for period in range(1, _PERIODS + 1):
        shift = 1.0 if since is not None and period >= since else 0.0
        values, y_N, score_N = hospital.values(rng.integers(0, n, _PATIENTS), shift)
        waiting.append((y_N, score_N))
        known = waiting.pop(0) if len(waiting) > _PLAN.delay else None
        state = monitor.step(state, site_report(_PLAN, site, period, values, known))
        if state.phase is Phase.ALARMED:
            return period
    return 0
