"""Replicas of a language model on offered machines, under a load of requests: memory, rate, times of tokens.

The laws are those of `laws.serving`, which were held against measured engines; what is here brings designs to them, one
kind of device and precision at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from sixfold.design.catalog.devices import Device
from sixfold.design.catalog.serving import engine, front_end, model_served, serving_framework
from sixfold.design.checks import Floats
from sixfold.design.laws.serving import Replica
from sixfold.design.laws.serving_memory import kv_bytes_per_device, weight_bytes_per_device
from sixfold.design.laws.serving_queue import OpenServed, open_loop
from sixfold.design.machines import Machine, Machines

__all__ = ["Layout", "Requests", "Service", "scale_up_width", "serve"]

_WORKSPACE_BYTES = 2e9  # activations, graphs, buffers: `laws.serving_memory.batch_that_fits`
_WEIGHT_BYTES = {"bf16": 2.0, "fp8": 1.0}


@dataclass(frozen=True, slots=True)
class Requests:
    """What is asked: requests/s of all replicas together, tokens read and written by each, share of the prompt held."""

    per_s: Floats
    prompt_tokens: Floats
    answer_tokens: Floats
    cached_share: Floats


@dataclass(frozen=True, slots=True)
class Layout:
    """Designs, arrays of one element each. machine: an index of offers. narrow: 1 for weights of 8 bit, 0 for 16."""

    machine: Floats
    tensor: Floats
    batch: Floats
    replicas: Floats
    narrow: Floats


@dataclass(frozen=True, slots=True)
class Service:
    """All replicas together, arrays of one element a design.

    memory_bytes: on each device. capacity_per_s: requests. first_token_s: 99th percentile, infinite beyond capacity.
    token_s: mean time between tokens at the load. prefill_s, decode_s, exchange_s: of one request's share of a
    replica's time.
    """

    memory_bytes: Floats
    capacity_per_s: Floats
    first_token_s: Floats
    token_s: Floats
    prefill_s: Floats
    decode_s: Floats
    exchange_s: Floats


def serve(model: str, asked: Requests, layout: Layout, table: Machines) -> Service:
    """Return what replicas of a model of the catalog do for the requests that are asked.

    A framework of today as the catalog has it; beyond its capacity a replica's waiting is infinite. All zeros where
    nothing is asked.
    """
    shape, software = model_served(model), serving_framework("")
    result = Service(*(np.zeros_like(layout.tensor) for _ in fields(Service)))
    front = front_end(software)
    kinds = np.asarray(2.0 * layout.machine + layout.narrow, dtype=np.int64)
    used = asked.per_s > 0.0
    for kind in np.unique(kinds[used]):
        at = used & (kinds == kind)
        precision = ("bf16", "fp8")[kind % 2]
        replica = Replica(
            tensor=layout.tensor[at],
            data=np.ones(int(np.count_nonzero(at))),
            weight_bytes=np.full(int(np.count_nonzero(at)), _WEIGHT_BYTES[precision]),
            value_bytes=np.full(int(np.count_nonzero(at)), 2.0),
        )
        prompt, answer, batch = asked.prompt_tokens[at], asked.answer_tokens[at], layout.batch[at]
        done = open_loop(
            shape,
            asked.per_s[at] / layout.replicas[at],
            prompt,
            answer,
            replica,
            engine(_device(table.offers[kind // 2].machine), software, precision=precision),
            front,
            places=batch,
            cached=asked.cached_share[at],
        )
        weights = weight_bytes_per_device(shape, replica.tensor, replica.weight_bytes)
        values = kv_bytes_per_device(shape, batch * (prompt + answer), replica.tensor, replica.value_bytes)
        result.memory_bytes[at] = weights + (values + _WORKSPACE_BYTES) / software.usable
        result.capacity_per_s[at] = layout.replicas[at] * done.capacity_per_s
        _keep(result, at, done)
    return result


def scale_up_width(table: Machines, which: Floats) -> Floats:
    """Return how many devices one replica can span without leaving fast links, or its machine, for each design."""
    widths = np.array(
        [
            max(offer.machine.device.scale_up_size if offer.machine.device else 1, offer.machine.units)
            for offer in table.offers
        ],
        dtype=np.float64,
    )
    return np.asarray(widths[np.asarray(which, dtype=np.int64)])


def _keep(result: Service, at: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], done: OpenServed) -> None:
    result.first_token_s[at] = done.first_token_s
    result.token_s[at] = done.token_s
    result.prefill_s[at] = done.read_s
    result.decode_s[at] = done.decode_s
    result.exchange_s[at] = done.exchange_s


def _device(machine: Machine) -> Device:
    """The machine's device; of one without, a vCPU as far as it is known."""
    if machine.device is not None:
        return machine.device
    return Device(
        id=machine.id,
        name=machine.id,
        kind="cpu",
        memory_bytes=machine.memory_bytes / machine.units,
        memory_bytes_per_s=machine.memory_bytes_per_s / machine.units,
        flops={"bf16": machine.flops() / machine.units},
        names=(machine.id,),
        source="a share of its host",
        date=machine.listed.date,
    )
