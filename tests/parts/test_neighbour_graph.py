"""Promises of neighbour_graph: enough honest neighbours, one piece, and failure no more likely than stated."""

from __future__ import annotations

from itertools import combinations
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.parts.neighbour_graph import Topology, choose_topology, least_cut, ring_order


def in_one_piece(present: list[bool], half: int) -> bool:
    """Whether those present on a ring are joined when each is joined to the next `half` places on both sides."""
    n, left = len(present), {at for at, there in enumerate(present) if there}
    if not left:
        return True
    reached, todo = set[int](), [next(iter(left))]
    while todo:
        at = todo.pop()
        if at not in reached:
            reached.add(at)
            todo += [other for step in range(-half, half + 1) if (other := (at + step) % n) in left]
    return reached == left


@given(st.lists(st.booleans(), min_size=6, max_size=11), st.integers(1, 3))
def test_fewer_than_the_cut_cannot_part_the_survivors(present: list[bool], half: int) -> None:
    cut = least_cut(np.array(present), half)
    there = [at for at, is_there in enumerate(present) if is_there]
    for removed in range(min(cut, len(there))):
        for gone in combinations(there, removed):
            assert in_one_piece([is_there and at not in gone for at, is_there in enumerate(present)], half)


@given(st.lists(st.booleans(), min_size=6, max_size=14), st.integers(1, 3))
def test_the_cut_is_the_least_over_pairs_of_runs(present: list[bool], half: int) -> None:
    n = len(present)

    def run(start: int) -> set[int]:
        return {(start + step) % n for step in range(half)}

    pairs = [run(one) | run(other) for one in range(n) for other in range(n) if not run(one) & run(other)]
    assert least_cut(np.array(present), half) == min(sum(present[at] for at in pair) for pair in pairs)


@pytest.mark.parametrize("n", [2, 3, 4, 20, 32])
def test_few_parties_are_all_joined_and_nothing_is_left_to_chance(n: int) -> None:
    topology = choose_topology(n, dropped=(n - 1) // 2, colluding=0)
    assert topology == Topology(n - 1, n // 2 + 1, n // 2 + 1, 0, 0.0, 0.0)


@pytest.mark.parametrize("n", [3, 4, 20, 33, 60, 100, 250, 1_000])
@pytest.mark.parametrize(("dropped", "colluding"), [(0.0, 0.0), (0.3, 0.0), (0.3, 0.1), (0.1, 0.3)])
def test_thresholds_stand_above_what_colluding_parties_hold(n: int, dropped: float, colluding: float) -> None:
    topology = choose_topology(n, int(dropped * n), int(colluding * n))
    assert 2 * topology.quorum > n + int(colluding * n)  # two quorums share an honest party
    assert topology.quorum <= n - int(dropped * n)
    assert topology.threshold > topology.degree * int(colluding * n) / n
    assert topology.leak <= 2**-40
    assert topology.stall <= 2**-10
    if topology.degree < n - 1:
        assert topology.degree % 2 == 0
        assert topology.cut >= 1


def test_the_degree_grows_like_the_logarithm_of_the_number_of_parties() -> None:
    for colluding in (0.0, 0.05):
        small, large = (choose_topology(n, int(0.3 * n), int(colluding * n)).degree for n in (100, 1_000))
        assert large <= small * 2 * log2(1_000) / log2(100)
        assert large < 100
    assert choose_topology(100, 30, 10).degree <= 40
    for n in range(33, 1_001, 44):  # far below a thousand it is less: the few that collude are fewer than a threshold
        assert choose_topology(n, int(0.3 * n), int(0.05 * n)).degree <= 7.1 * log2(n)


def test_what_is_stated_of_failures_is_at_least_what_happens() -> None:
    """Random colluding and lost parties on a lax graph: the bounds are unions, so they are never below the rate."""
    n, dropped, colluding = 60, 12, 9
    topology = choose_topology(n, dropped, colluding, privacy_bits=4, completion_bits=3)
    half, rng, trials = topology.degree // 2, np.random.default_rng(7), 1_500
    assert topology.degree < n - 1
    leaks = stalls = 0
    around = np.arange(n)[:, None] + np.r_[-half:0, 1 : half + 1]
    for _ in range(trials):
        bad, lost = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        bad[rng.choice(n, colluding, replace=False)] = True
        lost[rng.choice(n, dropped, replace=False)] = True
        taken = bad[around % n].sum(axis=1).max() >= topology.threshold
        runs = bad[(np.arange(n)[:, None] + np.arange(half)) % n].sum(axis=1)
        apart = max((runs + np.roll(runs, -step)).max() for step in range(half, n // 2 + 1))
        leaks += taken or apart >= topology.cut
        holders = ~lost[around % n]
        short = (holders.sum(axis=1) + ~lost).min() < topology.threshold
        stalls += short or least_cut(~lost, half) < topology.cut
    assert leaks / trials <= topology.leak <= 2**-4
    assert stalls / trials <= topology.stall <= 2**-3


@pytest.mark.parametrize(
    ("parties", "dropped", "colluding"),
    [(1, 0, 0), (1_001, 0, 0), (4, -1, 0), (4, 0, -1), (4, 2, 0), (3, 1, 1), (2, 0, 1), (100, 50, 0), (100, 30, 41)],
)
def test_without_an_honest_majority_there_is_no_graph(parties: int, dropped: int, colluding: int) -> None:
    with pytest.raises(ConfigError):
        choose_topology(parties, dropped, colluding)


def test_the_order_on_the_ring_follows_from_session_and_names_only() -> None:
    parties = [f"p{at}" for at in range(50)]
    first = ring_order(b"s" * 32, parties)
    assert sorted(first) == list(range(50))
    assert ring_order(b"s" * 32, parties) == first
    assert ring_order(b"t" * 32, parties) != first
