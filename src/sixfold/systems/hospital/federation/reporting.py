"""What a hospital says of a model on its own patients: aggregates only, and none of too few."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sixfold.errors import ConfigError, InputError
from sixfold.parts.ranking import Estimate
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.gate import SiteMetrics, site_metrics
from sixfold.systems.hospital.train.algorithm import Arrays, Order
from sixfold.systems.hospital.train.models import Cox, number, records_of
from sixfold.systems.hospital.train.personal import predict_personal

__all__ = ["BINS", "LEAST_PATIENTS", "metrics_from", "numbers_in", "report"]

LEAST_PATIENTS = 5  # fewer are not reported on
BINS = 5  # of the calibration error, with equally many patients


def report(order: Order, cohort: Cohort, kept: Arrays) -> dict[str, Any]:
    """The fields of SiteMetrics, the patients with the outcome, and the mean score; patients is 0 of too few.

    The order's settings say the accuracy that abstaining is to reach. Raises ConfigError for a model whose scores are
    no probabilities.
    """
    records = records_of(order, cohort)
    if isinstance(records.model, Cox):
        raise ConfigError("cox: a report is about probabilities")
    if len(records) < LEAST_PATIENTS:
        return {"site": cohort.site, "patients": 0}
    score_N = predict_personal(records.model, records.theta_P, kept, records.X_ND)
    metrics = site_metrics(cohort.site, records.y, score_N, number(order, "target_accuracy"), bins=BINS)
    return {**asdict(metrics), "ill": int(records.y.sum()), "mean_score": float(score_N.mean())}


def numbers_in(said: Any) -> int:
    """How many numbers a report tells, those of its estimates included."""
    if isinstance(said, Mapping):
        return sum(map(numbers_in, said.values()))
    return int(isinstance(said, int | float))


def metrics_from(record: Mapping[str, Any]) -> SiteMetrics:
    """The metrics of a report, as the gate takes them; InputError if it is none."""
    estimates = ("auroc", "accuracy", "tpr", "fpr")
    try:
        plain = ("site", "patients", "ece", "target_accuracy", "coverage")
        known: dict[str, Any] = {name: record[name] for name in plain}
        return SiteMetrics(**known | {name: Estimate(**record[name]) for name in estimates})
    except (KeyError, TypeError) as error:
        raise InputError(f"not the report of a hospital with enough patients: {error}") from None
