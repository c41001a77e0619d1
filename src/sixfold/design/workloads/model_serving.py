"""A language model that many ask: replicas, how many devices each spans, how many requests each works on at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from sixfold.axes import Axis, Ceiling, Mode, Slot
from sixfold.design.catalog.architectures import architecture
from sixfold.design.catalog.prices import token_price
from sixfold.design.checklist import Decision
from sixfold.design.checks import Floats
from sixfold.design.laws.transformer import Transformer, active_parameters, parameters
from sixfold.design.machines import machine_choice, machines_of
from sixfold.design.spec import Spec
from sixfold.design.workload import Choice, Estimates, Rent, Resource, Use, Workload
from sixfold.design.workloads.shared import available, counts, decision, known, powers
from sixfold.design.workloads.token_service import Layout, Requests, scale_up_width, serve
from sixfold.units import byte_count, quantity, seconds

__all__ = ["ModelServing"]

_HEADROOM = 0.8  # of the capacity, at the peak that is asked for


class ModelServing(Workload):
    """Requests of `prompt_tokens` that are answered with `answer_tokens` each, by one model of the catalog.

    requests_per_s: at the peak. cached_share: of a prompt that an earlier request left in memory (instructions, a
    conversation). token_s: what may pass between two tokens, on average; the objective's latency is to the first one.
    """

    unit: ClassVar[str] = "request"
    node: ClassVar[str] = "device"
    latency: ClassVar[str] = "p99 time to the first token"
    families: ClassVar[tuple[str, ...]] = ("dense TPOT", "dense TTFT", "MoE TPOT", "MoE TTFT")

    model: str
    requests_per_s: Annotated[float, Field(gt=0, le=1e7)]
    prompt_tokens: Annotated[float, Field(ge=1, le=1e7)]
    answer_tokens: Annotated[float, Field(ge=1, le=1e6)]
    cached_share: Annotated[float, Field(ge=0, le=0.99)] = 0.0
    token_s: Annotated[float, Field(gt=0, le=10)] = 0.05
    rented: str | None = None

    @field_validator("model")
    @classmethod
    def _in_the_catalog(cls, value: str) -> str:
        return known(architecture, value)

    @field_validator("rented")
    @classmethod
    def _listed(cls, value: str | None) -> str | None:
        return None if value is None else known(token_price, value)

    @property
    def measured_by(self) -> tuple[str, ...]:
        word = "MoE" if float(self.shape.experts) > 0 else "dense"
        return tuple(name for name in self.families if name.startswith(word))

    @property
    def mode(self) -> Mode:
        return Mode.INTERACTIVE

    @property
    def demand_per_s(self) -> float:
        return self.requests_per_s

    def with_demand(self, factor: float) -> ModelServing:
        return self.model_copy(update={"requests_per_s": self.requests_per_s * factor})

    @property
    def shape(self) -> Transformer:
        """The model's, at the length of a whole request."""
        return architecture(self.model).transformer(self.prompt_tokens + self.answer_tokens)

    def rent(self, spec: Spec[Any]) -> Rent | None:
        if self.rented is None:
            return None
        price = token_price(self.rented)
        cached = price.cached_input_usd_per_million
        fresh = self.prompt_tokens * (1.0 - (self.cached_share if cached is not None else 0.0))
        read = fresh * price.input_usd_per_token + (self.prompt_tokens - fresh) * (cached or 0.0) * 1e-6
        usd = (read + self.answer_tokens * price.output_usd_per_token) * spec.platform.price_factor
        return Rent(f"{price.model} of {price.provider}, {price.date}", usd, price.source)

    def resources(self, spec: Spec[Any]) -> list[Resource]:
        offers = machines_of(spec.platform).offers
        best = max(offers, key=lambda offer: offer.machine.memory_bytes / offer.machine.units)
        machine = best.machine
        memory, peak = machine.memory_bytes / machine.units, machine.flops() / machine.units
        reads = machine.memory_bytes_per_s / machine.units
        weights = 2.0 * float(parameters(self.shape))
        shape = self.shape
        kv = 4.0 * float(shape.layers * shape.kv_heads * shape.head_dim) * (self.prompt_tokens + self.answer_tokens)
        tokens = self.prompt_tokens * (1.0 - self.cached_share) + self.answer_tokens
        flops = self.requests_per_s * tokens * 2.0 * float(active_parameters(shape))
        at_once = self.requests_per_s * self.answer_tokens * self.token_s
        return [
            Resource(
                "model memory",
                Ceiling.MODEL,
                Axis.MODEL,
                weights,
                memory,
                "bytes",
                f"weights take {byte_count(weights)} in 16 bit; a device of {machine.id} has {byte_count(memory)}.",
            ),
            Resource(
                "compute",
                Ceiling.THROUGHPUT,
                Axis.INFERENCE,
                flops,
                0.5 * peak,
                "FLOP/s",
                f"{self.requests_per_s:g} requests/s of {tokens:,.0f} tokens take {quantity(flops, 'FLOP/s')}; half of "
                f"a device's peak is {quantity(0.5 * peak, 'FLOP/s')}.",
            ),
            Resource(
                "conversations held",
                Ceiling.THROUGHPUT,
                Axis.INFERENCE,
                at_once * kv,
                memory,
                "bytes",
                f"about {at_once:,.0f} requests are under way at once; their keys and values take "
                f"{byte_count(at_once * kv)}.",
            ),
            Resource(
                "time of a token",
                Ceiling.THROUGHPUT,
                Axis.MODEL,
                weights / reads,
                self.token_s,
                "s",
                f"to read the weights once takes one device {seconds(weights / reads)}; a token may take "
                f"{seconds(self.token_s)}.",
            ),
        ]

    def choices(self, spec: Spec[Any]) -> list[Choice]:
        offers = machines_of(spec.platform).offers
        top = max(offer.machine.device.scale_up_size if offer.machine.device else 1 for offer in offers)
        tensor = powers(min(16, max(top, max(offer.machine.units for offer in offers))))
        compute = self.resources(spec)[1].utilisation
        most = min(max(32.0, 12.0 * compute), spec.budget.nodes or 100_000)
        replicas = counts(most, dense=8, per_octave=5)
        start = next((n for n in replicas if n >= 2.0 * compute / tensor[-1]), replicas[-1])
        return [
            machine_choice(spec.platform),
            Choice("tensor", Axis.MODEL, tensor, tensor[-1], "devices that one replica spans"),
            Choice("replicas", Axis.INFERENCE, replicas, start, "copies of the model"),
            Choice("batch", Axis.INFERENCE, powers(512), 32.0, "requests that a replica works on at once"),
            Choice("precision", Axis.MODEL, (0.0, 1.0), 0.0, "of weights", labels=("16 bit", "8 bit")),
            Choice("spares", Axis.CLUSTER, (0.0, 1.0, 2.0), 1.0, "replicas that may be down at the peak"),
        ]

    def estimate(self, spec: Spec[Any], chosen: Mapping[str, Floats]) -> Estimates:
        table = machines_of(spec.platform)
        which, tensor, replicas = chosen["machine"], chosen["tensor"], chosen["replicas"]
        units = table.column("units", which)
        working = np.maximum(replicas - chosen["spares"], 0.5)
        ones = np.ones_like(tensor)
        done = serve(
            self.model,
            Requests(
                self.requests_per_s * ones,
                self.prompt_tokens * ones,
                self.answer_tokens * ones,
                self.cached_share * ones,
            ),
            Layout(which, tensor, chosen["batch"], working, chosen["precision"]),
            table,
        )
        devices = tensor * replicas
        failing = table.column("failures_per_hour", which) * tensor / units
        compute_s = done.prefill_s + done.decode_s
        return Estimates(
            nodes=devices,
            capacity_per_s=_HEADROOM * done.capacity_per_s,
            compute_s=compute_s,
            communication_s=done.exchange_s,
            idle_s=np.zeros_like(tensor),
            rework_s=compute_s * chosen["spares"] / working,
            latency_s=done.first_token_s,
            usd_per_hour=devices * table.column("usd_per_hour", which) / units,
            usd_per_unit=np.zeros_like(tensor),
            quality=np.ones_like(tensor),
            availability=available(replicas, np.maximum(replicas - chosen["spares"], 1.0), failing),
            uses={
                "device memory": Use(done.memory_bytes, table.column("memory_bytes", which) / units, "bytes"),
                "time of a token": Use(done.token_s, np.full_like(tensor, self.token_s), "s"),
                "devices with fast links": Use(tensor, scale_up_width(table, which), "devices"),
                "replicas at work": Use(np.where(replicas > chosen["spares"], 0.0, np.inf), np.ones_like(tensor), ""),
            },
        )

    def slots(self, spec: Spec[Any], chosen: Mapping[str, float]) -> dict[Slot, Decision]:
        wide = chosen["tensor"] > 1

        return {
            Slot.PARTITION: decision(
                f"requests over {chosen['replicas']:.0f} replicas of {chosen['tensor']:.0f} "
                f"device{'s' if wide else ''} each",
                "one device a replica" if wide else "replicas over several devices",
                "the weights, or the time of a token, need more" if wide else "two collectives a layer for nothing",
            ),
            Slot.COMMUNICATION: decision(
                "all-reduce over the fast links of one node" if wide else "none between replicas",
                "pipeline stages over nodes",
                "each adds its latency to every token",
            ),
            Slot.CONSISTENCY: decision(
                "replicas share nothing but weights",
                "a common prefix cache",
                "its bytes cross ports that are slower than to compute again",
            ),
            Slot.COORDINATION: decision(
                "a gateway that sees every line",
                "clients that pick a replica",
                "they cannot see lines, nor where a prefix is held",
            ),
            Slot.FAULT_TOLERANCE: decision(
                f"{chosen['spares']:.0f} spare replica{'s' if chosen['spares'] != 1 else ''}; a broken request "
                "starts again",
                "copies of keys and values",
                "they are the memory that limits the batch",
            ),
            Slot.LOAD_BALANCING: decision(
                "least work ahead, a held prefix counted as work saved",
                "round robin",
                "answers differ in length a hundredfold",
            ),
        }
