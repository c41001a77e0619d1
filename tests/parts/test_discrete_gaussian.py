"""Promises of discrete_gaussian: the stated distribution, the same from the same key, and whole when shares add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from sixfold.errors import ConfigError
from sixfold.parts.discrete_gaussian import (
    KeyStream,
    closeness_of_sum,
    discrete_gaussian,
    integer_sensitivity,
    noise_share_variance,
)

KEY = bytes(range(32))


def stream(context: str) -> KeyStream:
    return KeyStream(KEY, context.encode())


@pytest.mark.parametrize("variance", [1, 4, 30])
def test_frequencies_are_those_of_the_discrete_gaussian(variance: int) -> None:
    n, reach = 200_000, int(4 * variance**0.5)
    x = discrete_gaussian(stream(f"frequencies {variance}"), variance, n)
    support = np.arange(-reach, reach + 1)
    weight = np.exp(-(support.astype(float) ** 2) / (2 * variance))
    inside = x[np.abs(x) <= reach]
    observed = np.bincount(inside + reach, minlength=len(support))
    assert chisquare(observed, weight / weight.sum() * len(inside)).pvalue > 1e-3


@pytest.mark.parametrize("bits", [20, 40, 80])
def test_large_variances_have_mean_and_variance_of_a_gaussian(bits: int) -> None:
    x = discrete_gaussian(stream("large"), 2**bits, 100_000) / 2.0 ** (bits / 2)
    assert abs(x.mean()) < 4 / 100_000**0.5
    assert abs(x.var() - 1) < 4 * (2 / 100_000) ** 0.5
    assert abs(np.mean(np.abs(x) > 3) - 0.0027) < 0.0008


def test_the_same_key_and_context_give_the_same_noise_and_others_give_other_noise() -> None:
    once, again = (discrete_gaussian(stream("round 1"), 10**6, 50) for _ in range(2))
    assert (once == again).all()
    assert (once != discrete_gaussian(stream("round 2"), 10**6, 50)).any()
    assert (once != discrete_gaussian(KeyStream(bytes(32), b"round 1"), 10**6, 50)).any()


@given(st.integers(1000, 2**60), st.integers(1, 50))
def test_shares_add_up_to_at_least_the_whole(variance: int, contributors: int) -> None:
    share = noise_share_variance(variance, contributors)
    assert variance <= share * contributors < variance + contributors


def test_sums_of_shares_have_the_whole_variance() -> None:
    share = noise_share_variance(10_000, 4)
    total = sum(discrete_gaussian(stream(f"site {site}"), share, 100_000) for site in range(4))
    assert abs(np.var(total) / 10_000 - 1) < 0.03


@given(st.integers(0, 2**31), st.floats(0.01, 10), st.integers(1, 8), st.integers(1, 30))
def test_one_record_moves_a_rounded_sum_by_no_more_than_the_sensitivity(
    seed: int, clip: float, scale_bits: int, dimensions: int
) -> None:
    rng = np.random.default_rng(seed)
    scale, others = 2.0**scale_bits, rng.normal(size=dimensions) * 100
    record = rng.normal(size=dimensions)
    record *= clip / np.linalg.norm(record)
    moved = np.rint((others + record) * scale) - np.rint(others * scale)
    assert np.linalg.norm(moved) <= integer_sensitivity(clip, scale, dimensions)


def test_what_cannot_be_split_or_drawn_is_refused() -> None:
    with pytest.raises(ConfigError, match="raise scale_bits"):
        noise_share_variance(3, 3)
    with pytest.raises(ConfigError, match="expected within"):
        discrete_gaussian(stream("none"), 0, 5)
    assert closeness_of_sum(4, 10) < 1e-15 < closeness_of_sum(1, 10)
