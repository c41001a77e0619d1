import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.data import (
    bloom_bits_per_key,
    bloom_false_positive_rate,
    bloom_hash_count,
    crawl_rate_pages_per_s,
    crawl_time_s,
    ivf_distances_per_query,
    ivf_scan_fraction,
    lsh_candidate_probability,
    lsh_expected_errors,
    lsh_threshold,
    minhash_standard_error,
    shard_count,
)

unit = st.floats(0.0, 1.0)
few = st.integers(1, 64)


@given(items=st.integers(0, 10**12), size=st.integers(1, 10**6), memory=st.integers(10**3, 10**13))
def test_shards_hold_everything_and_one_fewer_would_not(items: int, size: int, memory: int) -> None:
    count = shard_count(items, size, memory)
    assert count * memory >= items * size * (1 - 1e-12)
    assert count == 1 or (count - 1) * memory < items * size * (1 + 1e-12)


@given(s=unit, rows=few, bands=few)
def test_the_s_curve_is_a_probability_that_rises_with_similarity(s: float, rows: int, bands: int) -> None:
    chance = float(lsh_candidate_probability(s, rows, bands))
    assert 0.0 <= chance <= 1.0
    assert lsh_candidate_probability(min(1.0, s + 0.05), rows, bands) >= chance - 1e-12
    assert lsh_candidate_probability(s, rows, bands + 1) >= chance - 1e-12
    assert lsh_candidate_probability(s, rows + 1, bands) <= chance + 1e-12


def test_the_s_curve_matches_the_table_of_its_source() -> None:
    # MMDS, figure 3.8: b = 20 bands of r = 5 rows.
    s = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    expected = [0.006, 0.047, 0.186, 0.470, 0.802, 0.975, 0.9996]
    assert lsh_candidate_probability(s, 5, 20) == pytest.approx(expected, abs=6e-4)
    assert lsh_candidate_probability([0.0, 1.0], 5, 20).tolist() == [0.0, 1.0]
    assert lsh_threshold(4, 16) == pytest.approx(0.5)


def test_expected_errors_agree_with_drawn_signatures() -> None:
    rng = np.random.default_rng(11)
    s = rng.uniform(0.3, 1.0, 4000)
    agree = rng.uniform(size=(4000, 14, 8)) < s[:, None, None]
    candidate = agree.all(axis=2).any(axis=1)
    missed, extra = lsh_expected_errors(s, 0.75, 8, 14)
    assert missed == pytest.approx((~candidate & (s >= 0.75)).sum(), rel=0.15)
    assert extra == pytest.approx((candidate & (s < 0.75)).sum(), rel=0.15)


@given(s=unit, n=st.integers(1, 10_000))
def test_more_hashes_estimate_better(s: float, n: int) -> None:
    assert minhash_standard_error(s, 4 * n) == pytest.approx(float(minhash_standard_error(s, n)) / 2)


@given(rate=st.floats(1e-9, 0.5))
def test_a_filter_of_the_stated_size_keeps_the_stated_rate(rate: float) -> None:
    bits = float(bloom_bits_per_key(rate))
    achieved = float(bloom_false_positive_rate(bits * 1000, 1000, bloom_hash_count(bits)))
    assert achieved == pytest.approx(rate, rel=0.1)  # a whole number of hashes costs a little


def test_bloom_known_values() -> None:
    assert bloom_bits_per_key(0.01) == pytest.approx(9.585, abs=1e-3)
    assert bloom_hash_count(9.585) == 7
    assert bloom_false_positive_rate(1000, 0, 3) == 0.0


@given(w=few, r=st.floats(0.1, 1e3), hosts=few, delay=st.floats(0.0, 10.0))
def test_the_crawl_never_beats_either_bound(w: int, r: float, hosts: int, delay: float) -> None:
    rate = float(crawl_rate_pages_per_s(w, r, hosts, delay))
    assert rate <= w * r
    assert rate * delay <= hosts * (1 + 1e-9)
    assert crawl_rate_pages_per_s(w + 1, r, hosts, delay) >= rate


@given(pages=st.lists(st.integers(0, 1000), min_size=1, max_size=20), w=few, delay=st.floats(0.0, 2.0))
def test_a_finite_crawl_takes_at_least_what_its_rate_says(pages: list[int], w: int, delay: float) -> None:
    time = crawl_time_s(pages, w, 50.0, delay)
    rate = float(crawl_rate_pages_per_s(w, 50.0, len(pages), delay))
    assert time >= sum(pages) / rate * (1 - 1e-9)
    assert time >= max(pages) * delay


@given(n=st.integers(1, 10**9), lists=st.integers(1, 10**5), probes=st.integers(0, 10**5))
def test_an_index_scan_reads_at_most_everything(n: int, lists: int, probes: int) -> None:
    assert 0.0 <= ivf_scan_fraction(probes, lists) <= 1.0
    distances = float(ivf_distances_per_query(n, probes, lists))
    assert lists <= distances <= lists + n
    assert ivf_distances_per_query(n, probes, lists, imbalance=2.0) >= distances


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: shard_count(1, 1, 0), "memory_bytes"),
        (lambda: lsh_candidate_probability(1.2, 1, 1), "similarity"),
        (lambda: lsh_candidate_probability(0.5, 0, 1), "rows"),
        (lambda: bloom_bits_per_key(0.0), "false_positive_rate"),
        (lambda: bloom_bits_per_key(1.5), "false_positive_rate"),
        (lambda: crawl_rate_pages_per_s(0, 1, 1, 1), "workers"),
        (lambda: ivf_scan_fraction(1, 0), "lists"),
    ],
)
def test_arguments_outside_their_range_are_named(call: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        call()  # type: ignore[operator]
