"""May this model be released: floors and ceilings on how it serves each hospital, and every reason why not.

It fails closed: what is not known, not a number or of too few patients blocks. No clock, no randomness and no I/O.
"""

# Shapes: N patients of a hospital.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError
from sixfold.parts.classification import (
    abstention_curve,
    accuracy,
    auroc_interval,
    error_rates,
    gap,
    reliability,
)
from sixfold.parts.ranking import Estimate

__all__ = ["Decision", "GatePolicy", "Reason", "SiteMetrics", "judge", "site_metrics"]

Floats = NDArray[np.float64]

ALL_SITES = "all hospitals"


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """The limits, fixed before the model is judged.

    floor: what the worst-served hospital needs of `metric`. floor_at: "value", as measured; "low", even at the near end
    of its 95 % interval. most_gap: of tpr, and of fpr, between any two hospitals. gap_at: "value", as measured;
    "certain", what is left of it where each rate is at the near end of its 95 % interval: for hospitals with a handful
    of patients of one outcome. most_ece: in bins of equal mass.
    least_coverage: of patients who are answered when the model abstains on the least certain so that the rest are
    right with `target_accuracy`. small_sites: what becomes of hospitals with fewer than least_patients: "block", or
    "pool", judge their patients together as one hospital. Raises ConfigError.
    """

    metric: Literal["auroc", "accuracy"]
    floor: float
    most_gap: float
    most_ece: float
    target_accuracy: float
    least_coverage: float
    least_patients: int
    floor_at: Literal["value", "low"] = "value"
    gap_at: Literal["value", "certain"] = "value"
    small_sites: Literal["block", "pool"] = "block"

    def __post_init__(self) -> None:
        for name in ("floor", "most_gap", "most_ece", "target_accuracy", "least_coverage"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected 0 to 1")
        if self.least_patients < 1:
            raise ConfigError(f"least_patients: got {self.least_patients}, expected at least 1")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name}: got {getattr(self, name)!r}, expected {' or '.join(allowed)}")


_CHOICES = {
    "metric": ("auroc", "accuracy"),
    "floor_at": ("value", "low"),
    "gap_at": ("value", "certain"),
    "small_sites": ("block", "pool"),
}


@dataclass(frozen=True, slots=True)
class SiteMetrics:
    """How the model serves the patients of one hospital, none of whom it was trained on.

    coverage: the largest share that can be answered with `target_accuracy`; it is of one target, so that both belong
    together. What is not defined is NaN.
    """

    site: str
    patients: int
    auroc: Estimate
    accuracy: Estimate
    tpr: Estimate
    fpr: Estimate
    ece: float
    target_accuracy: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Reason:
    """One limit that does not hold. value: NaN where it is not known."""

    site: str
    metric: str
    value: float
    limit: float
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """passed: there is no reason against. reasons: all of them, not the first."""

    reasons: tuple[Reason, ...]

    @property
    def passed(self) -> bool:
        return not self.reasons


def site_metrics(
    site: str, y_N: Floats, score_N: Floats, target_accuracy: float, threshold: float = 0.5, bins: int = 10
) -> SiteMetrics:
    """Computed at the hospital, from outcomes and scores; only the numbers leave. Raises InputError."""
    rates = error_rates(y_N, score_N, threshold)
    return SiteMetrics(
        site,
        len(y_N),
        auroc_interval(y_N, score_N),
        accuracy(y_N, score_N, threshold),
        rates.tpr,
        rates.fpr,
        reliability(y_N, score_N, bins, by="mass").ece,
        target_accuracy,
        abstention_curve(y_N, score_N).coverage_at(target_accuracy),
    )


def judge(policy: GatePolicy, sites: Sequence[SiteMetrics], pooled: SiteMetrics | None = None) -> Decision:
    """Every limit at every hospital.

    pooled: of the patients of all small hospitals together, for policies that pool them; the same limits hold for it.
    Raises InputError if a hospital occurs twice: then it is not known which numbers are meant.
    """
    names = [site.site for site in sites]
    if len(set(names)) != len(names) or (pooled is not None and pooled.site in names):
        raise InputError(f"got a hospital twice among {names}, expected each once")
    if not sites:
        return Decision((Reason(ALL_SITES, "patients", 0, policy.least_patients, "no hospital has been judged"),))
    groups, reasons = _groups(policy, sites, pooled)
    for group in groups:
        reasons += _limits(policy, group)
    for metric in ("tpr", "fpr"):
        reasons += _gap(policy, groups, metric)
    return Decision(tuple(reasons))


def _groups(
    policy: GatePolicy, sites: Sequence[SiteMetrics], pooled: SiteMetrics | None
) -> tuple[list[SiteMetrics], list[Reason]]:
    """Who is judged for themselves, and who are too few for that."""
    large = [site for site in sites if site.patients >= policy.least_patients]
    small = [site for site in sites if site.patients < policy.least_patients]
    limit = policy.least_patients
    if policy.small_sites == "pool" and small and pooled is not None:
        count = sum(site.patients for site in small)
        if pooled.patients != count:
            text = f"{pooled.site}: pooled metrics are of {pooled.patients} patients, small hospitals have {count}"
            return large, [Reason(pooled.site, "patients", pooled.patients, count, text)]
        small = []
        large.append(pooled)
        if count < limit:
            text = f"{pooled.site}: {count} patients, all small hospitals together, below {limit}"
            return large, [Reason(pooled.site, "patients", count, limit, text)]
    return large, [
        Reason(s.site, "patients", s.patients, limit, f"{s.site}: {s.patients} patients, below {limit}") for s in small
    ]


def _limits(policy: GatePolicy, site: SiteMetrics) -> list[Reason]:
    quality: Estimate = getattr(site, policy.metric)
    coverage = _limit(site.site, "coverage", site.coverage, policy.least_coverage, "least")
    if site.target_accuracy != policy.target_accuracy:
        text = f"{site.site}: coverage is at accuracy {site.target_accuracy}, not at {policy.target_accuracy}"
        coverage = Reason(site.site, "coverage", np.nan, policy.least_coverage, text)
    found = [
        _limit(site.site, policy.metric, getattr(quality, policy.floor_at), policy.floor, "least", quality),
        _limit(site.site, "ece", site.ece, policy.most_ece, "most"),
        coverage,
    ]
    return [reason for reason in found if reason]


def _gap(policy: GatePolicy, sites: Sequence[SiteMetrics], metric: str) -> list[Reason]:
    rates: dict[str, Estimate] = {site.site: getattr(site, metric) for site in sites}
    unknown = [_limit(site, metric, rate.value, policy.most_gap, "known") for site, rate in rates.items()]
    if any(unknown) or not rates:
        return [reason for reason in unknown if reason]
    found = gap(rates)
    size = found.size if policy.gap_at == "value" else found.certain
    if size <= policy.most_gap:
        return []
    text = (
        f"{found.lower} {metric} {_said(rates[found.lower])} and {found.higher} {_said(rates[found.higher])}: "
        f"{size:.3f} apart, above {policy.most_gap:g}"
    )
    return [Reason(f"{found.lower}, {found.higher}", f"{metric} gap", size, policy.most_gap, text)]


def _limit(
    site: str,
    metric: str,
    value: float,
    limit: float,
    kind: Literal["least", "most", "known"],
    of: Estimate | None = None,
) -> Reason | None:
    """The reason against, if the limit does not hold or the value is no number from 0 to 1."""
    said = f"{value:.3f}" if of is None else _said(of)
    if not 0 <= value <= 1:
        return Reason(site, metric, np.nan, limit, f"{site}: {metric} {said} is not known, expected from 0 to 1")
    if kind == "least" and value < limit:
        return Reason(site, metric, value, limit, f"{site}: {metric} {said}, below {limit:g}")
    if kind == "most" and value > limit:
        return Reason(site, metric, value, limit, f"{site}: {metric} {said}, above {limit:g}")
    return None


def _said(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}] of {estimate.n}"
