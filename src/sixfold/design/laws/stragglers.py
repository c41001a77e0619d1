"""Laws of stragglers: a step that waits for all of its workers takes as long as the slowest of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive
from sixfold.design.laws.federated import round_time_s

__all__ = ["backup_gain", "slowest_exponential_s", "slowest_lognormal_s", "straggler_slowdown"]


def slowest_exponential_s(workers: ArrayLike, mean_s: ArrayLike, *, backups: ArrayLike = 0.0) -> Floats:
    """Return the mean time until n of n + b workers with exponential times are done: mean (H(n + b) - H(b)).

    H are harmonic numbers; without backups the slowest of n takes H(n) means, about ln n + .58. Source: David and
    Nagaraja, Order Statistics, 3rd ed., 2003, section 2.5.
    """
    from scipy.special import digamma

    n, spare = at_least("workers", workers, 1.0), at_least("backups", backups, 0.0)
    return np.asarray(at_least("mean_s", mean_s, 0.0) * (digamma(n + spare + 1.0) - digamma(spare + 1.0)))


def slowest_lognormal_s(
    workers: ArrayLike, median_s: ArrayLike, sigma: ArrayLike, *, backups: ArrayLike = 0.0
) -> Floats:
    """Return the mean time until n of n + b workers with log-normal times are done.

    sigma: standard deviation of the logarithm of a time. The n-th of n + b is integrated over its level as in
    `federated.round_time_s`, to about 1 % at 10^4 workers. Source: David and Nagaraja 2003, section 2.1; backup
    workers: Chen et al., "Revisiting distributed synchronous SGD", arXiv 1604.00981, section 3.
    """
    n, spare = np.broadcast_arrays(at_least("workers", workers, 1.0), at_least("backups", backups, 0.0))
    return round_time_s(n + spare, median_s, sigma, quorum=n)


def straggler_slowdown(workers: ArrayLike, sigma: ArrayLike, *, backups: ArrayLike = 0.0) -> Floats:
    """Return how much longer a step of n workers takes than one worker does on average: E[n-th of n + b] / E[one].

    Times are log-normal with `sigma`; where backups overtake the average it is 1, as work has to be done. Source:
    as `slowest_lognormal_s`; measured shapes in Lin et al., "Understanding stragglers in large model training using
    what-if analysis", OSDI 2025.
    """
    spread = at_least("sigma", sigma, 0.0)
    average = np.exp(spread**2 / 2.0)  # over the median
    return np.asarray(np.maximum(1.0, slowest_lognormal_s(workers, 1.0, spread, backups=backups) / average))


def backup_gain(workers: ArrayLike, backups: ArrayLike, sigma: ArrayLike) -> Floats:
    """Return the useful work a second and node of n workers with b backups over that without: above 1 they pay.

    The steps get faster and n / (n + b) of the nodes count. Source: Chen et al. 2016, section 3.
    """
    n, spare = positive("workers", workers), at_least("backups", backups, 0.0)
    faster = slowest_lognormal_s(n, 1.0, sigma) / slowest_lognormal_s(n, 1.0, sigma, backups=spare)
    return np.asarray(faster * n / (n + spare))
