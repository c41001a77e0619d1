"""From which volume on it pays to run the work oneself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold.design.checks import Floats
from sixfold.design.search import Found, search, unit_usd
from sixfold.design.spec import Spec

__all__ = ["BreakEven", "break_even"]


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Own nodes against what the same work costs by the unit elsewhere, over volumes from a thousandth of the demand
    to ten times as much.

    volumes_per_s, own_usd, rent_usd: of a unit; None where no design holds. crossover_per_s: from there on owning is
    cheaper; None where it never, or always, is within the volumes looked at.
    """

    what: str
    source: str
    volumes_per_s: tuple[float, ...]
    own_usd: tuple[float | None, ...]
    rent_usd: float
    crossover_per_s: float | None


def break_even(spec: Spec[Any], found: Found) -> BreakEven | None:
    """When it pays to run the work oneself; None where nobody is known to sell it, or it is not a service."""
    rent, demand = spec.workload.rent(spec), spec.workload.demand_per_s
    if rent is None or demand is None:
        return None
    factors = np.geomspace(1e-3, 10.0, 17)
    own: list[float | None] = []
    for factor in factors:
        moved = spec.model_copy(update={"workload": spec.workload.with_demand(float(factor))})
        at_volume = search(moved)
        at = at_volume.best(at_volume.holds())
        own.append(None if at is None else float(unit_usd(at_volume)[at]))
    return BreakEven(
        what=rent.what,
        source=rent.source,
        volumes_per_s=tuple(float(factor * demand) for factor in factors),
        own_usd=tuple(own),
        rent_usd=rent.usd_per_unit,
        crossover_per_s=_crossover(factors * demand, own, rent.usd_per_unit),
    )


def _crossover(volumes: Floats, own: list[float | None], rent_usd: float) -> float | None:
    """Where the line between two volumes crosses the rent, on logarithmic scales."""
    for at in range(1, len(own)):
        before, after = own[at - 1], own[at]
        if before is not None and after is not None and before > rent_usd >= after:
            part = np.log(before / rent_usd) / np.log(before / after)
            return float(np.exp(np.log(volumes[at - 1]) + part * np.log(volumes[at] / volumes[at - 1])))
    return None
