"""How good scores of a binary outcome are: discrimination, calibration, errors by group, and when to abstain.

A measure that is not defined, such as an AUROC with one outcome only, is NaN: whoever decides by it has to say what
that means.
"""

# Shapes: N patients, B bins, K points of a curve.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binomtest, norm, rankdata

from sixfold.errors import ConfigError, InputError
from sixfold.parts.ranking import Estimate

__all__ = [
    "AbstentionCurve",
    "ErrorRates",
    "Gap",
    "Reliability",
    "abstention_curve",
    "accuracy",
    "auroc",
    "auroc_interval",
    "brier",
    "error_rates",
    "gap",
    "reliability",
    "share",
]

Floats = NDArray[np.float64]

_NEXT = 1e-13  # next to 0 and 1, which themselves solve the equation of an interval


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Of those with the outcome, which share was told so (tpr); of those without, which share wrongly (fpr)."""

    tpr: Estimate
    fpr: Estimate


@dataclass(frozen=True, slots=True)
class Gap:
    """How far a rate differs between the groups with the lowest and the highest; NaN if that of any is unknown.

    certain: what is left of it at the near end of its interval, at least 0. The two were picked for their difference:
    among many groups `certain` is too large as well.
    """

    size: float
    certain: float
    lower: str
    higher: str


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of each bin that is not empty: patients, their mean score, and the share of them that had the outcome."""

    patients_B: NDArray[np.int64]
    score_B: Floats
    rate_B: Floats

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean over patients of |score - rate| of their bin; NaN without patients.

        It is biased upwards: where the truth is 0, by up to 0.4 sqrt(bins / patients). Depends on the bins: say which.
        Source: Guo et al., "On calibration of modern neural networks", ICML 2017, section 2.
        """
        n = self.patients_B.sum()
        return float(self.patients_B @ np.abs(self.score_B - self.rate_B) / n) if n else np.nan


@dataclass(frozen=True, slots=True)
class AbstentionCurve:
    """The accuracy over those whose score is furthest from a half, for growing shares of all patients.

    Patients of one confidence are answered together or not at all. area: the accuracy's mean over coverage.
    Source: El-Yaniv & Wiener, "On the foundations of noise-free selective classification", JMLR 11, 2010.
    """

    coverage_K: Floats
    accuracy_K: Floats

    @property
    def area(self) -> float:
        return float(self.accuracy_K @ np.diff(self.coverage_K, prepend=0.0)) if len(self.coverage_K) else np.nan

    def coverage_at(self, accuracy: float) -> float:
        """The largest share of patients that can be answered with at least this accuracy; NaN without patients."""
        if not len(self.coverage_K):
            return np.nan
        return float(self.coverage_K[self.accuracy_K >= accuracy].max(initial=0.0))


def auroc(y_N: Floats, score_N: Floats) -> float:
    """The share of pairs with different outcomes that the scores order rightly, ties counting half.

    NaN unless both outcomes occur. Raises InputError.
    Source: Hanley & McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
    Radiology 143, 1982.
    """
    _checked(y_N, score_N)
    ill = int(y_N.sum())
    pairs = ill * (len(y_N) - ill)
    if not pairs:
        return np.nan
    return float((rankdata(score_N)[y_N == 1.0].sum() - ill * (ill + 1) / 2) / pairs)


def auroc_interval(y_N: Floats, score_N: Floats, confidence: float = 0.95) -> Estimate:
    """The AUROC with a score interval, which is not empty where few patients were ordered perfectly.

    The interval holds every true value whose own standard error explains the one found. NaN unless both outcomes
    occur; n is the number of patients. Raises InputError and ConfigError.
    Source: Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2:
    asymptotic methods and evaluation", Statistics in Medicine 25, 2006 (method 5).
    """
    value, n = auroc(y_N, score_N), len(y_N)
    z = _quantile(confidence)
    if np.isnan(value):
        return Estimate(np.nan, np.nan, np.nan, n)
    ill = y_N.sum()

    def excess(true: float) -> float:
        spread = 1 + (n / 2 - 1) * ((1 - true) / (2 - true) + true / (1 + true))
        return float((value - true) ** 2 - z**2 * true * (1 - true) * spread / (ill * (n - ill)))

    low = 0.0 if value == 0.0 else float(brentq(excess, 0.0, min(value, 1 - _NEXT)))
    high = 1.0 if value == 1.0 else float(brentq(excess, max(value, _NEXT), 1.0))
    return Estimate(value, low, high, n)


def share(hits: int, n: int, confidence: float = 0.95) -> Estimate:
    """A share of n patients with Wilson's interval; NaN when n is 0. Raises ConfigError.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    _quantile(confidence)
    if not 0 <= hits <= n:
        raise ConfigError(f"got {hits} of {n}")
    if not n:
        return Estimate(np.nan, np.nan, np.nan, 0)
    interval = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    return Estimate(hits / n, float(interval.low), float(interval.high), n)


def accuracy(y_N: Floats, score_N: Floats, threshold: float = 0.5, confidence: float = 0.95) -> Estimate:
    """The share of patients who are told rightly: ill from `threshold` on. Raises InputError."""
    _checked(y_N, score_N)
    return share(int(((score_N >= threshold) == (y_N == 1.0)).sum()), len(y_N), confidence)


def error_rates(y_N: Floats, score_N: Floats, threshold: float = 0.5, confidence: float = 0.95) -> ErrorRates:
    """Both rates, with a patient told ill from `threshold` on; NaN where nobody had that outcome. Raises InputError."""
    _checked(y_N, score_N)
    told = score_N >= threshold
    rates = (share(int(told[y_N == outcome].sum()), int((y_N == outcome).sum()), confidence) for outcome in (1.0, 0.0))
    return ErrorRates(*rates)


def gap(rates: Mapping[str, Estimate]) -> Gap:
    """The largest difference between two groups; with tpr and fpr both are 0 under equalised odds.

    Raises InputError without groups.
    Source: Hardt et al., "Equality of opportunity in supervised learning", NeurIPS 2016, definition 2.1; of `certain`
    Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven methods",
    Statistics in Medicine 17, 1998 (method 10).
    """
    if not rates:
        raise InputError("got no groups to compare")
    unknown = [group for group, rate in rates.items() if np.isnan(rate.value)]
    if unknown:
        return Gap(np.nan, np.nan, unknown[0], unknown[0])
    low, high = min(rates, key=lambda g: rates[g].value), max(rates, key=lambda g: rates[g].value)
    size = rates[high].value - rates[low].value
    error = np.hypot(rates[high].value - rates[high].low, rates[low].high - rates[low].value)
    return Gap(size, max(0.0, size - float(error)), low, high)


def brier(y_N: Floats, score_N: Floats) -> float:
    """The mean squared difference of score and outcome; NaN without patients. Raises InputError.

    Source: Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78, 1950; half
    of his sum over both outcomes.
    """
    _checked(y_N, score_N)
    return float(((score_N - y_N) ** 2).mean()) if len(y_N) else np.nan


def reliability(y_N: Floats, score_N: Floats, bins: int = 10, by: Literal["width", "mass"] = "width") -> Reliability:
    """Scores against outcomes in bins.

    by: "width", bins of equal width over [0, 1]; "mass", of about equally many patients, where those of one score
    stay together, so that there may be fewer bins. Raises InputError and ConfigError.
    """
    _checked(y_N, score_N)
    if bins < 1:
        raise ConfigError(f"got {bins} bins, expected at least 1")
    if by == "width" or not len(y_N):
        edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    else:
        edges = np.unique(np.quantile(score_N, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    at_N = np.searchsorted(edges, score_N, side="right")
    patients, scores, ill = (np.bincount(at_N, weights, len(edges) + 1) for weights in (None, score_N, y_N))
    some = patients > 0
    return Reliability(patients[some], scores[some] / patients[some], ill[some] / patients[some])


def abstention_curve(y_N: Floats, score_N: Floats) -> AbstentionCurve:
    """What answering only the confident ones would give; a score of a half and above says ill. Raises InputError."""
    _checked(y_N, score_N)
    confidence_N = np.abs(score_N - 0.5)
    order = np.argsort(-confidence_N, kind="stable")
    right = np.cumsum(((score_N >= 0.5) == (y_N == 1.0))[order])
    last = np.flatnonzero(np.diff(confidence_N[order], append=-1.0))  # of those with one confidence
    return AbstentionCurve((last + 1) / max(1, len(y_N)), right[last] / (last + 1))


def _quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ConfigError(f"got confidence {confidence:g}, expected between 0 and 1, such as 0.95")
    return float(norm.ppf((1 + confidence) / 2))


def _checked(y_N: Floats, score_N: Floats) -> None:
    if y_N.shape != score_N.shape or y_N.ndim != 1:
        raise InputError(f"got outcomes {y_N.shape} and scores {score_N.shape}, expected one of each a patient")
    if not np.isin(y_N, (0.0, 1.0)).all():
        raise InputError("outcomes are 0 or 1", field="y")
    if not ((score_N >= 0.0) & (score_N <= 1.0)).all():
        raise InputError("scores are probabilities, from 0 to 1, and known for every patient", field="score")
