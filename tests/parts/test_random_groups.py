"""Random groups: everybody computes the same ones, none is small, and their stated risk is the true one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from sixfold.errors import ConfigError, InputError
from sixfold.parts.random_groups import (
    bad_groups_probability,
    group_sizes,
    norm_bound,
    random_groups,
    robust_total,
    tolerated_sites,
)
from sixfold.parts.robust import median

SITES = [f"hospital-{at}" for at in range(20)]


@given(sites=st.integers(1, 60), groups=st.integers(0, 61))
def test_sizes_differ_by_at_most_one_and_no_group_is_empty(sites: int, groups: int) -> None:
    if not 1 <= groups <= sites:
        with pytest.raises(ConfigError, match="groups of"):
            group_sizes(sites, groups)
        return
    sizes = group_sizes(sites, groups)
    assert sum(sizes) == sites
    assert min(sizes) == sites // groups >= 1
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == groups


@given(draw=st.binary(max_size=40), seed=st.integers(0, 100))
def test_every_party_finds_the_same_groups_in_whatever_order_it_lists_the_sites(draw: bytes, seed: int) -> None:
    groups = random_groups(SITES, 6, draw)
    assert random_groups(list(np.random.default_rng(seed).permutation(SITES)), 6, draw) == groups
    assert sorted(itertools.chain(*groups)) == sorted(SITES)
    assert tuple(map(len, groups)) == group_sizes(20, 6)


def test_every_site_is_in_every_group_equally_often() -> None:
    draws = 2_000
    first = [site for at in range(draws) for site in random_groups(SITES, 4, at.to_bytes(4, "big"))[0]]
    counts = np.array([first.count(site) for site in SITES])
    assert ((counts - draws / 4) ** 2 / (draws * 3 / 16)).sum() < 45, "99.9 % of chi-square with 19 degrees"


def test_a_site_is_not_listed_twice() -> None:
    with pytest.raises(ConfigError, match="twice"):
        random_groups(["a", "a", "b"], 2, b"")


@pytest.mark.parametrize("sizes", [(2, 2, 2), (3, 2, 2), (4, 3), (7,)])
def test_the_probability_is_that_of_counting_all_placements(sizes: tuple[int, ...]) -> None:
    of = np.repeat(np.arange(len(sizes)), sizes)
    for byzantine in range(sum(sizes) + 1):
        bad = [len(set(of[list(at)])) for at in itertools.combinations(range(len(of)), byzantine)]
        for tolerated in range(len(sizes) + 1):
            expected = np.mean([count > tolerated for count in bad])
            assert bad_groups_probability(sizes, byzantine, tolerated) == pytest.approx(expected)


def test_one_group_against_all_others_is_hypergeometric() -> None:
    none_in_the_first = hypergeom.pmf(0, 20, 6, 10)
    assert bad_groups_probability((10, 10), 6, 1) == pytest.approx(1 - 2 * none_in_the_first)


@given(sites=st.integers(6, 40), groups=st.integers(1, 6))
def test_what_is_tolerated_for_certain_and_nearly(sites: int, groups: int) -> None:
    sizes = group_sizes(sites, groups)
    certain = tolerated_sites(sizes, 0.0)
    assert certain >= (len(sizes) - 1) // 2
    assert tolerated_sites(sizes, 0.1) >= certain
    if certain < sites:
        assert bad_groups_probability(sizes, certain + 1, (len(sizes) - 1) // 2) > 0


def test_the_rule_sees_means_and_gives_back_a_sum() -> None:
    vectors = np.random.default_rng(0).normal(1.0, 0.1, (7, 3))
    sizes = (3, 2, 2)
    sums = np.stack([vectors[:3].sum(axis=0), vectors[3:5].sum(axis=0), vectors[5:].sum(axis=0)])
    same = np.tile(vectors[0], (3, 1)) * np.array(sizes)[:, None]
    np.testing.assert_allclose(robust_total(same, sizes, median), 7 * vectors[0])
    sums[1] += 1e9
    assert np.linalg.norm(robust_total(sums, sizes, median) - vectors.sum(axis=0)) < 2.0
    with pytest.raises(InputError, match="groups of"):
        robust_total(sums, (3, 4), median)


@given(
    vector=st.lists(st.floats(-1e300, 1e300), max_size=6).map(np.array),
    bound=st.floats(1e-6, 1e6),
)
def test_a_bounded_vector_keeps_its_direction_and_no_more_than_its_bound(vector: np.ndarray, bound: float) -> None:
    vector = vector.astype(np.float64)
    bounded = norm_bound(vector, bound)
    assert np.linalg.norm(bounded) <= bound * (1 + 1e-9)
    assert (bounded * np.sign(vector) >= 0).all()
    if np.abs(vector).sum() <= bound:
        assert (bounded == vector).all(), "what is within the bound is left alone"


def test_bounds_and_vectors_that_are_no_numbers() -> None:
    for bound in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ConfigError, match="bound"):
            norm_bound(np.ones(2), bound)
    with pytest.raises(InputError, match="not finite"):
        norm_bound(np.array([1.0, np.nan]), 1.0)
    with pytest.raises(ConfigError, match="Byzantine"):
        bad_groups_probability((2, 2), 5, 1)
