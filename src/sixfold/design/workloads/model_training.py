"""Training of a transformer that outgrows a device: every degree of parallelism at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from sixfold.axes import Axis, Ceiling, Mode, Slot
from sixfold.design.catalog.architectures import architecture
from sixfold.design.catalog.efficiencies import framework
from sixfold.design.catalog.efficiencies import machine as driven
from sixfold.design.catalog.failure_rates import failure_rate
from sixfold.design.checklist import Decision
from sixfold.design.checks import Floats
from sixfold.design.laws.failures import RESTART_S, STATE_BYTES, STORAGE_BYTES_PER_S
from sixfold.design.laws.training import training_step
from sixfold.design.laws.training_memory import MEMORY_ERROR, training_memory
from sixfold.design.laws.training_plan import FULL, NONE, SELECTIVE, plan
from sixfold.design.laws.transformer import Transformer, model_flops, parameters
from sixfold.design.machines import machine_choice, machines_of
from sixfold.design.spec import Spec
from sixfold.design.workload import Choice, Estimates, Resource, Use, Workload
from sixfold.design.workloads.shared import decision, known, powers, rework_share
from sixfold.units import byte_count, number

__all__ = ["ModelTraining"]

_STATE_BYTES = 16.0  # of a parameter with mixed-precision Adam
_DEVICE_FAILURE = "llama3-unexpected"
_WISHED_SHARE = 0.4  # of the peak: what a single device would reach, for the ceiling of compute only


class ModelTraining(Workload):
    """A model of the catalog's architectures, so many tokens, in batches of `global_batch` sequences of `seq_len`.

    critical_batch_tokens: beyond it larger batches waste examples (McCandlish et al., "An empirical model of
    large-batch training", 2018): a batch B needs 1 + B / critical times the fewest. 0: not known, the batch is not
    changed.
    """

    unit: ClassVar[str] = "token"
    node: ClassVar[str] = "device"
    families: ClassVar[tuple[str, ...]] = ("dense training multi-node",)

    model: str
    tokens: Annotated[float, Field(gt=0, le=1e17)]
    seq_len: Annotated[int, Field(ge=16, le=10_000_000)] = 4096
    global_batch: Annotated[int, Field(ge=1, le=10_000_000)] = 1024
    critical_batch_tokens: Annotated[float, Field(ge=0, le=1e12)] = 0.0
    precision: str = "bf16"
    software: str = "megatron"

    @field_validator("model")
    @classmethod
    def _in_the_catalog(cls, value: str) -> str:
        return known(architecture, value)

    @property
    def mode(self) -> Mode:
        return Mode.BATCH

    @property
    def total_units(self) -> float:
        return self.tokens

    @property
    def shape(self) -> Transformer:
        """The model's."""
        return architecture(self.model).transformer(self.seq_len)

    def resources(self, spec: Spec[Any]) -> list[Resource]:
        best = max(machines_of(spec.platform).offers, key=lambda offer: offer.machine.flops(self.precision)).machine
        peak = best.flops(self.precision) / best.units
        memory = best.memory_bytes / best.units
        count = float(parameters(self.shape))
        flops = float(model_flops(self.shape, self.tokens))
        days = spec.budget.days or 90.0
        alone_s = flops / (_WISHED_SHARE * peak)
        named = "the budget allows" if spec.budget.days else "a quarter of a year, as no limit is given, has"
        per_hour = failure_rate(_DEVICE_FAILURE).per_hour * spec.platform.failure_factor
        devices = max(1.0, alone_s / (days * 86400.0))
        return [
            Resource(
                "compute",
                Ceiling.THROUGHPUT,
                Axis.TRAINING,
                alone_s,
                days * 86400.0,
                "s",
                f"{number(flops)} FLOPs take one {best.device.name if best.device else best.id} "
                f"{number(alone_s / 86400 / 365)} years at {_WISHED_SHARE:.0%} of its peak; {named} {days:g} days.",
            ),
            Resource(
                "model memory",
                Ceiling.MODEL,
                Axis.MODEL,
                _STATE_BYTES * count,
                memory,
                "bytes",
                f"{number(count / 1e9)} billion parameters with their optimiser take "
                f"{byte_count(_STATE_BYTES * count)}; a device has {byte_count(memory)}.",
            ),
            Resource(
                "uninterrupted time",
                Ceiling.THROUGHPUT,
                Axis.CLUSTER,
                devices * days * 24.0 * per_hour,
                1.0,
                "failures",
                f"{devices:,.0f} devices for {days:g} days fail {number(devices * days * 24.0 * per_hour)} times; a "
                "job of all of them survives none.",
            ),
            Resource(
                "data",
                Ceiling.DATA,
                Axis.DATA,
                2.0 * self.tokens,
                best.host_bytes,
                "bytes",
                f"{number(self.tokens)} tokens take {byte_count(2.0 * self.tokens)}; the host has "
                f"{byte_count(best.host_bytes)}.",
            ),
        ]

    def choices(self, spec: Spec[Any]) -> list[Choice]:
        shape = architecture(self.model)
        most = float(spec.budget.nodes or 16_384)
        top = max(
            (offer.machine.device.scale_up_size if offer.machine.device else 1)
            for offer in machines_of(spec.platform).offers
        )
        tensor = tuple(t for t in powers(min(8, top, most)) if shape.heads % t == 0)
        pipeline = tuple(p for p in (*powers(64), 12.0, 24.0) if shape.layers % p == 0 or p <= shape.layers / 4)
        data = tuple(d for d in powers(min(most, self.global_batch)))
        long = self.seq_len >= 16_384
        batches = (1.0, 2.0, 4.0) if self.critical_batch_tokens > 0 else (1.0,)
        need = self.resources(spec)
        wanted = max(need[0].utilisation, need[1].utilisation)
        chosen = [
            machine_choice(spec.platform),
            Choice("tensor", Axis.MODEL, tensor, tensor[-1], "devices that share each matrix product"),
            Choice("pipeline", Axis.MODEL, tuple(sorted(set(pipeline))), 1.0, "stages, each with some of the layers"),
            Choice(
                "data",
                Axis.TRAINING,
                data,
                min(data, key=lambda d: abs(d - 2.0 * wanted / tensor[-1])),
                "copies that share each batch",
            ),
            Choice("chunks", Axis.MODEL, (1.0, 2.0, 4.0), 1.0, "pieces of a stage, interleaved"),
            Choice("ZeRO", Axis.DATA, (0.0, 1.0, 3.0), 3.0, "stage: what data-parallel copies divide among them"),
            Choice(
                "recompute",
                Axis.MODEL,
                (NONE, SELECTIVE, FULL),
                FULL,
                "activations computed again",
                labels=("none", "selective", "full"),
            ),
            Choice("micro-batch", Axis.TRAINING, (1.0, 2.0, 4.0), 1.0, "sequences at once"),
        ]
        if long:
            chosen.append(Choice("context", Axis.DATA, (1.0, 2.0, 4.0, 8.0), 1.0, "devices that share each sequence"))
        if shape.experts:
            experts = tuple(e for e in powers(min(64, shape.experts)) if shape.experts % e == 0)
            chosen.append(Choice("expert", Axis.MODEL, experts, experts[-1], "devices that share the experts"))
        if len(batches) > 1:
            chosen.append(Choice("batch", Axis.TRAINING, batches, 1.0, "times the batch that was given"))
        return chosen

    def estimate(self, spec: Spec[Any], chosen: Mapping[str, Floats]) -> Estimates:
        n = len(chosen["tensor"])
        ones = np.ones(n)
        batch = self.global_batch * chosen.get("batch", ones)
        layout = plan(
            global_batch=batch,
            micro_batch=chosen["micro-batch"],
            tensor=chosen["tensor"],
            pipeline=chosen["pipeline"],
            data=chosen["data"],
            context=chosen.get("context", ones),
            expert=chosen.get("expert", ones),
            chunks=chosen["chunks"],
            zero=chosen["ZeRO"],
            recompute=chosen["recompute"],
            sequence=(chosen["tensor"] > 1).astype(np.float64),
        )
        table = machines_of(spec.platform)
        software = framework(self.software)
        which = chosen["machine"].astype(np.int64)
        parts = {name: np.zeros(n) for name in ("total_s", "compute_s", "communication_s", "idle_s")}
        memory, limit, usd, fails = (np.zeros(n) for _ in range(4))
        for at, offer in enumerate(table.offers):
            mine = np.flatnonzero(which == at)
            device = offer.machine.device
            if not len(mine) or device is None:
                continue
            ports = (
                offer.machine.network_bytes_per_s or table.link_bytes_per_s * offer.machine.units
            ) / offer.machine.units
            engine = driven(device, software, precision=self.precision, port_bytes_per_s=ports)
            factor = spec.platform.alpha_factor
            network = replace(
                engine.network,
                port_step_s=engine.network.port_step_s * factor,
                scale_up_step_s=engine.network.scale_up_step_s * factor,
            )
            engine = replace(engine, network=network)
            own = replace(layout, **{name: getattr(layout, name)[mine] for name in layout.__dataclass_fields__})
            step = training_step(self.shape, own, engine)
            parts["total_s"][mine] = step.total_s
            parts["compute_s"][mine] = step.compute_s + step.optimiser_s
            parts["communication_s"][mine] = step.tensor_s + step.data_s
            parts["idle_s"][mine] = step.idle_s
            memory[mine] = training_memory(
                self.shape,
                own,
                fused=engine.kernels.fused,
                gradient_bytes=engine.sync.gradient_bytes,
                logit_bytes=software.logit_bytes,
            ).total_bytes
            limit[mine] = device.memory_bytes
            usd[mine] = offer.usd_per_hour / offer.machine.units
            fails[mine] = failure_rate(_DEVICE_FAILURE).per_hour * spec.platform.failure_factor
            if offer.term == "spot":
                fails[mine] += offer.failures_per_hour / offer.machine.units
        devices = layout.devices
        checkpoint_s = STATE_BYTES * float(parameters(self.shape)) / devices / STORAGE_BYTES_PER_S
        lost = rework_share(devices, fails, checkpoint_s, RESTART_S)
        useful = batch * self.seq_len
        if self.critical_batch_tokens > 0:
            given = self.global_batch * self.seq_len / self.critical_batch_tokens
            useful = useful * (1.0 + given) / (1.0 + useful / self.critical_batch_tokens)
        share = batch / (layout.data * layout.micro_batch)
        pipe_whole = np.where(layout.chunks > 1, layout.pipeline > 1, True) & (share >= 1)
        deep = float(architecture(self.model).layers)
        even = (deep / (layout.pipeline * layout.chunks) >= 1.0) & pipe_whole
        even &= (layout.data * layout.tensor * layout.context) % layout.expert == 0
        uneven_s = parts["total_s"] * (np.ceil(share) / np.maximum(share, 1.0) - 1.0)  # some copies run one more
        step_s = parts["total_s"] + uneven_s
        rework_s = step_s * lost
        return Estimates(
            nodes=devices,
            capacity_per_s=useful / (step_s + rework_s),
            compute_s=parts["compute_s"],
            communication_s=parts["communication_s"],
            idle_s=parts["idle_s"] + uneven_s,
            rework_s=rework_s,
            latency_s=np.zeros(n),
            usd_per_hour=devices * usd,
            usd_per_unit=np.zeros(n),
            quality=ones,
            availability=1.0 / (1.0 + lost),
            uses={
                "device memory": Use(memory, limit / (1.0 + MEMORY_ERROR), "bytes"),
                "micro-batches and layers for all": Use(np.where(even, 0.0, np.inf), ones, ""),
            },
        )

    def slots(self, spec: Spec[Any], chosen: Mapping[str, float]) -> dict[Slot, Decision]:
        model_parallel = chosen["tensor"] * chosen["pipeline"] > 1
        zero = f"ZeRO {chosen['ZeRO']:.0f}"

        return {
            Slot.PARTITION: decision(
                f"tensor {chosen['tensor']:.0f} x pipeline {chosen['pipeline']:.0f} x data {chosen['data']:.0f}, "
                f"{zero}",
                "data parallelism alone" if model_parallel else "tensor and pipeline parallelism",
                "states and activations do not fit a device, or more bytes move"
                if model_parallel
                else "the model fits without: its collectives and bubbles would be paid for nothing",
            ),
            Slot.COMMUNICATION: decision(
                "tensor parallelism inside a node's fast links; rings between nodes, gradients behind the backward "
                "pass",
                "tensor parallelism across nodes",
                "two collectives a layer and pass over ports many times slower than the links inside",
            ),
            Slot.CONSISTENCY: decision(
                "synchronous steps",
                "asynchronous updates",
                "stale gradients change what is trained; nobody publishes large models trained so",
            ),
            Slot.COORDINATION: decision(
                "ranks fixed for a run, restarted from a checkpoint",
                "elastic ranks",
                "batch and layout would change under way, and with them the result",
            ),
            Slot.FAULT_TOLERANCE: decision(
                "sharded checkpoints at Young's interval, spare nodes, restart",
                "duplicate computation",
                "twice the devices, for failures that cost a few per cent",
            ),
            Slot.LOAD_BALANCING: decision(
                f"equal stages of layers, {chosen['chunks']:.0f} chunk{'s' if chosen['chunks'] > 1 else ''} each",
                "stages of measured cost",
                "layers are alike; only the ends differ",
            ),
        }
