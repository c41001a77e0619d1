"""What the page of a design's answer says, in words and rows; how it looks is `answer.html`'s."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sixfold.design.answer import Answer, Design, Figure, price_scale
from sixfold.design.search import ALIKE
from sixfold.design.workload import Resource
from sixfold.report.answer_curves import Marks
from sixfold.units import MISSING, dollars, number, percent, plural, quantity, seconds, times

__all__ = [
    "FrontRow",
    "Scale",
    "Tile",
    "ceiling_rows",
    "figure_rows",
    "front_rows",
    "given",
    "limit_rows",
    "marks",
    "missed_rows",
    "p_rows",
    "scale_of",
    "tiles",
]

_MOST_FRONT = 12
_MOST_DECADES = 6


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


@dataclass(frozen=True, slots=True)
class FrontRow:
    """One design of the front: its cells, and whether it is the chosen one."""

    cells: list[str]
    chosen: bool


def scale_of(answer: Answer) -> Scale:
    """The smallest scale at which a unit of the chosen design costs a cent."""
    return Scale(*price_scale(answer.chosen["cost of a unit"], answer.spec.workload.unit))


def tiles(answer: Answer) -> list[Tile]:
    """Nodes; money; time; taxes."""
    chosen, scale = answer.chosen, scale_of(answer)
    figures = {figure.name: figure for figure in chosen.figures}
    nodes = int(chosen["nodes"])
    node = answer.spec.workload.node
    efficiency = f", E(p) {number(chosen['efficiency E(p)'])}" if nodes > 1 else ""  # of one it compares machines
    made = [Tile("Nodes", f"{nodes:,}", f"{plural(node, nodes)}{efficiency}")]
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


def ceiling_rows(answer: Answer) -> list[tuple[Resource, str, float]]:
    """Every resource of one node with its utilisation in words and as a place on a scale from 0 to 1.

    The scale is logarithmic, 0.5 is a node that is exactly full, and it has as many decades to both sides as it takes.
    """
    used = [one.utilisation for one in answer.pressures.resources]
    logs = [abs(math.log10(u)) for u in used if 0 < u < math.inf]
    decades = min(max([1.0, *(float(math.ceil(log)) for log in logs)]), _MOST_DECADES)
    rows = []
    for one, u in zip(answer.pressures.resources, used, strict=True):
        place = 0.0 if u <= 0 else 1.0 if math.isinf(u) else 0.5 + 0.5 * math.log10(u) / decades
        rows.append((one, times(u) if u < 1e12 else "without limit", min(max(place, 0.0), 1.0)))
    return rows


def marks(answer: Answer) -> Marks:
    """The numbers of nodes that the charts over p point at."""
    drawn, chosen = answer.curve, answer.chosen
    p = int(chosen["nodes"])
    others = {"p*": drawn.p_star, "fastest": drawn.fastest}
    if drawn.cheapest is not None:
        others = {"cheapest": drawn.cheapest, **others}
    return Marks(p, _speedup(answer, p), chosen["cost of a unit"] if chosen.holds else None, others)


def _speedup(answer: Answer, p: int) -> float:
    """S of p nodes; where the curve has left p out, at the efficiency of the nearest number that it has."""
    point = min(answer.curve.points, key=lambda one: (abs(math.log(one.p / p)), one.p))
    return point.efficiency * p


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


def missed_rows(answer: Answer) -> list[tuple[str, str, str, str]]:
    """What cannot be met: limit, what is asked, what it would have to be, and how many times that is."""
    near = answer.nearest
    if near is None:
        return []

    def said(value: float, unit: str) -> str:
        if not math.isfinite(value):
            return "out of reach"
        # 0.9999 and 1 are different promises
        return f"{value:.6g} {unit}" if 0.99 < value < 1 else quantity(value, unit)

    return [
        (
            one.limit,
            said(one.asked, one.unit),
            said(one.needed, one.unit),
            times(one.times) if math.isfinite(one.times) else MISSING,
        )
        for one in near.alone or near.together
    ]


def p_rows(answer: Answer) -> list[tuple[str, str, str]]:
    """The numbers of nodes that are best for different ends."""
    drawn = answer.curve
    cheapest = MISSING if drawn.cheapest is None else f"{drawn.cheapest:,}"
    least = "least cost of those that do what is asked"
    return [
        (
            "chosen",
            f"{int(answer.chosen['nodes']):,}",
            "what this page designs" if answer.feasible else "the nearest to what is asked",
        ),
        ("cheapest", cheapest, least if drawn.cheapest is not None else "no number of nodes does what is asked"),
        ("p*", f"{drawn.p_star:,}", f"beyond it no node more makes it {100 * ALIKE:.0f} % faster: none is justified"),
        ("fastest", f"{drawn.fastest:,}", "highest capacity of all that were looked at"),
    ]


def front_rows(answer: Answer) -> tuple[list[str], list[FrontRow]]:
    """Column names and rows of the front, the chosen design among them: choices in which they differ, and what each
    comes to."""
    front = _spread(answer)
    names = [name for name in answer.chosen.choices if len({design.choices[name] for design in front}) > 1]
    scale = scale_of(answer)
    figures = [figure.name for figure in answer.chosen.figures]
    told = [
        name
        for name in ("nodes", "cost of the job", "duration", answer.spec.workload.latency, answer.spec.workload.quality)
        if name in figures and not (name == "nodes" and answer.chosen.choices.keys() & {"nodes", f"{_node(answer)}s"})
    ]
    rows = []
    for design in front:
        cells = [design.choices[name] for name in names]
        cells.append(dollars(design["cost of a unit"] * scale.factor))
        known = {figure.name: figure for figure in design.figures}
        cells += [_valued(known[name].value, known[name]) if name in known else MISSING for name in told]
        rows.append(FrontRow([*cells, "yes" if design.holds else "no"], design.choices == answer.chosen.choices))
    return [*names, f"cost of {scale.words}", *told, "does what is asked"], rows


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


def _node(answer: Answer) -> str:
    return str(answer.spec.workload.node)


def _spread(answer: Answer) -> list[Design]:
    """At most so many of the front, spread over it, with the chosen design, by cost."""
    others = [design for design in answer.front if design.choices != answer.chosen.choices]
    most = _MOST_FRONT - 1
    if len(others) > most:
        step = (len(others) - 1) / (most - 1)
        others = [others[round(at * step)] for at in range(most)]
    return sorted([*others, answer.chosen], key=lambda design: design["cost of a unit"])


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
        return f"{number(value)} {plural(unit[:-2], value)} a second"
    return f"{value:,.0f} {plural(unit, value)}" if value == round(value) else f"{number(value)} {unit}"


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
