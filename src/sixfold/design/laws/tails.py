"""Laws of latency tails: fan-out to shards, hedged requests, stages one after another.

Latencies are taken as log-normal where a whole distribution is needed: two measured quantiles, the median and the
99th percentile, fix it. Long services and long waits both have about this shape; a floor below the median is ignored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "any_slow_probability",
    "fan_out_level",
    "fan_out_quantile_s",
    "hedge_extra_load",
    "hedged_quantile_s",
    "latency_quantile_s",
    "latency_tail",
    "stage_budgets_s",
    "stages_mean_s",
    "stages_quantile_s",
]

_Z99 = 2.3263478740408408  # the 99th percentile of a standard normal
_ROUNDS = 60  # of halving: an interval of any two doubles shrinks to one


def latency_quantile_s(q: ArrayLike, median_s: ArrayLike, p99_s: ArrayLike) -> Floats:
    """Return the q-quantile of the log-normal latency with the given median and 99th percentile.

    Source: Limpert, Stahel and Abbt, "Log-normal distributions across the sciences", BioScience 51(5), 2001.
    """
    from scipy.special import ndtri

    median, sigma = _shape(median_s, p99_s)
    with np.errstate(invalid="ignore"):
        power = np.where(sigma > 0.0, sigma * ndtri(within("q", q, 0.0, 1.0)), 0.0)
    return np.asarray(median * np.exp(power))


def latency_tail(time_s: ArrayLike, median_s: ArrayLike, p99_s: ArrayLike) -> Floats:
    """Return the chance that a log-normal latency exceeds `time_s`: the inverse of `latency_quantile_s`."""
    from scipy.special import ndtr

    median, sigma = _shape(median_s, p99_s)
    with np.errstate(divide="ignore", invalid="ignore"):
        late = np.log(at_least("time_s", time_s, 0.0) / median) / sigma  # a sigma of 0: never or always, or 0 / 0
    return np.asarray(ndtr(-np.where(np.isnan(late), np.inf, late)))


def any_slow_probability(slow_probability: ArrayLike, shards: ArrayLike) -> Floats:
    """Return 1 - (1 - p)^n: the chance that at least one of n shards is slow, and the request with it.

    Source: Dean and Barroso, "The tail at scale", CACM 56(2), 2013: one in a hundred slow, a hundred shards: 63 %.
    """
    slow = within("slow_probability", slow_probability, 0.0, 1.0)
    with np.errstate(divide="ignore"):  # log(0) at p = 1 is the right -inf
        return np.asarray(-np.expm1(at_least("shards", shards, 1.0) * np.log1p(-slow)))


def fan_out_level(q: ArrayLike, shards: ArrayLike, needed: ArrayLike | None = None) -> Floats:
    """Return the quantile of one shard that is the q-quantile of a request to `shards` of them: q^(1/n) for all.

    needed: how many answers the request waits for, all if None. The k-th fastest of n has the level that the inverse
    of the incomplete beta function gives. Shards are independent; those that slow down together have a lighter tail.
    Source: Dean and Barroso 2013; order statistics in David and Nagaraja, Order Statistics, 3rd ed., section 2.1.
    """
    share, n = within("q", q, 0.0, 1.0), at_least("shards", shards, 1.0)
    if needed is None:
        return np.asarray(share ** (1.0 / n))
    from scipy.special import betaincinv

    k = at_least("needed", needed, 1.0)
    if np.any(k > n):
        raise ValueError(f"got needed={needed!r} of shards={shards!r}, expected at most as many")
    return np.asarray(betaincinv(k, n - k + 1.0, share))


def fan_out_quantile_s(
    q: ArrayLike, shards: ArrayLike, median_s: ArrayLike, p99_s: ArrayLike, needed: ArrayLike | None = None
) -> Floats:
    """Return the q-quantile of a request that waits for `needed` of `shards` log-normal shards, all if None.

    Source: Dean and Barroso 2013.
    """
    return latency_quantile_s(fan_out_level(q, shards, needed), median_s, p99_s)


def hedge_extra_load(delay_s: ArrayLike, median_s: ArrayLike, p99_s: ArrayLike) -> Floats:
    """Return the share of requests that are sent a second time when the first has not answered after `delay_s`.

    An upper bound of the extra work, as the slower copy can be cancelled. Source: Dean and Barroso 2013.
    """
    return latency_tail(delay_s, median_s, p99_s)


def hedged_quantile_s(q: ArrayLike, delay_s: ArrayLike, median_s: ArrayLike, p99_s: ArrayLike) -> Floats:
    """Return the q-quantile of min(X, delay + Y), X and Y independent log-normal latencies.

    Its tail is P(X > t) P(Y > t - delay), solved by halving. Copies on loaded servers are less independent than this,
    and their load slows all: see `hedge_extra_load`. Source: Dean and Barroso 2013.
    """
    delay = at_least("delay_s", delay_s, 0.0)
    beyond = 1.0 - within("q", q, 0.0, 1.0)
    upper = latency_quantile_s(q, median_s, p99_s)  # without a hedge; it is never slower
    beyond, delay, lower, upper = np.broadcast_arrays(beyond, delay, 0.0, upper)
    for _ in range(_ROUNDS):
        middle = np.where(np.isfinite(upper), (lower + upper) / 2.0, 2.0 * lower + 1.0)
        tail = latency_tail(middle, median_s, p99_s)
        second = np.where(middle > delay, latency_tail(np.maximum(middle - delay, 0.0), median_s, p99_s), 1.0)
        late = tail * second > beyond
        lower, upper = np.where(late, middle, lower), np.where(late, upper, middle)
    return np.asarray(upper)


def stages_mean_s(medians_s: ArrayLike, p99s_s: ArrayLike) -> Floats:
    """Return the mean time through stages one after another, along the last axis: the sum of median e^(sigma^2 / 2)."""
    median, sigma = _shape(medians_s, p99s_s)
    return np.asarray(np.sum(median * np.exp(sigma**2 / 2.0), axis=-1))


def stages_quantile_s(q: ArrayLike, medians_s: ArrayLike, p99s_s: ArrayLike) -> Floats:
    """Return the q-quantile of the time through independent log-normal stages, along the last axis.

    The sum is taken as log-normal with the sum's mean and variance; adding the quantiles of the stages, which assumes
    that they are slow together, is the upper bound. Source: Fenton, "The sum of log-normal probability
    distributions in scatter transmission systems", IRE Trans. Communications Systems 8(1), 1960.
    """
    from scipy.special import ndtri

    mean_s, variance_s2 = stages_mean_s(medians_s, p99s_s), _variances_s2(medians_s, p99s_s).sum(axis=-1)
    sigma2 = np.log1p(variance_s2 / mean_s**2)
    with np.errstate(invalid="ignore"):
        power = np.where(sigma2 > 0.0, np.sqrt(sigma2) * ndtri(within("q", q, 0.0, 1.0)), 0.0)
    return np.asarray(mean_s * np.exp(power - sigma2 / 2.0))


def stage_budgets_s(objective_s: ArrayLike, medians_s: ArrayLike, p99s_s: ArrayLike) -> Floats:
    """Return a deadline for each stage, along the last axis, that together make `objective_s`.

    Each has its mean and a part of the slack in proportion to its standard deviation, so that all are about equally
    likely to be late by their own doing. Where the means alone exceed the objective, all are cut alike: the
    objective can't be met. Source: the slack distribution of Kao and Garcia-Molina, "Deadline assignment in a
    distributed soft real-time system", IEEE TPDS 8(12), 1997 (equal flexibility), by deviation instead of time.
    """
    median, sigma = _shape(medians_s, p99s_s)
    mean_s = median * np.exp(sigma**2 / 2.0)
    deviation_s = np.sqrt(_variances_s2(medians_s, p99s_s))
    objective = positive("objective_s", objective_s)[..., np.newaxis]
    total_s, spread_s = mean_s.sum(axis=-1, keepdims=True), deviation_s.sum(axis=-1, keepdims=True)
    share = np.where(spread_s > 0.0, deviation_s / np.where(spread_s > 0.0, spread_s, 1.0), mean_s / total_s)
    slack_s = objective - total_s
    return np.asarray(np.where(slack_s >= 0.0, mean_s + slack_s * share, mean_s * objective / total_s))


def _shape(median_s: ArrayLike, p99_s: ArrayLike) -> tuple[Floats, Floats]:
    """Median and sigma of the log-normal distribution, of one shape."""
    median, slow = np.broadcast_arrays(positive("median_s", median_s), positive("p99_s", p99_s))
    if np.any(slow < median):
        raise ValueError(f"got p99_s={p99_s!r} below median_s={median_s!r}, expected at least the median")
    return median, np.log(slow / median) / _Z99


def _variances_s2(medians_s: ArrayLike, p99s_s: ArrayLike) -> Floats:
    median, sigma = _shape(medians_s, p99s_s)
    return np.asarray(median**2 * np.exp(sigma**2) * np.expm1(sigma**2))
