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

__all__ = ["KeyStream", "closeness_of_sum", "discrete_gaussian", "noise_share_variance"]

_NEGLIGIBLE = 1e-15  # a distance that no promise of privacy is stated to
_MOST_DEVIATION = 2**40  # units: its product with 2^22 still is a whole number of 64 bits
_CHUNK = 1 << 16  # numbers drawn at a time: their arrays stay in a cache
_EXP_MINUS_ONE = np.uint64(6786177901268885274)  # floor(2^64 / e)
_LOW_64 = 2**64 - 1

Words = NDArray[np.uint64]


class KeyStream:
    """Random numbers from a 32-byte key and a context: the keystream of AES-256 in counter mode.

    The same key and context give the same numbers; who does not know the key cannot tell them from random ones.
    """

    def __init__(self, key: bytes, context: bytes) -> None:
        derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"sixfold key stream\0" + context).derive(key)
        self._cipher = Cipher(algorithms.AES(derived), modes.CTR(bytes(16))).encryptor()

    def words(self, size: int) -> Words:
        """`size` whole numbers, uniform over 64 bits."""
        return np.frombuffer(self._cipher.update(bytes(8 * size)), dtype="<u8").astype(np.uint64, copy=False)

    def below(self, bound: int, size: int) -> Words:
        """`size` whole numbers, uniform over [0, bound); bound at most 2^63."""
        most = np.uint64(2**64 - 2**64 % bound - 1)  # what is above it would favour small remainders
        words = self.words(size).copy()
        while len(biased := np.flatnonzero(words > most)):
            words[biased] = self.words(len(biased))
        return words % np.uint64(bound)

    def uniform(self, size: int) -> NDArray[np.float64]:
        """`size` numbers in (0, 1): the middles of 2^53 equal steps."""
        return ((self.words(size) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def discrete_gaussian(stream: KeyStream, variance: int, size: int) -> NDArray[np.int64]:
    """Whole numbers with P(x) proportional to exp(-x^2 / (2 variance)), by rejection from a discrete Laplace.

    Whole-number arithmetic throughout, so that every machine draws the same. Each probability is compared with 64
    uniform bits: a number is within a total variation distance of 2^-58 of the distribution. Raises ConfigError for a
    variance that is not within [1, 2^80]. Source: Canonne, Kamath and Steinke, "The discrete Gaussian for differential
    privacy", NeurIPS 2020, algorithms 1 to 3.
    """
    if not 1 <= variance <= _MOST_DEVIATION**2:
        raise ConfigError(f"got a noise variance of {variance} units, expected within [1, 2^80]: change scale_bits")
    found: list[NDArray[np.int64]] = []
    missing = size
    while missing > 0:
        accepted = _attempt(stream, variance, min(_CHUNK, 5 * missing // 2 + 16))  # about half are accepted
        found.append(accepted[:missing])
        missing -= len(found[-1])
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def noise_share_variance(variance: int, contributors: int) -> int:
    """The variance that each party adds, so that any `contributors` of them add up to the whole.

    What further parties add makes the sum no less private. Raises ConfigError when a share is so small that the sum of
    them is not close to a discrete Gaussian.
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

    10 sum_{k=1}^{n-1} exp(-2 pi^2 variance k / (k + 1)), in every coordinate. Source: Kairouz, Liu and Steinke, "The
    distributed discrete Gaussian mechanism for federated learning with secure aggregation", ICML 2021, section 3.
    """
    k = np.arange(1, parties)
    total: Any = 10.0 * np.exp(-2.0 * math.pi**2 * variance * k / (k + 1)).sum()
    return float(total)


def _attempt(stream: KeyStream, variance: int, size: int) -> NDArray[np.int64]:
    """What is accepted of `size` draws of a discrete Laplace with scale t: P(x) proportional to exp(-|x| / t)."""
    t = math.isqrt(variance) + 1
    rest = stream.below(t, size)
    rest = rest[_exp_minus(stream, _over(rest, t))]
    laplace = (rest + np.uint64(t) * _runs(stream, len(rest))).astype(np.int64)
    negative = stream.words(len(laplace)) >> np.uint64(63) == 1
    once = ~(negative & (laplace == 0))  # else zero would come twice as often, once with each sign
    laplace, negative = laplace[once], negative[once]
    # (|x| - variance / t)^2 / (2 variance) in units of 2^-64, which takes more than 64 bits on the way
    twice_square = 2 * variance * t * t
    exponents = [(((x * t - variance) ** 2) << 64) // twice_square for x in laplace.tolist()]
    whole = np.array([exponent >> 64 for exponent in exponents], dtype=np.uint64)
    fraction = np.array([exponent & _LOW_64 for exponent in exponents], dtype=np.uint64)
    accepted = (_runs(stream, len(laplace)) >= whole) & _exp_minus(stream, fraction)
    return np.asarray(np.where(negative, -laplace, laplace)[accepted])


def _over(numerators: Words, denominator: int) -> Words:
    """floor(2^64 n / d) of n < d <= 2^40 + 1: a long division, 22 + 22 + 20 bits of it at a time."""
    d, quotients, rest = np.uint64(denominator), np.zeros_like(numerators), numerators
    for bits in (np.uint64(22), np.uint64(22), np.uint64(20)):
        digits, rest = np.divmod(rest << bits, d)
        quotients = (quotients << bits) | digits
    return quotients


def _exp_minus(stream: KeyStream, exponents: Words) -> NDArray[np.bool_]:
    """Of each exponent, in units of 2^-64: true with probability exp(-exponent).

    Events of probability exponent / k are tried for k = 1, 2, ... until the first that does not happen: its k is odd.
    """
    result = np.zeros(len(exponents), dtype=np.bool_)
    alive, k = np.arange(len(exponents)), 1
    while len(alive):
        happened = stream.words(len(alive)) < exponents[alive]
        if k > 1:
            happened &= stream.below(k, len(alive)) == 0
        result[alive[~happened]] = k % 2 == 1
        alive, k = alive[happened], k + 1
    return result


def _runs(stream: KeyStream, size: int) -> Words:
    """How many events of probability 1 / e happen before the first that does not, `size` times."""
    runs = np.zeros(size, dtype=np.uint64)
    alive = np.arange(size)
    while len(alive := alive[stream.words(len(alive)) < _EXP_MINUS_ONE]):
        runs[alive] += np.uint64(1)
    return runs
