"""Robust rules by name, for sums over groups of sites: what each needs, and what it makes of the sums."""

# Shapes: G groups, D numbers.

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError
from sixfold.parts.random_groups import robust_total
from sixfold.parts.robust import centred_clipping, geometric_median, krum, median, multi_krum, trimmed_mean

__all__ = ["RobustRule", "combine", "least_groups"]

Floats = NDArray[np.float64]


class RobustRule(StrEnum):
    """What the means of groups become."""

    SUM = "sum"  # nothing is tolerated
    KRUM = "krum"
    MULTI_KRUM = "multi_krum"  # of all groups but the hostile ones
    TRIMMED_MEAN = "trimmed_mean"
    MEDIAN = "median"
    GEOMETRIC_MEDIAN = "geometric_median"
    CENTRED_CLIPPING = "centred_clipping"  # around the median, at the median distance from it


def least_groups(rule: RobustRule, hostile: int) -> int:
    """With how many groups the rule holds against so many hostile ones; 1 for the sum, which holds against none.

    Raises ConfigError for fewer hostile groups than none.
    """
    if hostile < 0:
        raise ConfigError(f"got {hostile} hostile groups, expected 0 or more")
    if rule is RobustRule.SUM:
        return 1
    return 2 * hostile + (3 if rule in (RobustRule.KRUM, RobustRule.MULTI_KRUM) else 1)


def combine(rule: RobustRule, sums_GD: Floats, sizes: Sequence[int], hostile: int) -> Floats:
    """What stands in for the sum over all sites of all groups (D).

    sums_GD: of each group; a count that is summed with the rest is a coordinate like the others, so that a group that
    lies about its weight is an outlier as well. sizes: sites of each group. Rules of coordinates (trimmed mean,
    median) may give a matrix that is no sum of positive definite ones; krum and the geometric median give convex
    combinations of the groups. Raises ConfigError for fewer groups than `least_groups`, InputError.
    """
    if len(sums_GD) < (least := least_groups(rule, hostile)):
        raise ConfigError(f"{rule}: got {len(sums_GD)} groups, expected at least {least} against {hostile} hostile")
    if rule is RobustRule.SUM:
        return np.asarray(sums_GD.sum(axis=0))

    def chosen(means_GD: Floats) -> Floats:
        match rule:
            case RobustRule.KRUM:
                return krum(means_GD, hostile)
            case RobustRule.MULTI_KRUM:
                return multi_krum(means_GD, hostile, len(means_GD) - hostile)
            case RobustRule.TRIMMED_MEAN:
                return trimmed_mean(means_GD, hostile)
            case RobustRule.GEOMETRIC_MEDIAN:
                return geometric_median(means_GD)
            case RobustRule.CENTRED_CLIPPING:
                return _clipped_around_median(means_GD)
            case _:
                return median(means_GD)

    return robust_total(sums_GD, sizes, chosen)


def _clipped_around_median(means_GD: Floats) -> Floats:
    """Centred clipping that remembers nothing: half of the groups are not clipped, the others not further away."""
    centre_D = median(means_GD)
    radius = float(np.median(np.linalg.norm(means_GD - centre_D, axis=1)))
    return centred_clipping(means_GD, centre_D, radius) if radius > 0 else centre_D
