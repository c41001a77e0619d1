"""Robust rules: equal to byzfl's, indifferent to who sends what, and never led away by f sites."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError
from sixfold.parts.byzantine_attacks import a_little_is_enough, inner_product_manipulation, sign_flip
from sixfold.parts.robust import centred_clipping, geometric_median, krum, median, multi_krum, trimmed_mean

Floats = NDArray[np.float64]

F, K, D = 2, 9, 4
RULES: dict[str, Callable[[Floats], Floats]] = {
    "krum": lambda G: krum(G, F),
    "multi-krum": lambda G: multi_krum(G, F, keep=K - F),
    "trimmed mean": lambda G: trimmed_mean(G, F),
    "median": median,
    "geometric median": geometric_median,
    "centred clipping": lambda G: centred_clipping(G, np.median(G, axis=0), 3.0),
}
each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


@pytest.fixture(scope="module")
def byzfl() -> Iterator[Any]:
    """byzfl.aggregators, without the parts of byzfl that need torchvision."""
    spec = importlib.util.find_spec("byzfl")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("byzfl is not installed")
    bare = ModuleType("byzfl")
    bare.__path__ = list(spec.submodule_search_locations)
    sys.modules["byzfl"] = bare
    yield importlib.import_module("byzfl.aggregators")
    for name in [name for name in sys.modules if name.split(".")[0] == "byzfl"]:
        del sys.modules[name]


def vectors(seed: int, sites: int = K, scale: float = 1.0) -> Floats:
    return np.random.default_rng(seed).normal(1.0, scale, (sites, D))


@pytest.mark.parametrize("seed", range(20))
def test_the_rules_are_those_of_byzfl(byzfl: Any, seed: int) -> None:
    G = vectors(seed, sites=7 + seed % 4)
    # byzfl counts one neighbour more than Blanchard et al. do: n - f - 1 others. Its f + 1 is their f.
    np.testing.assert_allclose(krum(G, F), byzfl.Krum(F + 1)(G))
    np.testing.assert_allclose(multi_krum(G, F, keep=len(G) - F - 1), byzfl.MultiKrum(F + 1)(G))
    np.testing.assert_allclose(trimmed_mean(G, F), byzfl.TrMean(F)(G))
    np.testing.assert_allclose(median(G), byzfl.Median()(G))
    np.testing.assert_allclose(geometric_median(G, smoothing=0.1), byzfl.GeometricMedian(0.1, 2_000)(G), atol=1e-3)
    np.testing.assert_allclose(geometric_median(G), byzfl.GeometricMedian(1e-6, 2_000)(G), atol=1e-4)
    for radius in (0.5, 2.0, 100.0):
        ours = centred_clipping(G, np.zeros(D), radius, iterations=3)
        np.testing.assert_allclose(ours, byzfl.CenteredClipping(L=3, tau=radius)(G))


@each_rule
@given(seed=st.integers(0, 1_000))
def test_the_order_of_sites_and_a_common_shift_change_nothing(rule: Callable[[Floats], Floats], seed: int) -> None:
    G = vectors(seed)
    shuffled = np.random.default_rng(seed + 1).permutation(G)
    np.testing.assert_allclose(rule(shuffled), rule(G), atol=1e-4)
    np.testing.assert_allclose(rule(G + 5.0), rule(G) + 5.0, atol=1e-4)


@each_rule
def test_sites_that_agree_are_believed(rule: Callable[[Floats], Floats]) -> None:
    np.testing.assert_allclose(rule(np.full((K, D), 3.25)), 3.25)


@each_rule
@given(seed=st.integers(0, 1_000), lie=st.lists(st.floats(-1e300, 1e300), min_size=F * D, max_size=F * D))
def test_f_sites_with_any_finite_vectors_do_not_lead_away(
    rule: Callable[[Floats], Floats], seed: int, lie: list[float]
) -> None:
    honest = vectors(seed, sites=K - F)
    G = np.concatenate([honest, np.array(lie).reshape(F, D)])
    spread = max(float(np.linalg.norm(a - b)) for a in honest for b in honest)
    away = float(np.linalg.norm(rule(G) - honest.mean(axis=0)))
    assert away <= 4 * spread + 3.0, f"{away:.3g} from the honest mean, whose sites are within {spread:.3g}"


@given(seed=st.integers(0, 1_000), lie=st.lists(st.floats(-1e300, 1e300), min_size=F * D, max_size=F * D))
def test_coordinates_stay_within_those_of_honest_sites(seed: int, lie: list[float]) -> None:
    honest = vectors(seed, sites=K - F)
    G = np.concatenate([honest, np.array(lie).reshape(F, D)])
    for result in (trimmed_mean(G, F), median(G)):
        assert (result >= honest.min(axis=0) - 1e-12).all()
        assert (result <= honest.max(axis=0) + 1e-12).all()


@pytest.mark.parametrize("attack", ["sign flip", "ipm", "alie"])
@each_rule
def test_under_attack_the_rules_stay_nearer_than_a_large_attack_leads_the_mean(
    rule: Callable[[Floats], Floats], attack: str
) -> None:
    rng = np.random.default_rng(0)
    ours, means = [], []
    for _ in range(50):
        honest = rng.normal(1.0, 0.3, (K - F, D))
        lie = {
            "sign flip": 10 * sign_flip(honest),
            "ipm": inner_product_manipulation(honest, 10.0),
            "alie": a_little_is_enough(honest, 10.0),
        }[attack]
        G = np.concatenate([honest, np.tile(lie, (F, 1))])
        ours.append(np.linalg.norm(rule(G) - honest.mean(axis=0)))
        means.append(np.linalg.norm(G.mean(axis=0) - honest.mean(axis=0)))
    assert np.mean(ours) < 0.8 * np.mean(means)


@given(seed=st.integers(0, 1_000))
def test_the_geometric_median_has_the_least_sum_of_distances(seed: int) -> None:
    G = vectors(seed)
    at = geometric_median(G)

    def total(point: Floats) -> float:
        return float(np.linalg.norm(G - point, axis=1).sum())

    for step in np.random.default_rng(seed).normal(0, 0.05, (20, D)):
        assert total(at) <= total(at + step) + 1e-6


def test_the_geometric_median_may_be_one_of_the_vectors() -> None:
    cross = np.array([[0.0, 0.0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    np.testing.assert_allclose(geometric_median(cross), 0.0, atol=1e-6)


@given(seed=st.integers(0, 1_000), radius=st.floats(0.01, 5), iterations=st.integers(1, 4))
def test_clipping_moves_the_centre_by_at_most_a_radius_an_iteration(seed: int, radius: float, iterations: int) -> None:
    centre = np.full(D, -2.0)
    moved = centred_clipping(vectors(seed, scale=100.0), centre, radius, iterations)
    assert np.linalg.norm(moved - centre) <= iterations * radius + 1e-9


@pytest.mark.parametrize(
    ("rule", "sites"),
    [
        (lambda G: krum(G, 2), 6),
        (lambda G: multi_krum(G, 2, keep=1), 6),
        (lambda G: trimmed_mean(G, 2), 4),
        (median, 0),
        (lambda G: trimmed_mean(G, -1), 4),
    ],
)
def test_too_few_sites_for_f_are_refused(rule: Callable[[Floats], Floats], sites: int) -> None:
    with pytest.raises(ConfigError, match=f"got {sites} sites"):
        rule(np.zeros((sites, D)))
    if sites > 4:
        assert rule(np.zeros((sites + 1, D))).shape == (D,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda G: multi_krum(G, 1, keep=K), "keep=9, expected 1 to 8"),
        (lambda G: geometric_median(G, smoothing=0.0), "smoothing=0"),
        (lambda G: centred_clipping(G, np.zeros(D), -1.0), "radius=-1"),
        (lambda G: centred_clipping(G, np.zeros(D + 1), 1.0), "centre of shape"),
    ],
)
def test_settings_out_of_range_are_named(call: Callable[[Floats], Floats], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call(vectors(0))


@each_rule
def test_a_site_that_sends_no_number_is_named(rule: Callable[[Floats], Floats]) -> None:
    G = vectors(0)
    G[3, 1], G[5, 0] = np.nan, np.inf
    with pytest.raises(InputError, match=r"rows \[3, 5\]"), np.errstate(invalid="ignore"):
        rule(G)
