"""A job that fails at random and goes back to its last checkpoint, simulated: what the law of wasted time must give."""

from __future__ import annotations

import numpy as np

from sixfold.design.checks import Floats

__all__ = ["simulated_wasted_share"]


def simulated_wasted_share(
    interval_s: float, checkpoint_s: float, restart_s: float, mtbf_s: float, gaps: Floats
) -> float:
    """Return the share of its time that a simulated job wastes.

    gaps: times between failures in units of their mean, one a failure, drawn by the caller: exponential for the process
    that the laws assume. After each failure the job needs `restart_s`, in which it may fail again, and then repeats an
    interval of work and a checkpoint; what is not behind a finished checkpoint when it fails is lost.
    """
    between_s = gaps * mtbf_s
    running_s = np.maximum(between_s - restart_s, 0.0)
    kept_s = np.floor(running_s / (interval_s + checkpoint_s)) * interval_s
    return float(1.0 - kept_s.sum() / between_s.sum())
