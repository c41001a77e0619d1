"""What cannot be met when no design holds, and the nearest spec that can."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sixfold.design.search import Found

__all__ = ["Nearest", "Relaxation", "nearest"]


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A limit and what it would have to be, for a design to exist that keeps all others."""

    limit: str
    asked: float
    needed: float
    unit: str
    times: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """alone: limits of which relaxing one suffices, from the least relaxed. together: what must give way at once, if
    none suffices; then the design that exceeds its limits least. index: that design, or the one of the first of alone.
    """

    alone: tuple[Relaxation, ...]
    together: tuple[Relaxation, ...]
    index: int


def nearest(found: Found) -> Nearest:
    """The smallest change of one limit, or of all that must change together. A node's own resources are not for "
    "sale."""
    resources = list(found.estimates.uses)
    asked = [name for name in found.limits if name not in resources]
    alone = []
    for name in asked:
        others = found.shares([other for other in found.limits if other != name]) <= 1.0
        share = np.where(others, found.limits[name].share, np.inf)
        at = int(np.nanargmin(np.nan_to_num(share, nan=np.inf)))
        if np.isfinite(share[at]):
            alone.append((float(share[at]), at, _relaxed(found, name, at)))
    alone.sort(key=lambda entry: entry[0])
    if alone:
        return Nearest(tuple(entry[2] for entry in alone), (), alone[0][1])
    slack = np.nan_to_num(found.shares(), nan=np.inf)
    possible = np.where(found.fits(), slack, np.inf)
    at = int(np.argmin(possible if np.isfinite(possible).any() else slack))
    missed = [name for name in found.limits if not found.limits[name].share[at] <= 1.0]
    return Nearest((), tuple(_relaxed(found, name, at) for name in missed), at)


def _relaxed(found: Found, name: str, at: int) -> Relaxation:
    """Limits "at most" rise to what is used; what is asked "at least" (the amount is the wish) falls to what there "
    "is."""
    use = found.limits[name]
    amount, limit, times = float(use.amount[at]), float(use.limit[at]), float(use.share[at])
    if name in ("demand", "objective.rate_per_s", "objective.quality"):
        return Relaxation(name, amount, limit, use.unit, times)
    if name == "objective.availability":
        return Relaxation(name, 1.0 - limit, 1.0 - amount, "available", times)
    return Relaxation(name, limit, amount, use.unit, times)
