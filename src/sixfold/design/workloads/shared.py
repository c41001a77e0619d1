"""What several kinds of workload need: numbers of nodes to look at, services of replicas under failures, jobs that "
"restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checklist import Decision, Rejected
from sixfold.design.checks import Floats
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
    """Return the chance that at least `needed` of `nodes` are up; each fails by itself and is up again after
    `repair_h`.

    The share of time that one is up is 1 / (1 + rate x repair); how many are up is binomial (Trivedi, Probability and
    Statistics with Reliability, Queuing, and Computer Science Applications, 2002, section 1.12).
    """
    from scipy.special import betainc

    n, k = np.broadcast_arrays(np.asarray(nodes, dtype=np.float64), np.asarray(needed, dtype=np.float64))
    up = 1.0 / (1.0 + np.asarray(failures_per_hour, dtype=np.float64) * repair_h)
    short = k > n
    return np.asarray(np.where(short, 0.0, betainc(np.maximum(k, 1e-9), np.maximum(n - k + 1.0, 1e-9), up)))


def rework_share(
    nodes: ArrayLike, failures_per_hour: ArrayLike, checkpoint_s: ArrayLike, restart_s: ArrayLike
) -> Floats:
    """Return the seconds lost to failures for each second of work of a job that all nodes must be up for.

    Checkpoints at Young's interval sqrt(2 c M), M the mean time between failures of the job: c / interval to write
    them, interval / 2 done again and `restart_s` at each failure (Young, CACM 17(9), 1974).
    """
    between_s = 3600.0 / np.maximum(np.asarray(nodes, dtype=np.float64) * np.asarray(failures_per_hour), 1e-300)
    c = np.maximum(np.asarray(checkpoint_s, dtype=np.float64), 1e-9)
    interval = np.sqrt(2.0 * c * between_s)
    lost = c / interval + (interval / 2.0 + np.asarray(restart_s, dtype=np.float64)) / between_s
    return np.asarray(lost)


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
