"""Has a stream changed: the population stability index of counts, and CUSUM charts, with limits that are derived.

No clock and no I/O. The limits come from the sample sizes and from how seldom a false alarm is to be, not from the
customary 0.1 and 0.25 of the index, which small samples exceed without any drift.
"""

# Shapes: B bins or cells of a histogram, R rows of counts.

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtri

from sixfold.errors import ConfigError, InputError

__all__ = [
    "Cusum",
    "CusumState",
    "Histogram",
    "average_run_length",
    "common_cells",
    "cusum_limit",
    "merge_bins",
    "psi",
    "psi_limit",
]

Counts = NDArray[np.int64]


def psi(reference_B: Counts, current_B: Counts) -> float:
    """The population stability index of two histograms: sum of (p - q) ln(p / q), the symmetrised KL divergence.

    Raises InputError for an empty cell, which would make it infinite: merge cells first.
    Source: Yurdakul & Naranjo, "Statistical properties of the population stability index", Journal of Risk Model
    Validation 14(4), 2020.
    """
    if reference_B.shape != current_B.shape or reference_B.ndim != 1 or not len(reference_B):
        raise InputError(f"got {reference_B.shape} and {current_B.shape} cells, expected as many of both")
    if min(reference_B.min(), current_B.min()) <= 0:
        raise InputError("a cell is empty: merge it with its neighbour in both histograms")
    p_B, q_B = current_B / current_B.sum(), reference_B / reference_B.sum()
    return float(((p_B - q_B) * np.log(p_B / q_B)).sum())


def psi_limit(cells: int, reference: int, current: int, false_alarm: float) -> float:
    """What the index exceeds with probability `false_alarm` when both samples are of one population.

    cells: B; reference, current: sample sizes n and m. Without drift the index is distributed as (1/n + 1/m) times a
    chi-square with B - 1 degrees of freedom, so that its mean is (B - 1)(1/n + 1/m): the bias of small samples. Good
    where every cell expects five or more. Raises ConfigError.
    Source: Yurdakul & Naranjo, "Statistical properties of the population stability index", Journal of Risk Model
    Validation 14(4), 2020.
    """
    if cells < 1 or reference < 1 or current < 1 or not 0 < false_alarm < 1:
        raise ConfigError(f"got {cells} cells of {reference} and {current} patients, false_alarm={false_alarm:g}")
    return float((1 / reference + 1 / current) * chdtri(cells - 1, false_alarm)) if cells > 1 else math.inf


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of merged bins: cell c holds the bins from cuts[c] to before cuts[c + 1]. No cells: too few in all."""

    cuts: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, counts_B: Counts, least: int, apart: int | None = None) -> Histogram:
        """With no count below `least`; see `merge_bins`."""
        cuts = merge_bins(counts_B[None], least, apart)
        return cls(cuts, tuple(np.add.reduceat(counts_B, cuts[:-1]).tolist()) if cuts else ())

    def coarser(self, cuts: Sequence[int]) -> Counts:
        """The counts between some of the cuts, the first and the last among them; none without cuts."""
        starts = np.searchsorted(self.cuts, cuts[:-1])
        return np.add.reduceat(np.array(self.counts), starts) if len(starts) else np.zeros(0, dtype=np.int64)


def common_cells(one: Histogram, other: Histogram) -> tuple[Counts, Counts]:
    """Both in the cells that both can be given in; none if one of them has none."""
    cuts = sorted({*one.cuts} & {*other.cuts})
    return one.coarser(cuts), other.coarser(cuts)


def merge_bins(counts_RB: NDArray[Any], least: int, apart: int | None = None) -> tuple[int, ...]:
    """Cuts that merge neighbouring bins until every cell has `least` in each of the rows; none if all bins have not.

    apart: a bin that is not merged with those before it, if both sides have a cell without it.
    """
    if apart is not None:
        low, high = (merge_bins(part, least) for part in np.split(counts_RB, [apart], axis=1))
        if low and high:
            return (*low[:-1], *(cut + apart for cut in high))
    cuts, held_R = [0], np.zeros(len(counts_RB), dtype=np.int64)
    for at in range(counts_RB.shape[1]):
        held_R = held_R + counts_RB[:, at]
        if held_R.min() >= least:
            cuts.append(at + 1)
            held_R = np.zeros_like(held_R)
    return (*cuts[:-1], counts_RB.shape[1]) if len(cuts) > 1 else ()  # what is left over joins the last cell


@dataclass(frozen=True, slots=True)
class CusumState:
    """How far the sums of what was above and below the expected have come."""

    above: float = 0.0
    below: float = 0.0

    @property
    def height(self) -> float:
        return max(self.above, self.below)


@dataclass(frozen=True, slots=True)
class Cusum:
    """Page's two-sided chart of standardised observations: alarm where a sum exceeds `limit`.

    allowance: k, half of the shift (in standard deviations) that is to be found soonest. Raises ConfigError.
    Source: Page, "Continuous inspection schemes", Biometrika 41, 1954.
    """

    allowance: float
    limit: float

    def __post_init__(self) -> None:
        if not self.allowance > 0 or not self.limit > 0:
            raise ConfigError(f"got allowance={self.allowance:g}, limit={self.limit:g}, expected both above 0")

    def init(self) -> CusumState:
        return CusumState()

    def step(self, state: CusumState, z: float) -> CusumState:
        """After one more observation, in standard deviations from what is expected. Raises InputError."""
        if not math.isfinite(z):
            raise InputError(f"got an observation of {z}, expected a finite number: leave the period out")
        return CusumState(max(0.0, state.above + z - self.allowance), max(0.0, state.below - z - self.allowance))

    def alarm(self, state: CusumState) -> bool:
        return state.height > self.limit


def average_run_length(allowance: float, limit: float, shift: float = 0.0) -> float:
    """Observations until the two-sided chart's alarm, on average, when they are normal with this mean (approximate).

    Source: Siegmund, "Sequential Analysis", Springer 1985: the limit is raised by 1.166 for overshooting at both ends.
    """
    b = limit + 1.166

    def one_sided(drift: float) -> float:
        if abs(drift * b) < 1e-4:  # the limit, where the formula is 0 / 0
            return b * b
        if -2 * drift * b > 700:  # more than a float holds
            return math.inf
        return (math.exp(-2 * drift * b) + 2 * drift * b - 1) / (2 * drift * drift)

    return 1.0 / (1.0 / one_sided(shift - allowance) + 1.0 / one_sided(-shift - allowance))


def cusum_limit(allowance: float, run_length: float) -> float:
    """The limit at which false alarms are this many observations apart, on average. Raises ConfigError."""
    if not 0.05 <= allowance <= 3 or not 10 <= run_length <= 1e9:
        raise ConfigError(f"got allowance={allowance:g}, run_length={run_length:g}, expected 0.05 to 3 and 10 to 1e9")

    def short(limit: float) -> float:
        return math.log(average_run_length(allowance, limit) / run_length)

    highest = math.log(run_length + 10) / allowance + 5  # its run length is above any that is asked for
    if short(0.0) >= 0:
        raise ConfigError(f"run_length={run_length:g} is below that of allowance={allowance:g} with any limit")
    return float(brentq(short, 0.0, highest))
