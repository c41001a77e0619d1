"""Laws of scaling: what p workers make of work that one can do, and what that costs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "Usl",
    "amdahl_speedup",
    "amdahl_time_s",
    "brent_bounds_s",
    "cost_ratio",
    "cost_usd",
    "efficiency",
    "fit_usl",
    "gustafson_speedup",
    "justification_p_star",
    "justification_time_s",
    "serial_fraction",
    "speedup",
    "usl_p_star",
    "usl_speedup",
    "weak_efficiency",
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


def gustafson_speedup(serial_share: ArrayLike, p: ArrayLike) -> Floats:
    """Return the scaled speed-up p - s (p - 1) on `p` workers of work that grows with them.

    serial_share: s, the share of the time *on p workers* that is serial: not Amdahl's fraction of the time on one.
    Source: Gustafson, "Reevaluating Amdahl's law", CACM 31(5), 1988.
    """
    workers = at_least("p", p, 1.0)
    return np.asarray(workers - within("serial_share", serial_share, 0.0, 1.0) * (workers - 1.0))


def weak_efficiency(t1_s: ArrayLike, tp_s: ArrayLike) -> Floats:
    """Return T(1) / T(p) where p workers were given p times the work of one: 1 when growth costs no time.

    Source: Gustafson 1988; the efficiency of scaled problems in Grama et al., Introduction to Parallel Computing, 2nd
    ed., section 5.4.
    """
    return speedup(t1_s, tp_s)


def brent_bounds_s(work_s: ArrayLike, span_s: ArrayLike, p: ArrayLike) -> tuple[Floats, Floats]:
    """Return the (least, most) seconds of a task graph on `p` workers that never idle while a task is ready.

    work_s: the sum of all tasks; span_s: the longest chain of tasks that wait for one another, at most the work. At
    least max(work / p, span), at most span + (work - span) / p. Source: Brent, "The parallel evaluation of general
    arithmetic expressions", JACM 21(2), 1974, lemma 2; for greedy schedulers Graham 1969.
    """
    work, span, workers = at_least("work_s", work_s, 0.0), at_least("span_s", span_s, 0.0), at_least("p", p, 1.0)
    if np.any(span > work):
        raise ValueError(f"got span_s={span_s!r} above work_s={work_s!r}, expected a chain to be part of the work")
    return np.asarray(np.maximum(work / workers, span)), np.asarray(span + (work - span) / workers)


class Usl(NamedTuple):
    """The universal scalability law of one system: its rate on one worker, contention and coherence."""

    rate_per_s: float
    contention: float
    coherence: float

    def throughput_per_s(self, p: ArrayLike) -> Floats:
        """Return the rate on `p` workers."""
        return np.asarray(self.rate_per_s * usl_speedup(self.contention, self.coherence, p))


def usl_speedup(contention: ArrayLike, coherence: ArrayLike, p: ArrayLike) -> Floats:
    """Return p / (1 + sigma (p - 1) + kappa p (p - 1)): speed-up that can fall again.

    contention: sigma, the share of the work that is queued for (Amdahl's serial fraction); coherence: kappa, the cost
    of keeping each pair of workers in agreement. Source: Gunther, Guerrilla Capacity Planning, 2007, chapter 4.
    """
    workers = at_least("p", p, 1.0)
    queued = within("contention", contention, 0.0, 1.0) * (workers - 1.0)
    return np.asarray(workers / (1.0 + queued + at_least("coherence", coherence, 0.0) * workers * (workers - 1.0)))


def usl_p_star(contention: ArrayLike, coherence: ArrayLike) -> Floats:
    """Return sqrt((1 - sigma) / kappa), at least 1: the workers at which throughput is highest.

    Infinite without coherence cost. Not a whole number: the best is one of its neighbours. Source: Gunther 2007,
    chapter 4.
    """
    pairs = at_least("coherence", coherence, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        peak = np.sqrt((1.0 - within("contention", contention, 0.0, 1.0)) / pairs)
    return np.asarray(np.where(np.isnan(peak), 1.0, np.maximum(peak, 1.0)))


def fit_usl(p: ArrayLike, throughput_per_s: ArrayLike) -> Usl:
    """Fit the universal scalability law to measured throughputs by least squares of the relative error.

    p / X(p) is linear in 1, p - 1 and p (p - 1), with coefficients 1 / rate, sigma / rate and kappa / rate: solved
    without negative ones. A contention above 1, which no queue explains, is held at 1. Source: the regression of
    Gunther 2007, chapter 5.

    Raises:
        ValueError: fewer than three distinct numbers of workers, or a throughput that is not positive.
    """
    from scipy.optimize import nnls

    workers = np.atleast_1d(at_least("p", p, 1.0))
    rates = np.atleast_1d(positive("throughput_per_s", throughput_per_s))
    if workers.shape != rates.shape or np.unique(workers).size < 3:
        raise ValueError(f"got {workers.size} p and {rates.size} throughputs, expected as many, at three p or more")
    # Each row is divided by p / X, so that residuals are relative; columns are scaled to one magnitude.
    columns = np.column_stack([np.ones_like(workers), workers - 1.0, workers * (workers - 1.0)])
    columns = columns * (rates / workers)[:, np.newaxis]
    scale = columns.max(axis=0)
    solution = nnls(columns / scale, np.ones_like(rates))[0] / scale
    if solution[0] <= 0.0:
        raise ValueError("got throughputs that fall towards one worker, expected a rate of one above 0")
    contention, coherence = solution[1:] / solution[0]
    return Usl(float(1.0 / solution[0]), float(min(contention, 1.0)), float(coherence))
