"""What p nodes make of the work: S(p), E(p), cost(p), the p that are best for different ends, and the taxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sixfold.design.checks import Floats
from sixfold.design.search import ALIKE, Found, unit_usd

__all__ = ["Curve", "Point", "curve"]

_MOST_POINTS = 40


@dataclass(frozen=True, slots=True)
class Point:
    """The best of the designs with p nodes. speedup and efficiency: over one node, see `Curve.one_node`.

    usd_per_unit: of the cheapest of them that holds; None where none does. parts: shares of the time of a unit.
    """

    p: int
    index: int
    capacity_per_s: float
    speedup: float
    efficiency: float
    usd_per_unit: float | None
    parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """S(p) is over the best design of one node, were its memory large enough: what more nodes bring by their memory
    is no speed-up. one_node: "fits", "would not fit", or that no design has one node; then the smallest number
    stands in.

    p_star: the fewest nodes that are within `ALIKE` of the highest capacity: beyond, no node more makes it faster, so
    that none is justified (the p* of the justification test, `laws.scaling`, of the curve itself). It falls, or
    stays, when any tax that grows with p rises. fastest: p of the highest capacity. cheapest: p of the lowest cost
    among designs that hold; None if none does. one_node_per_s: the capacity that S and E are over.
    """

    points: tuple[Point, ...]
    one_node: str
    one_node_per_s: float
    p_star: int
    fastest: int
    cheapest: int | None


def curve(found: Found, chosen: int | None = None) -> Curve:
    """The best design for every number of nodes, by capacity. Designs of too little quality do not count.

    Where there are many numbers, some are left out of the points, but not those that the curve names, nor that of the
    design `chosen`.
    """
    estimates = found.estimates
    good = _good(found)
    possible = found.fits() & good
    among = possible if possible.any() else np.ones(found.size, dtype=np.bool_)
    every, best = _best_of_each(estimates.nodes[among], estimates.capacity_per_s[among])
    usd, holds = unit_usd(found), found.holds()
    p_star = int(every[np.argmax(best * (1.0 + ALIKE) >= np.max(best))])
    fastest, cheapest = int(every[np.argmax(best)]), _cheapest(usd, holds, estimates.nodes)
    wanted = {p_star, fastest, cheapest} | ({int(estimates.nodes[chosen])} if chosen is not None else set())
    counts = _thinned(every, best, np.isin(every, [p for p in wanted if p is not None]))
    one = good & (estimates.nodes == 1)  # whatever its memory: a larger node would not be distribution
    one_node = "fits" if (one & among).any() else "would not fit"
    tops = [(p, _top(estimates.capacity_per_s, among & (estimates.nodes == p))) for p in counts]
    capacity = {int(p): float(estimates.capacity_per_s[at]) for p, at in tops}
    if one.any():
        first = float(np.max(estimates.capacity_per_s[one]))
    else:  # no design of the space has one node: the most efficient number stands in, as if it scaled ideally to there
        first = max(done / p for p, done in capacity.items())
        one_node = f"no design of one {found.spec.workload.node}"
    points = []
    for p, at in tops:
        here = holds & (estimates.nodes == p)
        points.append(
            Point(
                p=int(p),
                index=at,
                capacity_per_s=capacity[int(p)],
                speedup=capacity[int(p)] / first,
                efficiency=capacity[int(p)] / first / float(p),
                usd_per_unit=float(np.min(usd[here])) if here.any() else None,
                parts=_parts(found, at),
            )
        )
    return Curve(tuple(points), one_node, first, p_star, fastest, cheapest)


def _parts(found: Found, at: int) -> dict[str, float]:
    estimates = found.estimates
    total = max(float(estimates.time_s[at]), 1e-300)
    names = ("compute_s", "communication_s", "idle_s", "rework_s")
    return {name.removesuffix("_s"): float(getattr(estimates, name)[at]) / total for name in names}


def _good(found: Found) -> NDArray[np.bool_]:
    name = "objective.quality"
    return found.shares([name]) <= 1.0 if name in found.limits else np.ones(found.size, dtype=np.bool_)


def _top(values: Floats, among: NDArray[np.bool_]) -> int:
    at = np.flatnonzero(among)
    return int(at[np.argmax(values[at])])


def _best_of_each(nodes: Floats, capacity_per_s: Floats) -> tuple[Floats, Floats]:
    """Every number of nodes, and the most that any design with it does."""
    counts, which = np.unique(nodes, return_inverse=True)
    best = np.full(len(counts), -np.inf)
    np.maximum.at(best, which, capacity_per_s)
    return counts, best


def _thinned(counts: Floats, best: Floats, kept: NDArray[np.bool_]) -> Floats:
    """At most so many numbers of nodes, spread over their logarithms, of each span the one of most capacity a node.

    The largest number is not kept for its own sake: it may be one that only odd designs come to.
    """
    if len(counts) <= _MOST_POINTS:
        return counts
    spans = np.floor((_MOST_POINTS - 1) * np.log(counts / counts[0]) / np.log(counts[-1] / counts[0]))
    spans = np.minimum(spans, _MOST_POINTS - 2)
    each = best / counts
    for span in np.unique(spans):
        here = np.flatnonzero(spans == span)
        kept[here[np.argmax(each[here])]] = True
    return counts[kept]


def _cheapest(usd: Floats, holds: NDArray[np.bool_], nodes: Floats) -> int | None:
    if not holds.any():
        return None
    at = np.flatnonzero(holds)
    return int(nodes[at[np.lexsort((nodes[at], usd[at]))[0]]])
