"""Laws of one transformer layer in training: computation, and the collectives inside a layer, of one micro-batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats
from sixfold.design.laws.communication import two_level_bytes_per_s
from sixfold.design.laws.roofline import Device, gemm_time_s, training_gemm_time_s
from sixfold.design.laws.training_plan import Plan
from sixfold.design.laws.transformer import Transformer

__all__ = ["Kernels", "Layer", "Network", "collective_bytes_per_s", "layer_times", "output_time_s"]


@dataclass(frozen=True, slots=True)
class Network:
    """Links between devices. scale_up_*: inside a node or rack, bytes/s per device and direction, and its size.

    port_bytes_per_s: a device's share of its node's ports to the network. *_share: of these, what collectives reach.
    *_step_s: start-up of a message.
    """

    scale_up_bytes_per_s: float
    scale_up_size: float
    port_bytes_per_s: float
    scale_up_share: float
    port_share: float
    scale_up_step_s: float
    port_step_s: float


@dataclass(frozen=True, slots=True)
class Kernels:
    """What a framework launches for a layer. Bytes are those read and written by passes over memory, forward.

    hidden_bytes: per token and hidden element (norms, residuals, dropout). inner_bytes: per token and element that
    tensor parallelism divides (activation function, queries, keys, values), relative to the hidden size of a GPT.
    score_bytes: per score of an attention that is not fused. fused: 1 where attention keeps scores on chip; causal: 1
    where it skips masked ones. loss_bytes: per token and vocabulary entry. launch_s: host time of a forward pass
    of a layer; collective_s: host time of one collective. eight_bit: 1 where products run in 8 bit or less.
    """

    hidden_bytes: float
    inner_bytes: float
    score_bytes: float
    loss_bytes: float
    launch_s: float
    collective_s: float
    fused: float
    causal: float
    eight_bit: float = 0.0


@dataclass(frozen=True, slots=True)
class Layer:
    """Seconds of one layer and one micro-batch on one device.

    again_s: of what selective recomputation repeats: the scores; beside a fused attention every second product, and the
    passes over memory.
    tensor_s: of one collective over the activations; a layer has two forward and two backward. expert_s: of sending
    tokens to experts or back, forward. context_s: of passing keys and values around, forward.
    """

    forward_s: Floats
    backward_s: Floats
    again_s: Floats
    tensor_s: Floats
    expert_s: Floats
    context_s: Floats


def collective_bytes_per_s(members: ArrayLike, stride: ArrayLike, network: Network) -> Floats:
    """Return the bytes/s of a ring of `members` that are `stride` devices apart, by where they lie in their nodes."""
    per_node = np.clip(network.scale_up_size / np.asarray(stride, dtype=np.float64), 1.0, None)
    count = np.asarray(members, dtype=np.float64)
    return two_level_bytes_per_s(
        count,
        np.minimum(per_node, count),
        network.scale_up_bytes_per_s * network.scale_up_share,
        network.port_bytes_per_s * network.port_share,
    )


def layer_times(model: Transformer, layout: Plan, device: Device, kernels: Kernels, network: Network) -> Layer:
    """Return the times of the average layer, dense or with experts.

    Linear layers by `roofline`, forward and twice that backward; attention either as products and passes over scores,
    or as one fused kernel (backward 2.5 times forward, Dao 2023, section 3.1.3); passes over memory by their bytes;
    tensor-parallel collectives of 2 s b h bytes (Shoeybi et al., "Megatron-LM", 2019, section 3), which sequence
    parallelism splits in two of half (Korthikanti et al. 2022, section 4.2.2); expert parallel all-to-all of k tokens
    (Rajbhandari et al. 2022, "DeepSpeed-MoE"); context parallelism passes keys and values around a ring (Liu et al.,
    "Ring attention", 2023).
    """
    t, c = layout.tensor, layout.context
    tokens = layout.micro_batch * model.seq_len / c
    h, width, kv = model.hidden, model.attention_width, model.kv_heads * model.head_dim
    sparse = model.moe_layers / model.layers

    # Two matrices as wide as attention's parameters say: into queries, keys and values, and out of attention.
    into = model.attention_weights / h - width
    forward, backward = training_gemm_time_s(tokens, into / t, h, device)
    out_f, out_b = training_gemm_time_s(tokens, h, width / t, device)
    dense_f, dense_b = _mlp_times_s(tokens, h, model.ffn / t, model.gated, device)
    forward, backward = forward + out_f, backward + out_b
    if np.any(sparse > 0.0):
        moe_f, moe_b = _expert_times_s(model, layout, tokens, device)
        dense_f = dense_f * (1.0 - sparse) + moe_f * sparse
        dense_b = dense_b * (1.0 - sparse) + moe_b * sparse
    forward, backward = forward + dense_f, backward + dense_b

    scores_s, scores_b = _attention_times_s(model, layout, tokens, device, kernels)
    whole = np.where(layout.sequence > 0.0, t, 1.0)
    routed = model.experts_per_token * model.expert_ffn + model.shared_ffn
    inner = (1.0 - sparse) * model.ffn + sparse * routed
    # Of a GPT the divided elements are 4 h of the MLP and 3 h of attention: inner_bytes is for these 7 h together.
    divided = (inner * (1.0 + 0.5 * model.gated) + width + 2.0 * kv + sparse * 2.0 * model.experts_per_token * h) / 7.0
    pass_bytes = tokens * (h * kernels.hidden_bytes / whole + divided * kernels.inner_bytes / t)
    if kernels.eight_bit:  # read in 16 bit, written in 8, of every product's input
        pass_bytes = pass_bytes + 3.0 * tokens * (2.0 * h / whole + (width + inner) / t)
    pass_s = pass_bytes / device.pass_bytes_per_s
    tensor_s = _tensor_time_s(tokens, model, layout, network)
    return Layer(
        forward_s=np.asarray(forward + scores_s + pass_s),
        backward_s=np.asarray(backward + scores_b + 2.0 * pass_s),
        again_s=np.asarray(0.5 * forward + pass_s if kernels.fused else scores_s),
        tensor_s=tensor_s,
        expert_s=np.asarray(sparse * _expert_exchange_s(tokens, model, layout, network)),
        context_s=_context_time_s(tokens, model, layout, network),
    )


def output_time_s(model: Transformer, layout: Plan, device: Device, kernels: Kernels) -> Floats:
    """Return the seconds of logits and loss of one micro-batch, forward and backward, on the device that has them.

    A product with the output table, and passes over s b V / t logits. Source: Narayanan et al. 2021, appendix A;
    vocabulary-parallel cross entropy: Shoeybi et al. 2019, section 3.
    """
    tokens = layout.micro_batch * model.seq_len / layout.context
    columns = model.vocab / layout.tensor
    forward, backward = training_gemm_time_s(tokens, columns, model.hidden, device)
    return np.asarray(forward + backward + tokens * columns * kernels.loss_bytes / device.pass_bytes_per_s)


def _mlp_times_s(
    tokens: ArrayLike, hidden: ArrayLike, inner: ArrayLike, gated: ArrayLike, device: Device
) -> tuple[Floats, Floats]:
    up_f, up_b = training_gemm_time_s(tokens, np.asarray(inner) * (1.0 + np.asarray(gated)), hidden, device)
    down_f, down_b = training_gemm_time_s(tokens, hidden, inner, device)
    return np.asarray(up_f + down_f), np.asarray(up_b + down_b)


def _expert_times_s(model: Transformer, layout: Plan, tokens: ArrayLike, device: Device) -> tuple[Floats, Floats]:
    """Experts on a device one after the other, each with its share of the tokens of the expert-parallel group."""
    experts = np.maximum(model.experts, 1.0)
    local = np.maximum(experts / layout.expert, 1.0)
    # A tensor group holds each token once: its ranks send disjoint shares to the experts.
    arriving = np.asarray(tokens) * model.experts_per_token / layout.tensor / local
    one_f, one_b = _mlp_times_s(
        np.maximum(arriving, 1.0), model.hidden, np.maximum(model.expert_ffn, 1.0), model.gated, device
    )
    shared_f, shared_b = _mlp_times_s(
        tokens, model.hidden, np.maximum(model.shared_ffn, 1.0) / layout.tensor, model.gated, device
    )
    router = gemm_time_s(tokens, experts, model.hidden, device)
    has_shared = model.shared_ffn > 0.0
    forward = local * one_f + np.where(has_shared, shared_f, 0.0) + router
    return np.asarray(forward), np.asarray(local * one_b + np.where(has_shared, shared_b, 0.0) + 2.0 * router)


def _attention_times_s(
    model: Transformer, layout: Plan, tokens: ArrayLike, device: Device, kernels: Kernels
) -> tuple[Floats, Floats]:
    flops = 4.0 * np.asarray(tokens) * model.seq_len * model.attention_width / layout.tensor
    if kernels.fused:
        forward = flops * (1.0 - 0.5 * kernels.causal) / (device.attention_flops * device.attention_share)
        return np.asarray(forward), np.asarray(2.5 * forward)
    product = flops / (device.attention_flops * device.gemm_share) * (1.0 + device.half_depth / model.head_dim)
    scores = np.asarray(tokens) * model.seq_len * model.heads / layout.tensor
    forward = product + scores * kernels.score_bytes / device.pass_bytes_per_s
    return np.asarray(forward), np.asarray(2.0 * forward)


def _tensor_time_s(tokens: ArrayLike, model: Transformer, layout: Plan, network: Network) -> Floats:
    t = layout.tensor
    size = 2.0 * np.asarray(tokens) * model.hidden
    rate = collective_bytes_per_s(t, 1.0, network)
    step_s = np.where(t > network.scale_up_size, network.port_step_s, network.scale_up_step_s)
    ring = 2.0 * (t - 1.0) / t * size / rate + 2.0 * np.log2(np.maximum(t, 1.0)) * step_s
    return np.asarray(ring)


def _expert_exchange_s(tokens: ArrayLike, model: Transformer, layout: Plan, network: Network) -> Floats:
    """One all-to-all: inside a node over its links, the rest through the device's port."""
    e = layout.expert
    inside = np.minimum(e, network.scale_up_size)
    size = 2.0 * np.asarray(tokens) / layout.tensor * model.experts_per_token * model.hidden
    near = size * (inside - 1.0) / e / (network.scale_up_bytes_per_s * network.scale_up_share)
    far = size * (e - inside) / e / (network.port_bytes_per_s * network.port_share)
    return np.asarray(near + far)


def _context_time_s(tokens: ArrayLike, model: Transformer, layout: Plan, network: Network) -> Floats:
    c = layout.context
    size = 2.0 * 2.0 * np.asarray(tokens) * model.kv_heads * model.head_dim / layout.tensor
    return np.asarray((c - 1.0) * size / collective_bytes_per_s(c, layout.tensor, network))
