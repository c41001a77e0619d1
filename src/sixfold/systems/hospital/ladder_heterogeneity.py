"""Stage "heterogeneity": one model does not fit all; each hospital keeps an intercept of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sixfold.study import Check, Context, Forecast, Measurement, Outcome, Prediction, Row, Trial
from sixfold.systems.hospital.costs import predicted_bytes, predicted_wall
from sixfold.systems.hospital.federation.reporting import BINS
from sixfold.systems.hospital.ladder_fedavg import kept_reports
from sixfold.systems.hospital.scenario import (
    features_of,
    federation_of,
    job_for,
    judge,
    measurement,
    site_names,
    train,
)
from sixfold.systems.hospital.train.algorithm import Algorithm
from sixfold.systems.hospital.train.choose import make_algorithm

__all__ = ["ROUNDS", "STAGE", "checks", "disparity_cut", "personal", "predict", "predicted_cut", "run"]

STAGE = "heterogeneity"
ROUNDS = 12  # of Newton's method: it has converged by then


def personal(context: Context) -> Algorithm:
    """Common weights, and an intercept of each hospital's own, solved together exactly."""
    settings = context.settings
    return make_algorithm(
        "personal_intercept", features_of(), {"rounds": ROUNDS, "l2": settings["l2"], "tau": settings["tau"]}
    )


def run(trial: Trial) -> Measurement:
    """Train with an own intercept at each hospital, which stays there."""
    federation = federation_of(trial)
    trained = train(trial, federation, job_for(federation, STAGE), personal(trial.context))
    judged = judge(trained)
    d = features_of() + 1
    expected = predicted_bytes(len(trained.finished.rounds), len(federation.hospitals), d, d * (d + 1) // 2 + d + 2)
    common = kept_reports(trial.context)
    before = math.nan if common is None else common.gap("ece")
    base_rate = math.nan if common is None else _base_rate_gap(common.reports)
    return measurement(
        trained,
        judged,
        predicted_bytes=expected,
        calibration_gap=judged.gap("ece"),
        worst_ece=max(judged.of("ece").values()),
        worst_ece_of_common_model=math.nan if common is None else max(common.of("ece").values()),
        calibration_gap_of_common_model=before,
        calibration_gap_of_base_rates=base_rate,
        findings=float(len(federation.verify().findings)),
    )


def predict(context: Context, baseline: Row, workers: int) -> Prediction:
    """Fewer rounds than averaging, of longer vectors."""
    return predicted_wall(context, baseline, workers, rounds=ROUNDS, sites=len(site_names(context)), masked=False)


def predicted_cut(forecast: Forecast) -> float:
    """What is left where every hospital is calibrated on the whole: the noise of its own few patients.

    0.4 sqrt(bins / patients) is how far the calibration error of a calibrated model is above 0; from the common
    model's reports, which are of the stage before.
    """
    common = kept_reports(forecast.context)
    if common is None:
        return 1.0 / 3.0
    noise = [0.4 * math.sqrt(BINS / float(report["patients"])) for report in common.reports.values()]
    return 1.0 - (max(noise) - min(noise)) / common.gap("ece")


def disparity_cut(outcome: Outcome) -> float:
    """By which share the gap of calibration errors between hospitals is smaller than with one model for all."""
    extra = outcome.last.extra
    return 1.0 - extra["calibration_gap"] / extra["calibration_gap_of_common_model"]


def checks(outcome: Outcome) -> Iterable[Check]:
    """Nobody pays for it; and how much of the disparity was base rate."""
    extra, baseline = outcome.last.extra, outcome.baseline
    yield Check(
        "no loss for all",
        outcome.last.quality >= baseline.quality - 0.01,
        f"AUROC {outcome.last.quality:.3f}, pooled {baseline.quality:.3f}",
    )
    rate = extra["calibration_gap_of_base_rates"] / extra["calibration_gap_of_common_model"]
    worst, before = extra["worst_ece"], extra["worst_ece_of_common_model"]
    yield Check(
        "the worst-served hospital gains",
        worst < before,
        f"its calibration error {worst:.3f}, {before:.3f} with one model; {rate:.0%} of that model's gap is base rates",
    )
    yield Check("logs", extra["findings"] == 0, f"{extra['findings']:.0f} findings in the logs of all parties")


def _base_rate_gap(reports: Mapping[str, Mapping[str, Any]]) -> float:
    """The gap between hospitals of |mean score - share with the outcome|: what an own intercept alone can mend."""
    off = [abs(report["mean_score"] - report["ill"] / report["patients"]) for report in reports.values()]
    return float(max(off) - min(off))
