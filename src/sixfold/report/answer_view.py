"""What the page of a design's answer says, in words and rows; how it looks is `answer.html`'s."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sixfold.design.answer import Answer, Design, Figure, price_scale
from sixfold.report.units import MISSING, dollars, number, percent, seconds, times

__all__ = ["Scale", "Tile", "figure_rows", "front_rows", "given", "limit_rows", "p_rows", "scale_of", "tiles"]

_MOST_FRONT = 12


@dataclass(frozen=True, slots=True)
class Scale:
    """How many units a price is told for, so that it has digits: factor, and "a million requests"."""

    factor: float
    words: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One big number."""

    name: str
    value: str
    note: str


def scale_of(answer: Answer) -> Scale:
    """The smallest scale at which a unit of the chosen design costs a cent."""
    return Scale(*price_scale(answer.chosen["cost of a unit"], answer.spec.workload.unit))


def tiles(answer: Answer) -> list[Tile]:
    """Nodes; money; time; taxes."""
    chosen, scale = answer.chosen, scale_of(answer)
    figures = {figure.name: figure for figure in chosen.figures}
    nodes = int(chosen["nodes"])
    node = answer.spec.workload.node
    efficiency = answer.attempts[-1].efficiency
    made = [Tile("Nodes", f"{nodes:,}", f"{node}{'s' if nodes != 1 else ''}, E(p) {number(efficiency)}")]
    if "cost of the job" in figures:
        job = figures["cost of the job"]
        made.append(Tile("Cost of the job", _money(job.value), _interval(job, _money)))
        days = figures["duration"]
        made.append(Tile("Duration", _days(days.value), _interval(days, _days)))
    else:
        unit = figures["cost of a unit"]
        per = Figure(unit.name, unit.value * scale.factor, "", _times(unit.low, scale), _times(unit.high, scale))
        made.append(Tile(f"Cost of {scale.words}", dollars(per.value), _interval(per, dollars)))
        timed = figures.get(answer.spec.workload.latency)
        if timed is not None:
            name = timed.name[:1].upper() + timed.name[1:]
            made.append(Tile(name, seconds(timed.value), _interval(timed, seconds)))
    tax = chosen["communication tax"] + chosen["failure tax"]
    shares = f"communication {percent(chosen['communication tax'])}, failures {percent(chosen['failure tax'])}"
    made.append(Tile("Taxes", percent(tax), f"of the time: {shares}"))
    return made


def figure_rows(answer: Answer) -> Iterator[tuple[str, str, str]]:
    """Every figure of the chosen design: name, value, interval."""
    scale = scale_of(answer)
    for figure in answer.chosen.figures:
        if figure.name == "cost of a unit":
            per = Figure("", figure.value * scale.factor, "", _times(figure.low, scale), _times(figure.high, scale))
            yield f"cost of {scale.words}", dollars(per.value), _interval(per, dollars)
        else:
            yield figure.name, _valued(figure.value, figure), _interval(figure, lambda v, f=figure: _valued(v, f))


def limit_rows(design: Design) -> list[tuple[str, float, str]]:
    """Every limit with the share of it that the design takes, the fullest first."""
    rows = sorted(design.limits.items(), key=lambda item: -item[1] if math.isfinite(item[1]) else -1e300)
    return [(name, share, percent(share) if math.isfinite(share) else "impossible") for name, share in rows]


def p_rows(answer: Answer) -> list[tuple[str, str, str]]:
    """The numbers of nodes that are best for different ends."""
    drawn = answer.curve
    cheapest = MISSING if drawn.cheapest is None else f"{drawn.cheapest:,}"
    return [
        ("chosen", f"{int(answer.chosen['nodes']):,}", "what this page designs"),
        ("cheapest p", cheapest, "least cost of those that do what is asked"),
        ("p*", f"{drawn.p_star:,}", "beyond it no node more makes it 3 % faster: none is justified"),
        ("fastest p", f"{drawn.fastest:,}", "highest capacity of all that were looked at"),
    ]


def front_rows(answer: Answer) -> tuple[list[str], list[list[str]]]:
    """Column names and rows of the front: choices in which designs differ, then what each comes to."""
    front = _spread(answer.front)
    names = [name for name in answer.chosen.choices if len({design.choices[name] for design in front}) > 1]
    scale = scale_of(answer)
    figures = [figure.name for figure in answer.chosen.figures]
    told = [
        name
        for name in ("nodes", "cost of the job", "duration", answer.spec.workload.latency, answer.spec.workload.quality)
        if name in figures and not (name == "nodes" and "nodes" in names)
    ]
    rows = []
    for design in front:
        cells = [design.choices[name] for name in names]
        cells.append(dollars(design["cost of a unit"] * scale.factor))
        cells += [_valued(design[name], _figure(design, name)) for name in told]
        rows.append([*cells, "yes" if design.holds else "no"])
    return [*names, f"USD for {scale.words}", *told, "does what is asked"], rows


def given(answer: Answer) -> list[tuple[str, str]]:
    """The spec as it was given, without what was left open."""
    rows: list[tuple[str, str]] = []
    for section in ("workload", "objective", "budget", "platform"):
        for name, value in answer.spec.to_json()[section].items():
            if value is not None and not (name.endswith("_factor") and value == 1.0):
                rows.append((f"{section}.{name}", _plain(value)))
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(entry) for entry in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:,g}" if 1e-4 <= abs(value) < 1e6 else number(float(value))


def _spread(front: Sequence[Design]) -> list[Design]:
    if len(front) <= _MOST_FRONT:
        return list(front)
    step = (len(front) - 1) / (_MOST_FRONT - 1)
    return [front[round(at * step)] for at in range(_MOST_FRONT)]


def _figure(design: Design, name: str) -> Figure:
    return next(figure for figure in design.figures if figure.name == name)


def _valued(value: float, figure: Figure) -> str:
    unit = figure.unit
    if unit == "USD" or unit.startswith("USD/"):
        return _money(value) + (f" a {unit[4:]}" if unit.startswith("USD/") else "")
    if unit == "s":
        return seconds(value)
    if unit == "days":
        return _days(value)
    if unit.startswith("of the") or (not unit and value <= 1):
        # 0.9999 and 1 are different promises
        return percent(value) if value < 0.99 else f"{100 * value:.5g} %"
    if unit.endswith("/s"):
        return f"{number(value)} {unit[:-2]}s a second"
    return f"{value:,.0f} {unit}{'s' if value != 1 else ''}" if value == round(value) else f"{number(value)} {unit}"


def _days(value: float) -> str:
    if value >= 1:
        return f"{number(value)} days"
    return f"{number(24.0 * value)} h" if value >= 1 / 24 else seconds(86_400.0 * value)


def _money(value: float) -> str:
    """Without cents where they say nothing."""
    if value >= 1e6:
        return f"${number(value / 1e6)} million"
    return f"${value:,.0f}" if value >= 1_000 else dollars(value)


def _interval(figure: Figure, word: Any) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"{word(figure.low)} to {word(figure.high)}"


def _times(value: float | None, scale: Scale) -> float | None:
    return None if value is None else value * scale.factor


def over(ratio: float | None, missed: tuple[str, float] | None) -> str:
    """What tuning alone came to: a ratio, or the limit that it cannot meet."""
    if missed is not None:
        how = f"at {number(missed[1])} times what is allowed" if math.isfinite(missed[1]) else "out of reach"
        return f"not met: {missed[0]} {how}"
    return times(ratio)
