"""What the page of a design's answer says in sentences: what follows from the ceilings, what contends, what it pays."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sixfold.axes import Mode
from sixfold.design.answer import Answer
from sixfold.design.contention import Alone
from sixfold.design.search import ALIKE
from sixfold.design.sensitivity import Influence
from sixfold.report.answer_charts import lost
from sixfold.report.answer_view import scale_of
from sixfold.units import dollars, number, percent, plural, times

__all__ = [
    "Decided",
    "TunedAlone",
    "contends",
    "decided",
    "failures",
    "fastest_of_p",
    "flips",
    "moving",
    "rents",
    "tuned_alone",
]

_MOST_INPUTS = 10
_MODES = {
    Mode.BATCH: "all input is there; the result may take hours",
    Mode.STREAMING: "results follow the input within seconds",
    Mode.ONLINE: "a program waits for each answer",
    Mode.INTERACTIVE: "a person waits for each answer",
}


@dataclass(frozen=True, slots=True)
class Decided:
    """An answer of the checklist, with its reason."""

    question: str
    answer: str
    why: str


@dataclass(frozen=True, slots=True)
class TunedAlone:
    """What tuning one axis came to: in words, and over the joint best; None where it does not do what is asked."""

    name: str
    word: str
    over_joint: float | None


def decided(answer: Answer) -> list[Decided]:
    """Topology, mode, metric, taxes."""
    spec, chosen = answer.spec, answer.chosen
    workload = spec.workload
    if workload.demand_per_s is not None:
        amount = f"{number(workload.demand_per_s)} {plural(workload.unit, workload.demand_per_s)} a second"
    else:
        amount = f"{number(workload.total_units)} {plural(workload.unit, workload.total_units)} in all"
    parts = {"communication": chosen["communication tax"], "failures": chosen["failure tax"]}
    larger = max(parts, key=lambda name: parts[name])
    shares = f"communication takes {percent(parts['communication'])} of the time, failures {percent(parts['failures'])}"
    return [
        Decided("Topology", answer.topology.value, answer.topology_reason),
        Decided("Mode", answer.mode.value, f"{_MODES[answer.mode]}; {amount}"),
        Decided("Metric", answer.metric.value, f"is optimised; {_must_hold(answer)}"),
        Decided("Taxes", larger if parts[larger] > 0 else "none", shares),
    ]


def _must_hold(answer: Answer) -> str:
    spec = answer.spec
    words = {"latency_s": "latency", "rate_per_s": "rate", "availability": "availability", "quality": "quality"}
    asked = [word for name, word in words.items() if getattr(spec.objective, name) is not None]
    if any(value is not None for value in spec.budget.model_dump().values()):
        asked.append("the budget")
    if not asked:
        return "nothing else is asked"
    return f"{' and '.join(filter(None, (', '.join(asked[:-1]), asked[-1])))} must hold"


def contends(answer: Answer) -> str:
    """The price of contention in a sentence; empty where nothing was compared."""
    found = answer.contention
    if found is None:
        return ""
    if found.price is None:
        return "No axis tuned alone, nor all of them put together, does what is asked: the joint search alone does."
    if found.price < 0.005:
        return "Tuning one axis alone comes as far as the joint search: here the axes hardly contend."
    return f"The price of contention is {percent(found.price)}: so much more is the best that tuning alone comes to."


def tuned_alone(answer: Answer) -> list[TunedAlone]:
    """What each axis tuned alone came to, and all of them put together."""
    found = answer.contention
    if found is None:
        return []
    named: list[tuple[str, Alone]] = [(one.axis.value, one) for one in found.alone]
    if found.together is not None:
        named.append(("each axis by itself, then all together", found.together))
    return [TunedAlone(name, _over(one), one.over_joint) for name, one in named]


def _over(one: Alone) -> str:
    """A ratio, or the limit that it cannot meet."""
    if one.missed is None:
        return times(one.over_joint)
    limit, share = one.missed
    how = f"at {number(share)} times what is allowed" if math.isfinite(share) else "out of reach"
    return f"not met: {limit} {how}"


def fastest_of_p(answer: Answer) -> str:
    """How far the chosen design is below the curve, which is of the fastest of every p; empty where it is not."""
    p = int(answer.chosen["nodes"])
    most = max((point.capacity_per_s for point in answer.curve.points if point.p == p), default=0.0)
    if most <= answer.chosen["capacity"] * (1.0 + ALIKE):
        return ""
    faster = times(most / answer.chosen["capacity"])
    node = plural(answer.spec.workload.node, p)
    return f"The fastest of {p:,} {node} does {faster} the work of the chosen design, which is best by what is asked."


def failures(answer: Answer) -> str:
    """What failures take, how full the nodes are, and what that comes to."""
    chosen, scale = answer.chosen, scale_of(answer)
    figures = {figure.name: figure.value for figure in chosen.figures}
    tax, up = percent(chosen["failure tax"]), _nines(chosen["availability"])
    parts = [
        f"Failures take {tax} of the time, with {up} availability",
        f"the nodes are used to {percent(chosen['utilisation'])}",
        f"{scale.words} cost{'s' if scale.factor == 1 else ''} {dollars(chosen['cost of a unit'] * scale.factor)}",
        f"the nodes {_round_dollars(chosen['cost of the nodes'])} a month",
    ]
    if "cost of the job" in figures:
        parts[-1] = f"the job {_round_dollars(figures['cost of the job'])}"
    return f"{'; '.join(parts[:-1])}, {parts[-1]}."


def _nines(share: float) -> str:
    """0.9999 and 1 are different promises."""
    return percent(share) if share < 0.99 else f"{100 * share:.5g} %"


def _round_dollars(usd: float) -> str:
    return f"${usd:,.0f}" if usd >= 1_000 else dollars(usd)


def rents(answer: Answer) -> str:
    """From when on owning pays; empty where nobody is known to sell the same."""
    found, unit, scale = answer.break_even, answer.spec.workload.unit, scale_of(answer)
    if found is None:
        return ""
    own = [usd for usd in found.own_usd if usd is not None]
    if found.crossover_per_s is not None:
        when = (
            f"Owning is cheaper from {number(found.crossover_per_s)} {plural(unit, found.crossover_per_s)} a second on"
        )
    elif not own:
        when = "No own nodes do what is asked at any volume that was looked at"
    elif all(usd < found.rent_usd for usd in own):
        when = "Owning is cheaper at every volume that was looked at"
    elif all(usd >= found.rent_usd for usd in own):
        when = "Renting is cheaper at every volume that was looked at"
    else:
        when = "Owning is cheaper at some of the volumes only"
    prices = dollars(answer.chosen["cost of a unit"] * scale.factor), dollars(found.rent_usd * scale.factor)
    return f"{when}. At the demand, own nodes cost {prices[0]} for {scale.words}, {found.what} {prices[1]}."


def flips(answer: Answer) -> list[tuple[str, list[str]]]:
    """What changes of the verdict, and the inputs that, moved by a tenth, each change it so; the gravest first."""
    grouped: dict[str, list[str]] = {}
    grave: set[str] = set()
    for one in answer.sensitivity:
        for flip in one.flips:
            how, _, what = flip.partition(": ")
            grouped.setdefault(what or flip, []).append(f"{one.field} {how.replace('%', ' %')}" if what else one.field)
            if lost(one, "down" if how.startswith("less") else "up"):
                grave.add(what or flip)
    return sorted(grouped.items(), key=lambda item: item[0] not in grave)


def moving(answer: Answer) -> list[Influence]:
    """The inputs that move the objective most, or leave no design that holds."""

    def swing(one: Influence) -> float:
        if lost(one, "down") or lost(one, "up"):
            return math.inf
        return max(abs(ratio - 1.0) for ratio in (one.down, one.up, 1.0) if ratio is not None)

    moved = [one for one in answer.sensitivity if swing(one) >= 0.001]
    return sorted(moved, key=swing, reverse=True)[:_MOST_INPUTS]
