"""What a hospital says of a model on its own patients: aggregates only, and none of too few."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError
from sixfold.parts.ranking import Estimate
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.gate import SiteMetrics, site_metrics
from sixfold.systems.hospital.train.algorithm import Arrays, Order
from sixfold.systems.hospital.train.evaluation import ScoreHistograms
from sixfold.systems.hospital.train.models import Cox, Linear, Logistic, Mlp, number, records_of
from sixfold.systems.hospital.train.personal import predict_personal

__all__ = ["BINS", "LEAST_PATIENTS", "judging_order", "metrics_from", "numbers_in", "report"]

LEAST_PATIENTS = 5  # fewer are not reported on
_ESTIMATES = ("auroc", "accuracy", "tpr", "fpr")
_UNKNOWN = Estimate(np.nan, np.nan, np.nan, 0)
BINS = 5  # of the calibration error, with equally many patients


def judging_order(model: Linear | Logistic | Mlp, theta_P: NDArray[np.float64], target_accuracy: float) -> Order:
    """Asks for a report on these parameters; target_accuracy is of those whom a model answers that may abstain."""
    judging = ScoreHistograms(model, theta_P)
    order = judging.order(judging.init(0))
    return replace(order, settings={**order.settings, "target_accuracy": target_accuracy})


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
    """The metrics of a report, as the gate takes them; all unknown where patients were too few to report on.

    Raises InputError if it is no report.
    """
    try:
        site, patients = str(record["site"]), int(record["patients"])
        if patients == 0:
            return SiteMetrics(site, 0, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN, np.nan, np.nan, np.nan)
        estimates = (Estimate(**{key: _known(of) for key, of in record[name].items()}) for name in _ESTIMATES)
        auroc, accuracy, tpr, fpr = estimates
        ece, target, coverage = (_known(record[name]) for name in ("ece", "target_accuracy", "coverage"))
        return SiteMetrics(site, patients, auroc, accuracy, tpr, fpr, ece, target, coverage)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"not the report of a hospital: {type(error).__name__}: {error}") from None


def _known(value: Any) -> Any:
    """JSON has no NaN: files say null."""
    return np.nan if value is None else value
