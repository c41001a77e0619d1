"""Recommendations from embedding tables that no machine holds: sharded rows, candidates, a ranker, milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sixfold.axes import Axis, Ceiling, Mode, Slot
from sixfold.design.checklist import Decision
from sixfold.design.checks import Floats
from sixfold.design.laws.queueing import wait_quantile_s
from sixfold.design.laws.tables import cache_hit_share
from sixfold.design.laws.tails import fan_out_quantile_s
from sixfold.design.machines import machine_choice, machines_of
from sixfold.design.spec import Spec
from sixfold.design.workload import Choice, Estimates, Resource, Use, Workload
from sixfold.design.workloads.shared import available, decision
from sixfold.units import byte_count, number, seconds

__all__ = ["Recommendation"]

_QUANTILE = 0.99
_BUSY = 0.6
_USABLE = 0.8
_TAIL = 3.0  # assumed: 99th percentile of a shard's answer over its median
_ROW_S = 2e-7  # assumed: to find and read one row that is in memory but not in a processor's cache
_CALL_S = 0.00004  # assumed: processor time of a batched call to a shard, at both ends
_RANKER_SHARE = 0.25  # assumed: of peak FLOP/s that the ranker's small matrices reach
_KEY_BYTES = 16.0
_ROWS = (("32 bit", 4.0, 1.0), ("16 bit", 2.0, 1.0), ("8 bit", 1.0, 0.997))  # bytes of a number; quality that is left
_SKEW = 0.8  # assumed: Zipf exponent of how often rows are asked for


class Recommendation(Workload):
    """Requests that look up rows for a user and her candidates and rank them.

    items, users, dimension: of the tables. candidates: ranked in a request; features: rows looked up for each;
    ranker_flops: for each. updates_per_s: rows that training changes, which serving has to see.
    """

    unit: ClassVar[str] = "request"
    latency: ClassVar[str] = "p99 latency"
    quality: ClassVar[str] = "quality kept"
    families: ClassVar[tuple[str, ...]] = ()  # published figures are of devices; these costs are of processors

    items: Annotated[float, Field(ge=1, le=1e13)]
    users: Annotated[float, Field(ge=0, le=1e13)] = 0.0
    dimension: Annotated[int, Field(ge=1, le=100_000)] = 128
    requests_per_s: Annotated[float, Field(gt=0, le=1e9)]
    candidates: Annotated[float, Field(ge=1, le=1e6)] = 200.0
    features: Annotated[float, Field(ge=1, le=1e4)] = 4.0
    ranker_flops: Annotated[float, Field(gt=0, le=1e15)] = 2e5
    updates_per_s: Annotated[float, Field(ge=0, le=1e10)] = 0.0
    entry_hop_s: Annotated[float, Field(ge=0, le=1)] = 0.002

    @property
    def mode(self) -> Mode:
        return Mode.ONLINE

    @property
    def demand_per_s(self) -> float:
        return self.requests_per_s

    def with_demand(self, factor: float) -> Recommendation:
        scaled = {"requests_per_s": self.requests_per_s * factor, "updates_per_s": self.updates_per_s * factor}
        return self.model_copy(update=scaled)

    @property
    def rows(self) -> float:
        """Of all tables."""
        return self.items + self.users

    @property
    def lookups(self) -> float:
        """Rows that a request needs."""
        return self.candidates * self.features + 1.0

    def resources(self, spec: Spec[Any]) -> list[Resource]:
        largest = max(machines_of(spec.platform).offers, key=lambda offer: offer.machine.host_bytes).machine
        held = self.rows * (4.0 * self.dimension + _KEY_BYTES)
        cpu_s = self._ranker_s(largest.host_flops / largest.vcpus) + self.lookups * _ROW_S
        port = min(largest.network_bytes_per_s or np.inf, machines_of(spec.platform).link_bytes_per_s)
        moved = self.requests_per_s * self.lookups * self.dimension * 2.0
        limit_s = spec.objective.latency_s or np.inf
        return [
            Resource(
                "table memory",
                Ceiling.MODEL,
                Axis.MODEL,
                held,
                _USABLE * largest.host_bytes,
                "bytes",
                f"{number(self.rows)} rows of {self.dimension} numbers take {byte_count(held)}; {largest.id} has "
                f"{byte_count(largest.host_bytes)}.",
            ),
            Resource(
                "request rate",
                Ceiling.THROUGHPUT,
                Axis.INFERENCE,
                self.requests_per_s * cpu_s,
                _BUSY * largest.vcpus,
                "busy vCPUs",
                f"{self.requests_per_s:,.0f} requests/s of {seconds(cpu_s)} each.",
            ),
            Resource(
                "bandwidth",
                Ceiling.THROUGHPUT,
                Axis.INFERENCE,
                moved,
                0.7 * port,
                "bytes/s",
                f"rows of all requests are {byte_count(moved)}/s; a port carries {byte_count(port)}/s.",
            ),
            Resource(
                "decision latency",
                Ceiling.COORDINATION,
                Axis.INTELLIGENCE,
                self.entry_hop_s + cpu_s,
                limit_s,
                "s",
                f"a request takes {seconds(self.entry_hop_s + cpu_s)} on one core, were all rows there.",
            ),
            Resource(
                "changed rows",
                Ceiling.DATA,
                Axis.DATA,
                self.updates_per_s * _ROW_S * 5.0,
                _BUSY * largest.vcpus,
                "busy vCPUs",
                f"{number(self.updates_per_s)} rows change each second and are due at the servers.",
            ),
        ]

    def _ranker_s(self, core_flops: Floats | float) -> Any:
        return self.candidates * self.ranker_flops / (_RANKER_SHARE * np.asarray(core_flops))

    def choices(self, spec: Spec[Any]) -> list[Choice]:
        offers = machines_of(spec.platform).offers
        sizes = [offer.machine.host_bytes * _USABLE for offer in offers]
        row = self.dimension * np.array([1.0, 4.0]) + _KEY_BYTES
        fewest, most = max(1.0, self.rows * row[0] / max(sizes)), max(2.0, 3.0 * self.rows * row[1] / min(sizes))
        shards = tuple(sorted({float(np.ceil(n)) for n in np.geomspace(fewest, most, 20)}))
        start = next((n for n in shards if n >= self.rows * row.mean() / min(sizes)), shards[-1])
        core = offers[0].machine.host_flops / offers[0].machine.vcpus
        cpu = self.requests_per_s * (float(self._ranker_s(core)) + self.lookups * _ROW_S)
        least = max(1.0, cpu / (_BUSY * max(offer.machine.vcpus for offer in offers)))
        apart = {float(np.ceil(n)) for n in np.geomspace(0.5 * least, 8.0 * least + 4.0, 24)}
        rankers = (0.0, *sorted(apart))
        return [
            machine_choice(spec.platform),
            Choice("shards", Axis.MODEL, shards, start, "machines over which the rows are divided"),
            Choice("replicas", Axis.CLUSTER, (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0), 2.0, "copies of each shard"),
            Choice(
                "rankers",
                Axis.INFERENCE,
                rankers,
                next((n for n in rankers if n >= 2 * least), rankers[-1]),
                "machines that gather rows and rank; 0: those of the shards do",
            ),
            Choice("rows", Axis.MODEL, (0.0, 1.0, 2.0), 1.0, "numbers of a row", labels=tuple(r[0] for r in _ROWS)),
            Choice(
                "cache",
                Axis.INFERENCE,
                (0.0, 0.0001, 0.001, 0.01),
                0.001,
                "share of the rows, the hottest, kept by each ranker",
            ),
            Choice("sync", Axis.DATA, (60.0, 10.0, 2.0), 10.0, "between updates of served rows", "s"),
        ]

    def estimate(self, spec: Spec[Any], chosen: Mapping[str, Floats]) -> Estimates:
        table = machines_of(spec.platform)
        which, shards, replicas, rankers = (chosen[name] for name in ("machine", "shards", "replicas", "rankers"))
        kind = chosen["rows"].astype(np.int64)
        number_bytes = np.array([entry[1] for entry in _ROWS])[kind]
        kept = np.array([entry[2] for entry in _ROWS])[kind]
        row_bytes = self.dimension * number_bytes + _KEY_BYTES
        cores, host = table.column("vcpus", which), table.column("host_bytes", which)
        port = table.network_bytes_per_s(which)
        apart = rankers > 0  # else every shard's machines rank, too
        tables = shards * np.maximum(replicas - 1.0, 1.0)  # one replica of each may be down at the peak
        ranking = np.where(apart, rankers, tables)
        hit = cache_hit_share(chosen["cache"], _SKEW)
        missed = self.lookups * (1.0 - hit)
        asked = np.minimum(shards, missed)  # shards that a request needs
        away = np.where(apart | (shards > 1), 1.0, 0.0)
        rank_s = self._ranker_s(table.column("host_flops", which) / cores)
        ranker_s = rank_s + self.lookups * hit * _ROW_S + away * asked * _CALL_S
        shard_s = missed / np.maximum(asked, 1.0) * _ROW_S + away * _CALL_S
        # Rows that change several times within an interval are sent once; with Zipf, fewer the longer it is.
        batched = np.minimum(1.0, chosen["sync"] ** -0.3)
        written_s = self.updates_per_s / self.requests_per_s * batched * _ROW_S * 5.0  # of a request, at each replica
        copies = tables / shards
        table_s = asked * shard_s + written_s * copies
        rank_capacity = np.where(apart, ranking * _BUSY * cores / ranker_s, np.inf)
        table_capacity = tables * _BUSY * cores / (table_s + np.where(apart, 0.0, ranker_s))
        moved = missed * self.dimension * number_bytes * away
        port_capacity = np.minimum(ranking, tables) * 0.7 * port / np.maximum(moved, 1e-9)
        capacity = np.minimum(np.minimum(rank_capacity, table_capacity), port_capacity)
        at = np.minimum(self.requests_per_s, 0.98 * capacity)
        wait_rank = wait_quantile_s(_QUANTILE, at / ranking, ranker_s + np.where(apart, 0.0, table_s), cores)
        wait_table = np.where(apart, wait_quantile_s(_QUANTILE, at * asked / tables, table_s / asked, cores), 0.0)
        hop_s = away * (2.0 * table.alpha_s + moved / port)
        slow_s = fan_out_quantile_s(_QUANTILE, np.maximum(asked, 1.0), shard_s + hop_s, _TAIL * (shard_s + hop_s))
        latency = self.entry_hop_s + wait_rank + ranker_s + wait_table + slow_s
        nodes = shards * replicas + rankers
        failing = table.column("failures_per_hour", which)
        up = available(replicas, 1.0, failing)
        compute_s = rank_s + self.lookups * _ROW_S + written_s
        # Assumed, until a pilot says: what rows that are some seconds old cost.
        stale = 0.01 * np.log10(np.maximum(chosen["sync"], 1.0))
        return Estimates(
            nodes=nodes,
            capacity_per_s=capacity,
            compute_s=compute_s,
            communication_s=away * 2.0 * asked * _CALL_S + hop_s + written_s * (copies - 1.0),
            idle_s=np.zeros_like(shards),
            rework_s=compute_s * (replicas * shards / tables - 1.0) * tables / nodes,
            latency_s=np.where(self.requests_per_s <= capacity, latency, np.inf),
            usd_per_hour=nodes * table.column("usd_per_hour", which),
            usd_per_unit=np.zeros_like(shards),
            quality=np.clip(kept - stale, 1e-9, 1.0),
            availability=up**shards * np.where(apart, available(rankers, np.ceil(rankers * _BUSY), failing), 1.0),
            uses={
                "table memory": Use(self.rows * row_bytes / shards, _USABLE * host, "bytes"),
                "cache memory": Use(chosen["cache"] * self.rows * row_bytes, 0.1 * host, "bytes"),
            },
        )

    def slots(self, spec: Spec[Any], chosen: Mapping[str, float]) -> dict[Slot, Decision]:
        return {
            Slot.PARTITION: decision(
                f"rows by hash of their id over {chosen['shards']:.0f} shards",
                "whole tables",
                "the largest fits no machine",
            ),
            Slot.COMMUNICATION: decision(
                "one batched call to each shard that a request needs",
                "a call for each row",
                "hundreds of round trips a request",
            ),
            Slot.CONSISTENCY: decision(
                f"changed rows every {chosen['sync']:.0f} s, versions of tower and tables aligned",
                "a new model each night",
                "clicks of today would count tomorrow",
            ),
            Slot.COORDINATION: decision(
                "none in the request", "locks on rows", "a reader may be seconds behind, never wait"
            ),
            Slot.FAULT_TOLERANCE: decision(
                f"{chosen['replicas']:.0f} replicas; a missing row gets a stated default, and is counted",
                "fail the request",
                "one shard of many would take all slates with it",
            ),
            Slot.LOAD_BALANCING: decision(
                f"the hottest {chosen['cache']:.2%} of the rows with every ranker"
                if chosen["cache"]
                else "the less busy replica",
                "equal shards alone",
                "a few rows take most lookups",
            ),
        }
