"""What a hospital says of a model on its own patients: aggregates only, and none of too few."""

from __future__ import annotations

from typing import Any

from sixfold.errors import ConfigError
from sixfold.parts.classification import accuracy, auroc, brier, error_rates, reliability
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Arrays, Order
from sixfold.systems.hospital.train.models import Cox, records_of
from sixfold.systems.hospital.train.personal import predict_personal

__all__ = ["LEAST_PATIENTS", "report"]

LEAST_PATIENTS = 5  # fewer are not reported on


def report(order: Order, cohort: Cohort, kept: Arrays) -> dict[str, Any]:
    """Counts, mean score, AUROC, accuracy, Brier score, expected calibration error and error rates; or None for each.

    Raises ConfigError for a model whose scores are no probabilities.
    """
    records = records_of(order, cohort)
    if isinstance(records.model, Cox):
        raise ConfigError("cox: a report is about probabilities")
    n = len(records)
    if n < LEAST_PATIENTS:
        return {"patients": None}
    score_N = predict_personal(records.model, records.theta_P, kept, records.X_ND)
    rates = error_rates(records.y, score_N)
    return {
        "patients": n,
        "ill": int(records.y.sum()),
        "mean_score": float(score_N.mean()),
        "auroc": auroc(records.y, score_N),
        "accuracy": accuracy(records.y, score_N).value,
        "brier": brier(records.y, score_N),
        "calibration_error": reliability(records.y, score_N, bins=5, by="mass").ece,
        "tpr": rates.tpr.value,
        "fpr": rates.fpr.value,
    }
