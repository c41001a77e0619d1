"""A secret of 32 bytes in shares: any `threshold` of them give it back, fewer say nothing of it.

Source: Shamir, "How to share a secret", Communications of the ACM 22(11), 1979.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from sixfold.errors import ConfigError, InputError

__all__ = ["PRIME", "SECRET_BYTES", "SHARE_BYTES", "combine", "split"]

PRIME = 2**256 + 297  # the smallest prime above 2^256: every secret is an element of its field
SECRET_BYTES = 32
SHARE_BYTES = 33
_DRAW_BYTES = 48  # reduced modulo the prime it is within 2^-127 of uniform


def split(
    secret: bytes, threshold: int, holders: Sequence[int], random_bytes: Callable[[int], bytes]
) -> dict[int, bytes]:
    """The share of every holder: a polynomial of degree threshold - 1 with the secret at 0, at the holder's number.

    holders: different numbers from 1 on. Raises ConfigError when there are fewer of them than the threshold.
    """
    if len(secret) != SECRET_BYTES:
        raise ConfigError(f"got a secret of {len(secret)} bytes, expected {SECRET_BYTES}")
    if not 1 <= threshold <= len(holders) or len(set(holders)) != len(holders) or min(holders) < 1:
        raise ConfigError(f"got threshold {threshold} of {len(holders)} holders, expected at most one a holder")
    coefficients = [int.from_bytes(random_bytes(_DRAW_BYTES), "big") % PRIME for _ in range(threshold - 1)]
    shares = {}
    for x in holders:
        y = 0
        for coefficient in coefficients:
            y = (y + coefficient) * x % PRIME
        shares[x] = ((y + int.from_bytes(secret, "big")) % PRIME).to_bytes(SHARE_BYTES, "big")
    return shares


def combine(shares: Mapping[int, bytes]) -> bytes:
    """The secret from exactly as many shares as the threshold; more of them give the same.

    Raises InputError for what is not a share. Shares that do not belong together give another secret, or InputError:
    compare what comes out with a commitment.
    """
    holders = tuple(sorted(shares))
    if not holders or holders[0] < 1:
        raise InputError(f"got shares of holders {list(holders)}, expected numbers from 1 on")
    total = 0
    for x, weight in zip(holders, _weights(holders), strict=True):
        y = int.from_bytes(shares[x], "big")
        if len(shares[x]) != SHARE_BYTES or y >= PRIME:
            raise InputError(f"the share of holder {x} is not an element of the field")
        total += y * weight
    secret = total % PRIME
    if secret >= 2 ** (8 * SECRET_BYTES):
        raise InputError("the shares do not belong to one secret")
    return secret.to_bytes(SECRET_BYTES, "big")


@lru_cache(maxsize=256)  # the same holders have shares of many secrets
def _weights(holders: tuple[int, ...]) -> tuple[int, ...]:
    """The Lagrange basis polynomials at 0."""
    weights = []
    for x in holders:
        above = below = 1
        for other in holders:
            if other != x:
                above = above * other % PRIME
                below = below * (other - x) % PRIME
        weights.append(above * pow(below, -1, PRIME) % PRIME)
    return tuple(weights)
