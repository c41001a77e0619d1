"""The answer to a spec as a terminal shows it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sixfold.axes import Axis
from sixfold.design.answer import Answer
from sixfold.design.sensitivity import Influence

__all__ = ["answer_text"]

_BAR = 24


def answer_text(given: Answer) -> RenderableType:
    """Verdict, ceilings, pressures, the way to the number of nodes, the design, what it costs and what would "
    "change it."""
    parts: list[RenderableType] = [
        Text(given.verdict, style="bold"),
        _ceilings(given),
        _pressures(given),
        _decided(given),
    ]
    if given.nearest is not None:
        parts.append(_missed(given))
    parts += [_attempts(given), _design(given)]
    if given.contention is not None:
        parts.append(_contention(given))
    parts.append(_changes(given))
    parts += [Text(f"note: {flag}", style="yellow") for flag in given.flags]
    return Group(*parts)


def _ceilings(given: Answer) -> Table:
    table = Table("ceiling of one node", "used", "relieved by", "why", title="1  What binds", title_justify="left")
    for resource in given.pressures.resources:
        table.add_row(resource.name, f"{resource.utilisation:,.3g} x", resource.axis.value, resource.why)
    return table


def _pressures(given: Answer) -> Table:
    table = Table.grid(padding=(0, 2))
    for axis in Axis:
        value = given.pressures.by_axis[axis]
        table.add_row(axis.value, "█" * round(_BAR * value) + "·" * (_BAR - round(_BAR * value)), f"{value:.2f}")
    return table


def _decided(given: Answer) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("topology", f"{given.topology.value}: {given.topology_reason}")
    table.add_row("mode", given.mode.value)
    table.add_row("metric", f"{given.metric.value} is optimised; the others are held")
    return table


def _missed(given: Answer) -> Table:
    table = Table("limit", "asked", "would have to be", "times", title="What cannot be met", title_justify="left")
    assert given.nearest is not None
    for one in given.nearest.alone or given.nearest.together:
        table.add_row(one.limit, f"{one.asked:.4g} {one.unit}", f"{one.needed:.4g}", f"{one.times:.3g}")
    return table


def _attempts(given: Answer) -> Table:
    table = Table("p", "why", "E(p)", "communication", "failures", "", title="2  How many", title_justify="left")
    for one in given.attempts:
        table.add_row(
            f"{one.p:,}",
            one.why,
            f"{one.efficiency:.2f}",
            f"{one.communication_share:.0%}",
            f"{one.failure_share:.1%}",
            one.outcome,
        )
    return table


def _design(given: Answer) -> Table:
    table = Table("the design", "", "interval", title="3  The design", title_justify="left")
    for name, word in given.chosen.choices.items():
        table.add_row(name, word, "")
    table.add_section()
    for figure in given.chosen.figures:
        interval = "" if figure.low is None or figure.high is None else f"{figure.low:.3g} to {figure.high:.3g}"
        table.add_row(figure.name, f"{figure.value:,.4g} {figure.unit}", interval)
    table.add_section()
    drawn = given.curve
    table.add_row("p*: beyond it no node makes it faster", f"{drawn.p_star:,}", "")
    table.add_row(
        "fastest p, cheapest p", f"{drawn.fastest:,}, {drawn.cheapest if drawn.cheapest else 'none holds'}", ""
    )
    table.caption = f"Intervals: {given.accuracy.basis}. {given.designs:,} designs were looked at."
    return table


def _contention(given: Answer) -> Table:
    table = Table(
        "tuned alone", "objective over the joint best", title="4  The price of contention", title_justify="left"
    )
    assert given.contention is not None
    for one in given.contention.alone:
        missed = "" if one.missed is None else f"cannot: {one.missed[0]} at {one.missed[1]:.3g} x"
        table.add_row(one.axis.value, missed or f"{one.over_joint:.2f} x")
    if given.contention.together is not None:
        one = given.contention.together
        missed = "" if one.missed is None else f"cannot: {one.missed[0]} at {one.missed[1]:.3g} x"
        table.add_row("all, each by itself", missed or f"{one.over_joint:.2f} x")
    return table


def _changes(given: Answer) -> Table:
    table = Table("input", "10 % less", "10 % more", "flips", title="5  What would change it", title_justify="left")
    for one in given.sensitivity[:8]:
        down, up = (_moved(one, side) for side in ("down", "up"))
        table.add_row(one.field, down, up, "; ".join(one.flips))
    if given.break_even is not None:
        rent = given.break_even
        where = "never, or always" if rent.crossover_per_s is None else f"from {rent.crossover_per_s:,.3g} a second on"
        table.caption = f"Own instead of rent ({rent.what}): {where}, within the volumes that were looked at."
    return table


def _moved(one: Influence, side: str) -> str:
    ratio: float | None = getattr(one, side)
    if ratio is None:
        return "out of bounds" if side in one.out_of_bounds else "none holds"
    return f"{ratio - 1:+.1%}"
