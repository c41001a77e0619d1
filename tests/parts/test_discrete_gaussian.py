"""Promises of discrete_gaussian: the stated distribution, the same from the same key, and whole when shares add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from sixfold.errors import ConfigError
from sixfold.parts.discrete_gaussian import (
    KeyStream,
    _over,
    closeness_of_sum,
    discrete_gaussian,
    noise_share_variance,
)

KEY = bytes(range(32))
PINNED = [-637, -253, 430, 1432, 353, -2173]
PINNED_WIDE = [900446835845, -1241467016552]


def stream(context: str) -> KeyStream:
    return KeyStream(KEY, context.encode())


@pytest.mark.parametrize("variance", [1, 2, 4, 30])
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


def test_what_is_drawn_is_the_same_on_every_machine() -> None:
    """No floating point takes part: a hospital that repeats a round elsewhere adds the same noise."""
    assert discrete_gaussian(KeyStream(KEY, b"pinned"), 10**6, 6).tolist() == PINNED
    assert discrete_gaussian(KeyStream(KEY, b"pinned"), 2**80, 2).tolist() == PINNED_WIDE


@pytest.mark.parametrize("bound", [1, 2, 3, 1000, 2**40 + 1, 3 * 2**61, 2**63])
def test_whole_numbers_below_a_bound_are_uniform(bound: int) -> None:
    x = stream(f"below {bound}").below(bound, 40_000)
    assert x.max() < bound
    parts = min(bound, 12)
    seen = np.bincount([int(each) * parts // bound for each in x.tolist()], minlength=parts)
    uniform = [-(-bound * (part + 1) // parts) + (-bound * part // parts) for part in range(parts)]  # numbers in each
    expected = np.array([float(each) for each in uniform]) / sum(uniform) * len(x)
    assert parts == 1 or chisquare(seen, expected).pvalue > 1e-3


@given(st.integers(1, 2**40 + 1), st.data())
def test_ratios_are_exact_to_the_last_of_64_bits(denominator: int, data: st.DataObject) -> None:
    numerators = data.draw(st.lists(st.integers(0, denominator - 1), max_size=5))
    quotients = _over(np.array(numerators, dtype=np.uint64), denominator)
    assert quotients.tolist() == [(numerator << 64) // denominator for numerator in numerators]


@pytest.mark.parametrize("bits", [40, 60, 80])
def test_every_whole_number_of_a_wide_range_is_as_likely_as_its_neighbours(bits: int) -> None:
    """A sampler that takes logarithms in float64 skips numbers where those are far apart: in the tails."""
    x = discrete_gaussian(stream(f"low digits {bits}"), 2**bits, 200_000)
    for low, high in ((0.0, 1.0), (1.0, 2.0), (2.0, 8.0)):
        inside = x[(np.abs(x) >= low * 2 ** (bits // 2)) & (np.abs(x) < high * 2 ** (bits // 2))]
        assert chisquare(np.bincount(inside & 15, minlength=16)).pvalue > 1e-3


@given(st.integers(1000, 2**60), st.integers(1, 50))
def test_shares_add_up_to_at_least_the_whole(variance: int, contributors: int) -> None:
    share = noise_share_variance(variance, contributors)
    assert variance <= share * contributors < variance + contributors


def test_sums_of_shares_have_the_whole_variance() -> None:
    share = noise_share_variance(10_000, 4)
    total = sum(discrete_gaussian(stream(f"site {site}"), share, 100_000) for site in range(4))
    assert abs(np.var(total) / 10_000 - 1) < 0.03


def test_the_sum_of_shares_is_distributed_as_one_draw() -> None:
    share, parties, n = 4, 3, 200_000
    assert closeness_of_sum(share, parties) < 1e-15
    total = sum(discrete_gaussian(stream(f"party {party}"), share, n) for party in range(parties))
    support = np.arange(-14, 15)
    weight = np.exp(-(support.astype(float) ** 2) / (2 * share * parties))
    inside = total[np.abs(total) <= 14]
    observed = np.bincount(inside + 14, minlength=len(support))
    assert chisquare(observed, weight / weight.sum() * len(inside)).pvalue > 1e-3


def test_what_cannot_be_split_or_drawn_is_refused() -> None:
    with pytest.raises(ConfigError, match="raise scale_bits"):
        noise_share_variance(3, 3)
    with pytest.raises(ConfigError, match="expected within"):
        discrete_gaussian(stream("none"), 0, 5)
    assert closeness_of_sum(4, 10) < 1e-15 < closeness_of_sum(1, 10)
