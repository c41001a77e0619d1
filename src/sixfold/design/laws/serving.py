"""Laws of one step of a serving engine: decoding for a batch, and the prefill of prompts, on tensor-parallel devices.

A step multiplies every token in it with the weights and reads the keys and values of its requests. Decoding has one
token a request, and is bound by reading; prefill has whole prompts, and is bound by arithmetic. What queues and clients
make of steps is in `serving_queue`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, within
from sixfold.design.laws.communication import all_reduce_time_s, all_to_all_time_s
from sixfold.design.laws.roofline import Device, later_of_s
from sixfold.design.laws.serving_memory import ServedModel, kv_bytes_per_device, weight_bytes_read

__all__ = ["Engine", "Replica", "collectives_s", "decode_step_s", "prefill_step_s"]

_HIDDEN_BYTES = 2.0  # of an activation on its way between devices
_CAUSAL = 0.5  # of pairs of query and key that a mask leaves


@dataclass(frozen=True, slots=True)
class Engine:
    """A device with a framework on it.

    device: peaks and shares; its `flops` are those of weights' precision. link_bytes_per_s: between devices of a
    replica, one direction. alpha_s: start-up of a step of a collective. layer_s: of a decoding step, what a layer takes
    beyond bytes and arithmetic (kernels that fill and drain); moe_layer_s: more where it has experts (routing, sorting,
    a second product). expert_share: of `device.gemm_flops`, of products with routed experts. eager_layer_s: of a layer
    whose kernels are launched one by one, in steps with a prompt. step_s: what a step takes beyond its layers.
    request_s: more for each request in it (sampling, bookkeeping).
    """

    device: Device
    link_bytes_per_s: float
    alpha_s: float
    layer_s: float
    moe_layer_s: float
    expert_share: float
    eager_layer_s: float
    step_s: float
    request_s: float


@dataclass(frozen=True, slots=True)
class Replica:
    """How one copy of a model is laid out and kept, as arrays.

    tensor: devices that share attention. data: ranks of so many with requests of their own; experts are split over
    tensor x data devices, whole or cut. weight_bytes, value_bytes: of a weight, and of a number of the keys and values.
    """

    tensor: Floats
    data: Floats
    weight_bytes: Floats
    value_bytes: Floats


def collectives_s(model: ServedModel, tokens: ArrayLike, replica: Replica, engine: Engine) -> Floats:
    """Return the seconds of one step's exchanges: two all-reduces a layer, or all-to-alls where ranks share experts.

    tokens: of the whole replica. Source: Shoeybi et al., "Megatron-LM", 2019, section 3 (two a layer); Rajbhandari et
    al., DeepSpeed-MoE, 2022, section 5 (tokens travel to their experts and back).
    """
    t, d = replica.tensor, replica.data
    n = at_least("tokens", tokens, 0.0) / d
    beta = 1.0 / engine.link_bytes_per_s
    size = n * model.hidden * _HIDDEN_BYTES
    reduce_s = np.where(t > 1.0, all_reduce_time_s(t, size, engine.alpha_s, beta), 0.0)
    if np.all(d == 1.0):
        return np.asarray(2.0 * model.layers * reduce_s)
    copies = np.maximum(np.minimum(model.experts_per_token, t * d), 1.0)  # a token goes once to each device
    # A tree of start-ups, as libraries that write into each other's memory need one each way.
    exchange_s = all_to_all_time_s(t * d, size / t * copies, 0.0, beta) + np.log2(t * d) * engine.alpha_s
    mixed = np.where((d > 1.0) & (model.experts > 0), 2.0 * exchange_s, reduce_s)
    return np.asarray(model.layers * reduce_s + model.moe_layers * mixed + (model.layers - model.moe_layers) * reduce_s)


def decode_step_s(model: ServedModel, batch: ArrayLike, context: ArrayLike, replica: Replica, engine: Engine) -> Floats:
    """Return the seconds of a decoding step: one token for each of `batch` requests of `context` tokens.

    Weights and keys and values are read once; arithmetic runs beside reading weights, the slower one decides.
    Source: roofline of Williams et al., CACM 52(4), 2009, on Pope et al., "Efficiently scaling transformer inference",
    MLSys 2023, section 2; constants of time: `catalog/serving.yaml`.
    """
    n, length = at_least("batch", batch, 0.0), at_least("context", context, 0.0)
    device = engine.device
    own = n / replica.data
    read = weight_bytes_read(model, n, replica.tensor, replica.weight_bytes, data=replica.data)
    kv = kv_bytes_per_device(model, own * length, replica.tensor, replica.value_bytes)
    weights_s = read / device.pass_bytes_per_s
    gemm_s = _linear_flops(model, n, replica, engine) / device.gemm_flops
    pairs_s = own * length * model.decode_pair_flops / replica.tensor
    attention_s = np.maximum(kv / device.pass_bytes_per_s, pairs_s / (device.attention_flops * device.attention_share))
    fixed_s = _layers_s(model, engine) + engine.step_s + own * engine.request_s
    return np.asarray(later_of_s(weights_s, gemm_s) + attention_s + fixed_s + collectives_s(model, n, replica, engine))


def prefill_step_s(
    model: ServedModel,
    prompt: ArrayLike,
    prompts: ArrayLike,
    batch: ArrayLike,
    context: ArrayLike,
    replica: Replica,
    engine: Engine,
    *,
    cached: ArrayLike = 0.0,
) -> Floats:
    """Return the seconds of a step that reads `prompts` prompts of `prompt` tokens beside `batch` that decode.

    cached: share of a prompt whose keys and values are held already: only the rest is computed, against all of it.
    Never less than what launching its kernels takes. Source: Agrawal et al., "Taming throughput-latency tradeoff in LLM
    inference with Sarathi-Serve", OSDI 2024, section 3 (mixed steps); efficiency by shape: `roofline`.
    """
    length, n = at_least("prompt", prompt, 0.0), at_least("prompts", prompts, 0.0)
    decoding, behind, device = at_least("batch", batch, 0.0), at_least("context", context, 0.0), engine.device
    held = within("cached", cached, 0.0, 1.0)
    fresh = n * length * (1.0 - held)
    tokens = fresh + decoding
    read = weight_bytes_read(model, tokens, replica.tensor, replica.weight_bytes, data=replica.data)
    kv = kv_bytes_per_device(model, decoding / replica.data * behind, replica.tensor, replica.value_bytes)
    # A product as wide as a layer's middle one: what tiles and depth lose at few tokens a device.
    width = np.sqrt(np.maximum(model.active / (model.layers * 7.0), 1.0))
    lost = device.half_area / np.maximum(tokens / replica.data * width / replica.tensor, 1.0)
    lost = lost + device.half_depth / width
    gemm_s = _linear_flops(model, tokens, replica, engine) / device.gemm_flops * (1.0 + np.minimum(lost, 30.0))
    pairs = n * length * length * (1.0 - held) * (held + _CAUSAL * (1.0 - held))
    pairs_s = pairs / replica.data * model.pair_flops / replica.tensor
    attention_s = pairs_s / (device.attention_flops * device.attention_share) + kv / device.pass_bytes_per_s
    passed_s = later_of_s(read / device.pass_bytes_per_s, gemm_s) + attention_s
    passed_s = passed_s + _layers_s(model, engine) + collectives_s(model, tokens, replica, engine)
    launched_s = model.layers * engine.eager_layer_s
    return np.asarray(later_of_s(passed_s, launched_s) + engine.step_s + decoding / replica.data * engine.request_s)


def _linear_flops(model: ServedModel, tokens: Floats, replica: Replica, engine: Engine) -> Floats:
    """FLOPs of products with weights, on each device, of one step over `tokens`; slower ones count as more of them."""
    experts = np.where(model.experts > 0, model.experts_per_token / np.maximum(model.experts, 1.0), 0.0) * model.routed
    return np.asarray(2.0 * tokens * (model.common + experts / engine.expert_share) / (replica.tensor * replica.data))


def _layers_s(model: ServedModel, engine: Engine) -> Floats:
    """What layers take beyond bytes and arithmetic."""
    return np.asarray(model.layers * engine.layer_s + model.moe_layers * engine.moe_layer_s)
