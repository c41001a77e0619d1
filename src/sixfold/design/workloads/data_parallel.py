"""A job that goes through samples in steps, all nodes agreeing after each: training of models that one node can "
"hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sixfold.axes import Axis, Ceiling, Mode, Slot
from sixfold.design.checklist import Decision
from sixfold.design.checks import Floats
from sixfold.design.laws.communication import all_reduce_time_s, exposed_time_s
from sixfold.design.laws.roofline import slowest_of
from sixfold.design.machines import machine_choice, machines_of
from sixfold.design.spec import Spec
from sixfold.design.workload import Choice, Estimates, Resource, Use, Workload
from sixfold.design.workloads.shared import counts, decision, rework_share
from sixfold.units import byte_count, number, seconds

__all__ = ["DataParallel"]

_SPREAD = 0.02  # assumed: standard deviation of the speeds of like machines over their mean
_START_S = 60.0  # assumed: machines boot, fetch code, find each other
_RESTART_S = 300.0  # assumed: a failure is noticed, the job starts again from its last checkpoint
_OVERLAP = (
    0.5  # of the computation of a step, during which gradients may fly: those of the later layers are ready first
)
_DISK_BYTES_PER_S = 5e8  # assumed: to write a checkpoint


class DataParallel(Workload):
    """samples in all; each node takes its share of a batch, then the exchanged bytes are summed over all nodes.

    sample_flops: forward and backward. exchanged_bytes: gradients, histograms or statistics of one step.
    memory_bytes: of a node for the model, its optimiser and its activations. dataset_bytes: in memory where
    `in_memory`, else streamed once an epoch. efficiency: of a node's peak that the kernels reach, measured.
    step_overhead_s: of a step, whatever its size. serial_s: what is done once by one node (reading a schema, binning).
    """

    unit: ClassVar[str] = "sample"
    families: ClassVar[tuple[str, ...]] = ()

    samples: Annotated[float, Field(gt=0, le=1e16)]
    batch_samples: Annotated[float, Field(ge=1, le=1e12)]
    sample_flops: Annotated[float, Field(gt=0, le=1e18)]
    exchanged_bytes: Annotated[float, Field(ge=0, le=1e14)]
    memory_bytes: Annotated[float, Field(gt=0, le=1e15)]
    dataset_bytes: Annotated[float, Field(ge=0, le=1e18)] = 0.0
    epochs: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    in_memory: bool = False
    efficiency: Annotated[float, Field(gt=0, le=1)] = 0.3
    step_overhead_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    serial_s: Annotated[float, Field(ge=0, le=1e7)] = 0.0

    @property
    def mode(self) -> Mode:
        return Mode.BATCH

    @property
    def total_units(self) -> float:
        return self.samples

    @property
    def steps(self) -> float:
        """Exchanges in all."""
        return max(1.0, self.samples / self.batch_samples)

    def resources(self, spec: Spec[Any]) -> list[Resource]:
        table = machines_of(spec.platform)
        largest = max(table.offers, key=lambda offer: offer.machine.flops()).machine
        alone_s = self.samples * self.sample_flops / (largest.flops() * self.efficiency) + self.serial_s
        limit_s = (spec.budget.days or 30.0) * 86400.0
        if spec.objective.rate_per_s is not None:
            limit_s = min(limit_s, self.samples / spec.objective.rate_per_s)
        named = "the days that the budget allows" if spec.budget.days else "a month, as no limit is given"
        port = min(largest.network_bytes_per_s or np.inf, table.link_bytes_per_s)
        held = self.dataset_bytes if self.in_memory else 0.0
        return [
            Resource(
                "compute",
                Ceiling.THROUGHPUT,
                Axis.TRAINING,
                alone_s,
                limit_s,
                "s",
                f"one {largest.id} needs {_span(alone_s)} for all samples; {named}: {_span(limit_s)}.",
            ),
            Resource(
                "model memory",
                Ceiling.MODEL,
                Axis.MODEL,
                self.memory_bytes,
                largest.memory_bytes,
                "bytes",
                f"the model and what its training keeps take {byte_count(self.memory_bytes)} of "
                f"{byte_count(largest.memory_bytes)}.",
            ),
            Resource(
                "data memory",
                Ceiling.DATA,
                Axis.DATA,
                held,
                largest.host_bytes,
                "bytes",
                f"{byte_count(held)} of data are kept in memory; a node has {byte_count(largest.host_bytes)}.",
            ),
            Resource(
                "bandwidth",
                Ceiling.DATA,
                Axis.DATA,
                self.dataset_bytes * (1 if self.in_memory else self.epochs) / limit_s,
                port,
                "bytes/s",
                f"{byte_count(self.dataset_bytes)} come over a port of {byte_count(port)}/s.",
            ),
        ]

    def choices(self, spec: Spec[Any]) -> list[Choice]:
        nodes = counts(min(spec.budget.nodes or 1024, self.batch_samples, 65_536), per_octave=8)
        asked = self.resources(spec)[0].utilisation if spec.budget.days or spec.objective.rate_per_s else nodes[-1]
        start = next((n for n in nodes if n >= 2.0 * asked), nodes[-1])
        return [
            machine_choice(spec.platform),
            Choice("nodes", Axis.TRAINING, nodes, start, "machines that share each batch"),
            Choice("compression", Axis.CLUSTER, (1.0, 2.0), 1.0, "exchanged numbers of half the size: times smaller"),
        ]

    def estimate(self, spec: Spec[Any], chosen: Mapping[str, Floats]) -> Estimates:
        table = machines_of(spec.platform)
        which, n, smaller = chosen["machine"], chosen["nodes"], chosen["compression"]
        flops = table.flops("bf16", which) * self.efficiency
        own = np.ceil(self.batch_samples / n)
        mean_s = self.batch_samples / n * self.sample_flops / flops
        compute_s = mean_s + self.step_overhead_s
        slowest_s = (own * self.sample_flops / flops + self.step_overhead_s) * slowest_of(n, _SPREAD)
        port = table.network_bytes_per_s(which)
        reduce_s = np.where(n > 1, all_reduce_time_s(n, self.exchanged_bytes / smaller, table.alpha_s, 1.0 / port), 0.0)
        exposed_s = exposed_time_s(reduce_s, compute_s, _OVERLAP)
        per_epoch = self.samples / max(self.epochs, 1e-9)
        batch_bytes = self.dataset_bytes / per_epoch * own * (0.0 if self.in_memory else 1.0)
        starved_s = np.maximum(batch_bytes / port - slowest_s, 0.0)  # the next batch comes while this one is worked on
        idle_s = slowest_s - compute_s + starved_s
        once_s = self.serial_s + np.where(n > 1, _START_S, 0.0)
        once_s = once_s + np.where(self.in_memory, self.dataset_bytes / n / port, 0.0)
        step_s = compute_s + exposed_s + idle_s + once_s / self.steps
        failing = table.column("failures_per_hour", which)
        lost = rework_share(n, failing, self.memory_bytes / _DISK_BYTES_PER_S, _RESTART_S)
        rework_s = step_s * lost
        held = self.dataset_bytes / n if self.in_memory else np.zeros_like(n)
        memory = table.column("memory_bytes", which)
        return Estimates(
            nodes=n,
            capacity_per_s=self.batch_samples / (step_s + rework_s),
            compute_s=compute_s,
            communication_s=exposed_s,
            idle_s=idle_s + once_s / self.steps,
            rework_s=rework_s,
            latency_s=np.zeros_like(n),
            usd_per_hour=n * table.column("usd_per_hour", which),
            usd_per_unit=np.zeros_like(n),
            quality=np.ones_like(n),
            availability=1.0 / (1.0 + lost),
            uses={
                "memory": Use(np.full_like(n, self.memory_bytes), 0.9 * memory, "bytes"),
                "host memory": Use(held, 0.9 * table.column("host_bytes", which), "bytes"),
            },
        )

    def slots(self, spec: Spec[Any], chosen: Mapping[str, float]) -> dict[Slot, Decision]:
        alone = chosen["nodes"] == 1

        if alone:
            same = "there is one node: nothing to divide, to agree on or to lose but the node"
            return {
                slot: decision("none needed", "any", same)
                if slot is not Slot.FAULT_TOLERANCE
                else decision(
                    "a checkpoint at Young's interval", "none", "a failure at the end would cost the whole job"
                )
                for slot in Slot
            }
        halved = chosen["compression"] > 1
        return {
            Slot.PARTITION: decision(
                "samples of each batch",
                "the model",
                "it fits a node: to divide it moves more bytes than to sum gradients",
            ),
            Slot.COMMUNICATION: decision(
                f"all-reduce of {byte_count(self.exchanged_bytes / chosen['compression'])} a step, by ring or "
                f"trees, whichever is faster{', in half precision' if halved else ''}",
                "a parameter server",
                "its port carries p times the bytes of a ring's",
            ),
            Slot.CONSISTENCY: decision(
                "every step: all nodes have the same model",
                "stale updates",
                "fewer waits, but quality then depends on how late the slowest is",
            ),
            Slot.COORDINATION: decision(
                "ranks that are fixed at the start",
                "elastic membership",
                "batches would change with the nodes, and with them the result",
            ),
            Slot.FAULT_TOLERANCE: decision(
                "checkpoints at Young's interval; all start again from the last",
                "a spare for every node",
                "costs as much again, for failures that are seldom",
            ),
            Slot.LOAD_BALANCING: decision(
                "equal shares of each batch",
                "work stealing",
                "like nodes differ by a few per cent; to move samples takes longer",
            ),
        }


def _span(time_s: float) -> str:
    for size, word in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if time_s >= size:
            return f"{number(time_s / size)} {word}"
    return seconds(time_s)
