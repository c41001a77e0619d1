"""Laws of waiting against a printed value, against a simulation, and against one another."""

import heapq
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.queueing import (
    erlang_b,
    erlang_c,
    littles_law,
    mean_wait_cosmetatos_s,
    mean_wait_s,
    response_quantile_s,
    utilisation,
    wait_quantile_s,
    wait_tail,
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


@given(st.floats(0.0, 300.0), st.integers(1, 200))
def test_erlang_b_is_its_recursion(load: float, servers: int) -> None:
    share = 1.0
    for n in range(1, servers + 1):
        share = load * share / (n + load * share)
    assert float(erlang_b(load, servers)) == pytest.approx(share, rel=1e-8, abs=1e-280)


@pytest.mark.parametrize(("load", "servers"), [(1e5, 10), (1e6, 1000), (5e3, 3000)])
def test_erlang_b_far_above_its_servers(load: float, servers: int) -> None:
    share = 1.0
    for n in range(1, servers + 1):
        share = load * share / (n + load * share)
    assert float(erlang_b(load, servers)) == pytest.approx(share, rel=1e-6)


@given(st.floats(0.01, 0.98), st.integers(1, 40), st.floats(0.0, 3.0), st.floats(0.0, 50.0))
def test_the_tail_is_a_probability_that_falls_and_the_quantile_its_inverse(
    busy: float, servers: int, variation: float, wait: float
) -> None:
    arrivals = busy * servers
    tail = float(wait_tail(wait, arrivals, 1.0, servers, service_variation=variation))
    assert 0.0 <= tail <= 1.0
    assert float(wait_tail(wait + 1.0, arrivals, 1.0, servers, service_variation=variation)) <= tail
    if 1e-12 < tail < float(wait_tail(0.0, arrivals, 1.0, servers)):
        back = wait_quantile_s(1.0 - tail, arrivals, 1.0, servers, service_variation=variation)
        assert float(back) == pytest.approx(wait, rel=1e-3, abs=1e-3)


@given(st.floats(0.05, 0.97), st.integers(1, 40))
def test_the_mean_is_the_area_under_the_tail(busy: float, servers: int) -> None:
    # Of an exponential tail the area is its height at 0 times its scale.
    arrivals = busy * servers
    scale = -1.0 / np.log(wait_tail(1.0, arrivals, 1.0, servers) / wait_tail(0.0, arrivals, 1.0, servers))
    assert float(wait_tail(0.0, arrivals, 1.0, servers) * scale) == pytest.approx(
        float(mean_wait_s(arrivals, 1.0, servers)), rel=1e-6
    )


@given(st.floats(0.05, 0.97), st.integers(1, 40), st.floats(0.0, 1.0))
def test_cosmetatos_lies_between_constant_and_random_services(busy: float, servers: int, variation: float) -> None:
    arrivals = busy * servers
    made = [float(mean_wait_cosmetatos_s(arrivals, 1.0, servers, service_variation=v)) for v in (0.0, variation, 1.0)]
    assert made[0] <= made[1] * (1 + 1e-12) <= made[2] * (1 + 2e-12)
    assert made[2] == pytest.approx(float(mean_wait_s(arrivals, 1.0, servers)))
    one = mean_wait_cosmetatos_s(busy, 1.0, 1, service_variation=variation)
    assert float(one) == pytest.approx(float(mean_wait_s(busy, 1.0, 1, service_variation=variation)))  # Pollaczek


def test_constant_services_of_many_servers_wait_more_than_half_as_long() -> None:
    rng = np.random.default_rng(4)
    free, now, waits = [0.0] * 8, 0.0, []
    for gap in rng.exponential(1 / 5.6, 80_000):
        now += gap
        begin = max(now, heapq.heappop(free))
        waits.append(begin - now)
        heapq.heappush(free, begin + 1.0)
    measured = np.mean(waits[5_000:])
    assert float(mean_wait_cosmetatos_s(5.6, 1.0, 8, service_variation=0.0)) == pytest.approx(measured, rel=0.1)
    assert float(mean_wait_s(5.6, 1.0, 8, service_variation=0.0)) < measured


def test_a_full_service_is_never_done() -> None:
    assert wait_tail(5.0, 4.0, 1.0, 4) == 1.0
    assert wait_quantile_s(0.5, 4.0, 1.0, 4) == math.inf
    assert mean_wait_cosmetatos_s(4.0, 1.0, 4, service_variation=0.3) == math.inf
    assert wait_quantile_s(0.99, 0.0, 1.0, 4, service_variation=0.0) == 0.0
