"""Laws of scaling: what p workers make of work that one can do, and what that costs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "amdahl_speedup",
    "amdahl_time_s",
    "cost_ratio",
    "cost_usd",
    "efficiency",
    "justification_p_star",
    "justification_time_s",
    "serial_fraction",
    "speedup",
    "whole_tasks_imbalance",
]


def amdahl_speedup(serial_fraction: ArrayLike, p: ArrayLike) -> Floats:
    """Return the speed-up on `p` workers of work of which `serial_fraction` cannot be divided.

    Source: Amdahl, "Validity of the single processor approach", AFIPS 1967; as 1 / (s + (1 - s) / p).
    """
    s = within("serial_fraction", serial_fraction, 0.0, 1.0)
    workers = at_least("p", p, 1.0)
    return np.asarray(1.0 / (s + (1.0 - s) / workers))


def amdahl_time_s(t1_s: ArrayLike, serial_fraction: ArrayLike, p: ArrayLike) -> Floats:
    """Return the seconds on `p` workers of work that takes `t1_s` on one (Amdahl 1967)."""
    return np.asarray(at_least("t1_s", t1_s, 0.0) / amdahl_speedup(serial_fraction, p))


def whole_tasks_imbalance(tasks: ArrayLike, p: ArrayLike) -> Floats:
    """Return the largest share of `tasks` equal, indivisible tasks on `p` workers over the mean: ceil(n/p) p/n.

    The time that p workers need is T(1) / p times this, at best (the lower bound of R. L. Graham, "Bounds on
    multiprocessing timing anomalies", SIAM J. Appl. Math. 17(2), 1969).
    """
    n, workers = at_least("tasks", tasks, 1.0), at_least("p", p, 1.0)
    return np.asarray(np.ceil(n / workers) * workers / n)


def speedup(t1_s: ArrayLike, tp_s: ArrayLike) -> Floats:
    """Return T(1) / T(p), where T(1) is the time of the fastest single-process version."""
    return np.asarray(positive("t1_s", t1_s) / positive("tp_s", tp_s))


def efficiency(t1_s: ArrayLike, p: ArrayLike, tp_s: ArrayLike) -> Floats:
    """Return E(p) = T(1) / (p T(p)): 1 when `p` workers waste nothing (Grama et al., Introduction
    to Parallel Computing, 2nd ed., section 5.2)."""
    return np.asarray(speedup(t1_s, tp_s) / at_least("p", p, 1.0))


def serial_fraction(measured_speedup: ArrayLike, p: ArrayLike) -> Floats:
    """Return the serial fraction that a measured speed-up on `p` > 1 workers implies.

    (1/S - 1/p) / (1 - 1/p). It rises with p when overhead, not serial work, is what limits; below 0 the
    speed-up was superlinear. Source: Karp and Flatt, "Measuring parallel processor
    performance", CACM 33(5), 1990.
    """
    workers = positive("p", p)
    if np.any(workers <= 1):
        raise ValueError(f"got p={p!r}, expected more than 1: one worker says nothing about division")
    return np.asarray((1.0 / positive("measured_speedup", measured_speedup) - 1.0 / workers) / (1.0 - 1.0 / workers))


def cost_usd(p: ArrayLike, time_s: ArrayLike, worker_hour_usd: ArrayLike) -> Floats:
    """Return what `p` workers cost over `time_s` when each is billed `worker_hour_usd` for an hour."""
    hours = at_least("time_s", time_s, 0.0) / 3600.0
    return np.asarray(at_least("p", p, 1.0) * hours * at_least("worker_hour_usd", worker_hour_usd, 0.0))


def cost_ratio(measured_efficiency: ArrayLike) -> Floats:
    """Return C(p) / C(1) = 1 / E(p), which holds when every worker costs the same an hour."""
    return np.asarray(1.0 / positive("measured_efficiency", measured_efficiency))


def justification_time_s(t1_s: ArrayLike, serial_fraction: ArrayLike, overhead_s: ArrayLike, p: ArrayLike) -> Floats:
    """Return T(p) = T(1) (s + (1 - s) / p) + c (p - 1): Amdahl's law with a price for each further worker.

    `overhead_s` (c) is the wall time that one more worker adds: its start, its share of the coordination.
    Source: the linear case of the overhead term of Flatt and Kennedy, "Performance of parallel processors",
    Parallel Computing 12(1), 1989.
    """
    overhead = at_least("overhead_s", overhead_s, 0.0)
    return np.asarray(amdahl_time_s(t1_s, serial_fraction, p) + overhead * (at_least("p", p, 1.0) - 1.0))


def justification_p_star(t1_s: float, serial_fraction: float, overhead_s: float, *, p_max: int = 1_000_000) -> int:
    """Return the number of workers, at most `p_max`, that minimises `justification_time_s`.

    The continuous minimum is sqrt((1 - s) T(1) / c), where dT/dp = 0; T is convex, so that the whole number
    is one of its two neighbours (the smaller on a tie). 1 means that distribution does not pay for itself.
    """
    parallel_s = float(at_least("t1_s", t1_s, 0.0)) * (
        1.0 - float(within("serial_fraction", serial_fraction, 0.0, 1.0))
    )
    overhead = float(at_least("overhead_s", overhead_s, 0.0))
    limit = int(at_least("p_max", p_max, 1.0))
    if parallel_s == 0.0:
        return 1
    if parallel_s >= overhead * limit**2:  # also without overhead: every further worker helps
        return limit
    below = max(1, int(np.sqrt(parallel_s / overhead)))
    # The serial part is the same for both and would only cost precision.
    times = [justification_time_s(parallel_s, 0.0, overhead, candidate) for candidate in (below, below + 1)]
    return min(below + int(times[1] < times[0]), limit)
