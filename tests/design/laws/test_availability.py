"""Laws of availability against enumeration, and what must hold between them."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.availability import (
    all_up_share,
    enough_up_share,
    quorum_size,
    replicas_for,
    replicated_share,
    up_share,
)


def test_shares_of_time() -> None:
    assert up_share(1 / 99, 3600.0) == pytest.approx(0.99)
    assert all_up_share(0.999, 1000) == pytest.approx(0.3677, abs=1e-4)


@pytest.mark.parametrize("needed", [0, 1, 2, 3, 4, 5, 6])
def test_k_of_n_is_the_sum_over_all_states(needed: int) -> None:
    r = 0.9
    states = [state for state in product((0, 1), repeat=5) if sum(state) >= needed]
    by_hand = sum(r ** sum(state) * (1 - r) ** (5 - sum(state)) for state in states)
    assert enough_up_share(r, needed, 5) == pytest.approx(by_hand)


def test_every_shard_needs_a_replica() -> None:
    assert replicated_share(0.99, 2, 100) == pytest.approx((1 - 1e-4) ** 100)
    np.testing.assert_allclose(replicated_share([0.0, 1.0, 0.5], 1, [3, 7, 0]), [0.0, 1.0, 1.0])


def test_two_majorities_share_a_replica() -> None:
    n = np.arange(1, 10)
    q = quorum_size(n)
    np.testing.assert_array_equal(q, [1, 2, 2, 3, 3, 4, 4, 5, 5])
    assert np.all(2 * q > n)


@given(st.floats(0.01, 0.99999), st.floats(0.05, 0.9999), st.integers(1, 10_000))
def test_the_replicas_suffice_and_one_less_does_not(target: float, up: float, shards: int) -> None:
    n = replicas_for(target, up, shards)
    if np.isfinite(n):
        assert replicated_share(up, n, shards) >= target * (1 - 1e-6)
        assert n == 1 or replicated_share(up, n - 1, shards) < target * (1 + 1e-6)


@pytest.mark.parametrize(("target", "up", "expected"), [(0.9, 1.0, 1), (0.0, 0.0, 1), (1.0, 0.9, np.inf)])
def test_replicas_at_the_ends(target: float, up: float, expected: float) -> None:
    assert replicas_for(target, up) == expected
