"""Laws of what a served transformer holds and moves: weights, keys and values, and how many requests fit.

A `ServedModel` is a shape boiled down to the sums that serving needs, so that a law over many designs is arithmetic on
a few numbers. Attention is split over `tensor` devices, and whole copies of it over data-parallel ranks; experts are
split over all devices of a replica.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within
from sixfold.design.laws.transformer import Transformer, attention_parameters, mlp_parameters

__all__ = [
    "ServedModel",
    "batch_that_fits",
    "experts_touched",
    "kv_bytes_per_device",
    "kv_bytes_per_token",
    "pipeline_stage",
    "served_model",
    "weight_bytes_per_device",
    "weight_bytes_read",
]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Sums over a model's layers; make it with `served_model`.

    layers, hidden, vocab, heads: as of the shape. common: parameters that every token is multiplied with (attention,
    dense and shared MLPs, routers, output embedding). routed: parameters of all routed experts. table: of an input
    embedding, which is held and not read. experts, experts_per_token: 0 of a dense model. kv_values: numbers that a
    token leaves behind, all layers. kv_heads: over how many devices they can be split. pair_flops: of one query on one
    key, all layers, in prefill. decode_pair_flops: in decoding.
    """

    layers: Floats
    hidden: Floats
    vocab: Floats
    heads: Floats
    common: Floats
    routed: Floats
    table: Floats
    experts: Floats
    experts_per_token: Floats
    moe_layers: Floats
    kv_values: Floats
    kv_heads: Floats
    pair_flops: Floats
    decode_pair_flops: Floats

    @property
    def active(self) -> Floats:
        """Parameters that one token is multiplied with."""
        share = np.where(self.experts > 0, self.experts_per_token / np.maximum(self.experts, 1.0), 0.0)
        return np.asarray(self.common + share * self.routed)


def served_model(
    shape: Transformer, *, latent_width: ArrayLike = 0.0, attention_layers: ArrayLike | None = None
) -> ServedModel:
    """Return the sums of a shape.

    latent_width: numbers a token leaves in a layer whose keys and values are compressed to one latent (576 of
    DeepSeek-V3), 0 where heads keep their own. attention_layers: layers whose keys grow with the context, all if None;
    others (windows, linear attention) keep a constant that is left out. Source: DeepSeek-V2 (arXiv 2405.04434), section
    2.1, of latents: decoding multiplies queries with the latent itself; GQA (Ainslie et al. 2023) of the rest.
    """
    latent = at_least("latent_width", latent_width, 0.0)
    growing = shape.layers if attention_layers is None else at_least("attention_layers", attention_layers, 0.0)
    dense = np.where(shape.experts > 0, shape.dense_layers, shape.layers)
    routed = shape.moe_layers * shape.experts * mlp_parameters(shape, shape.expert_ffn)
    table = shape.vocab * shape.hidden
    per_head = np.where(latent > 0, 2.0 * latent, 2.0 * shape.head_dim)  # queries on keys, then on values
    return ServedModel(
        layers=shape.layers,
        hidden=shape.hidden,
        vocab=shape.vocab,
        heads=shape.heads,
        common=np.asarray(
            shape.layers * attention_parameters(shape)
            + dense * mlp_parameters(shape, shape.ffn)
            + shape.moe_layers * (mlp_parameters(shape, shape.shared_ffn) + shape.experts * shape.hidden)
            + table
        ),
        routed=np.asarray(routed),
        table=np.asarray(shape.untied * table),
        experts=shape.experts,
        experts_per_token=shape.experts_per_token,
        moe_layers=shape.moe_layers,
        kv_values=np.asarray(growing * np.where(latent > 0, latent, 2.0 * shape.kv_heads * shape.head_dim)),
        kv_heads=np.asarray(np.where(latent > 0, 1.0, shape.kv_heads)),
        pair_flops=np.asarray(growing * 4.0 * shape.attention_width),
        decode_pair_flops=np.asarray(growing * 2.0 * shape.heads * per_head),
    )


def pipeline_stage(model: ServedModel, stages: ArrayLike) -> ServedModel:
    """Return what one of `stages` equal pipeline stages holds: every sum over layers, divided.

    A stage passes a micro-batch while the others pass theirs, so the tokens/s of a stage at 1 / stages of the batch are
    those of the whole pipeline. Source: Narayanan et al., "PipeDream", SOSP 2019, section 3.
    """
    p = at_least("stages", stages, 1.0)
    return replace(
        model,
        layers=np.asarray(model.layers / p),
        common=np.asarray(model.common / p),
        routed=np.asarray(model.routed / p),
        table=np.asarray(model.table / p),
        vocab=np.asarray(model.vocab / p),
        moe_layers=np.asarray(model.moe_layers / p),
        kv_values=np.asarray(model.kv_values / p),
        pair_flops=np.asarray(model.pair_flops / p),
        decode_pair_flops=np.asarray(model.decode_pair_flops / p),
    )


def kv_bytes_per_token(model: ServedModel, value_bytes: ArrayLike = 2.0) -> Floats:
    """Return the bytes of keys and values that a token leaves behind: 2 L k d, or L latents, times `value_bytes`.

    Source: Pope et al., "Efficiently scaling transformer inference", MLSys 2023, section 2.
    """
    return np.asarray(model.kv_values * positive("value_bytes", value_bytes))


def kv_bytes_per_device(
    model: ServedModel, tokens: ArrayLike, tensor: ArrayLike, value_bytes: ArrayLike = 2.0
) -> Floats:
    """Return the bytes of keys and values on each device for `tokens` held by a group of `tensor` devices.

    Heads are split; where there are fewer than devices they are repeated. Source: as of `kv_bytes_per_token`.
    """
    split = np.minimum(at_least("tensor", tensor, 1.0), model.kv_heads)
    return np.asarray(kv_bytes_per_token(model, value_bytes) * at_least("tokens", tokens, 0.0) / split)


def weight_bytes_per_device(
    model: ServedModel,
    tensor: ArrayLike,
    weight_bytes: ArrayLike,
    *,
    data: ArrayLike = 1.0,
) -> Floats:
    """Return the bytes of weights on each device of a replica of tensor x data devices.

    data: ranks with a whole copy of attention each; routed experts are split over tensor x data. Embeddings are kept
    in 16 bit. Source: Shoeybi et al., "Megatron-LM", 2019, section 3; of experts Rajbhandari et al., "DeepSpeed-MoE",
    ICML 2022, section 5.
    """
    t, d = at_least("tensor", tensor, 1.0), at_least("data", data, 1.0)
    size = positive("weight_bytes", weight_bytes)
    tables = model.vocab * model.hidden
    common = (model.common - tables) * size + (tables + model.table) * 2.0
    return np.asarray(common / t + model.routed * size / (t * d))


def experts_touched(model: ServedModel, tokens: ArrayLike) -> Floats:
    """Return the share of experts that at least one of `tokens` is sent to: 1 - (1 - k / E)^n; 0 of a dense model.

    Source: routing taken as uniform and independent, as balancing losses aim at (Fedus et al., "Switch transformers",
    JMLR 2022, section 2.2).
    """
    n = at_least("tokens", tokens, 0.0)
    chance = model.experts_per_token / np.maximum(model.experts, 1.0)
    return np.asarray(np.where(model.experts > 0, -np.expm1(n * np.log1p(-np.minimum(chance, 1.0 - 1e-9))), 0.0))


def weight_bytes_read(
    model: ServedModel, tokens: ArrayLike, tensor: ArrayLike, weight_bytes: ArrayLike, *, data: ArrayLike = 1.0
) -> Floats:
    """Return the bytes of weights that each device reads for one step over `tokens` of the whole replica.

    Of experts only those that a token is sent to. Source: Pope et al. 2023, section 3; see `experts_touched`.
    """
    t, d = at_least("tensor", tensor, 1.0), at_least("data", data, 1.0)
    size = positive("weight_bytes", weight_bytes)
    tables = model.vocab * model.hidden
    common = (model.common - tables) * size + tables * 2.0
    return np.asarray(common / t + experts_touched(model, tokens) * model.routed * size / (t * d))


def batch_that_fits(
    weights_bytes: ArrayLike,
    request_bytes: ArrayLike,
    memory_bytes: ArrayLike,
    *,
    usable: ArrayLike = 0.9,
    overhead_bytes: ArrayLike = 2e9,
) -> Floats:
    """Return how many requests' keys and values fit beside the weights, in whole requests; 0 where weights do not fit.

    weights_bytes, request_bytes: on each device. usable: share of what weights leave that the framework takes for keys
    and values. overhead_bytes: of activations, graphs and communication buffers. Source: Kwon et al., "Efficient memory
    management for large language model serving with PagedAttention", SOSP 2023, section 4.
    """
    left = positive("memory_bytes", memory_bytes) - at_least("weights_bytes", weights_bytes, 0.0)
    room = left * within("usable", usable, 0.0, 1.0) - at_least("overhead_bytes", overhead_bytes, 0.0)
    return np.asarray(np.maximum(np.floor(room / positive("request_bytes", request_bytes)), 0.0))
