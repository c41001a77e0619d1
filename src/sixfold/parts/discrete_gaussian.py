"""Gaussian noise on whole numbers, drawn from a key, and how several parties share the work of adding it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from sixfold.errors import ConfigError

__all__ = ["KeyStream", "closeness_of_sum", "discrete_gaussian", "integer_sensitivity", "noise_share_variance"]

_NEGLIGIBLE = 1e-15  # a distance that no promise of privacy is stated to
_MOST_DEVIATION = 2.0**40  # units: the floating point of the acceptance step is exact to 2^-50 up to here


class KeyStream:
    """Random numbers from a 32-byte key and a context: the keystream of AES-256 in counter mode.

    The same key and context give the same numbers; who does not know the key cannot tell them from random ones.
    """

    def __init__(self, key: bytes, context: bytes) -> None:
        derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"sixfold key stream\0" + context).derive(key)
        self._cipher = Cipher(algorithms.AES(derived), modes.CTR(bytes(16))).encryptor()

    def uniform(self, size: int) -> NDArray[np.float64]:
        """`size` numbers in (0, 1): the middles of 2^53 equal steps."""
        words = np.frombuffer(self._cipher.update(bytes(8 * size)), dtype="<u8")
        return ((words >> 11).astype(np.float64) + 0.5) * 2.0**-53


def discrete_gaussian(stream: KeyStream, variance: int, size: int) -> NDArray[np.int64]:
    """Whole numbers with P(x) proportional to exp(-x^2 / (2 variance)), by rejection from a discrete Laplace.

    Acceptance is decided in float64 with 53 uniform bits: each number is within a total variation distance of about
    2^-50 of the distribution. Raises ConfigError for a variance that is not within [1, 2^80]. Source: Canonne, Kamath
    and Steinke, "The discrete Gaussian for differential privacy", NeurIPS 2020, algorithm 3.
    """
    if not 1 <= variance <= _MOST_DEVIATION**2:
        raise ConfigError(f"got a noise variance of {variance} units, expected within [1, 2^80]: change scale_bits")
    deviation = math.sqrt(variance)
    scale = math.floor(deviation) + 1.0
    found: list[NDArray[np.int64]] = []
    missing = size
    while missing > 0:
        n = missing + missing // 2 + 16  # about three in four are accepted
        size_N = np.floor(-scale * np.log(stream.uniform(n)))  # geometric with ratio exp(-1 / scale)
        negative_N = stream.uniform(n) < 0.5
        # zero would be drawn twice as often, once with each sign
        laplace_N = ~(negative_N & (size_N == 0.0))
        accepted_N = np.log(stream.uniform(n)) < -(((size_N - variance / scale) / deviation) ** 2) / 2.0
        signed = np.where(negative_N, -size_N, size_N)[laplace_N & accepted_N].astype(np.int64)
        found.append(signed[:missing])
        missing -= len(found[-1])
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def integer_sensitivity(clip: float, scale: float, dimensions: int) -> float:
    """How far one record can move a site's rounded sum, in units: clip x scale + sqrt(dimensions).

    A site rounds its scaled sum once. One record more changes the sum by at most clip x scale in L2 norm, and rounding
    changes each coordinate's difference by at most 1.
    """
    return clip * scale + math.sqrt(dimensions)


def noise_share_variance(variance: int, contributors: int) -> int:
    """The variance that each party adds, so that any `contributors` of them add up to the whole.

    Raises ConfigError when a share is so small that the sum of them is not close to a discrete Gaussian.
    """
    if contributors < 1:
        raise ConfigError(f"got {contributors} parties that add noise, expected at least 1")
    share = -(-variance // contributors)
    if (distance := closeness_of_sum(share, contributors)) > _NEGLIGIBLE:
        raise ConfigError(
            f"a noise variance of {share} units is too small to be split: the sum is {distance:.2g} from a discrete "
            "Gaussian; raise scale_bits"
        )
    return share


def closeness_of_sum(variance: int, parties: int) -> float:
    """How far the sum of discrete Gaussians is from one of the summed variance, as a bound on the log ratio.

    10 sum_{k=1}^{n-1} exp(-2 pi^2 variance k / (k + 1)). Source: Kairouz, Liu and Steinke, "The distributed discrete
    Gaussian mechanism for federated learning with secure aggregation", ICML 2021, theorem 1.
    """
    k = np.arange(1, parties)
    total: Any = 10.0 * np.exp(-2.0 * math.pi**2 * variance * k / (k + 1)).sum()
    return float(total)
