"""Search over passages of text: shards of a vector index, replicas of each, and documents that keep coming."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sixfold.axes import Axis, Ceiling, Mode, Slot
from sixfold.design.checklist import Decision
from sixfold.design.checks import Floats
from sixfold.design.laws.queueing import wait_quantile_s
from sixfold.design.laws.retrieval import code_noise, coded_recall, scaled_half_effort, search_recall
from sixfold.design.laws.tails import fan_out_quantile_s
from sixfold.design.machines import machine_choice, machines_of
from sixfold.design.spec import Spec
from sixfold.design.workload import Choice, Estimates, Resource, Use, Workload
from sixfold.design.workloads.shared import available, decision, powers
from sixfold.units import byte_count, number, seconds

__all__ = ["TextRetrieval"]

_QUANTILE = 0.99
_BUSY = 0.6  # of a node's cores at the demand
_USABLE = 0.8  # of a node's memory
_SCAN_SHARE = 0.5  # assumed: of the memory's peak that scanning codes reaches
_POSTING_BYTES = 250.0  # assumed: of a passage's words in a lexical index, compressed
_ID_BYTES = 8.0
_TAIL = 3.0  # assumed: 99th percentile of a shard's answer over its median
_HANDLING_S = 0.0003  # assumed: of processor time to receive, merge and answer a shard's part
_CODES = (("16 bit", 2.0), ("8 bit", 1.0), ("4 bit", 0.5), ("product code, 1/8", 0.25))  # bytes of a number
_LIST = 1000.0  # passages of a list, on average
_IMBALANCE = 1.15  # what probed lists hold over the average one
# What sets of a billion vectors have in common (Faiss logs of 2021, BIGANN and Deep1B; `validation/retrieval_fit.py`).
_EXPONENT, _CODE_RATE = 0.25, 0.82  # of half efforts over lists; of a code, 1 being 6 dB a bit
# A second look: of the best by code, ten times those wanted, full vectors are read from the disk of whoever merges.
_LOOKED, _LOOK_S, _LOOK_CPU_S = 10.0, 0.006, 0.002  # assumed: a hundred reads at once, and their distances
_COARSE_BYTES = 64.0 * 32.0 * 0.5 * 4.0  # of each dimension: a graph of centroids, 64 candidates of 32 neighbours


class TextRetrieval(Workload):
    """Questions against `passages`, each a vector of `dimension` numbers and its words, in inverted lists over shards.

    queries_per_s: at the peak. pilot_lists, half_probes, spread: how many of so many lists a pilot had to read for half
    of the neighbours, and how slowly the others follow (`laws.retrieval`); code_scale: how much codes blur distances;
    what is not given is of published sets of a billion vectors. repeated_share: of questions that a cache could answer.
    updates_per_s: passages that are added or replaced a second, on the same nodes; update_cpu_s: of one, embedding
    included. query_cpu_s: of a question at the gateway, its embedding included.
    """

    unit: ClassVar[str] = "question"
    latency: ClassVar[str] = "p99 latency"
    quality: ClassVar[str] = "recall@10"
    families: ClassVar[tuple[str, ...]] = ("probes for a recall",)

    passages: Annotated[float, Field(ge=1, le=1e15)]
    dimension: Annotated[int, Field(ge=1, le=100_000)] = 384
    queries_per_s: Annotated[float, Field(gt=0, le=1e8)]
    pilot_lists: Annotated[float, Field(ge=1, le=1e12)] = 2.0**20
    half_probes: Annotated[float, Field(gt=0, le=1e9)] = 4.3
    spread: Annotated[float, Field(gt=0, le=20)] = 2.14
    code_scale: Annotated[float, Field(gt=0, le=100)] = 3.03
    repeated_share: Annotated[float, Field(ge=0, le=0.99)] = 0.0
    updates_per_s: Annotated[float, Field(ge=0, le=1e8)] = 0.0
    update_cpu_s: Annotated[float, Field(ge=0, le=10)] = 0.02
    query_cpu_s: Annotated[float, Field(ge=0, le=10)] = 0.008

    @property
    def mode(self) -> Mode:
        return Mode.INTERACTIVE

    @property
    def demand_per_s(self) -> float:
        return self.queries_per_s

    def with_demand(self, factor: float) -> TextRetrieval:
        return self.model_copy(update={"queries_per_s": self.queries_per_s * factor})

    def _passage_bytes(self, number_bytes: Floats | float) -> Floats:
        return np.asarray(self.dimension * np.asarray(number_bytes) + _ID_BYTES + _POSTING_BYTES)

    def resources(self, spec: Spec[Any]) -> list[Resource]:
        largest = max(machines_of(spec.platform).offers, key=lambda offer: offer.machine.host_bytes).machine
        held = float(self.passages * self._passage_bytes(2.0))
        scanned = self.passages * self.dimension * 0.25 * 1e-4
        reads = _SCAN_SHARE * largest.host_bytes_per_s
        limit_s = spec.objective.latency_s or 1.0
        ingest = self.updates_per_s * self.update_cpu_s
        return [
            Resource(
                "index memory",
                Ceiling.DATA,
                Axis.DATA,
                held,
                _USABLE * largest.host_bytes,
                "bytes",
                f"{number(self.passages)} passages take {byte_count(held)} with vectors of 16 bit; {largest.id} has "
                f"{byte_count(largest.host_bytes)}.",
            ),
            Resource(
                "scan of a question",
                Ceiling.THROUGHPUT,
                Axis.INFERENCE,
                scanned / reads,
                limit_s,
                "s",
                f"a ten-thousandth of the vectors, in product codes, are {byte_count(scanned)}: "
                f"{seconds(scanned / reads)} at the memory's rate.",
            ),
            Resource(
                "question rate",
                Ceiling.THROUGHPUT,
                Axis.INFERENCE,
                self.queries_per_s * (self.query_cpu_s + scanned / reads * largest.vcpus),
                _BUSY * largest.vcpus,
                "busy vCPUs",
                f"{self.queries_per_s:,.0f} questions a second, each with its scan.",
            ),
            Resource(
                "documents coming in",
                Ceiling.THROUGHPUT,
                Axis.DATA,
                ingest,
                _BUSY * largest.vcpus,
                "busy vCPUs",
                f"{self.updates_per_s:,.0f} passages a second of {seconds(self.update_cpu_s)} each.",
            ),
        ]

    def choices(self, spec: Spec[Any]) -> list[Choice]:
        offers = machines_of(spec.platform).offers
        largest = max(offer.machine.host_bytes for offer in offers) * _USABLE
        smallest = min(offer.machine.host_bytes for offer in offers) * _USABLE
        fewest = max(1.0, float(np.ceil(self.passages * self._passage_bytes(0.25) / largest)))
        most = max(2.0, 4.0 * float(np.ceil(self.passages * self._passage_bytes(2.0) / smallest)))
        shards = tuple(sorted({float(round(n)) for n in np.geomspace(fewest, most, 28)}))
        start = float(np.ceil(self.passages * self._passage_bytes(1.0) / smallest))
        replicas = tuple(float(n) for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48))
        cached = (0.0, self.repeated_share) if self.repeated_share else (0.0,)
        return [
            machine_choice(spec.platform),
            Choice(
                "shards", Axis.DATA, shards, next((n for n in shards if n >= start), shards[-1]), "parts of the index"
            ),
            Choice("replicas", Axis.INFERENCE, replicas, 3.0, "copies of each part"),
            Choice("probes", Axis.INFERENCE, powers(512), 32.0, "lists of each shard that a question reads"),
            Choice("code", Axis.MODEL, (0.0, 1.0, 2.0, 3.0), 1.0, "of vectors", labels=tuple(c[0] for c in _CODES)),
            Choice(
                "second look",
                Axis.INFERENCE,
                (0.0, 1.0),
                0.0,
                "at the best by code, with full vectors",
                labels=("none", f"at {_LOOKED:.0f} times as many as are wanted"),
            ),
            Choice("cache", Axis.INFERENCE, cached, 0.0, "share of questions answered without a search"),
            Choice(
                "ingest",
                Axis.CLUSTER,
                (0.0, 1.0),
                0.0,
                "where passages are taken in",
                labels=("on the nodes that answer", "on nodes of their own"),
            ),
        ]

    def estimate(self, spec: Spec[Any], chosen: Mapping[str, Floats]) -> Estimates:
        table = machines_of(spec.platform)
        which, shards, replicas = chosen["machine"], chosen["shards"], chosen["replicas"]
        working = np.maximum(replicas - 1.0, 1.0)  # one of each may be down at the peak
        code = chosen["code"].astype(np.int64)
        number_bytes = np.array([entry[1] for entry in _CODES])[code]
        cores = table.column("vcpus", which)
        own_ingest = chosen["ingest"] > 0
        shard_bytes = self.passages / shards * self._passage_bytes(number_bytes)
        lists = np.maximum(self.passages / shards / _LIST, 1.0)
        probed = np.minimum(chosen["probes"], lists)
        # Centroids are compared all, or through a graph of them where that reads less.
        coarse = self.dimension * np.minimum(4.0 * lists, _COARSE_BYTES)
        scanned = coarse + probed * _LIST * _IMBALANCE * self.dimension * number_bytes
        core_rate = _SCAN_SHARE * table.column("host_bytes_per_s", which) / cores
        scan_s = scanned / core_rate
        searched = 1.0 - chosen["cache"]
        shard_s = scan_s + _HANDLING_S
        # Passages come with questions, so many to each: else more nodes would seem to do more than their share.
        each_s = self.updates_per_s * self.update_cpu_s / self.queries_per_s
        ingest_s = np.where(own_ingest, 0.0, self.queries_per_s * each_s / shards)  # every replica takes it in
        free = np.maximum(_BUSY * cores - ingest_s, 1e-9)
        extra = np.where(own_ingest, np.ceil(self.queries_per_s * each_s / (_BUSY * cores)), 0.0)
        looking = chosen["second look"] > 0
        gateway_s = self.query_cpu_s + np.where(looking, _LOOK_CPU_S * searched, 0.0)
        own_s = shard_s * searched + gateway_s / shards
        capacity = working * _BUSY * cores / (own_s + np.where(own_ingest, 0.0, working * each_s / shards))
        taken = extra * _BUSY * cores / max(each_s, 1e-300)  # questions whose passages the nodes of ingest keep up with
        capacity = np.where(own_ingest & (each_s > 0.0), np.minimum(capacity, taken), capacity)
        rate = np.minimum(self.queries_per_s * searched / working, 0.98 * free / shard_s)
        waited_s = wait_quantile_s(_QUANTILE, rate, shard_s, np.maximum(free / _BUSY, 1.0))
        hop_s = 2.0 * table.alpha_s
        slow_s = fan_out_quantile_s(_QUANTILE, shards, shard_s + hop_s, _TAIL * (shard_s + hop_s))
        merge_s = shards * 10 * 60.0 / table.network_bytes_per_s(which) + shards * 2e-6
        latency = gateway_s + np.where(looking, _LOOK_S, 0.0) + waited_s + slow_s + merge_s
        fits = (self.queries_per_s <= capacity) & (ingest_s < 0.9 * _BUSY * cores)
        looked = np.where(looking, _LOOKED, 1.0)
        half = scaled_half_effort(self.half_probes, lists, self.pilot_lists, _EXPONENT)
        met = np.where(probed < lists, search_recall(probed, half, self.spread), 1.0)
        recall = coded_recall(code_noise(8.0 * number_bytes, self.code_scale, _CODE_RATE), met, looked)
        nodes = shards * replicas + extra
        up = available(replicas, 1.0, table.column("failures_per_hour", which))
        ones = np.ones_like(shards)
        compute_s = gateway_s + searched * shards * scan_s
        return Estimates(
            nodes=nodes,
            capacity_per_s=capacity,
            compute_s=compute_s,
            communication_s=searched * (shards * _HANDLING_S + np.where(shards > 1, hop_s + merge_s, 0.0)),
            idle_s=np.zeros_like(shards),
            rework_s=compute_s * (replicas / working - 1.0),
            latency_s=np.where(fits, latency, np.inf),
            usd_per_hour=nodes * table.column("usd_per_hour", which),
            usd_per_unit=np.zeros_like(shards),
            quality=np.clip(recall, 1e-9, 1.0),
            # A question is whole while every shard has a replica up; partial answers are served, but not counted.
            availability=up**shards,
            uses={
                "index memory": Use(shard_bytes * ones, _USABLE * table.column("host_bytes", which), "bytes"),
                "ingest on the nodes": Use(ingest_s, 0.9 * _BUSY * cores, "busy vCPUs"),
            },
        )

    def slots(self, spec: Spec[Any], chosen: Mapping[str, float]) -> dict[Slot, Decision]:
        own = chosen["ingest"] > 0
        return {
            Slot.PARTITION: decision(
                f"documents by hash over {chosen['shards']:.0f} shards",
                "vectors by cluster",
                "popular topics would be hot shards",
            ),
            Slot.COMMUNICATION: decision(
                "scatter to all shards, gather the best of each", "a tree of mergers", "another hop for lists of ten"
            ),
            Slot.CONSISTENCY: decision(
                "each shard serves one generation; new passages within seconds",
                "one version everywhere",
                "the slowest shard would set the pace",
            ),
            Slot.COORDINATION: decision(
                "stateless gateways", "one that owns the index", "it would be the first to be full"
            ),
            Slot.FAULT_TOLERANCE: decision(
                f"{chosen['replicas']:.0f} replicas of each shard; a missing one is said in the answer",
                "fail the question",
                "one lost shard would stop all questions",
            ),
            Slot.LOAD_BALANCING: decision(
                "the less busy replica; a second one is asked when it is late",
                "passages taken in on the same nodes" if own else "nodes of their own for ingest",
                "bursts of documents would be felt by questions" if own else "they would stand idle most of the day",
            ),
        }
