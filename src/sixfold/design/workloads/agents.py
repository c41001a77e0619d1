"""An agentic application: people's tasks, each many steps of a language model and its tools, on one fleet."""

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
from sixfold.design.laws.agents import (
    cascade_success,
    chain_success,
    retried_success,
    retry_attempts,
    task_cost_usd,
    task_latency_s,
    task_tokens,
    vote_success,
)
from sixfold.design.laws.transformer import active_parameters, parameters
from sixfold.design.machines import machine_choice, machines_of
from sixfold.design.spec import Spec
from sixfold.design.workload import Choice, Estimates, Rent, Resource, Use, Workload
from sixfold.design.workloads.shared import available, counts, decision, known, powers
from sixfold.design.workloads.token_service import Layout, Requests, Service, scale_up_width, serve
from sixfold.units import byte_count, number, quantity, seconds

__all__ = ["Agents"]

_SMALL, _LARGE, _CASCADE = 0.0, 1.0, 2.0
_HEADROOM = 0.7  # of the capacity at the peak: tasks come in bursts of calls
_HELD = 0.9  # of what a task has read, still held by the replica that it keeps going back to
_SPREAD = 0.5  # assumed: coefficient of variation of the time of a call


class Agents(Workload):
    """Tasks of `steps` calls of a model; each reads instructions and everything so far, writes, and uses a tool.

    daily_users, tasks_a_day: of each user; peak_factor: the busiest hour over the mean. prompt_tokens: instructions and
    tools. step_tokens: what a tool adds to the context. small, large: models of the catalog, and how often a step of
    each is right (small_success, large_success: measure them on your tasks). caught: wrong steps that a check notices;
    false_alarm: right ones that it rejects. tool_s: of one use. rented: the price id of the large model elsewhere.
    """

    unit: ClassVar[str] = "task"
    node: ClassVar[str] = "device"
    latency: ClassVar[str] = "time of a task"
    quality: ClassVar[str] = "tasks that succeed"
    families: ClassVar[tuple[str, ...]] = ("agent coordination from turns", "dense TPOT", "dense TTFT")

    daily_users: Annotated[float, Field(gt=0, le=1e10)]
    tasks_a_day: Annotated[float, Field(gt=0, le=1e4)]
    peak_factor: Annotated[float, Field(ge=1, le=100)] = 3.0
    steps: Annotated[float, Field(ge=1, le=1e4)]
    prompt_tokens: Annotated[float, Field(ge=0, le=1e6)]
    step_tokens: Annotated[float, Field(ge=0, le=1e6)]
    written_tokens: Annotated[float, Field(ge=1, le=1e6)]
    tool_s: Annotated[float, Field(ge=0, le=3600)] = 1.0
    small: str
    large: str
    small_success: Annotated[float, Field(gt=0, lt=1)]
    large_success: Annotated[float, Field(gt=0, lt=1)]
    caught: Annotated[float, Field(ge=0, le=1)] = 0.7
    false_alarm: Annotated[float, Field(ge=0, lt=1)] = 0.05
    rented: str | None = None

    @field_validator("small", "large")
    @classmethod
    def _in_the_catalog(cls, value: str) -> str:
        return known(architecture, value)

    @field_validator("rented")
    @classmethod
    def _listed(cls, value: str | None) -> str | None:
        return None if value is None else known(token_price, value)

    @property
    def mode(self) -> Mode:
        return Mode.INTERACTIVE

    @property
    def demand_per_s(self) -> float:
        return self.daily_users * self.tasks_a_day / 86_400.0 * self.peak_factor

    def with_demand(self, factor: float) -> Agents:
        return self.model_copy(update={"daily_users": self.daily_users * factor})

    def rent(self, spec: Spec[Any]) -> Rent | None:
        if self.rented is None:
            return None
        price = token_price(self.rented)
        tokens = task_tokens(
            self.steps,
            self.prompt_tokens,
            self.step_tokens,
            self.written_tokens,
            cached_share=_HELD if price.cached_input_usd_per_million is not None else 0.0,
        )
        cached = (price.cached_input_usd_per_million or 0.0) * 1e-6
        usd = task_cost_usd(tokens, price.input_usd_per_token, price.output_usd_per_token, cached_usd=cached)
        what = f"one agent on {price.model} of {price.provider}, {price.date}"
        return Rent(what, float(usd) * spec.platform.price_factor, price.source)

    def resources(self, spec: Spec[Any]) -> list[Resource]:
        offers = machines_of(spec.platform).offers
        machine = max(offers, key=lambda offer: offer.machine.memory_bytes / offer.machine.units).machine
        memory, peak = machine.memory_bytes / machine.units, machine.flops() / machine.units
        shape = architecture(self.large).transformer(4096)
        weights = 2.0 * float(parameters(shape))
        tokens = task_tokens(self.steps, self.prompt_tokens, self.step_tokens, self.written_tokens)
        worked = float(tokens.fresh + tokens.cached + tokens.written)
        flops = self.demand_per_s * worked * 2.0 * float(active_parameters(shape))
        under_way = self.demand_per_s * self.steps * (self.tool_s + 0.03 * self.written_tokens)
        context = self.prompt_tokens + self.steps * (self.step_tokens + self.written_tokens)
        kv = 4.0 * float(shape.layers * shape.kv_heads * shape.head_dim) * context
        limit_s = spec.objective.latency_s or np.inf
        return [
            Resource(
                "compute",
                Ceiling.THROUGHPUT,
                Axis.INFERENCE,
                flops,
                0.5 * peak,
                "FLOP/s",
                f"{number(self.demand_per_s)} tasks/s at the peak read and write {worked:,.0f} tokens each: "
                f"{quantity(flops, 'FLOP/s')} of the large model.",
            ),
            Resource(
                "contexts held",
                Ceiling.DATA,
                Axis.DATA,
                under_way * kv,
                memory,
                "bytes",
                f"about {under_way:,.0f} tasks are under way at once; what they have read takes "
                f"{byte_count(under_way * kv)} of device memory, or is read again at each step.",
            ),
            Resource(
                "model memory",
                Ceiling.MODEL,
                Axis.MODEL,
                weights,
                memory,
                "bytes",
                f"{self.large} takes {byte_count(weights)} in 16 bit; a device has {byte_count(memory)}.",
            ),
            Resource(
                "decision latency",
                Ceiling.COORDINATION,
                Axis.INTELLIGENCE,
                self.steps * self.tool_s,
                limit_s,
                "s",
                f"{self.steps:g} uses of tools take {seconds(self.steps * self.tool_s)} one after the other; a task "
                f"may take {seconds(limit_s)}.",
            ),
        ]

    def choices(self, spec: Spec[Any]) -> list[Choice]:
        offers = machines_of(spec.platform).offers
        top = max(offer.machine.device.scale_up_size if offer.machine.device else 1 for offer in offers)
        tensor = powers(min(8, max(top, max(offer.machine.units for offer in offers))))
        compute = self.resources(spec)[0].utilisation
        replicas = counts(min(max(64.0, 12.0 * compute), spec.budget.nodes or 100_000), dense=4, per_octave=3)
        start = next((n for n in replicas if n >= 2.0 * compute / tensor[-1]), replicas[-1])
        return [
            machine_choice(spec.platform),
            Choice(
                "tier",
                Axis.MODEL,
                (_LARGE, _SMALL, _CASCADE),
                _LARGE,
                "which model takes a step",
                labels=("the small model", "the large model", "small first, large where a check fails"),
            ),
            Choice("tensor", Axis.MODEL, tensor, tensor[-1], "devices that a replica of the large model spans"),
            Choice("replicas", Axis.INFERENCE, replicas, start, "of the models that take steps"),
            Choice("batch", Axis.INFERENCE, (16.0, 32.0, 64.0, 128.0, 256.0), 64.0, "calls at once of a replica"),
            Choice("fan-out", Axis.INTELLIGENCE, (1.0, 3.0, 5.0), 1.0, "agents that take each step and vote"),
            Choice("retries", Axis.INTELLIGENCE, (0.0, 1.0, 2.0), 1.0, "of a step that a check rejects"),
            Choice(
                "affinity",
                Axis.DATA,
                (0.0, 1.0),
                0.0,
                "where a task's next step goes",
                labels=("any replica", "the replica that holds the context"),
            ),
        ]

    def estimate(self, spec: Spec[Any], chosen: Mapping[str, Floats]) -> Estimates:
        tier, voters, retries, which = (chosen[name] for name in ("tier", "fan-out", "retries", "machine"))
        small, escalated = cascade_success(
            self.small_success, self.large_success, caught=self.caught, false_alarm=self.false_alarm
        )
        one = np.where(tier == _CASCADE, small, np.where(tier == _LARGE, self.large_success, self.small_success))
        voted = vote_success(one, voters)
        checks = {"caught": self.caught, "false_alarm": self.false_alarm}
        step = np.where(retries > 0, retried_success(voted, retries, **checks), voted)
        attempts = np.where(retries > 0, retry_attempts(voted, retries, **checks), 1.0)
        quality = chain_success(step, self.steps)
        tokens = task_tokens(
            self.steps,
            self.prompt_tokens,
            self.step_tokens,
            self.written_tokens,
            cached_share=_HELD * chosen["affinity"],
        )
        calls = self.steps * voters * attempts
        read = (tokens.fresh + tokens.cached) / self.steps  # of a call, on average over a task
        cached = tokens.cached / np.maximum(tokens.fresh + tokens.cached, 1e-9)
        table = machines_of(spec.platform)
        on_small = np.where(tier == _LARGE, 0.0, 1.0)
        on_large = np.where(tier == _SMALL, 0.0, np.where(tier == _LARGE, 1.0, float(escalated)))
        # Of the replicas, as many are of the small model as its share of the work; it fits one device.
        cost_small, cost_large = (
            float(active_parameters(architecture(name).transformer(4096))) for name in (self.small, self.large)
        )
        work_small = on_small * cost_small / np.maximum(on_small * cost_small + on_large * cost_large, 1e-9)
        share_small = np.where(tier == _CASCADE, np.clip(work_small, 0.05, 0.95), on_small)
        rate = self.demand_per_s * calls
        ones = np.ones_like(tier)

        def fleet(name: str, load: Floats, replicas: Floats, tensor: Floats) -> Service:
            asked = Requests(rate * load, read * ones, self.written_tokens * ones, cached * ones)
            layout = Layout(which, tensor * ones, chosen["batch"], replicas, 0.0 * ones)
            return serve(name, asked, layout, table)

        devices_large = chosen["replicas"] * chosen["tensor"] * np.where(tier == _SMALL, 0.0, 1.0 - share_small)
        devices_small = chosen["replicas"] * chosen["tensor"] * np.where(tier == _LARGE, 0.0, share_small)
        small_one = fleet(self.small, on_small, np.maximum(devices_small, 1e-3), ones)
        large_one = fleet(self.large, on_large, np.maximum(devices_large / chosen["tensor"], 1e-3), chosen["tensor"])
        per_task_small = calls * on_small
        per_task_large = calls * on_large
        huge = 1e30
        capacity = np.minimum(
            np.where(per_task_small > 0, small_one.capacity_per_s / np.maximum(per_task_small, 1e-9), huge),
            np.where(per_task_large > 0, large_one.capacity_per_s / np.maximum(per_task_large, 1e-9), huge),
        )
        first_s = on_small * _finite(small_one.first_token_s, on_small) + on_large * _finite(
            large_one.first_token_s, on_large
        )
        token_s = on_small * small_one.token_s + on_large * large_one.token_s
        steps_s = task_latency_s(
            self.steps * attempts,
            np.minimum(first_s, 1e9),
            token_s,
            self.written_tokens,
            tool_s=self.tool_s,
            fan_out=voters,
            spread=_SPREAD,
        )
        latency = np.where(np.isfinite(first_s), steps_s, np.inf)
        devices = devices_large + devices_small
        units = table.column("units", which)
        failing = table.column("failures_per_hour", which) / units
        compute_s = per_task_small * (small_one.prefill_s + small_one.decode_s)
        compute_s = compute_s + per_task_large * (large_one.prefill_s + large_one.decode_s)
        exchange_s = per_task_small * small_one.exchange_s + per_task_large * large_one.exchange_s
        again = 1.0 - 1.0 / attempts
        memory = np.maximum(
            np.where(on_small > 0, small_one.memory_bytes, 0.0), np.where(on_large > 0, large_one.memory_bytes, 0.0)
        )
        return Estimates(
            nodes=np.ceil(devices),
            capacity_per_s=_HEADROOM * capacity,
            compute_s=compute_s * (1.0 - again),
            communication_s=exchange_s,
            idle_s=np.zeros_like(tier),
            rework_s=compute_s * again,
            latency_s=latency,
            usd_per_hour=np.ceil(devices) * table.column("usd_per_hour", which) / units,
            usd_per_unit=np.zeros_like(tier),
            quality=np.asarray(quality * ones),
            availability=available(np.ceil(devices), np.floor(devices * (1.0 - (1.0 - _HEADROOM) / 2.0)), failing),
            uses={
                "device memory": Use(memory, table.column("memory_bytes", which) / units, "bytes"),
                "devices with fast links": Use(chosen["tensor"], scale_up_width(table, which), "devices"),
            },
        )

    def slots(self, spec: Spec[Any], chosen: Mapping[str, float]) -> dict[Slot, Decision]:
        sticky = chosen["affinity"] > 0
        voters = chosen["fan-out"]
        return {
            Slot.PARTITION: decision(
                "by task: its state, its budget and its context belong together",
                "by step, to any replica",
                "the context, which grows with every step, would be read again each time",
            ),
            Slot.COMMUNICATION: decision(
                "each message kept once and referred to by its id",
                "the whole conversation in every record",
                "history would grow with the square of the steps",
            ),
            Slot.CONSISTENCY: decision(
                "a step is recorded before it acts",
                "recorded afterwards",
                "a tool that was used twice cannot be called back",
            ),
            Slot.COORDINATION: decision(
                f"one planner a task; {f'{voters:.0f} agents vote' if voters > 1 else 'one agent'} on a step",
                "agents that talk among themselves",
                "turns grow faster than agents (Kim et al. 2025), and errors with them",
            ),
            Slot.FAULT_TOLERANCE: decision(
                f"a rejected step is taken again, at most {chosen['retries']:.0f} times; a run goes on from its "
                "last record",
                "start the task again",
                "everything that was read and paid for would be lost",
            ),
            Slot.LOAD_BALANCING: decision(
                "where the context is held, if its line is short" if sticky else "least work ahead",
                "any replica" if sticky else "where the context is held",
                "contexts would be read again" if sticky else "its gain is within the error of the model",
            ),
        }


def _finite(values: Floats, used: Floats) -> Floats:
    """0 where a fleet is not used."""
    return np.asarray(np.where(used > 0, values, 0.0))
