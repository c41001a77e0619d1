"""Axes of charts: few round ticks, written out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sixfold.report.svg import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["log_ticks", "name_axes", "unit_of_days", "unit_of_seconds"]


def log_ticks(axes: Axes, values: Sequence[float], of: str, *, whole: bool = False) -> None:
    """At most six round ticks on the logarithmic axis `of` ("x" or "y") over positive `values`, written out."""
    low, high = min(values), max(values)
    axes.minorticks_off()
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 2 else (1,)
    ticks = [step * 10.0**power for power in powers for step in steps]
    ticks = [tick for tick in ticks if low * 0.95 <= tick <= high * 1.05 and (not whole or tick >= 1)]
    ticks = ticks[:: max(1, math.ceil(len(ticks) / 6))]
    if len(ticks) < 2:
        ticks = sorted({low, high})
    getattr(axes, f"set_{of}ticks")(ticks, [_tick(tick) for tick in ticks])
    getattr(axes, f"set_{of}lim")(low / 1.15, high * 1.15)


def name_axes(axes: Axes, x: str, y: str) -> None:
    """Muted names of both axes."""
    axes.set_xlabel(x, color=COLOURS["muted"], fontsize=11.5, labelpad=4)
    axes.set_ylabel(y, color=COLOURS["muted"], fontsize=11.5)


def unit_of_seconds(values: Sequence[float]) -> tuple[float, str]:
    """What to divide seconds by so that the median of them reads well, and the unit's name."""
    units = ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
    middle = sorted(values)[len(values) // 2] if values else 0.0
    return next(((factor, unit) for factor, unit in units if middle >= factor), units[-1])


def unit_of_days(values: Sequence[float]) -> tuple[float, str]:
    """The same for days."""
    factor, unit = unit_of_seconds([86_400.0 * value for value in values])
    return factor / 86_400.0, unit


def _tick(value: float) -> str:
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g}"
