"""Laws of failures: how often a job of many nodes is interrupted, and what checkpoints, rework and restarts cost it.

Failures come at a constant rate (a Poisson process) and independently of one another, as on machines past their first
weeks; M is the mean time between those that stop the whole job. Times are wall-clock.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "RESTART_S",
    "STATE_BYTES",
    "STORAGE_BYTES_PER_S",
    "daly_interval_s",
    "effective_time_ratio",
    "expected_interruptions",
    "first_order_time_ratio",
    "interruption_probability",
    "job_mtbf_s",
    "optimal_interval_s",
    "preempted_share",
    "rate_from_share_per_hour",
    "wasted_share",
    "young_interval_s",
]

# Of jobs of hundreds of devices. A restart takes 5 to 20 minutes (Kokolis et al., HPCA 2025; the geometric mean here):
# a failure is noticed, the node replaced by a spare, the checkpoint read, kernels warmed up.
RESTART_S = 600.0
STATE_BYTES = 14.0  # of a parameter, in a checkpoint: weights in 16 bit, and in 32 bit a copy and two moments
STORAGE_BYTES_PER_S = 2.5e8  # assumed, of each device: what a shared file system takes while a checkpoint is written

_HOUR_S = 3600.0
_NEVER_S = 1e300  # stands for a mean time between failures where nothing fails: finite, so that quotients stay numbers


def job_mtbf_s(nodes: ArrayLike, failures_per_hour: ArrayLike) -> Floats:
    """Return the mean time between failures of a job that needs all nodes: M = 1 / (N lambda), infinite if lambda is 0.

    failures_per_hour: of one node. Source: Kokolis et al., "Revisiting reliability in large-scale machine learning
    research clusters", HPCA 2025: MTTF = 1 / (N r).
    """
    rate = at_least("nodes", nodes, 0.0) * at_least("failures_per_hour", failures_per_hour, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(_HOUR_S / rate)


def expected_interruptions(nodes: ArrayLike, failures_per_hour: ArrayLike, duration_s: ArrayLike) -> Floats:
    """Return the failures to expect of all nodes within a duration: N lambda t.

    failures_per_hour: of one node. Source: Barlow and Proschan, Mathematical Theory of Reliability, 1965, chapter 2
    (the superposition of Poisson processes is one of the summed rate).
    """
    rate = at_least("nodes", nodes, 0.0) * at_least("failures_per_hour", failures_per_hour, 0.0)
    return np.asarray(rate * at_least("duration_s", duration_s, 0.0) / _HOUR_S)


def interruption_probability(nodes: ArrayLike, failures_per_hour: ArrayLike, duration_s: ArrayLike) -> Floats:
    """Return the chance of at least one failure among all nodes within a duration: 1 - e^(-N lambda t).

    failures_per_hour: of one node. Source: Barlow and Proschan 1965, chapter 2.
    """
    return np.asarray(-np.expm1(-expected_interruptions(nodes, failures_per_hour, duration_s)))


def rate_from_share_per_hour(share: ArrayLike, period_s: ArrayLike) -> Floats:
    """Return the constant rate at which a share of things has failed at least once within a period: -ln(1 - f) / t.

    Source: Barlow and Proschan 1965, chapter 2: the inverse of the exponential distribution.
    """
    failed = within("share", share, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log1p(-failed) / positive("period_s", period_s) * _HOUR_S)


def young_interval_s(checkpoint_s: ArrayLike, mtbf_s: ArrayLike) -> Floats:
    """Return the work between two checkpoints that loses least, to first order: sqrt(2 c M).

    checkpoint_s: that the job stands still for one. Source: Young, "A first order approximation to the optimum
    checkpoint interval", CACM 17(9), 1974.
    """
    return np.asarray(np.sqrt(2.0 * at_least("checkpoint_s", checkpoint_s, 0.0) * _mtbf(mtbf_s)))


def daly_interval_s(checkpoint_s: ArrayLike, mtbf_s: ArrayLike) -> Floats:
    """Return the work between two checkpoints that loses least, to higher order.

    sqrt(2 c M) (1 + sqrt(x) / 3 + x / 9) - c with x = c / (2 M) while x < 1, M beyond. Source: Daly, "A higher order
    estimate of the optimum checkpoint interval for restart dumps", Future Generation Computer Systems 22(3), 2006,
    equation 37.
    """
    c, m = at_least("checkpoint_s", checkpoint_s, 0.0), _mtbf(mtbf_s)
    part = c / (2.0 * m)
    series = np.sqrt(2.0 * c * m) * (1.0 + np.sqrt(part) / 3.0 + part / 9.0) - c
    return np.asarray(np.where(part < 1.0, series, m))


def optimal_interval_s(checkpoint_s: ArrayLike, mtbf_s: ArrayLike) -> Floats:
    """Return the work between two checkpoints that loses least: M (1 + W(-e^(-1 - c / M))), W Lambert's function.

    The minimum of `wasted_share`, whatever a restart costs. Where c is so far below M that W loses its digits, Daly's
    series. Source: Herault and Robert, Fault-Tolerance Techniques for High-Performance Computing, 2015, chapter 1.
    """
    from scipy.special import lambertw

    c, m = np.broadcast_arrays(at_least("checkpoint_s", checkpoint_s, 0.0), _mtbf(mtbf_s))
    exact = m * (1.0 + np.real(lambertw(-np.exp(-1.0 - c / m))))
    return np.asarray(np.where(c / m < 1e-6, daly_interval_s(c, m), exact))


def effective_time_ratio(
    interval_s: ArrayLike,
    checkpoint_s: ArrayLike,
    restart_s: ArrayLike,
    mtbf_s: ArrayLike,
    *,
    wait_s: ArrayLike = 0.0,
) -> Floats:
    """Return the share of wall-clock time that is work which counts: tau / ((M + D) e^(R/M) (e^((tau+c)/M) - 1)).

    interval_s: tau, work between two checkpoints. restart_s: R, to load the last one and start, during which it may
    fail again. wait_s: D, for a node or in a queue after each failure, where nothing can fail. Exact for exponential
    failures; 0 where none of the work is ever finished. Also called effective training time ratio, or goodput.
    Source: Daly 2006, equation 20, with the downtime of Herault and Robert 2015, chapter 1.
    """
    work, c = positive("interval_s", interval_s), at_least("checkpoint_s", checkpoint_s, 0.0)
    restart, m = at_least("restart_s", restart_s, 0.0), _mtbf(mtbf_s)
    with np.errstate(over="ignore"):
        exposed = np.exp(restart / m) * np.expm1((work + c) / m) * m
        return np.asarray(work / (exposed * (1.0 + at_least("wait_s", wait_s, 0.0) / m)))


def wasted_share(
    interval_s: ArrayLike,
    checkpoint_s: ArrayLike,
    restart_s: ArrayLike,
    mtbf_s: ArrayLike,
    *,
    wait_s: ArrayLike = 0.0,
) -> Floats:
    """Return the share of wall-clock time spent on checkpoints, restarts, waits and work that is lost.

    1 - `effective_time_ratio`, whose arguments it takes. Source: Daly 2006, equation 20.
    """
    ratio = effective_time_ratio(interval_s, checkpoint_s, restart_s, mtbf_s, wait_s=wait_s)
    return np.asarray(np.maximum(0.0, 1.0 - ratio))


def first_order_time_ratio(
    interval_s: ArrayLike,
    checkpoint_s: ArrayLike,
    restart_s: ArrayLike,
    mtbf_s: ArrayLike,
    *,
    wait_s: ArrayLike = 0.0,
    work_s: ArrayLike = np.inf,
) -> Floats:
    """Return the effective training time ratio to first order: (1 - (u + tau / 2) / M) / (1 + c / tau).

    At least 0. A closed form that a search can take apart: lost work and restarts in the numerator, checkpoints in the
    denominator. wait_s: q, in a queue at the start and after each failure of a job of `work_s` R of productive time,
    adds (u + q) / R + q / M there. Good while failures are rare; see `effective_time_ratio`. Source: Kokolis et al.,
    HPCA 2025, E[ETTR], with their N r written as 1 / M; the terms of the queue are written out by us.
    """
    work, c = positive("interval_s", interval_s), at_least("checkpoint_s", checkpoint_s, 0.0)
    restart, m = at_least("restart_s", restart_s, 0.0), _mtbf(mtbf_s)
    wait, total = at_least("wait_s", wait_s, 0.0), np.asarray(work_s, dtype=np.float64)
    if not np.all(total > 0.0):
        raise ValueError(f"got work_s={work_s!r}, expected above 0")
    kept = np.maximum(0.0, 1.0 - (restart + work / 2.0) / m)
    return np.asarray(kept / (1.0 + c / work + (restart + wait) / total + wait / m))


def preempted_share(
    nodes: ArrayLike,
    preemptions_per_hour: ArrayLike,
    notice_s: ArrayLike,
    checkpoint_s: ArrayLike,
    restart_s: ArrayLike,
    *,
    failures_per_hour: ArrayLike = 0.0,
) -> Floats:
    """Return the share of wall-clock time that a job on machines that may be taken away wastes, at its best interval.

    preemptions_per_hour, failures_per_hour: of one node. A preemption announced long enough to write a checkpoint
    (notice >= c) costs that and a restart, and no work; one that is not costs what a failure does. The two are added as
    losses of independent causes: the share kept is the product of what each leaves. Source: Daly 2006 for failures;
    for checkpoints on notice, Yi, Kondo and Andrzejak, "Reducing costs of spot instances via checkpointing in the
    Amazon Elastic Compute Cloud", IEEE CLOUD 2010.
    """
    c, restart = at_least("checkpoint_s", checkpoint_s, 0.0), at_least("restart_s", restart_s, 0.0)
    saved = at_least("notice_s", notice_s, 0.0) >= c
    taken, broken = _rate("preemptions_per_hour", preemptions_per_hour), _rate("failures_per_hour", failures_per_hour)
    m = job_mtbf_s(nodes, broken + np.where(saved, 0.0, taken))
    interval = np.maximum(optimal_interval_s(c, m), 1e-6)  # checkpoints that cost nothing are always being taken
    kept = effective_time_ratio(interval, c, restart, m)
    announced = (c + restart) / _mtbf(job_mtbf_s(nodes, np.where(saved, taken, 0.0)))
    return np.asarray(1.0 - kept * np.exp(-announced))


def _rate(name: str, value: ArrayLike) -> Floats:
    return at_least(name, value, 0.0)


def _mtbf(mtbf_s: ArrayLike) -> Floats:
    """Above 0; infinity, where nothing fails, as a very large number."""
    m = np.asarray(mtbf_s, dtype=np.float64)
    if not np.all(m > 0.0):
        raise ValueError(f"got mtbf_s={mtbf_s!r}, expected above 0")
    return np.asarray(np.minimum(m, _NEVER_S))
