"""Laws of waiting against a printed value, against a simulation, and against one another."""

import heapq
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.queueing import (
    erlang_c,
    littles_law,
    mean_wait_s,
    response_quantile_s,
    utilisation,
)


def simulated_waits(arrivals_per_s: float, service_s: float, servers: int, seed: int, n: int = 60_000) -> list[float]:
    rng = random.Random(seed)
    free = [0.0] * servers
    now, waits = 0.0, []
    for _ in range(n):
        now += rng.expovariate(arrivals_per_s)
        begin = max(now, heapq.heappop(free))
        waits.append(begin - now)
        heapq.heappush(free, begin + rng.expovariate(1 / service_s))
    return waits


def test_one_server_is_the_textbook_queue() -> None:
    assert erlang_c(0.5, 1) == pytest.approx(0.5)  # M/M/1: the share that waits is the utilisation
    assert mean_wait_s(0.5, 1.0, 1) == pytest.approx(1.0)  # rho s / (1 - rho)
    assert mean_wait_s(0.5, 1.0, 1, service_variation=0) == pytest.approx(0.5)  # M/D/1 waits half as long


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (2, 1.2), (4, 3.2)])
def test_waits_are_those_of_a_simulation(servers: int, load: float) -> None:
    waits = simulated_waits(load, 1.0, servers, seed=1)
    assert np.mean([wait > 0 for wait in waits]) == pytest.approx(erlang_c(load, servers), abs=0.03)
    assert np.mean(waits) == pytest.approx(mean_wait_s(load, 1.0, servers), rel=0.15)
    p95 = response_quantile_s(0.95, load, 1.0, servers, slow_service_s=0.0)
    assert np.quantile(waits, 0.95) == pytest.approx(p95, rel=0.15)


@given(st.floats(0.01, 50), st.integers(1, 60))
def test_more_servers_never_make_more_requests_wait(load: float, servers: int) -> None:
    assert erlang_c(load, servers + 1) <= erlang_c(load, servers) <= 1


def test_at_full_load_the_line_grows_without_end() -> None:
    assert utilisation(20, 0.1, 2) == 1
    assert mean_wait_s(20, 0.1, 2) == math.inf
    assert response_quantile_s(0.99, 20, 0.1, 2) == math.inf


def test_little() -> None:
    assert littles_law(10, 0.3) == pytest.approx(3.0)
    waits = simulated_waits(1.2, 1.0, 2, seed=2)
    assert littles_law(1.2, float(np.mean(waits)) + 1.0) == pytest.approx(
        1.2 * (mean_wait_s(1.2, 1.0, 2) + 1.0), rel=0.1
    )
