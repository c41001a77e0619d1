"""The charts of a design's answer that are not over p: pressures, the Pareto front, break-even, sensitivity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from sixfold.axes import Axis
from sixfold.design.break_even import BreakEven
from sixfold.design.sensitivity import Influence
from sixfold.report.svg import COLOURS, canvas, inline
from sixfold.report.ticks import log_ticks, name_axes
from sixfold.units import dollars, number, percent

__all__ = ["FrontPoint", "break_even_chart", "front_chart", "lost", "radar", "tornado"]

FrontPoint = tuple[float, float, bool]  # cost, the other end, whether it does what is asked
_WIDEST = 1.0  # changes beyond 100 % are drawn so long, and written out


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


def front_chart(points: Sequence[FrontPoint], chosen: tuple[float, float], cost: str, other: str) -> Markup:
    """Designs that no other beats: cost against time; hollow where not all that is asked holds, a diamond: chosen."""
    with canvas(720, 340, (64, 26, 46, 16)) as figure:
        axes = figure.axes[0]
        every_x, every_y = [*(x for x, _, _ in points), chosen[0]], [*(y for _, y, _ in points), chosen[1]]
        for scale, values, name in ((axes.set_xscale, every_x, "x"), (axes.set_yscale, every_y, "y")):
            if min(values) > 0 and max(values) > 3 * min(values):
                scale("log")
                log_ticks(axes, values, name)
        for holds in (False, True):
            some = [(x, y) for x, y, held in points if held is holds]
            axes.plot(
                [x for x, _ in some], [y for _, y in some], linestyle="none", marker="o", markersize=6.5,
                markerfacecolor=COLOURS["accent" if holds else "surface"], markeredgecolor=COLOURS["accent"],
                markeredgewidth=1.3, clip_on=False,
            )  # fmt: skip
        axes.plot(
            [chosen[0]], [chosen[1]], linestyle="none", marker="D", markersize=12, markerfacecolor="none",
            markeredgecolor=COLOURS["warn"], markeredgewidth=2.2, clip_on=False,
        )  # fmt: skip
        axes.grid(color=COLOURS["hairline"], linewidth=0.8)
        name_axes(axes, cost, other)
        held = sum(holds for _, _, holds in points)
        said = (
            f"{len(points)} designs, {cost} against {other}; {held} of them do what is asked. "
            f"Chosen: {number(chosen[0])}, {number(chosen[1])}."
        )
        return inline(figure, "front", "Pareto front", said)


def break_even_chart(found: BreakEven, demand_per_s: float, scale: float, unit: str) -> Markup:
    """Dollars of a unit over the volume: own nodes against the price elsewhere; the demand of the spec is marked."""
    points = [(v, usd * scale) for v, usd in zip(found.volumes_per_s, found.own_usd, strict=True) if usd is not None]
    with canvas(720, 320, (64, 90, 46, 26)) as figure:
        axes = figure.axes[0]
        axes.set_xscale("log")
        axes.set_yscale("log")
        rent = found.rent_usd * scale
        near = bool(points) and 0.7 < points[-1][1] / rent < 1.4  # the two names would run into each other
        above = 9 if near and points[-1][1] < rent else -9 if near else 0
        axes.axhline(rent, color=COLOURS["muted"], linewidth=1.6, linestyle=(0, (5, 3)))
        axes.annotate(
            "elsewhere", (1.0, rent), xycoords=("axes fraction", "data"), xytext=(6, above),
            textcoords="offset points", va="center", color=COLOURS["muted"], fontsize=11.5, annotation_clip=False,
        )  # fmt: skip
        if points:
            axes.plot(*zip(*points, strict=True), color=COLOURS["accent"], linewidth=2.2, marker="o", markersize=4)
            axes.annotate(
                "own nodes", (1.0, points[-1][1]), xycoords=("axes fraction", "data"), xytext=(6, -above),
                textcoords="offset points", va="center", fontsize=11.5, color=COLOURS["accent"],
                annotation_clip=False,
            )  # fmt: skip
        for volume, name, shade in (
            (found.crossover_per_s, "crossover", "warn"), (demand_per_s, "the demand", "muted")
        ):  # fmt: skip
            if volume is None:
                continue
            axes.axvline(volume, color=COLOURS[shade], linewidth=1.2, linestyle=(0, (1, 1.6)))
            axes.annotate(
                name, (volume, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 4), textcoords="offset points",
                ha="center", va="bottom", color=COLOURS[shade], fontsize=11, annotation_clip=False,
            )  # fmt: skip
        log_ticks(axes, found.volumes_per_s, "x")
        log_ticks(axes, [rent, *(usd for _, usd in points)], "y")
        name_axes(axes, "demand a second", f"USD {unit}")
        told = "; ".join(f"{number(v)} a second {dollars(usd)}" for v, usd in points[::4])
        return inline(
            figure, "break-even", "Own nodes or rent", f"Elsewhere {dollars(rent)} {unit}; own nodes: {told}."
        )


def tornado(influences: Sequence[Influence]) -> Markup:
    """What a tenth less and a tenth more of each input does to the objective."""
    sides = (("down", "idle", -0.2), ("up", "compute", 0.2))
    with canvas(720, 34 * len(influences) + 40, (200, 20, 32, 6)) as figure:
        axes = figure.axes[0]
        axes.set_ylim(len(influences) - 0.5, -0.5)
        changes = [r - 1.0 for one in influences for r in (one.down, one.up) if r is not None]
        widest = min(max([0.01, *(abs(change) for change in changes)]), _WIDEST)
        axes.set_xlim(-1.3 * widest, 1.3 * widest)
        for at, one in enumerate(influences):
            for side, part, offset in sides:
                ratio = getattr(one, side)
                if ratio is None:
                    change, text = 0.0, "no design holds" if lost(one, side) else ""
                else:
                    change = min(max(ratio - 1.0, -widest), widest)
                    text = percent(ratio - 1.0, signed=True) if abs(ratio - 1.0) >= 0.0005 else ""
                    axes.barh(
                        at + offset, change, height=0.36, facecolor=COLOURS[part],
                        hatch="" if part == "compute" else "///", hatchcolor=COLOURS["surface"],
                        edgecolor=COLOURS["surface"], linewidth=0.4,
                    )  # fmt: skip
                axes.annotate(
                    text, (change, at + offset), xytext=(-4 if change < 0 else 4, 0), textcoords="offset points",
                    ha="right" if change < 0 else "left", va="center", fontsize=10, annotation_clip=False,
                    color=COLOURS["warn" if ratio is None else "muted"],
                )  # fmt: skip
        axes.axvline(0, color=COLOURS["muted"], linewidth=1.0)
        axes.set_yticks(range(len(influences)), [one.field.split(".", 1)[-1] for one in influences])
        axes.set_xticks([-widest, 0.0, widest], [f"{-widest:+.0%}".replace("-", "−"), "0", f"{widest:+.0%}"])
        said = "; ".join(
            f"{one.field}: 10 % less {_change(one, 'down')}, 10 % more {_change(one, 'up')}" for one in influences
        )
        return inline(figure, "tornado", "What a tenth of each input does to the objective", said + ".")


def lost(one: Influence, side: str) -> bool:
    """Whether an input moved to one side ("down", "up") leaves no design that holds; else it may have no such value."""
    return getattr(one, side) is None and side not in one.out_of_bounds


def _change(one: Influence, side: str) -> str:
    ratio: float | None = getattr(one, side)
    if ratio is None:
        return "no design holds" if lost(one, side) else "out of its bounds"
    return percent(ratio - 1.0, signed=True)


def _closed(polar: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    around = [*polar, polar[0]]
    return [r * math.cos(t) for r, t in around], [r * math.sin(t) for r, t in around]
