"""One vector from many of which some may be anything: aggregation that f Byzantine sites cannot lead far astray.

All rules take vectors in the clear. Under secure aggregation nobody has them: see `parts.random_groups`.
"""

# Shapes: K sites, D numbers of each.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform

from sixfold.errors import ConfigError, InputError

__all__ = ["centred_clipping", "geometric_median", "krum", "median", "multi_krum", "trimmed_mean"]

Floats = NDArray[np.float64]


def krum(G_KD: Floats, f: int) -> Floats:
    """The vector (D) whose K - f - 2 nearest others are closest to it, in the sum of squared distances.

    Raises ConfigError unless K >= 2f + 3, which the guarantee asks for; InputError for what is not finite.
    Source: Blanchard et al., "Machine learning with adversaries: Byzantine tolerant gradient descent", NeurIPS 2017.
    """
    return multi_krum(G_KD, f, keep=1)


def multi_krum(G_KD: Floats, f: int, keep: int) -> Floats:
    """The mean (D) of the `keep` vectors that krum would rather choose; of those with equal scores the first.

    Raises ConfigError unless K >= 2f + 3 and 1 <= keep <= K - f; InputError for what is not finite.
    Source: Blanchard et al., "Machine learning with adversaries: Byzantine tolerant gradient descent", NeurIPS 2017.
    """
    K = _sites(G_KD, f, least=2 * f + 3)
    if not 1 <= keep <= K - f:
        raise ConfigError(f"got keep={keep}, expected 1 to {K - f}: all but the {f} that may be Byzantine")
    distance_KK = squareform(pdist(G_KD, "sqeuclidean"))
    np.fill_diagonal(distance_KK, np.inf)  # nobody is among its own neighbours
    nearest_KN = np.sort(distance_KK, axis=1)[:, : K - f - 2]
    with np.errstate(over="ignore"):  # who is too far away for a sum of squares is last in any case
        score_K = nearest_KN.sum(axis=1)
    chosen = np.argsort(score_K, kind="stable")[:keep]
    return np.asarray(G_KD[chosen].mean(axis=0))


def trimmed_mean(G_KD: Floats, f: int) -> Floats:
    """In every coordinate the mean without the f largest and the f smallest (D).

    Raises ConfigError unless K >= 2f + 1; InputError for what is not finite.
    Source: Yin et al., "Byzantine-robust distributed learning: towards optimal statistical rates", ICML 2018.
    """
    K = _sites(G_KD, f, least=2 * f + 1)
    return np.asarray(np.sort(G_KD, axis=0)[f : K - f].mean(axis=0))


def median(G_KD: Floats) -> Floats:
    """The median of every coordinate (D): holds against fewer than half of the sites.

    Raises InputError for what is not finite.
    Source: Yin et al., "Byzantine-robust distributed learning: towards optimal statistical rates", ICML 2018.
    """
    _sites(G_KD, 0, least=1)
    return np.asarray(np.median(G_KD, axis=0))


def geometric_median(G_KD: Floats, smoothing: float = 1e-6, iterations: int = 1_000) -> Floats:
    """The point (D) with the least sum of distances to all vectors: holds against fewer than half of the sites.

    smoothing: distances below it count as quadratic, in the unit of the vectors; it keeps weights finite where the
    median is one of the vectors. Begins at the median of the coordinates and ends when a step is below 1e-4 times
    `smoothing`, or after `iterations`. Raises ConfigError and InputError.
    Source: Pillutla et al., "Robust aggregation for federated learning", IEEE Transactions on Signal Processing 70,
    2022 (smoothed Weiszfeld algorithm).
    """
    if not smoothing > 0 or iterations < 1:
        raise ConfigError(f"got smoothing={smoothing:g}, iterations={iterations}, expected above 0 and at least 1")
    centre_D = median(G_KD)
    for _ in range(iterations):
        weight_K = 1.0 / np.maximum(_distances(G_KD, centre_D), smoothing)
        before_D, centre_D = centre_D, (weight_K / weight_K.sum()) @ G_KD
        if float(np.linalg.norm(centre_D - before_D)) <= 1e-4 * smoothing:
            break
    return centre_D


def centred_clipping(G_KD: Floats, centre_D: Floats, radius: float, iterations: int = 1) -> Floats:
    """The centre plus the mean of all differences from it, none of them longer than `radius` (D).

    centre_D: what honest sites are expected to be near, such as the last round's aggregate. However many sites are
    Byzantine, one iteration moves it by at most `radius`, and f of K sites account for at most f / K of that. Raises
    ConfigError and InputError.
    Source: Karimireddy et al., "Learning from history for Byzantine robust optimization", ICML 2021.
    """
    K = _sites(G_KD, 0, least=1)
    if not radius > 0 or iterations < 1 or centre_D.shape != G_KD.shape[1:]:
        raise ConfigError(
            f"got radius={radius:g}, iterations={iterations} and a centre of shape {centre_D.shape}, expected above 0, "
            f"at least 1 and {G_KD.shape[1:]}"
        )
    for _ in range(iterations):
        share_K = radius / np.maximum(_distances(G_KD, centre_D), radius)  # is min(1, radius / distance)
        centre_D = (1.0 - share_K.mean()) * centre_D + share_K @ G_KD / K
    return centre_D


def _distances(G_KD: Floats, centre_D: Floats) -> Floats:
    with np.errstate(over="ignore"):  # a Byzantine vector may be as long as floats go; its weight becomes 0
        return np.asarray(np.linalg.norm(G_KD - centre_D, axis=1))


def _sites(G_KD: Floats, f: int, least: int) -> int:
    if G_KD.ndim != 2:
        raise InputError(f"got an array of shape {G_KD.shape}, expected (sites, numbers)")
    if not np.isfinite(G_KD).all():
        bad = np.flatnonzero(~np.isfinite(G_KD).all(axis=1)).tolist()
        raise InputError(f"rows {bad} have numbers that are not finite: leave these sites out and count them in f")
    if f < 0 or len(G_KD) < least:
        raise ConfigError(f"got {len(G_KD)} sites with f={f}, expected f >= 0 and at least {least} sites")
    return len(G_KD)
