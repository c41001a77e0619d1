"""What a request leaves out when its time runs short, in this order:

    rerank      the order of the retrieval stands
    shards      shards that are late count as missing, and the answer says so
    context     the language model reads less
    generation  the answer consists of quotations

If not even that fits, the request is refused (`parts.admission`). Pure: the plan depends on its arguments only.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ORDER", "Costs", "Plan", "plan"]

ORDER = ("rerank", "shards", "context", "generation")
_SHORTEST_CONTEXT = 0.4  # of the tokens: one good passage
_RESERVE = 0.1  # of the time left, for what is not foreseen


@dataclass(frozen=True, slots=True)
class Costs:
    """What the steps take at present (seconds); the service measures them as it goes."""

    shards_s: float  # until the usual shard has answered
    slow_shards_s: float  # until nearly all have, the hedged ones too
    rerank_s: float
    extract_s: float
    generation_s: float  # with the whole context, the wait for a free slot of the model included
    reading_share: float  # of `generation_s`, spent on reading the context


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with the time that is left."""

    rerank: bool
    shards_s: float  # how long to wait for the shards
    context_share: float  # of the context's tokens; 0 when nothing is generated
    degraded: tuple[str, ...]  # what was wished for and is left out, in the order of `ORDER`

    @property
    def generate(self) -> bool:
        return self.context_share > 0


def plan(remaining_s: float, costs: Costs, *, rerank: bool, generate: bool) -> Plan:
    """The most that fits into `remaining_s`; `rerank` and `generate` say what was asked for."""
    budget_s = remaining_s * (1 - _RESERVE)
    use_rerank, patient, context = rerank, True, 1.0 if generate else 0.0
    degraded: list[str] = []

    def needed_s() -> float:
        reading_s = costs.generation_s * costs.reading_share
        generation_s = costs.generation_s - reading_s * (1 - context) if context else 0.0
        shards_s = costs.slow_shards_s if patient else costs.shards_s
        return shards_s + costs.rerank_s * use_rerank + costs.extract_s + generation_s

    if use_rerank and needed_s() > budget_s:
        use_rerank = False
        degraded.append("rerank")
    if needed_s() > budget_s:
        patient = False
        degraded.append("shards")
    if context and needed_s() > budget_s:
        context = _SHORTEST_CONTEXT
        degraded.append("context")
    if context and needed_s() > budget_s:
        context = 0.0
        degraded[-1] = "generation"
    rest_s = needed_s() - (costs.slow_shards_s if patient else costs.shards_s)
    # Whatever the other steps do not need the shards may have: waiting is free until it costs a step.
    least_s = min(costs.shards_s, budget_s)
    return Plan(use_rerank, max(least_s, budget_s - rest_s), context, tuple(degraded))
