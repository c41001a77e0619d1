"""A small model asked very often: scoring card payments, ranking bids, filtering messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sixfold.axes import Axis, Ceiling, Mode, Slot
from sixfold.design.checklist import Decision
from sixfold.design.checks import Floats
from sixfold.design.laws.queueing import response_quantile_s
from sixfold.design.machines import machine_choice, machines_of
from sixfold.design.spec import Spec
from sixfold.design.workload import Choice, Estimates, Resource, Use, Workload
from sixfold.design.workloads.shared import available, counts, decision
from sixfold.units import byte_count, number, seconds

__all__ = ["OnlineInference"]

_BUSY = 0.7  # of a machine's cores at the demand: the rest is for bursts
_WRITE_S = 5e-6  # assumed: to apply one write to counters in memory, in batches
_QUANTILE = 0.99


class OnlineInference(Workload):
    """Requests that one node could answer each, of which there are too many; features of an entity are looked up first.

    requests_per_s: at the peak. cpu_s: processor time of one request on one vCPU, features included. entities,
    entity_bytes: what is known of cards, users, devices, and how large it is. request_bytes: in and out. updates_per_s:
    writes to the entities' state. entry_hop_s: from the caller to a node and back, outside our hands.
    """

    unit: ClassVar[str] = "request"
    latency: ClassVar[str] = "p99 latency"
    families: ClassVar[tuple[str, ...]] = ("queue waits of M/G/c (simulated)",)

    requests_per_s: Annotated[float, Field(gt=0, le=1e9)]
    cpu_s: Annotated[float, Field(gt=0, le=10)]
    model_bytes: Annotated[float, Field(gt=0, le=1e14)]
    entities: Annotated[float, Field(ge=0, le=1e13)] = 0.0
    entity_bytes: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    request_bytes: Annotated[float, Field(gt=0, le=1e8)] = 2_000.0
    updates_per_s: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    entry_hop_s: Annotated[float, Field(ge=0, le=1)] = 0.001

    @property
    def mode(self) -> Mode:
        return Mode.ONLINE

    @property
    def demand_per_s(self) -> float:
        return self.requests_per_s

    def with_demand(self, factor: float) -> OnlineInference:
        scaled = {"requests_per_s": self.requests_per_s * factor, "updates_per_s": self.updates_per_s * factor}
        return self.model_copy(update=scaled)

    @property
    def state_bytes(self) -> float:
        """Everything known of all entities."""
        return self.entities * self.entity_bytes

    def resources(self, spec: Spec[Any]) -> list[Resource]:
        largest = max(machines_of(spec.platform).offers, key=lambda offer: offer.machine.units).machine
        work = self.requests_per_s * self.cpu_s
        port = min(largest.network_bytes_per_s or np.inf, machines_of(spec.platform).link_bytes_per_s)
        objective_s = spec.objective.latency_s or np.inf
        return [
            Resource(
                "request rate",
                Ceiling.THROUGHPUT,
                Axis.INFERENCE,
                work,
                _BUSY * largest.units,
                "busy vCPUs",
                f"{self.requests_per_s:,.0f} requests/s of {seconds(self.cpu_s)} keep {work:,.0f} vCPUs busy; "
                f"{largest.id} has {largest.units}.",
            ),
            Resource(
                "model memory",
                Ceiling.MODEL,
                Axis.MODEL,
                self.model_bytes,
                largest.host_bytes,
                "bytes",
                f"the model takes {byte_count(self.model_bytes)} of {byte_count(largest.host_bytes)}.",
            ),
            Resource(
                "state memory",
                Ceiling.DATA,
                Axis.DATA,
                self.state_bytes,
                largest.host_bytes,
                "bytes",
                f"{number(self.entities)} entities of {self.entity_bytes:,.0f} bytes take "
                f"{byte_count(self.state_bytes)}.",
            ),
            Resource(
                "bandwidth",
                Ceiling.THROUGHPUT,
                Axis.INFERENCE,
                self.requests_per_s * self.request_bytes,
                port,
                "bytes/s",
                f"{byte_count(self.requests_per_s * self.request_bytes)}/s over a port of {byte_count(port)}/s.",
            ),
            Resource(
                "decision latency",
                Ceiling.COORDINATION,
                Axis.INTELLIGENCE,
                self.entry_hop_s + self.cpu_s,
                objective_s,
                "s",
                f"one request takes {seconds(self.entry_hop_s + self.cpu_s)} to reach one node and be "
                f"answered; {seconds(objective_s)} are allowed.",
            ),
        ]

    def choices(self, spec: Spec[Any]) -> list[Choice]:
        units = [offer.machine.units for offer in machines_of(spec.platform).offers]
        work = self.requests_per_s * self.cpu_s / _BUSY
        most = min(max(16.0, 6.0 * work / min(units)), spec.budget.nodes or 1e9, 200_000)
        nodes = counts(most)
        start = next((n for n in nodes if n >= 2.0 * work / units[0] + 2.0), nodes[-1])
        return [
            machine_choice(spec.platform),
            Choice("nodes", Axis.INFERENCE, nodes, start, "machines that answer, spares included"),
            Choice(
                "state shards",
                Axis.DATA,
                (1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
                1.0,
                "parts that the entities' state is divided in",
            ),
            Choice("spares", Axis.CLUSTER, (0.0, 1.0, 2.0, 4.0), 2.0, "machines that may be down at the peak"),
        ]

    def estimate(self, spec: Spec[Any], chosen: Mapping[str, Floats]) -> Estimates:
        table = machines_of(spec.platform)
        n, shards, spares, which = (chosen[name] for name in ("nodes", "state shards", "spares", "machine"))
        cores = table.column("units", which)
        working = np.maximum(n - spares, 0.5)  # what must carry the peak; half a node carries none of it
        # A request whose entity lives on another shard pays a round trip and the work of sending and receiving.
        away = (shards - 1.0) / shards
        hop_s = 2.0 * table.alpha_s + self.request_bytes / table.network_bytes_per_s(which)
        handling_s = 0.5 * table.alpha_s * away  # the processor's part of a message each way, at both ends
        # Every copy of an entity's state takes every write.
        writes_s = self.updates_per_s / self.requests_per_s * _WRITE_S * np.maximum(working / shards, 1.0)
        service_s = self.cpu_s + handling_s + writes_s
        capacity = _BUSY * cores * working / service_s
        arriving = np.minimum(self.requests_per_s / working, 0.999 * cores / service_s)
        slow_s = response_quantile_s(_QUANTILE, arriving, service_s, cores)
        latency = np.where(self.requests_per_s <= capacity, self.entry_hop_s + away * hop_s + slow_s, np.inf)
        failing = table.column("failures_per_hour", which)
        port = table.network_bytes_per_s(which)
        host = table.column("host_bytes", which)
        return Estimates(
            nodes=n,
            capacity_per_s=capacity,
            compute_s=self.cpu_s + writes_s / np.maximum(working / shards, 1.0),
            communication_s=away * hop_s + handling_s + writes_s - writes_s / np.maximum(working / shards, 1.0),
            idle_s=np.zeros_like(n),
            rework_s=self.cpu_s * spares / working,
            latency_s=latency,
            usd_per_hour=n * table.column("usd_per_hour", which),
            usd_per_unit=np.zeros_like(n),
            quality=np.ones_like(n),
            availability=available(n, np.maximum(n - spares, 1.0), failing),
            uses={
                "memory": Use(self.model_bytes + self.state_bytes / shards, 0.8 * host, "bytes"),
                "bandwidth": Use(
                    self.requests_per_s / working * self.request_bytes * (1 + away), 0.7 * port, "bytes/s"
                ),
                "shards on nodes": Use(shards, np.maximum(working, 0.5), "nodes"),
            },
        )

    def slots(self, spec: Spec[Any], chosen: Mapping[str, float]) -> dict[Slot, Decision]:
        sharded = chosen["state shards"] > 1

        return {
            Slot.PARTITION: decision(
                f"requests over {chosen['nodes']:.0f} equal nodes; state "
                f"{'by hash of the entity' if sharded else 'whole on every node'}",
                "state whole on every node" if sharded else "state by hash of the entity",
                "it does not fit a node, or every write would go to every node"
                if sharded
                else "a hop and a second failure domain for memory that is not short",
            ),
            Slot.COMMUNICATION: decision(
                "one request, one answer" + ("; one more hop to the shard of the entity" if sharded else ""),
                "a queue between caller and node",
                "a log adds more milliseconds than the objective has",
            ),
            Slot.CONSISTENCY: decision(
                "last write wins for each entity, applied within seconds everywhere",
                "a transaction for each score",
                "it would serialise every request on the busiest entities for a gain smaller than the model's own "
                "error",
            ),
            Slot.COORDINATION: decision(
                "none: every node decides alone",
                "a leader that assigns entities",
                "nothing that nodes do depends on each other",
            ),
            Slot.FAULT_TOLERANCE: decision(
                f"{chosen['spares']:.0f} spare nodes; a request that fails is sent to another once",
                "checkpoints",
                "an answer takes milliseconds: doing it again is cheaper than remembering it",
            ),
            Slot.LOAD_BALANCING: decision(
                "the shorter line of two picked at random",
                "round robin",
                "its longest lines are much longer where service times vary (Mitzenmacher, IEEE TPDS 12(10), 2001)",
            ),
        }
