"""The charts of a design's answer that are drawn over the number of nodes p."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from sixfold.design.curves import Curve
from sixfold.report.charts import HATCHES
from sixfold.report.svg import COLOURS, canvas, inline
from sixfold.report.ticks import log_ticks, name_axes
from sixfold.study.meter import Part
from sixfold.units import dollars, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FLOOR", "Marks", "cost_chart", "efficiency_chart", "parts_chart", "scaling_chart"]

FLOOR = 0.7  # E(p) below it is no headline, in a study as in a design
_LOG_ABOVE = 16  # numbers of nodes that span more are spread over their logarithms
_SIZE_PX = (540, 316)
_MARGINS_PX = (60, 26, 44, 36)
_LETTER_PX = 5.8


@dataclass(frozen=True, slots=True)
class Marks:
    """The numbers of nodes that the charts point at.

    chosen: of the design that the page is about, with S of that number, and the design's cost if it does what is
    asked. others: name to p.
    """

    chosen: int
    speedup: float
    usd_per_unit: float | None
    others: Mapping[str, int]

    def by_p(self) -> list[tuple[int, str]]:
        """Every p with its names, from the fewest nodes up."""
        names: dict[int, list[str]] = {self.chosen: ["chosen"]}
        for name, p in self.others.items():
            names.setdefault(p, []).append(name)
        return [(p, ", ".join(names[p])) for p in sorted(names)]


def scaling_chart(drawn: Curve, marks: Marks) -> Markup:
    """S(p) with the ideal, and the area where E(p) is at least 0.7."""
    with canvas(*_SIZE_PX, _MARGINS_PX) as figure:
        axes = figure.axes[0]
        ps, speedups = [p.p for p in drawn.points], [p.speedup for p in drawn.points]
        logarithmic = _nodes_axis(axes, ps)
        ends = [min(ps), max(ps)] if len(ps) > 1 else [0.8 * ps[0], 1.2 * ps[0]]
        axes.fill_between(ends, [FLOOR * e for e in ends], ends, color=COLOURS["hairline"], linewidth=0, alpha=0.6)
        axes.plot(ends, ends, color=COLOURS["muted"], linewidth=1.2, linestyle=(0, (5, 3)))
        if logarithmic:
            axes.set_yscale("log")
            log_ticks(axes, [value for value in (*speedups, *ends) if value > 0], "y")
        axes.plot(ps, speedups, color=COLOURS["accent"], linewidth=2.2, marker="o", markersize=4)
        _mark(axes, marks, marks.speedup)
        name_axes(axes, "nodes p", "speed-up S(p)")
        said = "; ".join(f"p = {p.p} S = {number(p.speedup)}" for p in _some(drawn.points))
        return inline(figure, "answer-scaling", "Speed-up over the number of nodes", said + ".")


def efficiency_chart(drawn: Curve, marks: Marks) -> Markup:
    """E(p), with the area where it is at least 0.7."""
    with canvas(*_SIZE_PX, _MARGINS_PX) as figure:
        axes = figure.axes[0]
        ps, values = [p.p for p in drawn.points], [p.efficiency for p in drawn.points]
        _nodes_axis(axes, ps)
        axes.set_ylim(0, 1.08 * max(1.0, *values))
        axes.axhspan(FLOOR, 1.0, color=COLOURS["hairline"], linewidth=0, alpha=0.6)
        axes.axhline(1.0, color=COLOURS["muted"], linewidth=1.2, linestyle=(0, (5, 3)))
        axes.plot(ps, values, color=COLOURS["accent"], linewidth=2.2, marker="o", markersize=4)
        _mark(axes, marks, marks.speedup / marks.chosen)
        name_axes(axes, "nodes p", "efficiency E(p)")
        said = "; ".join(f"p = {p.p} E = {number(p.efficiency)}" for p in _some(drawn.points))
        return inline(figure, "answer-efficiency", "Efficiency over the number of nodes", said + ".")


def cost_chart(drawn: Curve, marks: Marks, scale: float, unit: str) -> Markup | None:
    """Dollars of a unit over p, of the designs that do what is asked; None if none does."""
    costs = {p.p: p.usd_per_unit * scale for p in drawn.points if p.usd_per_unit is not None}
    if marks.usd_per_unit is not None:  # the curve may have left its p out
        costs[marks.chosen] = marks.usd_per_unit * scale
    if not costs:
        return None
    points = sorted(costs.items())
    with canvas(*_SIZE_PX, _MARGINS_PX) as figure:
        axes = figure.axes[0]
        _nodes_axis(axes, [p.p for p in drawn.points])
        values = [usd for _, usd in points]
        if min(values) > 0 and max(values) > 8 * min(values):
            axes.set_yscale("log")
            log_ticks(axes, values, "y")
        else:
            axes.set_ylim(0, 1.15 * max(values) or 1.0)
        axes.plot(*zip(*points, strict=True), color=COLOURS["warn"], linewidth=2.2, marker="s", markersize=4)
        _mark(axes, marks, costs[marks.chosen] if marks.usd_per_unit is not None else None)
        name_axes(axes, "nodes p", f"USD {unit}")
        said = "; ".join(f"p = {p}: {dollars(usd)}" for p, usd in _some(points))
        return inline(figure, "answer-cost", f"Cost {unit} over the number of nodes", said + ".")


def parts_chart(drawn: Curve, marks: Marks) -> Markup:
    """Where the time of a unit goes, over p."""
    with canvas(*_SIZE_PX, _MARGINS_PX) as figure:
        axes = figure.axes[0]
        ps = [p.p for p in drawn.points]
        _nodes_axis(axes, ps)
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"])
        several = len(ps) > 1
        below = [0.0] * len(ps)
        for part in Part:
            above = [low + point.parts[part.value] for low, point in zip(below, drawn.points, strict=True)]
            axes.fill_between(
                ps if several else [0.8 * ps[0], 1.2 * ps[0]], below if several else below * 2,
                above if several else above * 2, facecolor=COLOURS[part.value], hatch=HATCHES[part] or None,
                hatchcolor=COLOURS["surface"], edgecolor=COLOURS["surface"], linewidth=0.4,
            )  # fmt: skip
            below = above
        _mark(axes, marks, None)
        name_axes(axes, "nodes p", "share of the time")
        said = "; ".join(
            f"p = {point.p}: " + ", ".join(f"{part.value} {percent(point.parts[part.value])}" for part in Part)
            for point in (drawn.points[0], drawn.points[-1])
        )
        return inline(figure, "answer-parts", "Parts of the time over the number of nodes", said + ".")


def _nodes_axis(axes: Axes, ps: Sequence[int]) -> bool:
    """The axis of p; whether it is logarithmic."""
    logarithmic = max(ps) > _LOG_ABOVE * min(ps)
    if logarithmic:
        axes.set_xscale("log")
        log_ticks(axes, ps, "x", whole=True)
    else:
        room = 0.04 * (max(ps) - min(ps)) or 0.3
        axes.set_xlim(min(ps) - room, max(ps) + room)
        step = max(1, -(-(max(ps) - min(ps)) // 6))
        axes.set_xticks(range(min(ps), max(ps) + 1, step))
    axes.grid(axis="y", color=COLOURS["hairline"], linewidth=0.8)
    return logarithmic


def _mark(axes: Axes, marks: Marks, value: float | None) -> None:
    """A thin line with its names for every p that is pointed at, a diamond at the chosen one's value.

    Names stand above the axes, in two rows where they would run into each other.
    """
    width_px = _SIZE_PX[0] - _MARGINS_PX[0] - _MARGINS_PX[1]
    taken = [-1e9, -1e9]  # the right end of the last name of each row
    for p, names in marks.by_p():
        across = float(axes.transAxes.inverted().transform(axes.transData.transform((p, axes.get_ylim()[1])))[0])
        if not -0.01 <= across <= 1.01:
            continue
        chosen = p == marks.chosen
        shade = COLOURS["warn" if chosen else "muted"]
        axes.axvline(p, color=shade, linewidth=1.2, linestyle=(0, (1, 1.6)))
        half = _LETTER_PX * len(names) / 2
        middle = min(max(across * width_px, half - _MARGINS_PX[0] / 2), width_px + _MARGINS_PX[1] - half)
        row = 0 if middle - half > taken[0] + 6 else 1
        taken[row] = middle + half
        axes.annotate(
            names, (middle / width_px, 1.0), xycoords="axes fraction", xytext=(0, 4 + 14 * row),
            textcoords="offset points", ha="center", va="bottom", color=shade, fontsize=11,
            fontweight="bold" if chosen else "normal", annotation_clip=False,
        )  # fmt: skip
    if value is not None:
        axes.plot(
            [marks.chosen], [value], linestyle="none", marker="D", markersize=9, markerfacecolor=COLOURS["surface"],
            markeredgecolor=COLOURS["warn"], markeredgewidth=2.0, clip_on=False,
        )  # fmt: skip


def _some(things: Sequence[Any]) -> Sequence[Any]:
    return things[:: max(1, len(things) // 8)]
