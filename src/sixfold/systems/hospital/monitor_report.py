"""What a hospital tells of the released model's patients in one period: counts in cells, and never of a few.

A hospital reports histograms of the period's scores and features, and how outcomes turned out for those patients
whose outcome has come to be known, `delay` periods later. It never reports rows, and no count below `least_count`:
small bins are merged with their neighbours, which tells no more than that they were small. These counts are of one
hospital and are not under the secure sum; a hospital that may not publish them has to be monitored on its own.
"""

# Shapes: N patients, B bins of a plan (the last for missing values), C cells of merged bins.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from sixfold.errors import ConfigError, InputError
from sixfold.parts.classification import ErrorRates, share
from sixfold.parts.drift import Histogram, merge_bins

__all__ = ["SCORE", "Outcomes", "Plan", "Report", "report_from", "report_of_counts", "report_to", "site_report"]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

SCORE = "score"
_MOST = 1 << 40  # patients of one period


@dataclass(frozen=True, slots=True)
class Plan:
    """What hospitals count, fixed with the release and the same for all of them.

    edges: of each histogram, ascending; SCORE is among them and has `threshold`, from which on a patient is told
    ill, as an edge. delay: periods until outcomes are known. Raises ConfigError.
    """

    edges: Mapping[str, tuple[float, ...]]
    threshold: float
    delay: int
    least_count: int = 5

    def __post_init__(self) -> None:
        if self.threshold not in self.edges.get(SCORE, ()):
            raise ConfigError(f"edges: got {self.edges.get(SCORE)} for {SCORE}, expected the threshold among them")
        for name, edges in self.edges.items():
            if not edges or not np.all(np.diff(edges) > 0):
                raise ConfigError(f"edges of {name}: got {edges}, expected at least one, ascending")
        if self.delay < 0 or self.least_count < 2:
            raise ConfigError(f"got delay={self.delay}, least_count={self.least_count}, expected 0 and 2 or more")

    def bins(self, name: str, values_N: Floats) -> NDArray[np.intp]:
        """The bin of each value; a missing one is in the last."""
        edges = np.array(self.edges[name])
        return np.where(np.isnan(values_N), len(edges) + 1, np.searchsorted(edges, values_N, side="right"))

    def count(self, name: str, values_N: Floats) -> Counts:
        return np.bincount(self.bins(name, values_N), minlength=len(self.edges[name]) + 2)

    @property
    def told_ill(self) -> int:
        """The first bin of scores from the threshold on."""
        return self.edges[SCORE].index(self.threshold) + 1


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Per cell of scores: patients, those who had the outcome, and the sum of scores."""

    cuts: tuple[int, ...]
    patients: tuple[int, ...]
    ill: tuple[int, ...]
    score: tuple[float, ...]

    @property
    def excess(self) -> float:
        """How many more had the outcome than the scores said."""
        return sum(self.ill) - sum(self.score)

    @property
    def variance(self) -> float:
        """Of that number if the scores are right: score (1 - score) summed; from cell means, so a little too large."""
        return float(sum(s * (1 - s / n) for s, n in zip(self.score, self.patients, strict=True)))

    def rates(self, told_ill: int) -> ErrorRates:
        """The error rates; NaN where cells had to be merged across the threshold."""
        known = told_ill in self.cuts
        told = [cut >= told_ill for cut in self.cuts[:-1]]
        well = [n - i for n, i in zip(self.patients, self.ill, strict=True)]

        def of(counts: Sequence[int]) -> tuple[int, int]:
            return sum(n for n, yes in zip(counts, told, strict=True) if yes), sum(counts)

        return ErrorRates(*(share(*of(counts)) if known else share(0, 0) for counts in (self.ill, well)))


@dataclass(frozen=True, slots=True)
class Report:
    """What leaves a hospital for one period. outcomes: of the patients of period `as_of`; None if too few are known."""

    site: str
    period: int
    histograms: Mapping[str, Histogram]
    outcomes: Outcomes | None
    as_of: int


def site_report(
    plan: Plan, site: str, period: int, values: Mapping[str, Floats], known: tuple[Floats, Floats] | None
) -> Report:
    """At a hospital, from rows to counts.

    values: of every histogram of the plan, one a patient of this period (N), NaN where missing. known: outcomes and
    scores of the patients of `delay` periods ago, or None. Of all these patients: the difference to that period's
    histogram would tell of those who were left out, however few. Raises InputError.
    """
    if values.keys() != plan.edges.keys() or len({len(v) for v in values.values()}) != 1:
        raise InputError(f"{site}: got values of {sorted(values)}, expected {sorted(plan.edges)}, one each a patient")
    counts = {name: plan.count(name, values_N) for name, values_N in values.items()}
    if known is None:
        return report_of_counts(plan, site, period, counts, None)
    y_N, score_N = known
    if y_N.shape != score_N.shape or not np.isin(y_N, (0.0, 1.0)).all() or not ((score_N >= 0) & (score_N <= 1)).all():
        raise InputError(f"{site}: expected an outcome of 0 or 1 and a score for every known patient", field="y")
    score_B = np.bincount(plan.bins(SCORE, score_N), score_N, len(plan.edges[SCORE]) + 2).astype(np.float64)
    outcomes = plan.count(SCORE, score_N), plan.count(SCORE, score_N[y_N == 1.0]), score_B
    return report_of_counts(plan, site, period, counts, outcomes)


def report_to(report: Report) -> dict[str, Any]:
    """A report as plain values, for messages and files."""
    record: dict[str, Any] = _ADAPTER.dump_python(report, mode="json")
    return record


def report_from(record: Any, plan: Plan, site: str, period: int) -> Report:
    """A report of this hospital and period from plain values; InputError when it is none that this plan allows."""
    try:
        report = _ADAPTER.validate_python(record)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{site}: not a report: {first['msg']}", field=".".join(map(str, first["loc"]))) from None
    if (report.site, report.period, report.as_of) != (site, period, period - plan.delay):
        raise InputError(f"{site}: a report of {report.site[:40]} in period {report.period}, expected {period}")
    if report.histograms.keys() != plan.edges.keys():
        raise InputError(f"{site}: histograms of other values than the plan's", field="histograms")
    for name, histogram in report.histograms.items():
        _check_cells(site, name, histogram.cuts, [histogram.counts], plan)
    if (known := report.outcomes) is not None:
        well = tuple(n - i for n, i in zip(known.patients, known.ill, strict=False))
        _check_cells(site, "outcomes", known.cuts, [known.ill, well, known.patients], plan)
        if len(known.score) != len(known.patients) or not all(
            0.0 <= score <= n for score, n in zip(known.score, known.patients, strict=True)
        ):
            raise InputError(f"{site}: sums of scores that its patients cannot have", field="outcomes")
    return report


def _check_cells(site: str, name: str, cuts: Sequence[int], counts: Sequence[Sequence[int]], plan: Plan) -> None:
    last = len(plan.edges[SCORE if name == "outcomes" else name]) + 1
    whole = not cuts or (cuts[0] == 0 and cuts[-1] == last + 1 and all(np.diff(cuts) > 0))
    if not whole or any(len(of) != max(0, len(cuts) - 1) for of in counts):
        raise InputError(f"{site}: cells that do not cover the bins of {name}", field=name)
    if any(not plan.least_count <= n <= _MOST for of in counts for n in of):
        raise InputError(f"{site}: a count of {name} below {plan.least_count}, or beyond all patients", field=name)


def report_of_counts(
    plan: Plan, site: str, period: int, counts: Mapping[str, Counts], outcomes: tuple[Counts, Counts, Floats] | None
) -> Report:
    apart = {SCORE: plan.told_ill}
    histograms = {name: Histogram.of(counts_B, plan.least_count, apart.get(name)) for name, counts_B in counts.items()}
    return Report(site, period, histograms, _outcomes(plan, *outcomes) if outcomes else None, period - plan.delay)


def _outcomes(plan: Plan, patients_B: Counts, ill_B: Counts, score_B: Floats) -> Outcomes | None:
    # Merged from the cells in which the period's scores were reported: with other cuts of the same patients the
    # difference of the two would be a count of a few.
    cuts = merge_bins(patients_B[None], plan.least_count, plan.told_ill)
    if not cuts:
        return None
    ill_C, patients_C = (np.add.reduceat(of_B, cuts[:-1]) for of_B in (ill_B, patients_B))
    apart = cuts.index(plan.told_ill) if plan.told_ill in cuts else None
    cuts = tuple(cuts[at] for at in merge_bins(np.stack([ill_C, patients_C - ill_C]), plan.least_count, apart))
    if not cuts:
        return None
    patients, ill, score = (tuple(np.add.reduceat(of_B, cuts[:-1]).tolist()) for of_B in (patients_B, ill_B, score_B))
    return Outcomes(cuts, patients, ill, score)


_ADAPTER = TypeAdapter(Report)
