"""Laws of federated learning against a simulation, closed forms, and one another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.federated import (
    compressed_share,
    fedavg_rounds_bound,
    federated_bytes,
    heterogeneity_floor,
    local_updates,
    quorum_probability,
    round_time_s,
    rounds_to_target,
    secure_aggregation,
    utilisation_between_rounds,
)


def test_bytes_are_twice_the_model_a_client_and_round() -> None:
    assert federated_bytes(100, 20, 4e6) == 100 * 20 * 2 * 4e6
    half = federated_bytes(100, 20, 4e6, up_share=compressed_share(1.0, 8), down_share=1.0)
    assert half == pytest.approx(100 * 20 * 1.25 * 4e6)
    assert compressed_share(0.01, 32) == pytest.approx(0.02)  # a value and its index
    assert compressed_share(0.9, 32) == 1.0  # indices would cost more than they save


@pytest.mark.parametrize(("clients", "quorum", "deadline_s"), [(20, 20, np.inf), (20, 15, np.inf), (50, 50, 25.0)])
def test_round_times_are_those_of_a_simulation(clients: int, quorum: int, deadline_s: float) -> None:
    rng = np.random.default_rng(5)
    times = np.sort(10.0 * np.exp(0.6 * rng.standard_normal((40_000, clients))), axis=1)[:, quorum - 1]
    simulated = np.minimum(times, deadline_s).mean()
    assert round_time_s(clients, 10.0, 0.6, quorum=quorum, deadline_s=deadline_s) == pytest.approx(simulated, rel=0.01)
    within = float(np.mean(times <= 22.0))
    assert quorum_probability(clients, quorum, 22.0, 10.0, 0.6) == pytest.approx(within, abs=0.01)


def test_a_round_without_spread_takes_the_median() -> None:
    np.testing.assert_allclose(round_time_s([1, 10, 1000], 7.0, 0.0), 7.0)


@given(st.integers(2, 200), st.integers(1, 200), st.floats(0.01, 1.5))
def test_waiting_for_fewer_is_never_slower(clients: int, quorum: int, sigma: float) -> None:
    fewer = min(quorum, clients)
    assert round_time_s(clients, 1.0, sigma, quorum=fewer) <= round_time_s(clients, 1.0, sigma) * (1 + 1e-12)


def test_local_updates_of_the_fedavg_paper() -> None:
    np.testing.assert_allclose(local_updates(600, [1, 5, 1, 5], [np.inf, np.inf, 10, 10]), [1, 5, 60, 300])


@given(st.floats(1, 1e4), st.floats(0, 0.99))
def test_local_work_saves_rounds_down_to_the_floor(updates: float, floor: float) -> None:
    rounds = rounds_to_target(500.0, updates, floor)
    assert 500.0 * floor - 1e-6 <= rounds <= 500.0 + 1e-6
    assert rounds_to_target(500.0, updates * 2, floor) <= rounds
    assert rounds_to_target(500.0, updates, 1.5) >= 500.0  # clients that share nothing drift apart


def test_the_floor_is_found_again() -> None:
    u = np.array([2.0, 5.0, 20.0, 100.0])
    for floor in (0.02, 0.3, 1.8):
        assert heterogeneity_floor(u, rounds_to_target(1.0, u, floor)) == pytest.approx(floor, rel=1e-3)
    with pytest.raises(ValueError, match="above 1"):
        heterogeneity_floor([1.0], [1.0])


def test_the_bound_falls_with_local_steps_only_as_far_as_clients_are_alike() -> None:
    def bound(steps: float, dissimilarity: float) -> float:
        return float(
            fedavg_rounds_bound(
                1e-3, steps, 10, 100, curvature=1.0, smoothness=10.0, noise=1.0, dissimilarity=dissimilarity
            )
        )

    assert bound(1e9, 0.0) == pytest.approx(10.0)  # the condition number is left
    assert bound(100, 0.0) < bound(1, 0.0) / 5
    assert bound(100, 5.0) > bound(1, 5.0) * 0.9  # drift is


def test_rarer_exchanges_keep_compute_busy() -> None:
    np.testing.assert_allclose(utilisation_between_rounds(0.0625, [1, 15, 500]), [0.0625, 0.5, 500 / 515])


def test_secure_aggregation_grows_as_its_paper_says() -> None:
    n = np.array([100.0, 200.0, 400.0])
    kept, dropped = secure_aggregation(n, 1e6), secure_aggregation(n, 1e6, dropped_share=0.3)
    vector_bytes = 1e6 * 2
    assert kept.client_bytes[0] / vector_bytes == pytest.approx(1.44, abs=0.03)  # 16 bits become 23
    assert dropped.server_s[2] / dropped.server_s[1] == pytest.approx(4.0, rel=0.1)  # m n^2 once clients drop
    assert kept.server_s[2] / kept.server_s[1] == pytest.approx(2.0, rel=0.1)
    assert np.all(dropped.server_s > kept.server_s)
    np.testing.assert_array_equal(dropped.client_s, kept.client_s)


def test_many_designs_of_few_sizes_are_priced_one_by_one_alike() -> None:
    clients, sigma = np.meshgrid([5.0, 20.0, 80.0], np.linspace(0.1, 1.0, 4))
    together = round_time_s(clients, 3.0, sigma, quorum=np.ceil(0.8 * clients))
    for at in np.ndindex(clients.shape):
        alone = round_time_s(clients[at], 3.0, sigma[at], quorum=np.ceil(0.8 * clients[at]))
        assert together[at] == pytest.approx(float(alone))
