"""Promises of shamir: enough shares give the secret, fewer say nothing of it."""

from __future__ import annotations

import os
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.parts.shamir import PRIME, SHARE_BYTES, combine, split

SECRETS = st.binary(min_size=32, max_size=32) | st.sampled_from([bytes(32), b"\xff" * 32])


@given(SECRETS, st.data())
def test_any_threshold_many_shares_give_the_secret(secret: bytes, data: st.DataObject) -> None:
    holders = data.draw(st.lists(st.integers(1, 1_000), min_size=1, max_size=8, unique=True))
    threshold = data.draw(st.integers(1, len(holders)))
    shares = split(secret, threshold, holders, os.urandom)
    chosen = data.draw(st.lists(st.sampled_from(holders), min_size=threshold, max_size=len(holders), unique=True))
    assert combine({x: shares[x] for x in chosen}) == secret


@given(SECRETS, SECRETS, st.integers(2, 5))
def test_one_share_less_fits_every_secret(secret: bytes, other: bytes, threshold: int) -> None:
    """For any other secret there is one more share, and so a polynomial, that makes t - 1 real shares give it."""
    shares = split(secret, threshold, range(1, threshold + 1), os.urandom)
    known = {x: int.from_bytes(shares[x], "big") for x in range(1, threshold)}
    # the value at `threshold` of the one polynomial through the known shares and `other` at 0
    points = {0: int.from_bytes(other, "big"), **known}
    y = 0
    for x, value in points.items():
        above = below = 1
        for z in points:
            if z != x:
                above = above * (threshold - z) % PRIME
                below = below * (x - z) % PRIME
        y += value * above * pow(below, -1, PRIME)
    made = {**{x: shares[x] for x in known}, threshold: (y % PRIME).to_bytes(SHARE_BYTES, "big")}
    assert combine(made) == other


def test_fewer_shares_do_not_give_the_secret() -> None:
    secret = os.urandom(32)
    shares = split(secret, 4, range(1, 8), os.urandom)
    for chosen in combinations(shares, 3):
        try:
            found = combine({x: shares[x] for x in chosen})
        except InputError:
            continue
        assert found != secret


def test_the_prime_is_the_first_above_every_secret() -> None:
    def is_prime(n: int) -> bool:
        """Miller and Rabin's test to 24 bases."""
        odd, twos = n - 1, 0
        while odd % 2 == 0:
            odd, twos = odd // 2, twos + 1
        for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89):
            x = pow(base, odd, n)
            if x not in (1, n - 1) and all((x := x * x % n) != n - 1 for _ in range(twos - 1)):
                return False
        return True

    assert next(n for n in range(2**256, 2**257) if is_prime(n)) == PRIME


def test_every_coefficient_is_drawn() -> None:
    drawn = []

    def random_bytes(size: int) -> bytes:
        drawn.append(size)
        return os.urandom(size)

    split(bytes(32), 5, range(1, 8), random_bytes)
    assert drawn == [48] * 4


@pytest.mark.parametrize(
    ("secret", "threshold", "holders"),
    [
        (bytes(31), 2, [1, 2]),
        (bytes(33), 2, [1, 2]),
        (bytes(32), 3, [1, 2]),
        (bytes(32), 0, [1, 2]),
        (bytes(32), 2, [1, 1]),
        (bytes(32), 2, [0, 1]),  # the share at 0 is the secret
    ],
)
def test_what_cannot_be_split_is_refused(secret: bytes, threshold: int, holders: list[int]) -> None:
    with pytest.raises(ConfigError):
        split(secret, threshold, holders, os.urandom)


@pytest.mark.parametrize(
    "shares",
    [{}, {0: bytes(33)}, {1: bytes(32)}, {1: bytes(34)}, {1: PRIME.to_bytes(33, "big")}, {1: b"\xff" * 33}],
)
def test_what_is_not_a_share_is_refused(shares: dict[int, bytes]) -> None:
    with pytest.raises(InputError):
        combine(shares)


def test_shares_whose_value_is_beyond_32_bytes_do_not_belong_together() -> None:
    with pytest.raises(InputError, match="do not belong"):
        combine({1: (PRIME - 1).to_bytes(SHARE_BYTES, "big")})
