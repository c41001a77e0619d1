"""Laws of the memory that training takes on one device: parameters, gradients, optimiser states, activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats
from sixfold.design.laws.pipeline import held_micro_batches
from sixfold.design.laws.training_plan import FULL, NONE, SELECTIVE, Plan, shard
from sixfold.design.laws.transformer import Transformer, attention_parameters, mlp_parameters, parameters

__all__ = ["MEMORY_ERROR", "Memory", "expert_parameters", "layer_activation_bytes", "state_bytes", "training_memory"]

MEMORY_ERROR = 0.25  # of a published peak: how far below it a prediction was at most (`validation/training.py`)
_OPTIMISER_BYTES = 12.0  # fp32 copy, momentum and variance of a parameter (Rajbhandari et al. 2020, section 3.1)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on the fullest device, by what holds them."""

    state_bytes: Floats
    activation_bytes: Floats
    working_bytes: Floats
    reserved_bytes: Floats

    @property
    def total_bytes(self) -> Floats:
        """All of it."""
        return np.asarray(self.state_bytes + self.activation_bytes + self.working_bytes + self.reserved_bytes)


def expert_parameters(model: Transformer) -> Floats:
    """Return the parameters that expert parallelism divides: those of all routed experts."""
    return np.asarray(model.moe_layers * model.experts * mlp_parameters(model, model.expert_ffn))


def state_bytes(count: ArrayLike, data: ArrayLike, zero: ArrayLike, gradient_bytes: ArrayLike = 2.0) -> Floats:
    """Return the bytes of `count` parameters with gradients and Adam's states: 2 + g + 12 each, less what ZeRO splits.

    Stage 1 divides the 12 by `data`, stage 2 the gradients too, stage 3 everything. Source: Rajbhandari et al.,
    "ZeRO: memory optimizations toward training trillion parameter models", SC20, section 5 and figure 1.
    """
    n, ranks = np.asarray(count, dtype=np.float64), np.asarray(data, dtype=np.float64)
    stage, gradient = np.asarray(zero, dtype=np.float64), np.asarray(gradient_bytes, dtype=np.float64)
    optimiser = _OPTIMISER_BYTES / np.where(stage >= 1.0, ranks, 1.0)
    return np.asarray(
        n * (2.0 / np.where(stage >= 3.0, ranks, 1.0) + gradient / np.where(stage >= 2.0, ranks, 1.0) + optimiser)
    )


def layer_activation_bytes(model: Transformer, layout: Plan, recompute: ArrayLike, fused: ArrayLike) -> Floats:
    """Return the bytes that one layer keeps of one micro-batch until its backward pass.

    s b h (10 + 24 / t + 5 a s / h t) for a GPT in 16 bit, where the 24 / t grow with the MLP's width, sequence
    parallelism divides the 10 too, and a fused attention kernel or selective recomputation drops the scores (5 a s);
    2 s b h where the layer is recomputed. Beside a fused kernel, selective recomputation keeps attention's output and
    the result of every second product. Experts keep k tokens for one. Source: Korthikanti et al. 2022, section 4,
    equations 1 to 4; FlashAttention: Dao et al. 2022; every second product: the policy of Liang et al., "TorchTitan",
    2024.
    """
    tokens = layout.micro_batch * model.seq_len / layout.context
    t = layout.tensor
    whole = np.where(layout.sequence > 0.0, t, 1.0)
    sparse = model.moe_layers / model.layers
    routed = model.experts_per_token * model.expert_ffn + model.shared_ffn
    inner = (1.0 - sparse) * model.ffn + sparse * routed
    mlp = inner * (4.0 + 2.0 * model.gated)  # input and output of the activation function, and the gate's
    dispatched = sparse * 4.0 * model.experts_per_token * model.hidden
    width, kv_width = model.attention_width, model.kv_heads * model.head_dim
    attention = 4.0 * width + 4.0 * kv_width  # queries, keys, values, and the output before its projection
    scores = 5.0 * model.heads * model.seq_len / layout.context
    kind, is_fused = np.asarray(recompute, dtype=np.float64), np.asarray(fused, dtype=np.float64) > 0.0
    keeps_scores = (kind == NONE) & ~is_fused
    kept = 10.0 * model.hidden / whole + (attention + mlp + dispatched) / t + np.where(keeps_scores, scores / t, 0.0)
    results = 4.0 * model.hidden / whole + (2.0 * width + 4.0 * kv_width + 2.0 * (1.0 + model.gated) * inner) / t
    products = 2.0 * model.hidden / whole + (2.0 * width + dispatched) / t + results / 2.0
    kept = np.where((kind == SELECTIVE) & is_fused, products, kept)
    kept = np.where(kind == FULL, 2.0 * model.hidden / whole, kept)
    return np.asarray(tokens * kept)


def training_memory(
    model: Transformer,
    layout: Plan,
    *,
    fused: ArrayLike = 1.0,
    gradient_bytes: ArrayLike = 4.0,
    logit_bytes: ArrayLike = 12.0,
    reserved_bytes: ArrayLike = 2.0e9,
) -> Memory:
    """Return what the fullest device holds: of the first stage of a pipeline, or of the last one with its logits.

    fused: 1 where attention keeps no scores. logit_bytes: per token and vocabulary entry (12: in 16 and 32 bit with
    both gradients; 4 where the loss is fused). reserved_bytes: of the runtime and the communication library. Working
    bytes: what recomputing one layer takes, logits, and the layer that ZeRO-3 has gathered. Fragmentation is not in it:
    of published peaks of what frameworks reserve it is up to 25 % short (MEMORY_ERROR). Source: Korthikanti et al.
    2022, section 4.3 (first stage, logits), Rajbhandari et al. 2021, "ZeRO-Infinity", section 3 (working memory).
    """
    routed = expert_parameters(model)
    ends = model.vocab * model.hidden  # one table on the first stage, one on the last
    both = np.where(layout.pipeline > 1.0, 0.0, model.untied * ends)
    inner = parameters(model) - routed - (1.0 + model.untied) * ends
    part = shard(inner, routed, layout)
    dense = part.dense + (ends + both) / layout.tensor
    state = state_bytes(dense, part.dense_data, layout.zero, gradient_bytes)
    state = state + state_bytes(part.experts, part.expert_data, layout.zero, gradient_bytes)

    layers = np.ceil(model.layers / layout.pipeline)
    held = held_micro_batches(layout.pipeline, layout.micro_batches, layout.chunks)
    first = layers * held * layer_activation_bytes(model, layout, layout.recompute, fused)
    last = layers * layer_activation_bytes(model, layout, layout.recompute, fused)
    tokens = layout.micro_batch * model.seq_len / layout.context
    logits = tokens * model.vocab / layout.tensor * np.asarray(logit_bytes, dtype=np.float64)
    # With one stage both ends are on it; otherwise the fuller one counts.
    alone = layout.pipeline <= 1.0
    activations = np.where(alone, first, np.maximum(first, last + logits))
    redone = np.where(layout.recompute == FULL, layer_activation_bytes(model, layout, NONE, fused), 0.0)
    redone = redone + np.where(
        layout.recompute == SELECTIVE,
        tokens * np.where(np.asarray(fused) > 0.0, 0.0, 5.0 * model.heads * model.seq_len / layout.tensor),
        0.0,
    )
    one_layer = (attention_parameters(model) + mlp_parameters(model, model.ffn)) / layout.tensor
    gathered = np.where(layout.zero >= 3.0, 2.0 * one_layer, 0.0)
    working = redone + np.where(alone, logits, 0.0) + gathered
    return Memory(
        state_bytes=np.asarray(state),
        activation_bytes=np.asarray(activations),
        working_bytes=np.asarray(working),
        reserved_bytes=np.asarray(reserved_bytes, dtype=np.float64),
    )
