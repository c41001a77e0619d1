"""Sizes of indexes against published ones, and what building takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.index_size import (
    disk_graph_bytes,
    flat_bytes,
    graph_build_flop,
    hnsw_bytes,
    ivf_build_flop,
    ivf_flat_bytes,
    ivf_pq_bytes,
    ivf_sq8_bytes,
    usual_lists,
    vamana_bytes,
)


@pytest.mark.parametrize(
    ("dimension", "lists", "code", "published"),
    [
        # Faiss wiki, bench_all_ivf_logs-deep1B: OPQ64_128 and OPQ16_64 before 2^20 or 2^22 lists with HNSW32.
        (128, 2**20, 32, 41360744396),
        (128, 2**22, 32, 45466757580),
        (64, 2**20, 8, 16700933580),
    ],
)
def test_inverted_files_of_codes_are_as_large_as_published(
    dimension: int, lists: int, code: int, published: float
) -> None:
    predicted = ivf_pq_bytes(1e9, dimension, lists, code, part_bits=4, coarse_links=32, block=32)
    assert float(predicted) == pytest.approx(published, rel=0.004)


def test_graphs_on_disk_keep_codes_in_memory_and_whole_sectors_on_disk() -> None:
    # DiskANN's own example: 100,000 SIFT vectors of 4-byte numbers, R = 32: nodes of 644 bytes, 6 a sector.
    memory, disk = disk_graph_bytes(1e5, 128, 32, 32)
    assert memory == 3.2e6
    assert disk == np.ceil(1e5 / 6) * 4096
    _, wide = disk_graph_bytes(10, 2000, 32, 32)  # nodes of more than a sector
    assert wide == 10 * 2 * 4096
    assert disk_graph_bytes(1e5, 128, 32, 32, cached_share=0.5)[0] == pytest.approx(3.2e6 + 5e4 * 644)


def test_hnsw_adds_about_ten_bytes_a_link() -> None:
    # hnswlib, ALGO_PARAMS.md: roughly M x 8 to 10 bytes a vector beside the vectors.
    links = (hnsw_bytes(1e6, 128, 16) - flat_bytes(1e6, 128)) / 1e6
    assert 8 * 16 <= float(links) <= 10 * 16


@given(st.floats(1.0, 1e10), st.integers(1, 4096), st.integers(1, 2**20))
def test_codes_are_smaller_than_numbers(vectors: float, dimension: int, lists: int) -> None:
    eight, full = ivf_sq8_bytes(vectors, dimension, lists), ivf_flat_bytes(vectors, dimension, lists)
    assert eight <= full + 8 * dimension
    assert full >= flat_bytes(vectors, dimension)
    assert vamana_bytes(vectors, dimension, 64) >= flat_bytes(vectors, dimension)


def test_usual_lists_step_with_the_vectors() -> None:
    assert usual_lists([1e4, 5e6, 5e7, 1e9]) == pytest.approx([1024, 2**16, 2**18, 2**20])


def test_building_is_dominated_by_comparing_with_all_centroids() -> None:
    assert ivf_build_flop(1e6, 10, 1000, rounds=10) == pytest.approx(20 * (10 * 64_000 * 1000 + 1e9))
    assert ivf_build_flop(1e6, 10, 1000, rounds=10, training_vectors=1e9, code_values=256) == pytest.approx(
        20 * (10 * 1e6 * 1000 + 1e9 + 256e6)
    )
    assert graph_build_flop(1e6, 100, 64, 200, passes=2) == pytest.approx(2 * graph_build_flop(1e6, 100, 64, 200))
