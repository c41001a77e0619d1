"""From what one node lacks to which axis must be distributed, and who coordinates whom."""

from __future__ import annotations

from dataclasses import dataclass

from sixfold.axes import Axis, Ceiling, Topology
from sixfold.design.workload import Resource

__all__ = ["Pressures", "pressures", "topology"]


@dataclass(frozen=True, slots=True)
class Pressures:
    """resources: from the fullest down; the first binds. by_axis: 0 to 1, .5 where one node is exactly full."""

    resources: tuple[Resource, ...]
    by_axis: dict[Axis, float]

    @property
    def binding(self) -> Resource:
        """The fullest resource of one node."""
        return self.resources[0]

    @property
    def one_node_is_enough(self) -> bool:
        """Whether nothing of one node is more than full."""
        return self.binding.utilisation <= 1.0


def pressures(resources: list[Resource]) -> Pressures:
    """Rank the resources, and return the pressure of each axis: u / (1 + u) of the fullest resource that it relieves.

    u, the utilisation, spans many orders of magnitude; this maps it to 0..1 and keeps the order: 0.5 is a node that is
    exactly full, 0.9 one asked for nine times what it has.
    """
    ranked = tuple(sorted(resources, key=lambda resource: -resource.utilisation))
    by_axis = dict.fromkeys(Axis, 0.0)
    for resource in ranked:
        u = float(resource.utilisation)
        by_axis[resource.axis] = max(by_axis[resource.axis], u / (1.0 + u) if u != float("inf") else 1.0)
    return Pressures(ranked, by_axis)


def topology(found: Pressures) -> tuple[Topology, str]:
    """Who coordinates whom, and why.

    Where a central decider cannot decide in time, or there is none, the nodes decide among themselves. Where only data
    may not move, a coordinator may still lead: hybrid. Else one coordinator is simplest, and simplest wins.
    """
    full = {resource.ceiling: resource for resource in reversed(found.resources) if resource.utilisation > 1.0}
    if Ceiling.COORDINATION in full:
        if Ceiling.TRUST in full:
            return Topology.HYBRID, f"{full[Ceiling.TRUST].why} {full[Ceiling.COORDINATION].why}"
        return Topology.DECENTRALIZED, full[Ceiling.COORDINATION].why
    if Ceiling.TRUST in full:
        return Topology.HYBRID, f"data stays where it is, a coordinator leads: {full[Ceiling.TRUST].why}"
    return Topology.CENTRALIZED, "no node has to decide alone and the data may move: one coordinator is the simplest"
