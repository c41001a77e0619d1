"""Collectives against counts by hand, and what must hold between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.communication import (
    AlphaBeta,
    all_gather_time_s,
    all_reduce_time_s,
    all_to_all_time_s,
    broadcast_time_s,
    compressed_time_s,
    exposed_time_s,
    hierarchical_all_reduce_time_s,
    reduce_scatter_time_s,
    ring_all_reduce_time_s,
    tree_all_reduce_time_s,
    two_level_bytes_per_s,
)

sizes = st.floats(1.0, 1e12)
alphas = st.floats(0.0, 1e-3)
betas = st.floats(1e-13, 1e-6)
ranks = st.integers(2, 4096)


def simulated_ring_s(p: int, size: float, alpha: float, beta: float) -> float:
    """All-gather by messages: in each of p - 1 rounds everybody passes one share on, until all have all."""
    have = [{rank} for rank in range(p)]
    newest = list(range(p))
    clock = 0.0
    while any(len(shares) < p for shares in have):
        newest = [newest[(rank - 1) % p] for rank in range(p)]
        for rank in range(p):
            have[rank].add(newest[rank])
        clock += alpha + size / p * beta
    return clock


@pytest.mark.parametrize("p", [1, 2, 3, 8, 17])
def test_a_ring_takes_what_its_messages_take(p: int) -> None:
    expected = simulated_ring_s(p, 6e9, 2e-6, 1e-10) if p > 1 else 0.0
    assert all_gather_time_s(p, 6e9, 2e-6, 1e-10) == pytest.approx(expected)
    assert reduce_scatter_time_s(p, 6e9, 2e-6, 1e-10) == pytest.approx(expected)


@given(ranks, sizes, alphas, betas)
def test_an_all_reduce_is_a_reduce_scatter_and_an_all_gather(p: int, n: float, alpha: float, beta: float) -> None:
    parts = reduce_scatter_time_s(p, n, alpha, beta) + all_gather_time_s(p, n, alpha, beta)
    assert ring_all_reduce_time_s(p, n, alpha, beta) == pytest.approx(float(parts))


@given(ranks, sizes, alphas, betas)
def test_no_all_reduce_beats_its_lower_bounds(p: int, n: float, alpha: float, beta: float) -> None:
    # Every byte leaves and enters each process (1 - 1/p) times, and news needs log2 p hops.
    bound = max(2.0 * (p - 1) / p * n * beta, float(np.log2(p)) * alpha)
    assert all_reduce_time_s(p, n, alpha, beta) >= bound * (1 - 1e-9)


def test_small_messages_take_trees_and_large_ones_rings() -> None:
    assert all_reduce_time_s(256, 1e3, 1e-6, 1e-10) == tree_all_reduce_time_s(256, 1e3, 1e-6, 1e-10)
    assert all_reduce_time_s(256, 1e10, 1e-6, 1e-10) == ring_all_reduce_time_s(256, 1e10, 1e-6, 1e-10)


@given(ranks, sizes, alphas, betas)
def test_a_broadcast_takes_no_longer_than_an_all_reduce_by_trees(p: int, n: float, alpha: float, beta: float) -> None:
    assert broadcast_time_s(p, n, alpha, beta) <= tree_all_reduce_time_s(p, n, alpha, beta) * (p + 1)
    assert broadcast_time_s(1, n, alpha, beta) == 0.0
    assert all_to_all_time_s(1, n, alpha, beta) == 0.0


def test_levels_pay_when_links_between_nodes_are_slow() -> None:
    inner, outer = AlphaBeta(1e-6, 1 / 250e9), AlphaBeta(5e-6, 1 / 25e9)
    two_levels_s = hierarchical_all_reduce_time_s(8, 16, 1e9, inner, outer)
    flat_s = ring_all_reduce_time_s(128, 1e9, outer.alpha_s, outer.beta_s_per_byte)
    assert two_levels_s < flat_s / 4


def test_a_ring_inside_a_node_never_touches_a_port_and_one_across_uses_the_ports_of_its_members() -> None:
    assert two_level_bytes_per_s(8, 8, 300e9, 25e9) == 300e9
    assert two_level_bytes_per_s(64, 8, 300e9, 25e9) == 200e9
    assert two_level_bytes_per_s(64, 1, 300e9, 25e9) == 25e9
    assert two_level_bytes_per_s(64, 8, 150e9, 25e9) == 150e9


@given(st.floats(0.0, 1e3), st.floats(0.0, 1e3), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_exposed_time_lies_between_none_and_all(comm: float, compute: float, overlap: float, contention: float) -> None:
    exposed = exposed_time_s(comm, compute, overlap, contention)
    assert 0.0 <= exposed <= comm * (1 + 1e-12)
    assert exposed >= comm - overlap * compute - 1e-9
    assert exposed_time_s(comm, compute, 0.0, contention) == comm


def test_compression_pays_on_slow_links_only() -> None:
    slow_s, fast_s = 1e9 / 1e9, 1e9 / 100e9
    assert compressed_time_s(slow_s, 1e9, 10.0, 20e9) < slow_s
    assert compressed_time_s(fast_s, 1e9, 10.0, 20e9) > fast_s


@pytest.mark.parametrize("bad", [{"p": 0}, {"size_bytes": -1.0}, {"alpha_s": float("nan")}, {"beta_s_per_byte": -1e-9}])
def test_arguments_out_of_range_are_named(bad: dict[str, float]) -> None:
    arguments = {"p": 4, "size_bytes": 1e6, "alpha_s": 1e-6, "beta_s_per_byte": 1e-9} | bad
    with pytest.raises(ValueError, match=next(iter(bad))):
        all_gather_time_s(**arguments)
