"""Laws of pipeline parallelism: how long a pipeline of stages takes, and how many micro-batches it holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least

__all__ = ["bubble_fraction", "held_micro_batches", "pipeline_time_s"]


def bubble_fraction(stages: ArrayLike, micro_batches: ArrayLike, chunks: ArrayLike = 1.0) -> Floats:
    """Return idle over busy time: (p - 1) / (v m), for p stages, m micro-batches and v model chunks a stage.

    Source: Narayanan et al. 2021, section 2.2.2 (interleaved 1F1B schedule).
    """
    idle = at_least("stages", stages, 1.0) - 1.0
    return np.asarray(idle / (at_least("micro_batches", micro_batches, 1.0) * at_least("chunks", chunks, 1.0)))


def pipeline_time_s(
    stage_s: ArrayLike, slowest_s: ArrayLike, stages: ArrayLike, micro_batches: ArrayLike, chunks: ArrayLike = 1.0
) -> Floats:
    """Return the time of m micro-batches: m t_slowest + (p - 1) t / v.

    stage_s: forward and backward of one micro-batch through an ordinary stage; slowest_s: through the slowest one,
    which sets the pace once the pipeline is full (the last stage with a large vocabulary). With equal stages this is
    the schedule of Narayanan et al. 2021, section 2.2; the unequal case is the critical path of 1F1B.
    """
    ordinary, slowest = at_least("stage_s", stage_s, 0.0), at_least("slowest_s", slowest_s, 0.0)
    fill = (at_least("stages", stages, 1.0) - 1.0) / at_least("chunks", chunks, 1.0)
    return np.asarray(at_least("micro_batches", micro_batches, 1.0) * slowest + fill * ordinary)


def held_micro_batches(stages: ArrayLike, micro_batches: ArrayLike, chunks: ArrayLike = 1.0) -> Floats:
    """Return how many micro-batches' activations the first stage holds at once: at most p + (p - 1) / v, and m.

    Without interleaving 1F1B holds p. Source: Korthikanti et al. 2022, section 4.2.3 (factor 1 + (p - 1) / (p v)).
    """
    p, v = at_least("stages", stages, 1.0), at_least("chunks", chunks, 1.0)
    held = np.where(v > 1.0, p + (p - 1.0) / v, p)
    return np.asarray(np.minimum(at_least("micro_batches", micro_batches, 1.0), held))
