"""What several kinds of workload need: numbers of nodes to look at, services of replicas under failures, jobs that "
"restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checklist import Decision, Rejected
from sixfold.design.checks import Floats
from sixfold.design.laws.availability import enough_up_share
from sixfold.design.laws.failures import daly_interval_s, wasted_share
from sixfold.errors import ConfigError

__all__ = ["REPAIR_H", "available", "counts", "decision", "known", "powers", "rework_share"]

REPAIR_H = 1.0  # assumed: a failed node is noticed, replaced and filled again within an hour


def counts(most: float, *, least: int = 1, dense: int = 16, per_octave: int = 6) -> tuple[float, ...]:
    """Numbers of nodes to look at: every one up to `dense`, then so many each time it doubles, up to `most`."""
    top = max(int(most), least)
    spread = np.geomspace(dense, max(top, dense), max(2, int(np.ceil(np.log2(max(top / dense, 1.0)) * per_octave)) + 1))
    found = np.unique(np.concatenate([np.arange(least, min(dense, top) + 1), np.round(spread), [top]]))
    return tuple(float(n) for n in found if least <= n <= top)


def powers(most: float, least: float = 1.0) -> tuple[float, ...]:
    """1, 2, 4 ... up to `most`."""
    return tuple(float(2**k) for k in range(64) if least <= 2**k <= most)


def available(nodes: ArrayLike, needed: ArrayLike, failures_per_hour: ArrayLike, repair_h: float = REPAIR_H) -> Floats:
    """Return the chance that at least `needed` of `nodes` are up; each fails by itself, for `repair_h` hours."""
    up = 1.0 / (1.0 + np.asarray(failures_per_hour, dtype=np.float64) * repair_h)
    return enough_up_share(up, needed, nodes)


def rework_share(
    nodes: ArrayLike, failures_per_hour: ArrayLike, checkpoint_s: ArrayLike, restart_s: ArrayLike
) -> Floats:
    """Return the seconds lost to failures for each second of work of a job that all nodes must be up for.

    Checkpoints at Daly's interval; checkpoints, restarts and what is done again (`laws.failures`).
    """
    per_hour = np.maximum(np.asarray(nodes, dtype=np.float64) * np.asarray(failures_per_hour), 1e-300)
    between_s = np.minimum(3600.0 / per_hour, 1e15)
    checkpoint = np.maximum(np.asarray(checkpoint_s, dtype=np.float64), 1e-6)
    interval_s = np.maximum(daly_interval_s(checkpoint, between_s), 1e-3)
    wasted = np.minimum(wasted_share(interval_s, checkpoint, restart_s, between_s), 1.0 - 1e-9)
    return np.asarray(wasted / (1.0 - wasted))


def known(of: Callable[[str], Any], name: str) -> str:
    """Return an id of the catalog. Raises ValueError, which names those that there are, for what it does not have."""
    try:
        of(name)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return name


def decision(choice: str, rejected: str, why: str) -> Decision:
    """What fills a slot, and the one alternative that was rejected."""
    return Decision(choice=choice, rejected=(Rejected(alternative=rejected, why=why),))
