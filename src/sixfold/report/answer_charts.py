"""The charts of a design's answer: pressures, curves over p, the Pareto front, break-even, sensitivity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from sixfold.axes import Axis
from sixfold.design.break_even import BreakEven
from sixfold.design.curves import Curve
from sixfold.design.sensitivity import Influence
from sixfold.report.charts import HATCHES
from sixfold.report.svg import COLOURS, canvas, inline
from sixfold.report.units import dollars, number, percent
from sixfold.study.meter import Part

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["break_even_chart", "cost_chart", "front_chart", "parts_chart", "radar", "scaling_chart", "tornado"]

_LOG_ABOVE = 16  # numbers of nodes that span more are spread over their logarithms
_FLOOR = 0.7
_SIZE_PX = (540, 300)
_MARGINS_PX = (56, 26, 44, 16)


def radar(pressure: Mapping[Axis, float]) -> Markup:
    """Six axes, 0 in the middle, 1 at the rim; the dashed ring is a node that is exactly full."""
    with canvas(360, 300, (10, 10, 10, 10)) as figure:
        axes = figure.axes[0]
        axes.set_axis_off()
        axes.set(xlim=(-1.75, 1.75), ylim=(-1.46, 1.46))
        turns = [math.pi / 2 - 2 * math.pi * at / 6 for at in range(6)]
        for ring in (0.25, 0.5, 0.75, 1.0):
            line = (0, (5, 3)) if ring == 0.5 else "solid"
            shade = COLOURS["muted"] if ring == 0.5 else COLOURS["hairline"]
            axes.plot(*_closed([(ring, turn) for turn in turns]), color=shade, linewidth=1.0, linestyle=line)
        for axis, turn in zip(Axis, turns, strict=True):
            x, y = math.cos(turn), math.sin(turn)
            axes.plot([0, x], [0, y], color=COLOURS["hairline"], linewidth=0.8)
            side = "center" if abs(x) < 0.1 else ("left" if x > 0 else "right")
            loud = pressure[axis] > 0.5
            axes.annotate(
                f"{axis.value} {pressure[axis]:.2f}", (1.1 * x, 1.16 * y), ha=side, va="center", annotation_clip=False,
                color=COLOURS["ink" if loud else "muted"], fontsize=11.5, fontweight="bold" if loud else "normal",
            )  # fmt: skip
        rim = _closed([(pressure[axis], turn) for axis, turn in zip(Axis, turns, strict=True)])
        axes.fill(*rim, color=COLOURS["accent"], alpha=0.18, linewidth=0)
        axes.plot(*rim, color=COLOURS["accent"], linewidth=2.0, marker="o", markersize=4.5)
        said = ", ".join(f"{axis.value} {value:.2f}" for axis, value in pressure.items())
        return inline(figure, "radar", "Pressure of each axis", f"{said}; 0.5 is a node that is exactly full.")


def scaling_chart(drawn: Curve, chosen: int) -> Markup:
    """S(p) with the ideal, and the area where E(p) is at least 0.7."""
    with canvas(*_SIZE_PX, _MARGINS_PX) as figure:
        axes = figure.axes[0]
        ps, speedups = [p.p for p in drawn.points], [p.speedup for p in drawn.points]
        logarithmic = _nodes_axis(axes, ps)
        ends = [min(ps), max(ps)] if len(ps) > 1 else [0.8 * ps[0], 1.2 * ps[0]]
        axes.fill_between(ends, [_FLOOR * e for e in ends], ends, color=COLOURS["hairline"], linewidth=0, alpha=0.45)
        axes.plot(ends, ends, color=COLOURS["muted"], linewidth=1.2, linestyle=(0, (5, 3)))
        if logarithmic:
            axes.set_yscale("log")
            _few_log_ticks(axes, [*speedups, *ends], "y")
        axes.plot(ps, speedups, color=COLOURS["accent"], linewidth=2.2, marker="o", markersize=4)
        _mark(axes, drawn, chosen, {p.p: p.speedup for p in drawn.points})
        axes.set_ylabel("speed-up S(p)", color=COLOURS["muted"], fontsize=11.5)
        said = "; ".join(f"p = {p.p} S = {number(p.speedup)}, E = {number(p.efficiency)}" for p in _some(drawn.points))
        return inline(figure, "answer-scaling", "Speed-up over the number of nodes", said + ".")


def cost_chart(drawn: Curve, chosen: int, scale: float, unit: str) -> Markup:
    """Dollars of a unit over p, of the designs that do what is asked."""
    points = [(p.p, p.usd_per_unit * scale) for p in drawn.points if p.usd_per_unit is not None]
    with canvas(*_SIZE_PX, _MARGINS_PX) as figure:
        axes = figure.axes[0]
        _nodes_axis(axes, [p.p for p in drawn.points])
        if points:
            values = [usd for _, usd in points]
            if max(values) > 8 * min(values):
                axes.set_yscale("log")
                _few_log_ticks(axes, values, "y")
            else:
                axes.set_ylim(0, 1.15 * max(values))
            axes.plot(*zip(*points, strict=True), color=COLOURS["warn"], linewidth=2.2, marker="D", markersize=4)
            _mark(axes, drawn, chosen, dict(points))
        axes.set_ylabel(f"USD {unit}", color=COLOURS["muted"], fontsize=11.5)
        said = (
            "; ".join(f"p = {p}: {dollars(usd)}" for p, usd in _some(points)) or "no number of nodes does what is asked"
        )
        return inline(figure, "answer-cost", f"Cost {unit} over the number of nodes", said + ".")


def parts_chart(drawn: Curve) -> Markup:
    """Where the time of a unit goes, over p."""
    with canvas(*_SIZE_PX, _MARGINS_PX) as figure:
        axes = figure.axes[0]
        ps = [p.p for p in drawn.points]
        _nodes_axis(axes, ps)
        axes.set_ylim(0, 1)
        below = [0.0] * len(ps)
        for part in Part:
            above = [low + point.parts[part.value] for low, point in zip(below, drawn.points, strict=True)]
            axes.fill_between(
                ps if len(ps) > 1 else [0.8 * ps[0], 1.2 * ps[0]],
                below if len(ps) > 1 else below * 2, above if len(ps) > 1 else above * 2,
                facecolor=COLOURS[part.value], hatch=HATCHES[part] or None, hatchcolor=COLOURS["surface"],
                edgecolor=COLOURS["surface"], linewidth=0.4,
            )  # fmt: skip
            below = above
        axes.set_ylabel("share of the time", color=COLOURS["muted"], fontsize=11.5)
        last = drawn.points[-1]
        said = ", ".join(f"{part.value} {percent(last.parts[part.value])}" for part in Part)
        return inline(figure, "answer-parts", "Parts of the time over the number of nodes", f"At p = {last.p}: {said}.")


def front_chart(
    points: Sequence[tuple[float, float]], chosen: tuple[float, float] | None, cost: str, other: str
) -> Markup:
    """Designs that no other beats: cost against time; the chosen one is a diamond."""
    with canvas(620, 320, (64, 26, 46, 16)) as figure:
        axes = figure.axes[0]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        every_x, every_y = [*xs, *([chosen[0]] if chosen else [])], [*ys, *([chosen[1]] if chosen else [])]
        for scale, values, name in ((axes.set_xscale, every_x, "x"), (axes.set_yscale, every_y, "y")):
            if min(values) > 0 and max(values) > 3 * min(values):
                scale("log")
                _few_log_ticks(axes, values, name)
        axes.plot(xs, ys, linestyle="none", marker="o", markersize=6, color=COLOURS["accent"], alpha=0.85)
        if chosen is not None:
            axes.plot(
                [chosen[0]], [chosen[1]], linestyle="none", marker="D", markersize=11, markerfacecolor="none",
                markeredgecolor=COLOURS["warn"], markeredgewidth=2.2, clip_on=False,
            )  # fmt: skip
        axes.grid(color=COLOURS["hairline"], linewidth=0.8)
        axes.set_xlabel(cost, color=COLOURS["muted"], fontsize=11.5)
        axes.set_ylabel(other, color=COLOURS["muted"], fontsize=11.5)
        return inline(figure, "front", "Pareto front", f"{len(points)} designs, {cost} against {other}.")


def break_even_chart(found: BreakEven, scale: float, unit: str) -> Markup:
    """Dollars of a unit over the volume: own nodes against the price elsewhere."""
    points = [(v, usd * scale) for v, usd in zip(found.volumes_per_s, found.own_usd, strict=True) if usd is not None]
    with canvas(620, 300, (64, 90, 46, 16)) as figure:
        axes = figure.axes[0]
        axes.set_xscale("log")
        axes.set_yscale("log")
        rent = found.rent_usd * scale
        axes.axhline(rent, color=COLOURS["muted"], linewidth=1.6, linestyle=(0, (5, 3)))
        axes.annotate(
            "elsewhere", (1.0, rent), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
            va="center", color=COLOURS["muted"], fontsize=11.5, annotation_clip=False,
        )  # fmt: skip
        if points:
            axes.plot(*zip(*points, strict=True), color=COLOURS["accent"], linewidth=2.2, marker="o", markersize=4)
            axes.annotate(
                "own nodes", points[-1], xytext=(8, 0), textcoords="offset points", va="center", fontsize=11.5,
                color=COLOURS["accent"], annotation_clip=False,
            )  # fmt: skip
        if found.crossover_per_s is not None:
            axes.axvline(found.crossover_per_s, color=COLOURS["warn"], linewidth=1.2)
        _few_log_ticks(axes, found.volumes_per_s, "x")
        _few_log_ticks(axes, [rent, *(usd for _, usd in points)], "y")
        axes.set_xlabel("demand a second", color=COLOURS["muted"], fontsize=11.5)
        axes.set_ylabel(f"USD {unit}", color=COLOURS["muted"], fontsize=11.5)
        return inline(figure, "break-even", "Own nodes or rent", f"Elsewhere {dollars(rent)} {unit}.")


def tornado(influences: Sequence[Influence]) -> Markup:
    """What a tenth less and a tenth more of each input does to the objective."""
    rows = [one for one in influences if one.down is not None or one.up is not None]
    height = 30 * len(rows) + 40
    with canvas(620, height, (190, 30, 32, 6)) as figure:
        axes = figure.axes[0]
        axes.set_ylim(len(rows) - 0.5, -0.5)
        widest = 0.01
        for at, one in enumerate(rows):
            for ratio, part, offset in ((one.down, "idle", -0.19), (one.up, "compute", 0.19)):
                if ratio is None:
                    continue
                change = min(max(ratio - 1.0, -1.0), 1.0)
                widest = max(widest, abs(change))
                axes.barh(
                    at + offset, change, height=0.34, facecolor=COLOURS[part], hatch="" if part == "compute" else "///",
                    hatchcolor=COLOURS["surface"], edgecolor=COLOURS["surface"], linewidth=0.4,
                )  # fmt: skip
        axes.axvline(0, color=COLOURS["muted"], linewidth=1.0)
        axes.set_xlim(-1.1 * widest, 1.1 * widest)
        axes.set_yticks(range(len(rows)), [one.field.split(".", 1)[1] for one in rows])
        ticks = [-widest, 0.0, widest]
        axes.set_xticks(ticks, [f"{tick:+.0%}" if tick else "0" for tick in ticks])
        said = "; ".join(f"{one.field}: 10 % less {_change(one.down)}, 10 % more {_change(one.up)}" for one in rows)
        return inline(figure, "tornado", "What a tenth of each input does to the objective", said + ".")


def _change(ratio: float | None) -> str:
    return "no design holds" if ratio is None else percent(ratio - 1.0, signed=True)


def _closed(polar: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    around = [*polar, polar[0]]
    return [r * math.cos(t) for r, t in around], [r * math.sin(t) for r, t in around]


def _nodes_axis(axes: Axes, ps: Sequence[int]) -> bool:
    """The axis of p; whether it is logarithmic."""
    logarithmic = max(ps) > _LOG_ABOVE * min(ps)
    if logarithmic:
        axes.set_xscale("log")
        _few_log_ticks(axes, ps, "x", whole=True)
    else:
        room = 0.04 * (max(ps) - min(ps)) or 0.3
        axes.set_xlim(min(ps) - room, max(ps) + room)
    axes.grid(axis="y", color=COLOURS["hairline"], linewidth=0.8)
    axes.set_xlabel("nodes p", color=COLOURS["muted"], fontsize=11.5, labelpad=4)
    return logarithmic


def _few_log_ticks(axes: Axes, values: Sequence[float], of: str, *, whole: bool = False) -> None:
    """At most five round ticks on a logarithmic axis, written out."""
    low, high = min(values), max(values)
    axes.minorticks_off()
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 2 else (1,)
    ticks = [step * 10.0**power for power in powers for step in steps]
    ticks = [tick for tick in ticks if low * 0.95 <= tick <= high * 1.05 and (not whole or tick >= 1)] or [low, high]
    ticks = ticks[:: max(1, math.ceil(len(ticks) / 6))]
    getattr(axes, f"set_{of}ticks")(ticks, [_tick(tick) for tick in ticks])
    getattr(axes, f"set_{of}lim")(low / 1.15, high * 1.15)


def _tick(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g} M"
    if value >= 1e3:
        return f"{value / 1e3:g} k"
    return f"{value:g}"


def _mark(axes: Axes, drawn: Curve, chosen: int, values: Mapping[int, float]) -> None:
    """The chosen number of nodes, where the curve has it or the nearest it has."""
    if not values:
        return
    at = min(values, key=lambda p: abs(math.log(p / chosen)))
    axes.axvline(chosen, color=COLOURS["warn"], linewidth=1.2, linestyle=(0, (1, 1.6)))
    axes.plot(
        [at], [values[at]], linestyle="none", marker="D", markersize=9, markerfacecolor=COLOURS["surface"],
        markeredgecolor=COLOURS["warn"], markeredgewidth=2.0, clip_on=False,
    )  # fmt: skip


def _some(things: Sequence[Any]) -> Sequence[Any]:
    return things[:: max(1, len(things) // 8)]
