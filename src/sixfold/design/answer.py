"""The answer to a spec: every step of the playbook in its order, each resting on the one before."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sixfold.axes import Metric, Mode, Slot, Topology
from sixfold.design.accuracy import Band, band
from sixfold.design.attempts import TAXED, Attempt, attempts, best_after_taxes
from sixfold.design.break_even import BreakEven, break_even
from sixfold.design.checklist import Decision
from sixfold.design.contention import Contention, contention
from sixfold.design.curves import Curve, curve
from sixfold.design.flags import flags
from sixfold.design.nearest import Nearest, nearest
from sixfold.design.pressures import Pressures, pressures, topology
from sixfold.design.search import Found, pareto, search, unit_usd, worth
from sixfold.design.sensitivity import Influence, sensitivity
from sixfold.design.spec import Spec
from sixfold.units import number, plural

__all__ = ["Answer", "Design", "Figure", "answer", "price_scale"]

_MOST_FRONT = 40
_HOURS_PER_MONTH = 730.0
_SCALES = ((1.0, "a"), (1e3, "a thousand"), (1e6, "a million"), (1e9, "a billion"))


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its unit and the interval that the measured error of its law leaves; None: exact by definition."""

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """One design: its choices in words, what it would do, and the shares of its limits that it takes."""

    choices: dict[str, str]
    figures: tuple[Figure, ...]
    limits: dict[str, float]
    holds: bool

    def __getitem__(self, name: str) -> float:
        """The value of a figure. Raises KeyError for an unknown one."""
        for figure in self.figures:
            if figure.name == name:
                return figure.value
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Answer:
    """chosen: the design that holds and is best, or, where none holds, the nearest one (`nearest` says what it misses).

    flags: what a reader has to know of the sources. front: designs that no other beats in all of the axes' ends at
    once, cheapest first. designs: how many were looked at.
    """

    spec: Spec[Any]
    pressures: Pressures
    topology: Topology
    topology_reason: str
    mode: Mode
    metric: Metric
    attempts: tuple[Attempt, ...]
    chosen: Design
    slots: dict[Slot, Decision]
    curve: Curve
    front: tuple[Design, ...]
    contention: Contention | None
    break_even: BreakEven | None
    sensitivity: tuple[Influence, ...]
    nearest: Nearest | None
    accuracy: Band
    flags: tuple[str, ...]
    designs: int
    verdict: str

    @property
    def feasible(self) -> bool:
        """Whether some design does what is asked."""
        return self.nearest is None

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values; infinities become None."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("spec", "pressures")}
        resources = [{**asdict(one), "utilisation": one.utilisation} for one in self.pressures.resources]
        plain = {
            "spec": self.spec.to_json(),
            "feasible": self.feasible,
            "ceilings": resources,
            "pressures": self.pressures.by_axis,
            **fields,
        }
        told: dict[str, Any] = _plain(plain)
        return told


def answer(spec: Spec[Any]) -> Answer:
    """Decide: ceiling, axes, topology, mode, metric, taxes; the design, its curves and rivals, what would change it."""
    felt = pressures(spec.workload.resources(spec))
    shape, shape_reason = topology(felt)
    found = search(spec)
    drawn = curve(found)
    best = best_after_taxes(found, drawn)
    near = nearest(found) if best is None else None
    at = best if best is not None else (near.index if near else 0)
    drawn = curve(found, at)
    width = band(spec.workload.measured_by)
    chosen = _design(found, at, width, drawn)
    tried = attempts(found, drawn, best)
    return Answer(
        spec=spec,
        pressures=felt,
        topology=shape,
        topology_reason=shape_reason,
        mode=spec.workload.mode,
        metric=spec.objective.optimise,
        attempts=tried,
        chosen=chosen,
        slots=spec.workload.slots(spec, found.chosen(at)),
        curve=drawn,
        front=_front(found, width, drawn),
        contention=contention(found) if best is not None else None,
        break_even=break_even(spec, found),
        sensitivity=tuple(sensitivity(spec, found)),
        nearest=near,
        accuracy=width,
        flags=flags(spec, found, at),
        designs=found.size,
        verdict=_verdict(spec, felt, drawn, tried, chosen, near),
    )


def _design(found: Found, at: int, width: Band, drawn: Curve) -> Design:
    estimates, workload = found.estimates, found.spec.workload
    capacity = float(estimates.capacity_per_s[at])
    demand, total = workload.demand_per_s, workload.total_units
    served = capacity if demand is None else min(capacity, demand)

    def near(name: str, value: float, unit: str) -> Figure:
        return Figure(name, value, unit, *width.around(value))

    def share(name: str, value: float, unit: str) -> Figure:
        """A share whose smaller part is as far off as the law."""
        if not 0.0 < value < 1.0:
            return Figure(name, value, unit, value, value)
        part = min(value, 1.0 - value)
        low, high = (min(end, 0.5) if end > part else end for end in width.around(part))
        return Figure(name, value, unit, *((low, high) if part == value else (1.0 - high, 1.0 - low)))

    hour, nodes = float(estimates.usd_per_hour[at]), float(estimates.nodes[at])
    utilisation = served / capacity if capacity > 0 else 0.0
    lowest, highest = width.around(utilisation)
    spent_s = max(float(estimates.time_s[at]), 1e-300)
    figures = [
        Figure("nodes", nodes, workload.node),
        near("capacity", capacity, f"{workload.unit}/s"),
        near("efficiency E(p)", capacity / nodes / drawn.one_node_per_s, "of one node's rate"),
        Figure("utilisation", utilisation, "of the capacity", lowest, min(highest, max(utilisation, 1.0))),
        near("cost of a unit", float(unit_usd(found)[at]), f"USD/{workload.unit}"),
        Figure("cost of the nodes", hour * _HOURS_PER_MONTH, "USD/month"),
        share("communication tax", float(estimates.communication_s[at]) / spent_s, "of the time"),
        share("failure tax", float(estimates.rework_s[at]) / spent_s, "of the time"),
        share("availability", float(estimates.availability[at]), ""),
    ]
    if float(estimates.latency_s[at]) > 0:
        figures.insert(3, near(workload.latency, float(estimates.latency_s[at]), "s"))
    if workload.quality:
        figures.append(share(workload.quality, float(estimates.quality[at]), ""))
    if total is not None and capacity > 0:
        days = total / capacity / 86400.0
        figures += [near("duration", days, "days"), near("cost of the job", float(unit_usd(found)[at]) * total, "USD")]
    limits = {name: float(use.share[at]) for name, use in found.limits.items()}
    return Design(found.words(at), tuple(figures), limits, bool(found.holds()[at]))


def _front(found: Found, width: Band, drawn: Curve) -> tuple[Design, ...]:
    """The Pareto front over cost, time or latency, unavailability and lack of quality, of designs that fit."""
    estimates = found.estimates
    fits = found.fits()
    if "demand" in found.limits:
        fits &= found.limits["demand"].share <= 1.0
    at = np.flatnonzero(fits)
    if not len(at):
        return ()
    ends = [unit_usd(found)[at], 1.0 - estimates.availability[at], 1.0 - estimates.quality[at]]
    ends.append(
        1.0 / estimates.capacity_per_s[at] if found.spec.workload.demand_per_s is None else estimates.latency_s[at]
    )
    live = [end for end in ends if np.ptp(end[np.isfinite(end)]) > 0] if np.isfinite(ends[0]).any() else []
    if not live:
        return (_design(found, int(at[np.argmin(worth(found)[at])]), width, drawn),)
    front = at[pareto(np.stack([_rounded(end) for end in live], axis=1))]
    keep = np.unique(np.linspace(0, len(front) - 1, _MOST_FRONT).astype(int))
    return tuple(_design(found, int(index), width, drawn) for index in front[keep])


def _rounded(values: np.ndarray) -> np.ndarray:
    """To about one per cent: designs that differ by less are the same end."""
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(values, 1e-12))
    return np.asarray(np.round(logs, 2))


def _verdict(
    spec: Spec[Any], felt: Pressures, drawn: Curve, tried: tuple[Attempt, ...], chosen: Design, near: Nearest | None
) -> str:
    """One sentence."""
    if near is not None:
        asks = near.alone[:1] or near.together
        needs = " and ".join(
            f"{one.limit} {number(one.needed)} instead of {number(one.asked)} {one.unit}" for one in asks
        )
        if not needs:
            return "No design does it: no node of the platform holds what a node must hold."
        return f"No design does it; the nearest spec that can be met has {needs}."
    p, node = int(chosen["nodes"]), spec.workload.node
    binding = felt.binding
    factor, words = price_scale(chosen["cost of a unit"], spec.workload.unit)
    price = f"${_count(chosen['cost of a unit'] * factor)} for {words}"
    if p == 1:
        second = next((point for point in drawn.points if point.p >= 2 and point.usd_per_unit is not None), None)
        rest = ""
        if second is not None and second.usd_per_unit is not None:
            times = second.usd_per_unit / chosen["cost of a unit"]
            rest = f"; {second.p} would be {second.speedup:.2f} times as fast at {times:.2f} times the cost"
        full = f"{binding.name}, its fullest resource, is {binding.utilisation:.0%} used"
        return f"Stay on one {node}: {full}, at {price}{rest}."
    axes = [axis for axis, pressure in sorted(felt.by_axis.items(), key=lambda item: -item[1]) if pressure > 0.5]
    over = _listed([str(axis) for axis in axes[:3]]) if axes else "the work"
    need = f"takes {_count(binding.utilisation)} times one {node}"
    if not np.isfinite(binding.utilisation):
        need = f"rule out one {node}"
    tax = chosen["communication tax"] + chosen["failure tax"]
    wasteful = next((one for one in tried if one.p > p and one.tax_share > TAXED), None)
    fewer = ""
    if wasteful is not None:
        fewer = f", not {wasteful.p}, where taxes would take {wasteful.tax_share:.0%} of the time,"
    what = f"{p:,} {plural(node, p)}{fewer} do it at {price}, with {tax:.0%} of the time in taxes"
    return f"Distribute {over}: {binding.name} {need}; {what}."


def _count(value: float) -> str:
    """Three digits, written out: 2,240."""
    return f"{float(f'{value:.3g}'):,.12g}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def price_scale(usd: float, unit: str) -> tuple[float, str]:
    """How many units a price is told for: the fewest that cost a cent, as a factor and in words."""
    factor, words = next((scale for scale in _SCALES if usd * scale[0] >= 0.01), _SCALES[-1])
    return factor, f"{words} {plural(unit, factor)}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "__dataclass_fields__"):
        return _plain({name: getattr(value, name) for name in value.__dataclass_fields__})
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
