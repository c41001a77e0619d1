"""Stage "gate": no model is released that serves a hospital badly, however good it is on the whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sixfold.files import replace_json
from sixfold.study import Check, Context, Forecast, Measurement, Outcome, Prediction, Row, Trial
from sixfold.systems.hospital.costs import predicted_wall
from sixfold.systems.hospital.federation.job import Protection
from sixfold.systems.hospital.federation.reporting import metrics_from
from sixfold.systems.hospital.gate import Decision, GatePolicy
from sixfold.systems.hospital.gate import judge as decide
from sixfold.systems.hospital.ladder_fedavg import kept_reports
from sixfold.systems.hospital.ladder_heterogeneity import ROUNDS, personal
from sixfold.systems.hospital.ladder_privacy import EPSILONS, private_reports
from sixfold.systems.hospital.scenario import (
    TARGET_ACCURACY,
    federation_of,
    job_for,
    judge,
    measurement,
    site_names,
    train,
)

__all__ = ["POLICY", "STAGE", "checks", "predict", "predicted_wrong", "run", "wrong_decisions"]

STAGE = "gate"

# Fixed before a model was judged. 0.2 is what 16 patients in five bins show of a calibrated model by chance alone.
POLICY = GatePolicy(
    metric="accuracy",
    floor=0.7,
    most_gap=0.35,
    gap_at="certain",
    most_ece=0.2,
    target_accuracy=TARGET_ACCURACY,
    least_coverage=0.25,
    least_patients=10,
)

Reports = Mapping[str, Mapping[str, Any]]


def run(trial: Trial) -> Measurement:
    """Train the candidate, masked, with an own intercept at each hospital; judge it and the models of lower rungs."""
    federation = federation_of(trial)
    job = job_for(federation, STAGE, protection=Protection.MASKED)
    trained = train(trial, federation, job, personal(trial.context))
    judged = judge(trained)
    candidates: dict[str, Reports] = {"candidate": judged.reports}
    if (common := kept_reports(trial.context)) is not None:
        candidates["one model for all"] = common.reports
    for epsilon in EPSILONS:
        if (reports := private_reports(trial.context, epsilon)) is not None:
            candidates[f"epsilon {epsilon:g}"] = reports
    decisions = {name: _decide(reports) for name, reports in candidates.items()}
    replace_json(
        trial.folder / "decisions.json",
        {name: {"passed": d.passed, "reasons": [r.text for r in d.reasons]} for name, d in decisions.items()},
    )
    wrong = sum(decision.passed == _violates(candidates[name]) for name, decision in decisions.items())
    return measurement(
        trained,
        judged,
        candidate_passed=float(decisions["candidate"].passed),
        models_judged=float(len(decisions)),
        blocked=float(sum(not decision.passed for decision in decisions.values())),
        wrong_decisions=float(wrong),
        findings=float(len(federation.verify().findings)),
    )


def predict(context: Context, baseline: Row, workers: int) -> Prediction:
    """The candidate's rounds, masked."""
    return predicted_wall(context, baseline, workers, rounds=ROUNDS, sites=len(site_names(context)), masked=True)


def predicted_wrong(forecast: Forecast) -> float:
    """None: the gate has no other judgement than its limits."""
    return 0.0


def wrong_decisions(outcome: Outcome) -> float:
    """Models that violate a floor and passed, or violate none and were blocked; and the candidate if it was blocked."""
    extra = outcome.last.extra
    return extra["wrong_decisions"] + (1.0 - extra["candidate_passed"])


def checks(outcome: Outcome) -> Iterable[Check]:
    """A gate that lets everything pass, or nothing, is none."""
    extra = outcome.last.extra
    judged, blocked = extra["models_judged"], extra["blocked"]
    yield Check("it blocks", blocked >= 1, f"{blocked:.0f} of {judged:.0f} models of this ladder were blocked")
    yield Check("it passes", extra["candidate_passed"] == 1, "the candidate, with an own intercept at each hospital")
    yield Check("logs", extra["findings"] == 0, f"{extra['findings']:.0f} findings in the logs of all parties")


def _decide(reports: Reports) -> Decision:
    return decide(POLICY, [metrics_from(report) for _, report in sorted(reports.items())])


def _violates(reports: Reports) -> bool:
    """The two floors, computed apart from the gate: the worst-served hospital's accuracy, and any calibration error."""
    worst = min(report["accuracy"]["value"] for report in reports.values())
    off = max(math.inf if report["ece"] is None else report["ece"] for report in reports.values())
    return bool(worst < POLICY.floor or off > POLICY.most_ece)
