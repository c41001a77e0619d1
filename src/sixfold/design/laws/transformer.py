"""Laws of a transformer's size and work: parameters and floating-point operations of one training step.

A `Transformer` holds numbers or numpy arrays, so that one call covers many shapes. FLOPs count a multiply and an add
as two. "Model" FLOPs are those of the mathematics; "hardware" FLOPs also those that recomputation repeats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive

__all__ = [
    "Transformer",
    "active_parameters",
    "attention_parameters",
    "forward_flops_per_token",
    "hardware_flops",
    "mlp_parameters",
    "model_flops",
    "parameters",
    "shape_of_size",
    "transformer",
]


@dataclass(frozen=True, slots=True)
class Transformer:
    """The shape of a decoder; make it with `transformer`, which checks it and fills in what follows from the rest.

    layers, hidden, heads, vocab, seq_len: as usual. kv_heads: heads of keys and values. head_dim: of one head.
    ffn: inner width of the MLP of a dense layer. gated: 1 if the MLP has a gate (three matrices), else 0.
    untied: 1 if input and output embeddings are two tables. experts: 0 of a dense model. experts_per_token: those a
    token is sent to. expert_ffn: inner width of one expert. shared_ffn: of the experts every token passes.
    dense_layers: layers without experts. attention_weights: parameters of one layer's attention.
    """

    layers: Floats
    hidden: Floats
    heads: Floats
    vocab: Floats
    seq_len: Floats
    kv_heads: Floats
    head_dim: Floats
    ffn: Floats
    gated: Floats
    untied: Floats
    experts: Floats
    experts_per_token: Floats
    expert_ffn: Floats
    shared_ffn: Floats
    dense_layers: Floats
    attention_weights: Floats

    @property
    def attention_width(self) -> Floats:
        """heads x head_dim: the width of queries, and of the attention's output before its projection."""
        return np.asarray(self.heads * self.head_dim)

    @property
    def moe_layers(self) -> Floats:
        """How many layers have experts."""
        return np.asarray(np.where(self.experts > 0, self.layers - self.dense_layers, 0.0))


def transformer(
    layers: ArrayLike,
    hidden: ArrayLike,
    heads: ArrayLike,
    *,
    vocab: ArrayLike = 51200,
    seq_len: ArrayLike = 2048,
    kv_heads: ArrayLike | None = None,
    head_dim: ArrayLike | None = None,
    ffn: ArrayLike | None = None,
    gated: ArrayLike = 0,
    untied: ArrayLike = 0,
    experts: ArrayLike = 0,
    experts_per_token: ArrayLike = 0,
    expert_ffn: ArrayLike = 0,
    shared_ffn: ArrayLike = 0,
    dense_layers: ArrayLike = 0,
    attention_weights: ArrayLike | None = None,
) -> Transformer:
    """Return a checked shape; what is not given follows GPT.

    That is: kv_heads = heads, head_dim = hidden / heads, ffn = 4 hidden, no gate, one embedding table, no experts.
    attention_weights is for attention that is no four projections (low-rank ones). Raises ValueError for a number
    out of range. Source of the defaults: Brown et al., "Language models are few-shot learners", 2020, section 2.1.
    """
    h, a = positive("hidden", hidden), positive("heads", heads)
    kv = a if kv_heads is None else positive("kv_heads", kv_heads)
    dim = np.asarray(h / a) if head_dim is None else positive("head_dim", head_dim)
    projections = h * a * dim * 2.0 + h * kv * dim * 2.0
    weights = projections if attention_weights is None else positive("attention_weights", attention_weights)
    return Transformer(
        layers=positive("layers", layers),
        hidden=h,
        heads=a,
        vocab=positive("vocab", vocab),
        seq_len=positive("seq_len", seq_len),
        kv_heads=kv,
        head_dim=dim,
        ffn=np.asarray(4.0 * h) if ffn is None else positive("ffn", ffn),
        gated=at_least("gated", gated, 0.0),
        untied=at_least("untied", untied, 0.0),
        experts=at_least("experts", experts, 0.0),
        experts_per_token=at_least("experts_per_token", experts_per_token, 0.0),
        expert_ffn=at_least("expert_ffn", expert_ffn, 0.0),
        shared_ffn=at_least("shared_ffn", shared_ffn, 0.0),
        dense_layers=at_least("dense_layers", dense_layers, 0.0),
        attention_weights=np.asarray(weights),
    )


def shape_of_size(parameter_count: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return (layers, hidden, heads) of a GPT of about `parameter_count` parameters, where its shape was not published.

    Width grows with depth: hidden = 128 layers, 12 layers hidden^2 parameters, heads of 128. Source: the shapes of
    Narayanan et al. 2021, table 1 (hidden / layers from 96 to 200 over three orders of magnitude), rounded to their
    middle; the FLOPs of a step hardly depend on it.
    """
    depth = np.maximum(np.round(np.cbrt(positive("parameter_count", parameter_count) / (12.0 * 128.0**2))), 1.0)
    width = np.sqrt(np.asarray(parameter_count, dtype=np.float64) / (12.0 * depth))
    heads = np.maximum(np.round(width / 128.0), 1.0)
    return np.asarray(depth), np.asarray(heads * 128.0), np.asarray(heads)


def attention_parameters(model: Transformer) -> Floats:
    """Return the parameters of one layer's attention: 2 h a d + 2 h k d (a query heads, k key-value heads of d).

    Source: Vaswani et al., "Attention is all you need", 2017, section 3.2; grouped key-value heads by Ainslie et al.,
    "GQA", 2023.
    """
    return model.attention_weights


def mlp_parameters(model: Transformer, width: ArrayLike) -> Floats:
    """Return the parameters of an MLP of inner `width`: two matrices, or three with a gate.

    Source: Shazeer, "GLU variants improve transformer", 2020, section 2.
    """
    return np.asarray((2.0 + model.gated) * model.hidden * np.asarray(width, dtype=np.float64))


def parameters(model: Transformer) -> Floats:
    """Return all parameters: embeddings, attention, MLPs and every expert.

    Norms and biases are left out (under .2 % at hidden 1,024). Source: Narayanan et al., "Efficient large-scale
    language model training on GPU clusters using Megatron-LM", SC21, equation 2.
    """
    dense = np.where(model.experts > 0, model.dense_layers, model.layers)
    expert = model.experts * mlp_parameters(model, model.expert_ffn) + mlp_parameters(model, model.shared_ffn)
    router = model.experts * model.hidden
    return np.asarray(
        model.layers * attention_parameters(model)
        + dense * mlp_parameters(model, model.ffn)
        + model.moe_layers * (expert + router)
        + (1.0 + model.untied) * model.vocab * model.hidden
    )


def active_parameters(model: Transformer) -> Floats:
    """Return the parameters that one token is multiplied with, the output embedding among them.

    Source: Fedus et al., "Switch transformers", JMLR 2022, section 2: a token passes k of the experts.
    """
    dense = np.where(model.experts > 0, model.dense_layers, model.layers)
    routed = mlp_parameters(model, model.experts_per_token * model.expert_ffn + model.shared_ffn)
    return np.asarray(
        model.layers * attention_parameters(model)
        + dense * mlp_parameters(model, model.ffn)
        + model.moe_layers * (routed + model.experts * model.hidden)
        + model.vocab * model.hidden
    )


def forward_flops_per_token(model: Transformer) -> Floats:
    """Return the FLOPs of a forward pass over one token of a full sequence: 2 N_active + 4 L s a d.

    Scores count in full, also those that a causal mask hides, as publications count them. Source: Narayanan et al.
    2021, appendix A.
    """
    scores = 4.0 * model.layers * model.seq_len * model.attention_width
    return np.asarray(2.0 * active_parameters(model) + scores)


def model_flops(model: Transformer, tokens: ArrayLike) -> Floats:
    """Return the FLOPs of a training step over `tokens`: forward, and backward at twice that.

    72 B s L h^2 (1 + s / 6h + V / 12 L h) for a GPT. Source: Korthikanti et al., "Reducing activation recomputation
    in large transformer models", 2022, equation 7.
    """
    return np.asarray(3.0 * at_least("tokens", tokens, 0.0) * forward_flops_per_token(model))


def hardware_flops(model: Transformer, tokens: ArrayLike, full: ArrayLike, selective: ArrayLike = 0.0) -> Floats:
    """Return the FLOPs that a training step executes, with what is recomputed.

    full: 1 where every layer runs forward a second time, 0 where none does. selective: 1 where only the scores are
    recomputed. Source: Narayanan et al. 2021, equation 3 (96 B s L h^2 (1 + s / 6h + V / 16 L h) with full
    recomputation); Korthikanti et al. 2022, equation 8 (selective).
    """
    n = at_least("tokens", tokens, 0.0)
    scores = 4.0 * model.layers * model.seq_len * model.attention_width
    layers = forward_flops_per_token(model) - 2.0 * model.vocab * model.hidden  # the output is not recomputed
    again = np.asarray(full, dtype=np.float64) * layers + np.asarray(selective, dtype=np.float64) * scores
    return np.asarray(model_flops(model, n) + n * again)
