"""From the number of nodes that the work asks for to the one that the taxes leave: where the design loops back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sixfold.design.curves import Curve
from sixfold.design.search import Found
from sixfold.units import number

__all__ = ["Attempt", "attempts", "best_after_taxes"]

TAXED = 0.5  # of its time: beyond, a design spends more on taxes than on work
FLOOR = 0.7


@dataclass(frozen=True, slots=True)
class Attempt:
    """A number of nodes that was considered: what for, what its best design would do, and what became of it.

    efficiency: E(p) of that design, which is the one that does what is asked for least if any of p nodes does; a faster
    one of as many nodes is on the curve.
    """

    p: int
    why: str
    efficiency: float
    communication_share: float
    failure_share: float
    holds: bool
    outcome: str

    @property
    def tax_share(self) -> float:
        """The share of the time that both taxes take."""
        return self.communication_share + self.failure_share


def attempts(found: Found, drawn: Curve, chosen: int | None) -> tuple[Attempt, ...]:
    """First as many nodes as the work would take if distribution cost nothing; last those of the chosen design.

    Between them the one that the objective alone would choose, where its taxes made it no choice (`best_after_taxes`).
    """
    naive, why = _untaxed(found, drawn)
    tried = [_attempt(found, drawn, naive, why)]
    if chosen is None:
        return tuple(tried)
    p = int(found.estimates.nodes[chosen])
    greedy = found.best(found.holds())
    if greedy is not None and greedy != chosen:
        wished = int(found.estimates.nodes[greedy])
        tried.append(_attempt(found, drawn, wished, "the best by the objective alone", greedy))
        reason = "the taxes took more than the work did: they were the ceiling, and fewer nodes waste less"
    elif p > tried[0].p:
        enough = "more than is asked: better by what is optimised"
        reason = enough if tried[0].holds else "taxes, whole nodes and waiting ask for more than the work alone"
    else:
        reason = "fewer do what is asked, for less"
    if p != tried[-1].p:
        tried.append(_attempt(found, drawn, p, reason, chosen))
    return tuple(tried)


def best_after_taxes(found: Found, drawn: Curve) -> int | None:
    """The best design that holds; where taxes take more of it than the work, the best that is efficient, if one holds.

    Efficient: E(p) of at least `FLOOR`, as a headline of a study has to be.
    """
    holds = found.holds()
    best = found.best(holds)
    if best is None or float(found.estimates.tax_share()[best]) <= TAXED:
        return best
    efficient = found.estimates.capacity_per_s / drawn.one_node_per_s / found.estimates.nodes >= FLOOR
    retreat = found.best(holds & efficient & (found.estimates.nodes < found.estimates.nodes[best]))
    return best if retreat is None else retreat


def _untaxed(found: Found, drawn: Curve) -> tuple[int, str]:
    spec, workload = found.spec, found.spec.workload
    one = drawn.one_node_per_s
    asked = [
        (workload.demand_per_s, "the demand over what one node does"),
        (spec.objective.rate_per_s, "the rate that is asked for over what one node does"),
    ]
    if spec.budget.days is not None and workload.total_units is not None:
        asked.append(
            (workload.total_units / (spec.budget.days * 86400.0), "the work of one node over the days there are")
        )
    needs = [(rate / one, why) for rate, why in asked if rate is not None]
    if needs:
        need, why = max(needs)
        return max(1, int(np.ceil(need - 1e-9))), why
    if spec.budget.nodes is not None:
        return spec.budget.nodes, "all the nodes that the budget allows"
    return int(drawn.points[-1].p), "the most nodes that were looked at"


def _attempt(found: Found, drawn: Curve, p: int, why: str, index: int | None = None) -> Attempt:
    """The best design of p nodes, or of the nearest number of them that was looked at."""
    point = min(drawn.points, key=lambda one: (abs(np.log(one.p / p)), one.p))
    if index is None:
        best = found.best(found.holds() & (found.estimates.nodes == point.p))
        index, p = point.index if best is None else best, point.p
    parts = _parts(found, index)
    efficiency = float(found.estimates.capacity_per_s[index] / found.estimates.nodes[index]) / drawn.one_node_per_s
    holds = bool(found.holds()[index])
    shares = {name: float(use.share[index]) for name, use in found.limits.items()}
    worst = max(shares, key=lambda name: shares[name])
    how = f"is {number(shares[worst])} times what is allowed" if np.isfinite(shares[worst]) else "is out of reach"
    outcome = "does what is asked" if holds else f"{worst} {how}"
    return Attempt(p, why, efficiency, parts[0], parts[1], holds, outcome)


def _parts(found: Found, index: int) -> tuple[float, float]:
    estimates = found.estimates
    total = max(float(estimates.time_s[index]), 1e-300)
    return float(estimates.communication_s[index]) / total, float(estimates.rework_s[index]) / total
