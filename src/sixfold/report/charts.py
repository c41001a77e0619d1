"""The panels of the three figures: one small SVG for each stage, all of a figure on the same scales."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from sixfold.report.svg import COLOURS, canvas, inline
from sixfold.study.meter import Part
from sixfold.units import MISSING, number, seconds, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["HATCHES", "Bar", "Curve", "Point", "breakdown_panel", "cost_panel", "scaling_panel", "swatch"]

Point = tuple[int, float]  # (workers, value)

# A part is told by its pattern as well as by its colour.
HATCHES: Mapping[Part, str] = {
    Part.COMPUTE: "",
    Part.COMMUNICATION: "////",
    Part.IDLE: "|||",
    Part.REWORK: "xxx",
}
_WIDTH_PX, _HEIGHT_PX = 300, 212
_LOG_ABOVE = 8  # worker counts beyond this are spread over powers of two
_BAR_PX = 28


@dataclass(frozen=True, slots=True)
class Curve:
    """What a scaling or cost panel shows: medians, all repeats, the prediction, and what the cores allow."""

    name: str
    measured: Sequence[Point]
    repeats: Sequence[Point]
    predicted: Sequence[Point]
    ceiling: Sequence[Point] = ()

    @property
    def points(self) -> list[Point]:
        """Every point that has to fit."""
        return [*self.measured, *self.repeats, *self.predicted, *self.ceiling]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the time breakdown: seconds by part."""

    label: str
    parts_s: Mapping[Part, float]


def scaling_panel(curve: Curve, ident: str, *, counts: Sequence[int], top: float, floor_efficiency: float) -> Markup:
    """S(p): the ideal line, the cores' own ceiling, what was predicted, what was measured."""
    with canvas(_WIDTH_PX, _HEIGHT_PX, (30, 52, 42, 10)) as figure:
        axes = figure.axes[0]
        _workers_axis(axes, counts)
        logarithmic = max(counts) > _LOG_ABOVE
        if logarithmic:
            axes.set_yscale("log", base=2)
        most = max(counts)
        axes.set_ylim(0.5 if logarithmic else 0, top)
        _number_ticks(axes, top, logarithmic)
        ends = [1, most] if most > 1 else [0.8, 1.2]
        axes.fill_between(
            ends, [0.5 if logarithmic else 0] * 2, [e * floor_efficiency for e in ends],
            color=COLOURS["hairline"], linewidth=0, alpha=0.45,
        )  # fmt: skip
        axes.plot(ends, ends, color=COLOURS["muted"], linewidth=1.2, linestyle=(0, (5, 3)))
        if curve.ceiling:
            axes.plot(*_split(curve.ceiling), color=COLOURS["muted"], linewidth=1.4, linestyle=(0, (1, 1.6)))
        _predicted(axes, curve.predicted)
        _measured(axes, curve)
        return inline(figure, ident, f"Scaling of {curve.name}", _describe("speed-up", curve))


def cost_panel(curve: Curve, ident: str, *, counts: Sequence[int], top: float) -> Markup:
    """Cost of a run relative to the baseline's."""
    with canvas(_WIDTH_PX, _HEIGHT_PX, (30, 52, 42, 10)) as figure:
        axes = figure.axes[0]
        _workers_axis(axes, counts)
        axes.set_ylim(0, top)
        _number_ticks(axes, top, logarithmic=False)
        axes.axhline(1.0, color=COLOURS["muted"], linewidth=1.2, linestyle=(0, (5, 3)))
        _predicted(axes, curve.predicted)
        _measured(axes, curve)
        return inline(figure, ident, f"Cost of {curve.name} relative to the baseline", _describe("cost", curve))


def breakdown_panel(name: str, bars: Sequence[Bar], ident: str) -> Markup:
    """Where the wall time went: one bar for the baseline and one for each p, stacked by part."""
    left, right, bottom, above = 60, 56, 24, 4
    height_px = _BAR_PX * len(bars) + bottom + above
    longest = max((sum(bar.parts_s.values()) for bar in bars), default=0.0) or 1.0
    with canvas(_WIDTH_PX, height_px, (left, right, bottom, above)) as figure:
        axes = figure.axes[0]
        axes.set_xlim(0, longest)
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.spines["bottom"].set_visible(False)
        for place, bar in enumerate(bars):
            start = 0.0
            for part in Part:
                width = bar.parts_s.get(part, 0.0)
                if width <= 0:
                    continue
                axes.barh(
                    place, width, left=start, height=0.66, facecolor=COLOURS[part.value],
                    hatch=HATCHES[part] or None, hatchcolor=COLOURS["surface"],
                    edgecolor=COLOURS["surface"], linewidth=0.6,
                )  # fmt: skip
                start += width
            axes.annotate(
                seconds(start), (start, place), xytext=(5, 0), textcoords="offset points", va="center",
                color=COLOURS["ink"], fontsize=11.5, annotation_clip=False,
            )  # fmt: skip
        axes.set_yticks(range(len(bars)), [bar.label for bar in bars])
        axes.set_xticks(*_time_ticks(longest))
        sentences = [
            f"{bar.label}: " + ", ".join(f"{part.value} {seconds(bar.parts_s.get(part, 0.0))}" for part in Part)
            for bar in bars
        ]
        return inline(figure, ident, f"Time breakdown of {name}", "; ".join(sentences) + ".")


def swatch(part: Part) -> Markup:
    """The key of one part: its colour and pattern."""
    with canvas(26, 14, (0, 0, 0, 0)) as figure:
        axes = figure.axes[0]
        axes.set_axis_off()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.bar(
            0.5,
            1,
            1,
            facecolor=COLOURS[part.value],
            hatch=HATCHES[part] or None,
            hatchcolor=COLOURS["surface"],
        )
        return inline(figure, f"key-{part.value}", part.value, f"pattern of {part.value}")


def _workers_axis(axes: Axes, counts: Sequence[int]) -> None:
    most = max(counts)
    if most > _LOG_ABOVE:
        axes.set_xscale("log", base=2)
        axes.set_xlim(0.85, most * 1.03)
    else:
        room = max(0.12 * (most - 1), 0.12)
        axes.set_xlim(1 - room, most + (0.02 * (most - 1) if most > 1 else room))
    shown = counts if len(counts) <= 6 else [c for c in counts if c & (c - 1) == 0 or c == most]
    axes.set_xticks(list(shown), [str(c) for c in shown])
    axes.minorticks_off()
    axes.set_xlabel("workers p", color=COLOURS["muted"], fontsize=11.5, labelpad=4)


def _number_ticks(axes: Axes, top: float, logarithmic: bool) -> None:
    if logarithmic:
        values = [2.0**k for k in range(math.floor(math.log2(top)) + 1)]
        values = values[:: max(1, math.ceil(len(values) / 5))]
    else:
        step = next(s for s in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 1e9) if top / s <= 5)
        values = [step * k for k in range(math.floor(top / step) + 1)]
    axes.set_yticks(values, [f"{value:g}" for value in values])
    axes.minorticks_off()
    axes.grid(axis="y", color=COLOURS["hairline"], linewidth=0.8)


def _time_ticks(longest_s: float) -> tuple[list[float], list[str]]:
    """Round times from zero, the last one with the unit; two to four of them."""
    factor, unit = next(
        (f, u)
        for f, u, least in (
            (60.0, "min", 5),
            (1.0, "s", 0.5),
            (1e-3, "ms", 0.5),
            (1e-6, "µs", 0.5),
            (0.0, "", 0),
        )
        if longest_s >= least * f
    )
    if not factor:
        return [0.0], ["0"]
    longest = longest_s / factor
    power = 10.0 ** math.floor(math.log10(longest))
    step = next(step for step in (power * k for k in (0.5, 1, 2, 5)) if longest / step < 4)
    values = [step * k for k in range(math.floor(longest / step) + 1)]
    labels = [f"{value:g}" for value in values]
    return [value * factor for value in values], [*labels[:-1], f"{labels[-1]} {unit}"]


def _predicted(axes: Axes, points: Sequence[Point]) -> None:
    axes.plot(
        *_split(points), color=COLOURS["warn"], linewidth=1.4, linestyle=(0, (3, 2)), marker="D",
        markersize=6, markerfacecolor=COLOURS["surface"], markeredgecolor=COLOURS["warn"],
        markeredgewidth=1.4, clip_on=False,
    )  # fmt: skip


def _measured(axes: Axes, curve: Curve) -> None:
    axes.plot(
        *_split(curve.repeats), linestyle="none", marker="o", markersize=3.5, clip_on=False,
        markerfacecolor="none", markeredgecolor=COLOURS["accent"], markeredgewidth=0.9,
    )  # fmt: skip
    axes.plot(
        *_split(curve.measured), color=COLOURS["accent"], linewidth=2.2, marker="o", markersize=6.5,
        clip_on=False, markeredgecolor=COLOURS["surface"], markeredgewidth=1.0, solid_capstyle="round",
    )  # fmt: skip
    if curve.measured:
        last = curve.measured[-1]
        beside = len(curve.measured) > 1 and last[0] >= axes.get_xticks()[-1]  # else lines run through it
        axes.annotate(
            times(last[1]), last, xytext=(9, 0) if beside else (0, -9), textcoords="offset points",
            ha="left" if beside else "center", va="center" if beside else "top",
            color=COLOURS["ink"], fontsize=12, fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def _split(points: Sequence[Point]) -> tuple[list[int], list[float]]:
    finite = [(p, value) for p, value in points if math.isfinite(value)]
    return [p for p, _ in finite], [value for _, value in finite]


def _describe(what: str, curve: Curve) -> str:
    """The panel in words, for whoever cannot see it."""
    predicted = dict(curve.predicted)
    said = [
        f"at p = {p} {what} {times(value)}"
        + (f", predicted {times(predicted[p])}" if number(predicted.get(p)) != MISSING else "")
        for p, value in curve.measured
    ]
    return "; ".join(said) + "." if said else "Nothing measured yet."
