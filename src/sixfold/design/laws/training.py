"""Laws of training a transformer on many devices: the time of one step under a plan, by what it is spent on.

One call covers as many plans as its arrays have elements. The constants (`Machine`) are physical numbers of the device
and its links, and shares of them fitted per device and framework (`catalog/efficiencies.yaml`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats
from sixfold.design.laws.communication import exposed_time_s
from sixfold.design.laws.pipeline import pipeline_time_s
from sixfold.design.laws.roofline import Device, later_of_s, slowest_of
from sixfold.design.laws.training_layer import (
    Kernels,
    Layer,
    Network,
    collective_bytes_per_s,
    layer_times,
    output_time_s,
)
from sixfold.design.laws.training_memory import expert_parameters
from sixfold.design.laws.training_plan import FULL, SELECTIVE, Plan, shard
from sixfold.design.laws.transformer import Transformer, parameters

__all__ = ["Machine", "Step", "Sync", "training_step"]


@dataclass(frozen=True, slots=True)
class Sync:
    """How a framework keeps copies of the parameters in step.

    gradient_bytes: per parameter reduced. optimiser_bytes: read and written per parameter by the optimiser. step_s:
    of a step, whatever its size. overlap_data, overlap_tensor, overlap_expert: shares of the computation that may run
    beside reductions of gradients, collectives of layers, exchanges of experts; overlap_pipeline: share of the
    messages between stages that is hidden. contention: see `exposed_time_s`.
    gathers: times ZeRO-3 gathers a layer's parameters a micro-batch without recomputation (once more with it).
    flat: 1 where these rings ignore nodes, so that each device's port carries all of its traffic. spread: of the
    speeds of like devices (`slowest_of`).
    """

    gradient_bytes: float
    optimiser_bytes: float
    step_s: float
    overlap_data: float
    overlap_tensor: float
    overlap_expert: float
    overlap_pipeline: float
    contention: float
    gathers: float
    flat: float
    spread: float


@dataclass(frozen=True, slots=True)
class Machine:
    """A device, its links, and the framework that drives them."""

    device: Device
    network: Network
    kernels: Kernels
    sync: Sync


@dataclass(frozen=True, slots=True)
class Step:
    """Seconds of one training step, one element a plan: the total, and its parts.

    compute_s: layers and output as if no device ever waited. tensor_s: collectives inside layers. idle_s: pipeline
    bubble, uneven stages, messages between stages, and the wait for the slowest device. data_s: gradients reduced and
    parameters gathered, as far as computation does not hide it. optimiser_s: the update.
    """

    total_s: Floats
    compute_s: Floats
    tensor_s: Floats
    idle_s: Floats
    data_s: Floats
    optimiser_s: Floats

    def tokens_per_s(self, tokens: ArrayLike) -> Floats:
        """Tokens a second, of `tokens` a step."""
        return np.asarray(np.asarray(tokens, dtype=np.float64) / self.total_s)


def training_step(model: Transformer, layout: Plan, machine: Machine) -> Step:
    """Return the time of one step of every plan; at least 200,000 plans a second on one core.

    A pipeline of stages (`pipeline_time_s`) of layers (`layer_times`), whose kernels run no faster than the host
    launches them; then gradients are reduced (all-reduce, or reduce-scatter and all-gather with ZeRO: Rajbhandari et
    al. 2020, section 7) and parameters updated by passes over memory. ZeRO-3 gathers and reduces every micro-batch.
    Plans must be checked (`plan`); memory is another question (`training_memory`).
    """
    device, sync, network = machine.device, machine.sync, machine.network
    layer = layer_times(model, layout, device, machine.kernels, network)
    output_s = output_time_s(model, layout, device, machine.kernels)
    forward, backward, computed = _passes_s(layer, layout, machine)
    layers = np.ceil(model.layers / layout.pipeline)
    stage = layers * (forward + backward)
    message_s = _message_time_s(model, layout, network) * (1.0 - sync.overlap_pipeline)
    slowest = stage + output_s + 2.0 * layout.chunks * message_s
    m = layout.micro_batches
    pipe = pipeline_time_s(stage + 2.0 * message_s, slowest, layout.pipeline, m, layout.chunks)
    pipe = pipe * slowest_of(layout.devices, sync.spread)

    reduce_s, gather_s, update_s = _update_times_s(model, layout, machine)
    sharded = layout.zero >= 3.0
    # Gradients are reduced while the last micro-batch runs backward; ZeRO-3 is busy all the time.
    room = np.where(sharded, pipe, layers * backward)
    share = np.where(sharded, 1.0, sync.overlap_data)
    data_s = exposed_time_s(reduce_s + gather_s, room, share, sync.contention)
    total = pipe + data_s + update_s
    ideal = m * (model.layers / layout.pipeline * computed + output_s / layout.pipeline)
    tensor_s = m * model.layers / layout.pipeline * np.maximum(forward + backward - computed, 0.0)
    return Step(
        total_s=np.asarray(total),
        compute_s=np.asarray(ideal),
        tensor_s=np.asarray(tensor_s),
        idle_s=np.asarray(np.maximum(pipe - ideal - tensor_s, 0.0)),
        data_s=data_s,
        optimiser_s=np.asarray(update_s),
    )


def _passes_s(layer: Layer, layout: Plan, machine: Machine) -> tuple[Floats, Floats, Floats]:
    """One layer forward, backward with what is recomputed, and both without collectives."""
    sync, kernels = machine.sync, machine.kernels
    launch = kernels.launch_s
    split = layout.tensor > 1.0
    calls = 2.0 * kernels.collective_s * split

    def one_way(compute: Floats, times: float) -> tuple[Floats, Floats]:
        busy = compute + exposed_time_s(2.0 * layer.tensor_s, compute, sync.overlap_tensor, sync.contention)
        busy = busy + exposed_time_s(2.0 * layer.expert_s, compute, sync.overlap_expert, sync.contention)
        busy = busy + exposed_time_s(times * layer.context_s, compute, 1.0, sync.contention)
        return later_of_s(busy, launch * times + calls), later_of_s(compute, np.asarray(launch * times))

    forward, plain_f = one_way(layer.forward_s, 1.0)
    backward, plain_b = one_way(layer.backward_s, 2.0)
    again = np.where(layout.recompute == FULL, 1.0, 0.0)
    part = np.where(layout.recompute == SELECTIVE, layer.again_s, 0.0)
    backward = backward + again * forward + part
    return forward, np.asarray(backward), np.asarray(plain_f + plain_b + again * plain_f + part)


def _message_time_s(model: Transformer, layout: Plan, network: Network) -> Floats:
    """Activations of one micro-batch from a stage to the next, each tensor rank sending its share.

    Source: the scatter/gather optimisation of Narayanan et al. 2021, section 4.1.
    """
    size = 2.0 * layout.micro_batch * model.seq_len / layout.context * model.hidden / layout.tensor
    leaves = layout.devices > network.scale_up_size
    rate = np.where(
        leaves, network.port_bytes_per_s * network.port_share, network.scale_up_bytes_per_s * network.scale_up_share
    )
    step_s = np.where(leaves, network.port_step_s, network.scale_up_step_s)
    return np.asarray(np.where(layout.pipeline > 1.0, step_s + size / rate, 0.0))


def _update_times_s(model: Transformer, layout: Plan, machine: Machine) -> tuple[Floats, Floats, Floats]:
    """Seconds of reducing gradients, of gathering parameters, and of the optimiser, on the first stage."""
    sync = machine.sync
    routed = expert_parameters(model)
    ends = model.vocab * model.hidden
    inner = parameters(model) - routed - (1.0 + model.untied) * ends
    part = shard(inner, routed, layout)
    dense = part.dense + ends / layout.tensor
    stride = layout.tensor
    reduce_s, gather_s = _sync_times_s(dense, part.dense_data, stride, model, layout, machine)
    if np.any(np.asarray(routed) > 0.0):
        more_reduce, more_gather = _sync_times_s(part.experts, part.expert_data, layout.expert, model, layout, machine)
        reduce_s, gather_s = reduce_s + more_reduce, gather_s + more_gather
    owned = dense / np.where(layout.zero >= 1.0, part.dense_data, 1.0)
    owned = owned + part.experts / np.where(layout.zero >= 1.0, part.expert_data, 1.0)
    update_s = owned * sync.optimiser_bytes / machine.device.pass_bytes_per_s + sync.step_s
    return reduce_s, gather_s, np.asarray(update_s)


def _sync_times_s(
    count: Floats, ranks: Floats, stride: Floats, model: Transformer, layout: Plan, machine: Machine
) -> tuple[Floats, Floats]:
    sync, network = machine.sync, machine.network
    share = (ranks - 1.0) / ranks
    rate = collective_bytes_per_s(ranks, stride, network)
    port = network.port_bytes_per_s * network.port_share
    inside = ranks * stride <= network.scale_up_size
    sharded = layout.zero >= 3.0
    if sync.flat:
        rate = np.where(sharded & ~inside, np.minimum(rate, port), rate)
    once = count * share / rate  # of one byte a parameter, in one direction
    step_s = np.where(inside, network.scale_up_step_s, network.port_step_s)
    turns = np.where(sharded, layout.micro_batches, 1.0)
    layers = np.ceil(model.layers / layout.pipeline)
    start_s = np.where(ranks > 1.0, step_s * np.log2(np.maximum(ranks, 2.0)), 0.0) * np.where(sharded, layers, 1.0)
    reduced = np.where(layout.zero >= 1.0, 1.0, 2.0) * sync.gradient_bytes
    reduced = np.where(sharded, 2.0, reduced)  # in 16 bit, layer by layer
    gathers = np.where(sharded, sync.gathers + np.where(layout.recompute == FULL, 1.0, 0.0), 1.0)
    gathers = np.where(layout.zero >= 1.0, gathers, 0.0)
    reduce_s = turns * (reduced * once + start_s)
    gather_s = turns * gathers * (2.0 * once + start_s)
    return np.asarray(reduce_s), np.asarray(gather_s)
