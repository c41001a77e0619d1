"""Stage "gate": no model is released that serves a hospital badly, however good it is on the whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
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
    """Whether any limit is missed, computed apart from the gate; an unknown number misses its limit."""
    rows = list(reports.values())
    worst = min(_told(row["accuracy"]["value"]) for row in rows)
    off = max(_told(row["ece"], math.inf) for row in rows)
    fewest = min(row["patients"] for row in rows)
    answered = min(_told(row["coverage"]) for row in rows)
    apart = max(_certainly_apart([row[rate] for row in rows]) for rate in ("tpr", "fpr"))
    return not (
        worst >= POLICY.floor
        and off <= POLICY.most_ece
        and fewest >= POLICY.least_patients
        and answered >= POLICY.least_coverage
        and apart <= POLICY.most_gap
    )


def _certainly_apart(shares: Sequence[Mapping[str, Any]]) -> float:
    """What is left of the largest difference at the near end of its 95 % interval (Newcombe 1998, method 10)."""
    if any(share["value"] is None or math.isnan(share["value"]) for share in shares):
        return math.inf
    low, *_, high = sorted(shares, key=lambda share: share["value"])
    margin = math.hypot(high["value"] - high["low"], low["high"] - low["value"])
    return float(high["value"] - low["value"] - margin)


def _told(value: float | None, unknown: float = -math.inf) -> float:
    return unknown if value is None or math.isnan(value) else value
