"""Laws of search against simulations of their model, against measured sweeps, and against one another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.retrieval import (
    SearchCurve,
    code_noise,
    coded_first_recall,
    coded_recall,
    disk_query_s,
    effort_for_coded_recall,
    effort_for_recall,
    fit_search_curve,
    graph_distances_per_query,
    ivf_query_bytes,
    merge_bytes,
    merged_share,
    scaled_half_effort,
    scan_queries_per_s,
    scan_s,
    search_recall,
)

halves = st.floats(0.5, 1e4)
spreads = st.floats(0.5, 4.0)
noises = st.floats(0.0, 4.0)
shares = st.floats(0.0, 1.0)

# 1-recall@100 of probes, codes of 32 bytes: Faiss wiki, bench_all_ivf_logs-deep1B, 2^20 lists, the largest efSearch.
DEEP_PROBES = [4, 8, 16, 32, 64, 128, 256, 512, 1024]
DEEP_RECALL = [0.5289, 0.6549, 0.7633, 0.8497, 0.9113, 0.9516, 0.9748, 0.9858, 0.9913]
# recall@10 of the search list: GloVe-25, HNSW of M = 16 (vicinity 0.3.1, doc/benchmark-results.md).
GLOVE_LIST = [10, 20, 50, 100, 200, 400]
GLOVE_RECALL = [0.630, 0.758, 0.884, 0.943, 0.976, 0.991]


@pytest.mark.parametrize(("efforts", "recalls"), [(DEEP_PROBES, DEEP_RECALL), (GLOVE_LIST, GLOVE_RECALL)])
def test_two_settings_tell_the_rest_of_a_measured_sweep(efforts: list[float], recalls: list[float]) -> None:
    pilot = [1, len(efforts) - 3]
    curve = fit_search_curve([efforts[at] for at in pilot], [recalls[at] for at in pilot], exact=True)
    assert curve.recall(efforts) == pytest.approx(recalls, abs=0.012)
    steps = np.log2(curve.effort(recalls) / np.array(efforts))
    assert np.all(np.abs(steps) < 1.0)  # of a grid that doubles


@given(halves, spreads, st.floats(0.01, 0.99))
def test_effort_is_the_inverse_of_recall(half: float, spread: float, recall: float) -> None:
    effort = effort_for_recall(recall, half, spread)
    assert float(search_recall(effort, half, spread)) == pytest.approx(recall, abs=1e-9)
    assert float(search_recall(2 * effort, half, spread)) > recall
    assert float(search_recall(half, half, spread)) == pytest.approx(0.5)
    assert effort_for_recall(0.0, half, spread) == 0.0
    assert effort_for_recall(1.0, half, spread) == np.inf
    assert search_recall(0.0, half, spread) == 0.0


@given(noises, shares)
def test_coded_recall_is_a_share_that_noise_lowers(noise: float, share: float) -> None:
    for law in (coded_recall, coded_first_recall):
        recall = float(law(noise, share))
        assert -1e-9 <= recall <= share + 1e-9
        assert float(law(noise + 0.5, share)) <= recall + 1e-9
        assert float(law(0.0, share)) == pytest.approx(share, abs=1e-5)
    once, twice, often = (float(coded_recall(noise, share, looked)) for looked in (1.0, 2.0, 1e6))
    assert once <= twice + 1e-9 <= often + 2e-9 <= share + 1e-6
    assert coded_first_recall(noise, share) <= coded_recall(noise, share) + 1e-9  # one of one is the hardest


@pytest.mark.parametrize("noise", [0.2, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_coded_recall_is_that_of_its_model(noise: float, share: float) -> None:
    """Neighbours as a Poisson process of ln(rank), distances with an error, some of them never looked at."""
    rng = np.random.default_rng(8)
    ranks = np.cumsum(rng.exponential(1.0, (3000, 1500)), axis=1)
    seen = np.where(rng.random(ranks.shape) < share, np.log(ranks) + noise * rng.standard_normal(ranks.shape), np.inf)
    best = np.argpartition(seen, 20, axis=1)[:, :20]
    assert float(coded_recall(noise, share)) == pytest.approx(float(np.mean(best < 20)), abs=0.015)
    if noise <= 1.0:  # beyond, what comes in from farther than the ranks that are drawn matters
        looked = np.argpartition(seen, 60, axis=1)[:, :60]
        kept = np.mean([np.isfinite(row[at[at < 20]]).sum() / 20 for row, at in zip(seen, looked, strict=True)])
        assert float(coded_recall(noise, share, 3.0)) == pytest.approx(float(kept), abs=0.015)
    first = float(np.mean((seen.argmin(axis=1) == 0) & np.isfinite(seen[:, 0])))
    assert float(coded_first_recall(noise, share)) == pytest.approx(first, abs=0.03)


@given(halves, spreads, st.floats(0.0, 3.0), st.floats(0.01, 0.99))
def test_codes_limit_what_any_effort_finds(half: float, spread: float, noise: float, recall: float) -> None:
    effort = float(effort_for_coded_recall(recall, half, spread, noise))
    ceiling = float(coded_recall(noise))
    if recall > ceiling:
        assert effort == np.inf
    elif recall < 0.999 * ceiling:
        assert float(SearchCurve(half, spread, noise).recall(effort)) == pytest.approx(recall, abs=1e-6)


def test_every_bit_halves_the_noise_of_a_code() -> None:
    assert code_noise([0, 1, 3], 4.0) == pytest.approx([4.0, 2.0, 0.5])
    assert code_noise(2.0, 4.0, 0.5) == pytest.approx(2.0)


@given(st.floats(1.0, 100.0), st.floats(1.0, 3.0), st.floats(0.05, 1.5))
def test_a_curve_is_found_again_in_its_own_points(half: float, spread: float, noise: float) -> None:
    effort = np.geomspace(1, 4096, 25)
    curve = SearchCurve(half, spread, noise)
    found = fit_search_curve(effort, curve.recall(effort), error=1e-4)
    assert found.recall(effort) == pytest.approx(curve.recall(effort), abs=2e-3)


def test_one_point_moves_the_expectation_and_none_is_refused() -> None:
    assert fit_search_curve(40.0, 0.5, exact=True).half_effort == pytest.approx(40.0, rel=0.05)
    with pytest.raises(ValueError, match="one at least"):
        fit_search_curve([], [])
    with pytest.raises(ValueError, match="as many"):
        fit_search_curve([1.0, 2.0], [0.5])


def test_half_efforts_grow_with_the_index() -> None:
    assert scaled_half_effort(5.0, 4e6, 1e6, 0.5) == pytest.approx(10.0)
    assert scaled_half_effort(5.0, 4e6, 1e6, 0.0) == 5.0


def test_bytes_of_a_query_are_centroids_and_codes() -> None:
    # 1000 centroids of 8 numbers, and 10 of 1000 lists of 100 codes of 4 bytes.
    assert ivf_query_bytes(1e5, 10, 1000, 4, 8) == pytest.approx(1000 * 32 + 1000 * 4)
    assert ivf_query_bytes(1e5, 10, 1000, 4, 8, 1.5) == pytest.approx(1000 * 32 + 1500 * 4)


def test_a_scan_is_limited_by_memory_or_arithmetic() -> None:
    assert scan_s(1e6, 1e9) == pytest.approx(1e-3)
    assert scan_s(1e6, 1e9, scanned_flop=1e8, flop_per_s=1e10, fixed_s=1e-3) == pytest.approx(0.011)
    assert scan_queries_per_s(8, 0.004) == pytest.approx(2000.0)
    with pytest.raises(ValueError, match="flop_per_s"):
        scan_s(1e6, 1e9, flop_per_s=0.0)


def test_distances_of_a_graph_grow_with_list_and_degree() -> None:
    # Vamana of R = 32 on SIFT1M: 440.20 distances for a list of 10, 1947.84 for 100 (documentation of the fork).
    slope = (1947.84 - 440.20) / 90
    assert graph_distances_per_query(100, 32) / 100 == pytest.approx(slope, rel=0.06)


def test_reads_of_a_beam_are_taken_at_once() -> None:
    assert disk_query_s(55, 4, 1e-4) == pytest.approx(14e-4)
    assert disk_query_s(55, 1, 1e-4, compute_s=1e-3, queue_depth=2.0) == pytest.approx(0.012)


@given(st.integers(1, 50), st.integers(1, 40), st.integers(1, 60))
def test_the_merged_share_is_that_of_a_draw(k: int, shards: int, returned: int) -> None:
    share = float(merged_share(k, shards, returned))
    assert 0.0 < share <= 1.0
    assert float(merged_share(k, shards, returned + 1)) >= share
    if returned >= k or shards == 1:
        assert share == pytest.approx(min(1.0, returned / k) if shards == 1 else 1.0)


def test_the_merged_share_counts() -> None:
    rng = np.random.default_rng(2)
    placed = np.array([np.bincount(rng.integers(0, 8, 20), minlength=8) for _ in range(20_000)])
    assert merged_share(20, 8, 4) == pytest.approx(np.minimum(placed, 4).sum(axis=1).mean() / 20, abs=0.003)
    assert merged_share([10, 20], [4, 8], [10, 4]).shape == (2,)
    assert merge_bytes(10, 100) == 16_000
