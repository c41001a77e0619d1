"""Robust aggregation of sums that nobody can take apart: by random groups of sites, and by bounds on norms.

A robust rule compares vectors; a secure sum shows none. The compromise: sites are divided at random, each group has
its own secure sum, and the rule compares the means of groups.

What it leaks: the coordinator reads the sum over each group of g sites instead of one over all n. A site hides among
g - 1 others, and a coordinator that works together with g - 1 sites of a group reads the last one. Noise for
differential privacy has to suffice in each group's sum: parts that were calibrated for n sites leave only g / n of
the variance. If groups are drawn anew in every round, sums that overlap can be solved for the update of a single site
that changes slowly: draw them once a training, unless noise covers each sum.

What it tolerates: a group with one Byzantine site is Byzantine. G groups of n sites hold against (G - 1) / 2
Byzantine sites wherever they are, and against more of them with a probability that `bad_groups_probability` states.

Source: Karimireddy et al., "Byzantine-robust learning on heterogeneous datasets via bucketing", ICLR 2022, for a
robust rule over means of random groups.
"""

# Shapes: G groups, D numbers.

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError

__all__ = ["bad_groups_probability", "group_sizes", "norm_bound", "random_groups", "robust_total", "tolerated_sites"]

Floats = NDArray[np.float64]


def group_sizes(sites: int, groups: int) -> tuple[int, ...]:
    """How many sites each group has; sizes differ by at most one. Raises ConfigError for a group without sites."""
    if not 1 <= groups <= sites:
        raise ConfigError(f"got {groups} groups of {sites} sites, expected 1 to {sites}")
    return tuple(sites // groups + (at < sites % groups) for at in range(groups))


def random_groups(sites: Sequence[str], groups: int, draw: bytes) -> tuple[tuple[str, ...], ...]:
    """The sites in random groups, as everybody can compute them from a public draw.

    draw: bytes that nobody could choose, published after the list of sites was closed; a party that knows them before
    can pick a name that puts it where it likes. Raises ConfigError.
    """
    if len(set(sites)) != len(sites):
        raise ConfigError("got a site twice, expected different names")
    order = sorted(sites, key=lambda site: hashlib.sha256(b"sixfold groups\0" + draw + b"\0" + site.encode()).digest())
    ends = np.cumsum((0, *group_sizes(len(sites), groups)))
    return tuple(tuple(order[start:end]) for start, end in itertools.pairwise(ends))


def robust_total(sums_GD: Floats, sizes: Sequence[int], rule: Callable[[Floats], Floats]) -> Floats:
    """What stands in for the sum over all sites (D): the rule's vector for one site, times how many sites there are.

    sums_GD: the unmasked sum of each group. Raises InputError.
    """
    if sums_GD.ndim != 2 or len(sums_GD) != len(sizes) or min(sizes, default=0) < 1:
        raise InputError(f"got sums of shape {sums_GD.shape} for groups of {list(sizes)} sites")
    return np.asarray(sum(sizes) * rule(sums_GD / np.array(sizes, dtype=np.float64)[:, None]))


def bad_groups_probability(sizes: Sequence[int], byzantine: int, tolerated: int) -> float:
    """The probability that more than `tolerated` groups have a Byzantine site; exact.

    The Byzantine sites are any of all with equal probability (multivariate hypergeometric), which holds if who they
    are does not depend on the draw. Raises ConfigError.
    """
    sites, groups = sum(sizes), len(sizes)
    if not 0 <= byzantine <= sites or not 0 <= tolerated <= groups or min(sizes, default=0) < 1:
        raise ConfigError(f"got {byzantine} Byzantine sites and {tolerated} groups tolerated of groups {list(sizes)}")
    # ways[bad][placed]: in how many ways `placed` Byzantine sites are in the groups so far, in `bad` of these
    ways = [[1] + [0] * byzantine]
    for size in sizes:
        more = [[0] * (byzantine + 1) for _ in range(len(ways) + 1)]
        for bad, row in enumerate(ways):
            for placed, count in enumerate(row):
                if count:
                    more[bad][placed] += count
                    for here in range(1, min(size, byzantine - placed) + 1):
                        more[bad + 1][placed + here] += count * math.comb(size, here)
        ways = more
    return sum(row[byzantine] for row in ways[tolerated + 1 :]) / math.comb(sites, byzantine)


def tolerated_sites(sizes: Sequence[int], probability: float) -> int:
    """How many Byzantine sites leave a majority of groups good, but for at most this probability."""
    most = (len(sizes) - 1) // 2
    byzantine = most
    while byzantine < sum(sizes) and bad_groups_probability(sizes, byzantine + 1, most) <= probability:
        byzantine += 1
    return byzantine


def norm_bound(vector: Floats, bound: float) -> Floats:
    """The vector, scaled down to the L2 norm `bound` if it is longer; a site applies it before masking.

    It limits what one honest site's outliers can do, and what a Byzantine one can where its vector can be seen. Under
    secure aggregation the server cannot verify it without a zero-knowledge proof of the norm, and there is none here:
    a site that breaks the protocol sends what it likes. Nor does it help against many sites that each stay within the
    bound, or against flipped labels. Raises ConfigError for the bound, InputError for what is not finite.
    """
    if not 0 < bound < math.inf:
        raise ConfigError(f"got a bound of {bound:g}, expected above 0 and finite")
    largest = float(np.abs(vector).max(initial=0.0))
    if not math.isfinite(largest):
        raise InputError("a vector to be bounded has numbers that are not finite")
    length = largest * float(np.linalg.norm(vector / largest)) if largest else 0.0  # squares would overflow
    return vector * (bound / length) if length > bound else vector
