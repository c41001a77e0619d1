"""The three figures of a report, all drawn from the panel of the run: scaling, time, cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sixfold.report.breaking import part_s
from sixfold.report.charts import Bar, Curve, Point, breakdown_panel, cost_panel, scaling_panel
from sixfold.report.record import Record, Rung, cost_ratio, predicted_speedup, speedup
from sixfold.study.meter import Part
from sixfold.study.row import Row
from sixfold.units import dollars, number

__all__ = ["Panel", "cost_figure", "scaling_figure", "time_figure"]

_ROOM_ABOVE = 1.12  # so that a label above the highest point stays inside


@dataclass(frozen=True, slots=True)
class Panel:
    """One small chart with the words above it."""

    title: str
    note: str
    svg: Markup


def scaling_figure(record: Record) -> list[Panel]:
    """S(p) of each stage and of the whole, on the same scales."""
    rungs = _charted(record)
    counts = _counts(rungs)
    curves = [_curve(rung, lambda row, base: speedup(row, base), _speedups(rung)) for rung in rungs]
    curves = [_with_ceiling(curve, record, counts) for curve in curves]
    top = _ROOM_ABOVE * max([float(max(counts, default=1)), *(v for c in curves for _, v in _finite(c.points))])
    panels = []
    for place, (rung, curve) in enumerate(zip(rungs, curves, strict=True)):
        svg = scaling_panel(curve, f"scaling-{place}", counts=counts, top=top, floor_efficiency=record.min_efficiency)
        panels.append(Panel(rung.name, _efficiency_note(rung), svg))
    return panels


def cost_figure(record: Record) -> list[Panel]:
    """C(p) / C(1) of each stage and of the whole, on the same scales."""
    rungs = _charted(record)
    counts = _counts(rungs)
    curves = [
        _curve(rung, lambda row, base: cost_ratio(row, base), [(p, p / s) for p, s in _speedups(rung) if s > 0])
        for rung in rungs
    ]
    top = 1.25 * max([1.0, *(value for curve in curves for _, value in _finite(curve.points))])
    panels = []
    for place, (rung, curve) in enumerate(zip(rungs, curves, strict=True)):
        note = ""
        if rung.baseline is not None and rung.last is not None:
            scale = rung.baseline.work / rung.last.work if rung.last.work else math.nan
            note = f"{dollars(rung.baseline.cost_usd)} → {dollars(rung.last.cost_usd * scale)}"
        panels.append(Panel(rung.name, note, cost_panel(curve, f"cost-{place}", counts=counts, top=top)))
    return panels


def time_figure(record: Record) -> list[Panel]:
    """Where the wall time of the baseline and of each p went; every stage on a scale of its own."""
    panels = []
    for place, rung in enumerate(_charted(record)):
        rows = [("baseline", rung.baseline), *((f"p = {row.workers}", row) for row in rung.rows)]
        bars = [Bar(label, {part: part_s(row, part) for part in Part}) for label, row in rows if row is not None]
        panels.append(Panel(rung.name, "", breakdown_panel(rung.name, bars, f"time-{place}")))
    return panels


def _charted(record: Record) -> list[Rung]:
    """The whole first where there is one of several stages, then every stage that has a row."""
    stages = [rung for rung in record.rungs if rung.rows]
    whole = [record.whole] if record.whole is not None and record.whole.rows and len(record.verdicts) > 1 else []
    return [*whole, *stages]


def _counts(rungs: Sequence[Rung]) -> list[int]:
    measured = {row.processors for rung in rungs for row in rung.rows}
    return sorted(measured.union(*(rung.predictions for rung in rungs)))


def _curve(rung: Rung, value: Callable[[Row, Row], float], predicted: list[Point]) -> Curve:
    base = rung.baseline
    if base is None:
        return Curve(rung.name, [], [], predicted)
    measured = [(row.processors, value(row, base)) for row in rung.rows]
    repeats = [(row.processors, value(row, base)) for row in rung.repeats]
    several = len(repeats) > len(measured)
    return Curve(rung.name, _finite(measured), _finite(repeats) if several else [], predicted)


def _with_ceiling(curve: Curve, record: Record, counts: Sequence[int]) -> Curve:
    ceiling = [(p, p * allowed) for p in counts if (allowed := record.ceiling(p)) is not None]
    return Curve(curve.name, curve.measured, curve.repeats, curve.predicted, ceiling)


def _speedups(rung: Rung) -> list[Point]:
    return [(p, s) for p, each in rung.predictions.items() if (s := predicted_speedup(each, rung)) is not None]


def _efficiency_note(rung: Rung) -> str:
    if rung.last is None or rung.baseline is None:
        return ""
    return f"E({rung.last.processors}) = {number(speedup(rung.last, rung.baseline) / rung.last.processors)}"


def _finite(points: Sequence[Point]) -> list[Point]:
    return [(p, value) for p, value in points if math.isfinite(value)]
