"""What Byzantine sites send: attacks against which robust aggregation is measured.

The attackers are omniscient: they have seen every honest vector of the round. That is more than sites under secure
aggregation can know, so that what holds here holds there.
"""

# Shapes: K honest sites, D numbers of each, N records.

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from sixfold.errors import ConfigError, InputError

__all__ = ["a_little_is_enough", "hiding_deviation", "inner_product_manipulation", "label_flip", "sign_flip"]

Floats = NDArray[np.float64]


def sign_flip(honest_KD: Floats) -> Floats:
    """The opposite of the honest mean (D).

    Source: Allen-Zhu et al., "Byzantine-resilient non-convex stochastic gradient descent", ICLR 2021.
    """
    return -_mean(honest_KD)


def inner_product_manipulation(honest_KD: Floats, strength: float) -> Floats:
    """The honest mean times -strength (D): a small strength stays close, a large one outweighs the honest in a mean.

    Raises ConfigError unless strength > 0.
    Source: Xie et al., "Fall of empires: breaking Byzantine-tolerant SGD by inner product manipulation", UAI 2019.
    """
    if not strength > 0:
        raise ConfigError(f"got strength={strength:g}, expected above 0")
    return -strength * _mean(honest_KD)


def a_little_is_enough(honest_KD: Floats, deviation: float) -> Floats:
    """The honest mean, moved in every coordinate by `deviation` standard deviations of the honest (D).

    deviation: either sign; `hiding_deviation` is the one that looks like an honest site. The standard deviation is
    that of a sample (K - 1). Raises InputError for fewer than two honest sites.
    Source: Baruch et al., "A little is enough: circumventing defenses for distributed learning", NeurIPS 2019.
    """
    if len(honest_KD) < 2:
        raise InputError(f"got {len(honest_KD)} honest sites, expected at least 2 to have a standard deviation")
    return np.asarray(_mean(honest_KD) + deviation * honest_KD.std(axis=0, ddof=1))


def hiding_deviation(sites: int, byzantine: int) -> float:
    """The deviation at which enough honest sites are expected further out for the attackers to be in the majority.

    Negative when it takes honest sites from beyond the mean, as it does with few attackers. Raises ConfigError unless
    0 < byzantine < sites / 2.
    Source: Baruch et al., "A little is enough: circumventing defenses for distributed learning", NeurIPS 2019
    (z_max).
    """
    if not 0 < byzantine < sites / 2:
        raise ConfigError(f"got {byzantine} Byzantine of {sites} sites, expected at least 1 and fewer than half")
    honest = sites - byzantine
    supporters = math.floor(sites / 2 + 1) - byzantine
    return float(norm.ppf((honest - supporters) / honest))


def label_flip(y_N: Floats) -> Floats:
    """The outcomes 0 and 1 exchanged: the site then follows the protocol on them, and no check of form finds it.

    Raises InputError for other outcomes.
    Source: Tolpegin et al., "Data poisoning attacks against federated learning systems", ESORICS 2020.
    """
    if not np.isin(y_N, (0.0, 1.0)).all():
        raise InputError("outcomes to be flipped are 0 or 1", field="y")
    return np.asarray(1.0 - y_N)


def _mean(honest_KD: Floats) -> Floats:
    if honest_KD.ndim != 2 or not len(honest_KD):
        raise InputError(f"got an array of shape {honest_KD.shape}, expected (honest sites, numbers)")
    return np.asarray(honest_KD.mean(axis=0))
