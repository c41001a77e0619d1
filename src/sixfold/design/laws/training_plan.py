"""How the training of a transformer is laid out over devices: degrees of parallelism, batches, recomputation.

A `Plan` holds numbers or numpy arrays, one element a design. Devices are numbered with tensor parallelism innermost,
then context, then data, and pipeline outermost, as Narayanan et al. 2021 (section 3) recommend and Megatron-LM does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = ["FULL", "NONE", "SELECTIVE", "Plan", "Shard", "plan", "shard"]

NONE, SELECTIVE, FULL = 0.0, 1.0, 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Degrees and batches of a training step; make it with `plan`, which checks them.

    tensor, pipeline, data, context, expert: degrees (expert divides data x context x tensor). chunks: model chunks a
    stage (interleaving). zero: stage of ZeRO, 0 to 3. recompute: NONE, SELECTIVE (scores) or FULL (layers).
    micro_batch: sequences. global_batch: sequences a step. sequence: 1 where norms and residuals are split, too.
    """

    tensor: Floats
    pipeline: Floats
    data: Floats
    context: Floats
    expert: Floats
    chunks: Floats
    zero: Floats
    recompute: Floats
    micro_batch: Floats
    global_batch: Floats
    sequence: Floats

    @property
    def devices(self) -> Floats:
        """How many devices the plan takes."""
        return np.asarray(self.tensor * self.pipeline * self.data * self.context)

    @property
    def micro_batches(self) -> Floats:
        """How many micro-batches each pipeline runs a step, at least 1."""
        return np.asarray(np.maximum(self.global_batch / (self.data * self.micro_batch), 1.0))


def plan(
    *,
    global_batch: ArrayLike,
    micro_batch: ArrayLike = 1,
    tensor: ArrayLike = 1,
    pipeline: ArrayLike = 1,
    data: ArrayLike = 1,
    context: ArrayLike = 1,
    expert: ArrayLike = 1,
    chunks: ArrayLike = 1,
    zero: ArrayLike = 0,
    recompute: ArrayLike = NONE,
    sequence: ArrayLike = 0,
) -> Plan:
    """Return a checked plan. Raises ValueError for a degree below 1, a ZeRO stage outside 0 to 3, or no batch."""
    return Plan(
        tensor=at_least("tensor", tensor, 1.0),
        pipeline=at_least("pipeline", pipeline, 1.0),
        data=at_least("data", data, 1.0),
        context=at_least("context", context, 1.0),
        expert=at_least("expert", expert, 1.0),
        chunks=at_least("chunks", chunks, 1.0),
        zero=within("zero", zero, 0.0, 3.0),
        recompute=within("recompute", recompute, NONE, FULL),
        micro_batch=positive("micro_batch", micro_batch),
        global_batch=positive("global_batch", global_batch),
        sequence=within("sequence", sequence, 0.0, 1.0),
    )


@dataclass(frozen=True, slots=True)
class Shard:
    """What one device of the first stage holds: parameters of the dense part and of experts, and their data degrees."""

    dense: Floats
    experts: Floats
    dense_data: Floats
    expert_data: Floats

    @property
    def parameters(self) -> Floats:
        """Parameters a device computes with (before ZeRO)."""
        return np.asarray(self.dense + self.experts)


def shard(model_dense: ArrayLike, model_experts: ArrayLike, layout: Plan) -> Shard:
    """Return the parameters of one device: dense ones over tensor and pipeline, experts over expert and pipeline.

    model_dense, model_experts: parameters of the whole model. An expert's copies are spread over what remains of the
    tensor, context and data ranks. Source: Rajbhandari et al., "DeepSpeed-MoE", ICML 2022, section 4.
    """
    ranks = layout.tensor * layout.context * layout.data
    return Shard(
        dense=np.asarray(np.asarray(model_dense, dtype=np.float64) / (layout.tensor * layout.pipeline)),
        experts=np.asarray(np.asarray(model_experts, dtype=np.float64) / (layout.expert * layout.pipeline)),
        dense_data=np.asarray(layout.data * layout.context),
        expert_data=np.asarray(np.maximum(ranks / layout.expert, 1.0)),
    )
