"""Laws of robots: gossip against a simulation and exact spectra, radio, reach, stopping and covering."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.design.laws.swarm import (
    Layout,
    adjacency,
    airtime_share,
    auction_rounds,
    clearance_m,
    connected_probability,
    coverage_time_s,
    critical_range_m,
    csma_efficiency,
    endurance_s,
    gossip_rounds,
    message_airtime_s,
    metropolis_weights,
    most_robots,
    safe_speed_m_per_s,
    second_eigenvalue,
    second_eigenvalue_of,
)

LAYOUTS: tuple[Layout, ...] = ("ring", "grid", "geometric", "complete")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("robots", [1, 2, 7, 30])
def test_averaging_keeps_the_mean(layout: Layout, robots: int) -> None:
    weights = metropolis_weights(adjacency(layout, robots))
    np.testing.assert_allclose(weights.sum(axis=0), 1.0)
    np.testing.assert_allclose(weights, weights.T)
    assert np.all(weights >= -1e-12)


@pytest.mark.parametrize(("layout", "robots"), [("ring", 12), ("grid", 25), ("geometric", 60)])
def test_gossip_takes_the_rounds_that_its_eigenvalue_says(layout: Layout, robots: int) -> None:
    weights = metropolis_weights(adjacency(layout, robots, seed=3))
    values = np.random.default_rng(1).standard_normal(robots)
    values -= values.mean()
    rounds = int(gossip_rounds(second_eigenvalue(weights), 1e-6))
    left = np.linalg.matrix_power(weights, rounds) @ values
    assert np.linalg.norm(left) <= 1.1e-6 * np.linalg.norm(values)
    early = np.linalg.matrix_power(weights, rounds // 3) @ values
    assert np.linalg.norm(early) > 1e-6 * np.linalg.norm(values)


def test_eigenvalues_of_layouts_are_those_of_their_graphs() -> None:
    for n in (5, 20, 100):
        exact = second_eigenvalue(metropolis_weights(adjacency("ring", n)))
        assert second_eigenvalue_of("ring", n) == pytest.approx(exact)
    assert second_eigenvalue(metropolis_weights(adjacency("complete", 9))) == pytest.approx(0.0, abs=1e-9)
    wrong: tuple[tuple[Layout, float], ...] = (("grid", 1.5), ("geometric", 2.0))
    for layout, off in wrong:  # by what factor the gap may be wrong
        for n in (64, 225, 400):
            exact_gap = 1 - second_eigenvalue(metropolis_weights(adjacency(layout, n, seed=2)))
            gap = 1 - second_eigenvalue_of(layout, n)
            assert 1 / off < gap / exact_gap < off, (layout, n)


@settings(max_examples=25, deadline=None)
@given(st.integers(5, 40), st.integers(0, 1000), st.floats(0.05, 0.8))
def test_mixing_time_falls_with_connectivity(robots: int, seed: int, reach: float) -> None:
    # of a ring, complete and grid: more neighbours, fewer rounds; links added at random may hurt Metropolis weights
    rounds = {layout: gossip_rounds(second_eigenvalue_of(layout, robots), 1e-3) for layout in LAYOUTS}
    assert rounds["complete"] <= rounds["geometric"]
    assert rounds["complete"] <= rounds["ring"]
    wider = gossip_rounds(second_eigenvalue_of("geometric", robots, range_share=[reach, reach * 1.3]), 1e-3)
    assert wider[1] <= wider[0]
    alone = adjacency("geometric", robots, range_share=1e-9, seed=seed)
    assert np.isinf(gossip_rounds(second_eigenvalue(metropolis_weights(alone)), 1e-3))


def test_large_rings_mix_slower_than_grids_and_these_than_random_ones() -> None:
    rounds = [float(gossip_rounds(second_eigenvalue_of(layout, 500), 1e-3)) for layout in LAYOUTS]
    assert rounds[0] > rounds[1] > rounds[2] > rounds[3] == 1.0


@given(st.floats(0.01, 1.0), st.floats(0.1, 50), st.floats(1e-5, 1e-2), st.booleans())
def test_robots_that_share_a_channel_ask_for_no_more_than_is_allowed(
    share: float, messages_per_s: float, message_s: float, unicast: bool
) -> None:
    n = float(most_robots(share, messages_per_s, message_s, unicast=unicast))

    def asked(robots: float) -> float:
        copies = max(robots - 1, 0) if unicast else 1.0
        return float(airtime_share(robots, messages_per_s, message_s, receivers=copies))

    assert asked(n) <= share * (1 + 1e-9) <= 1 + 1e-9
    assert asked(n + 1) > share * (1 - 1e-9)


def test_small_messages_are_mostly_preamble() -> None:
    assert message_airtime_s(75, 6e6) == pytest.approx(154e-6)
    assert message_airtime_s(75, 54e6) > 154e-6 / 3  # nine times the rate, not three times as fast


@given(st.floats(1e-4, 1e-2))
def test_contention_wastes_the_channel(message_s: float) -> None:
    share = csma_efficiency(np.arange(1, 200), message_s)
    assert np.all((share > 0) & (share < 1))
    assert np.all(np.diff(share[20:]) < 0)  # collisions


def test_networks_are_whole_as_often_as_in_a_simulation() -> None:
    assert critical_range_m(500, 1e6) == pytest.approx(62.9, abs=0.1)
    assert connected_probability(1, 1e6, 0.0) == 1.0
    for n, times in ((64, 1.5), (150, 1.4), (64, 2.0)):
        reach = float(critical_range_m(n, 1.0)) * times
        graphs = [adjacency("geometric", n, range_share=reach, seed=seed) for seed in range(150)]
        whole = np.mean([second_eigenvalue(metropolis_weights(graph)) < 1.0 for graph in graphs])
        assert connected_probability(n, 1.0, reach) == pytest.approx(whole, abs=0.12)


@given(st.floats(0.01, 500), st.floats(0, 5), st.floats(0.1, 20))
def test_a_safe_speed_stops_in_the_free_way(free_m: float, delay_s: float, braking: float) -> None:
    speed = safe_speed_m_per_s(free_m, delay_s, braking)
    assert clearance_m(speed, delay_s, braking) == pytest.approx(free_m, rel=1e-6)
    assert safe_speed_m_per_s(free_m, delay_s + 0.5, braking) <= speed


def test_covering_and_endurance() -> None:
    assert coverage_time_s(1e6, 500, 20, 5) == pytest.approx(20.0)
    assert coverage_time_s(1e6, 500, 20, 5, covered_share=0.9, planned=False) == pytest.approx(20 * np.log(10))
    assert np.isinf(coverage_time_s(1e6, 500, 20, 5, planned=False))
    assert endurance_s(50, 200, reserve_share=0.0) == 900.0
    assert endurance_s(50, 200, compute_w=20) < endurance_s(50, 200)
    assert auction_rounds(4, 10) == 40
