"""Every design of a space, what each would do, which of them hold, and which of those are worth a look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sixfold.axes import Metric
from sixfold.design.checks import Floats
from sixfold.design.spec import Spec
from sixfold.design.workload import Choice, Estimates, Use

__all__ = ["Found", "grid", "pareto", "search", "unit_usd", "worth"]

ALIKE = 0.03  # values of an objective that differ by less are the same
MOST_DESIGNS = 3_000_000
_HOURS_PER_MONTH = 730.0


@dataclass(frozen=True)
class Found:
    """A space of designs, estimated.

    columns: the choices, one element a design. limits: what is asked of every design, as shares of what is allowed:
    resources of a node by their names, then the objective's and the budget's fields.
    """

    spec: Spec[Any]
    choices: tuple[Choice, ...]
    columns: Mapping[str, Floats]
    estimates: Estimates
    limits: Mapping[str, Use]

    @property
    def size(self) -> int:
        """How many designs there are."""
        return len(self.estimates.nodes)

    def shares(self, names: list[str] | None = None) -> Floats:
        """The largest share of a limit that each design takes: it holds if that is at most 1."""
        of = [self.limits[name].share for name in (self.limits if names is None else names)]
        return np.asarray(np.max(np.stack(of), axis=0)) if of else np.zeros(self.size)

    def fits(self) -> NDArray[np.bool_]:
        """Which designs are possible at all: every resource of every node suffices."""
        return np.asarray(self.shares(list(self.estimates.uses)) <= 1.0)

    def holds(self) -> NDArray[np.bool_]:
        """Which designs are possible and do what the objective and the budget ask."""
        return np.asarray(self.shares() <= 1.0)

    def best(self, among: NDArray[np.bool_]) -> int | None:
        """The best design among some; None if there are none.

        Of designs that are within `ALIKE` of the best, which no law tells apart, it is the simplest: one that moves the
        fewest choices from their first value, then the one of fewest nodes.
        """
        at = np.flatnonzero(among)
        if not len(at):
            return None
        value = worth(self)[at]
        alike = at[value <= np.min(value) * (1.0 + ALIKE)]
        moved = np.sum([self.columns[c.name][alike] != c.values[0] for c in self.choices], axis=0)
        return int(alike[np.lexsort((worth(self)[alike], self.estimates.nodes[alike], moved))[0]])

    def take(self, index: NDArray[np.int64]) -> dict[str, Floats]:
        """The choices of some designs."""
        return {name: values[index] for name, values in self.columns.items()}

    def chosen(self, index: int) -> dict[str, float]:
        """The choices of one design."""
        return {name: float(values[index]) for name, values in self.columns.items()}

    def words(self, index: int) -> dict[str, str]:
        """The choices of one design as a person reads them."""
        return {choice.name: choice.word(float(self.columns[choice.name][index])) for choice in self.choices}


def grid(choices: list[Choice]) -> dict[str, Floats]:
    """Every combination of the choices. Raises ValueError beyond three million."""
    size = int(np.prod([len(choice.values) for choice in choices], dtype=np.float64))
    if size > MOST_DESIGNS:
        raise ValueError(f"got {size} designs, expected at most {MOST_DESIGNS}")
    axes = np.meshgrid(*(np.array(choice.values, dtype=np.float64) for choice in choices), indexing="ij")
    return {choice.name: axis.ravel() for choice, axis in zip(choices, axes, strict=True)}


def search(spec: Spec[Any], columns: Mapping[str, Floats] | None = None) -> Found:
    """Estimate every design of a spec's space, or those of `columns` only."""
    choices = spec.workload.choices(spec)
    columns = grid(choices) if columns is None else columns
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        estimates = spec.workload.estimate(spec, columns)
    return Found(spec, tuple(choices), columns, estimates, {**estimates.uses, **_asked(spec, estimates)})


def worth(found: Found) -> Floats:
    """What is optimised, less is better: cost of a unit, or of the job; time of a unit; latency; unavailability."""
    estimates, metric = found.estimates, found.spec.objective.optimise
    if metric is Metric.COST:
        return unit_usd(found)
    if metric is Metric.LATENCY:
        return estimates.latency_s
    if metric is Metric.RELIABILITY:
        return np.asarray(1.0 - estimates.availability)
    return np.asarray(1.0 / estimates.capacity_per_s)


def unit_usd(found: Found) -> Floats:
    """Dollars of a unit of useful work, at the demand of a service and the capacity of a job."""
    estimates, demand = found.estimates, found.spec.workload.demand_per_s
    served = estimates.capacity_per_s if demand is None else np.minimum(estimates.capacity_per_s, demand)
    with np.errstate(divide="ignore"):
        return np.asarray(estimates.usd_per_hour / 3600.0 / served + estimates.usd_per_unit)


def pareto(costs: Floats) -> NDArray[np.int64]:
    """The rows of an (n, d) array, less is better, that no other row beats in everything; by the first column.

    In lexicographic order the first row that is left is beaten by none; what it beats is taken away.
    """
    finite = np.flatnonzero(np.isfinite(costs).all(axis=1))
    left = finite[np.lexsort(costs[finite].T[::-1])]
    front: list[int] = []
    while len(left):
        first = left[0]
        front.append(int(first))
        left = left[np.any(costs[left] < costs[first], axis=1)]
    return np.array(front, dtype=np.int64)


def _asked(spec: Spec[Any], estimates: Estimates) -> dict[str, Use]:
    """What the objective and the budget ask, each as something that must not be exceeded."""
    objective, budget, workload = spec.objective, spec.budget, spec.workload
    asked: dict[str, Use] = {}

    def at_most(name: str, amount: Floats, limit: float | None, unit: str) -> None:
        if limit is not None:
            asked[name] = Use(amount, np.full_like(amount, limit), unit)

    demand, total = workload.demand_per_s, workload.total_units
    if demand is not None:
        asked["demand"] = Use(np.full_like(estimates.capacity_per_s, demand), estimates.capacity_per_s, "1/s")
    if objective.rate_per_s is not None:
        asked["objective.rate_per_s"] = Use(
            np.full_like(estimates.capacity_per_s, objective.rate_per_s), estimates.capacity_per_s, "1/s"
        )
    at_most("objective.latency_s", estimates.latency_s, objective.latency_s, "s")
    if objective.availability is not None:
        at_most("objective.availability", 1.0 - estimates.availability, 1.0 - objective.availability, "unavailable")
    if objective.quality is not None:
        asked["objective.quality"] = Use(
            np.full_like(estimates.quality, objective.quality), np.maximum(estimates.quality, 1e-12), "quality"
        )
    at_most("budget.nodes", estimates.nodes, budget.nodes, workload.node)
    served = estimates.capacity_per_s if demand is None else np.minimum(estimates.capacity_per_s, demand)
    per_month = estimates.usd_per_hour * _HOURS_PER_MONTH + estimates.usd_per_unit * served * 3600.0 * _HOURS_PER_MONTH
    at_most("budget.usd_per_month", per_month, budget.usd_per_month, "USD a month")
    if total is not None:
        duration_s = total / estimates.capacity_per_s
        at_most("budget.days", duration_s / 86400.0, budget.days, "days")
        spent = estimates.usd_per_hour * duration_s / 3600.0 + estimates.usd_per_unit * total
        at_most("budget.usd", spent, budget.usd, "USD")
    return asked
