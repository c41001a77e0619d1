"""Laws of availability: the share of time that enough of what is needed is up, from how often each part fails.

Parts fail and are repaired independently of one another. What they share (power, a network, a wrong configuration)
fails all at once and is to be taken as one more part that must be up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, within

__all__ = ["all_up_share", "enough_up_share", "quorum_size", "replicas_for", "replicated_share", "up_share"]

_MOST_REPLICAS = 64


def up_share(failures_per_hour: ArrayLike, repair_s: ArrayLike) -> Floats:
    """Return the share of time that one part is up: r = MTBF / (MTBF + MTTR) = 1 / (1 + lambda x repair).

    Source: Trivedi, Probability and Statistics with Reliability, Queuing, and Computer Science Applications, 2nd
    edition, 2002, section 6.6.
    """
    down = at_least("failures_per_hour", failures_per_hour, 0.0) * at_least("repair_s", repair_s, 0.0) / 3600.0
    return np.asarray(1.0 / (1.0 + down))


def all_up_share(up: ArrayLike, parts: ArrayLike) -> Floats:
    """Return the share of time that all of M parts are up: r^M. Source: Trivedi 2002, section 1.10 (series systems)."""
    return np.asarray(within("up", up, 0.0, 1.0) ** at_least("parts", parts, 0.0))


def enough_up_share(up: ArrayLike, needed: ArrayLike, parts: ArrayLike) -> Floats:
    """Return the share of time that at least k of n parts are up: the binomial tail I_r(k, n - k + 1).

    1 where nothing is needed, 0 where more are than there are. Source: Trivedi 2002, section 1.12 (k of n).
    """
    from scipy.special import betainc

    r, k, n = np.broadcast_arrays(
        within("up", up, 0.0, 1.0), at_least("needed", needed, 0.0), at_least("parts", parts, 0.0)
    )
    possible = (k > 0.0) & (k <= n)
    tail = betainc(np.where(possible, k, 1.0), np.where(possible, n - k + 1.0, 1.0), r)
    return np.asarray(np.where(possible, tail, np.where(k <= 0.0, 1.0, 0.0)))


def replicated_share(up: ArrayLike, replicas: ArrayLike, shards: ArrayLike = 1.0) -> Floats:
    """Return the share of time that every one of S shards has at least one of its n replicas up: (1 - (1 - r)^n)^S.

    Source: Trivedi 2002, section 1.10 (series of parallel systems).
    """
    down = (1.0 - within("up", up, 0.0, 1.0)) ** at_least("replicas", replicas, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = at_least("shards", shards, 0.0) * np.log1p(-down)
    return np.asarray(np.exp(np.where(np.isnan(power), 0.0, power)))


def quorum_size(replicas: ArrayLike) -> Floats:
    """Return the smallest majority of n replicas: floor(n / 2) + 1, of which any two share one.

    Source: Gifford, "Weighted voting for replicated data", SOSP 1979.
    """
    return np.asarray(np.floor(at_least("replicas", replicas, 1.0) / 2.0) + 1.0)


def replicas_for(target: ArrayLike, up: ArrayLike, shards: ArrayLike = 1.0) -> Floats:
    """Return the fewest replicas of each shard with which all shards are up for at least the target share of time.

    n = ceil(ln(1 - t^(1/S)) / ln(1 - r)), at least 1; infinite where more than 64 would be needed, because failures
    that replicas share then decide. Source: `replicated_share` solved for n.
    """
    wanted = within("target", target, 0.0, 1.0) ** (1.0 / at_least("shards", shards, 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        count = np.ceil(np.log1p(-wanted) / np.log1p(-within("up", up, 0.0, 1.0)) - 1e-9)
    count = np.where(np.isnan(count), 1.0, np.maximum(count, 1.0))  # always up, and always wanted
    return np.asarray(np.where(count > _MOST_REPLICAS, np.inf, count))
