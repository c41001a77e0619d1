"""Laws of overload against exact chains of states, against simulations, and against one another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.overload import (
    admitted_goodput_per_s,
    batch_fill_delay_s,
    batch_rate_per_s,
    batched_response_s,
    open_loop_goodput_per_s,
    places_for_objective,
    refused_share,
    retried_load_per_s,
    retry_amplification,
)
from sixfold.design.laws.queueing import erlang_b
from sixfold.design.validation.queue_simulation import arrivals_s, batched_responses_s

loads = st.floats(0.01, 50.0)
servers_of = st.integers(1, 30)


def states(load: float, servers: int, places: int) -> np.ndarray:
    """The shares of time that 0 .. K requests are present (M/M/c/K), from the balance of one state and the next."""
    weights = [1.0]
    for present in range(1, places + 1):
        weights.append(weights[-1] * load / min(present, servers))
    return np.array(weights) / sum(weights)


@given(loads, servers_of, st.integers(0, 60))
def test_refusals_are_those_of_the_chain_of_states(load: float, servers: int, line: int) -> None:
    expected = states(load, servers, servers + line)[-1]
    assert float(refused_share(load, servers, servers + line)) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_without_a_line_refusals_are_erlangs() -> None:
    assert refused_share([0.5, 3.0, 90.0], [1, 4, 80], [1, 4, 80]) == pytest.approx(erlang_b([0.5, 3, 90], [1, 4, 80]))
    assert refused_share(100.0, 4, 2000) == pytest.approx(0.96)  # far above capacity 4 of 100 are served
    with pytest.raises(ValueError, match="places"):
        refused_share(1.0, 4, 3)


@pytest.mark.parametrize(("rate", "servers", "objective"), [(8, 1, 1.0), (30, 4, 0.5), (60, 4, 0.5), (200, 8, 1.0)])
def test_goodput_with_admission_is_that_of_the_states(rate: float, servers: int, objective: float) -> None:
    from scipy.stats import gamma

    service = 0.1
    places = int(places_for_objective(service, servers, objective))
    present = states(rate * service, servers, places)
    at = np.linspace(0.0, objective, 4001)
    expected = 0.0
    for found in range(places):
        if found < servers:
            expected += present[found] * -np.expm1(-objective / service)
        else:
            waited = gamma.pdf(at, found - servers + 1, scale=service / servers)
            expected += present[found] * np.trapezoid(waited * -np.expm1(-(objective - at) / service), at)
    assert float(admitted_goodput_per_s(rate, service, servers, objective)) == pytest.approx(rate * expected, rel=2e-3)


@given(st.floats(0.1, 400.0), servers_of, st.floats(0.05, 3.0))
def test_no_goodput_above_what_comes_or_can_be_served(rate: float, servers: int, objective: float) -> None:
    for goodput in (
        admitted_goodput_per_s(rate, 0.1, servers, objective),
        open_loop_goodput_per_s(rate, 0.1, servers, objective, duration_s=30.0),
    ):
        assert -1e-9 <= float(goodput) <= min(rate, servers / 0.1) * (1 + 1e-9)


def test_admission_keeps_goodput_where_an_open_line_loses_it() -> None:
    over = np.array([1.0, 1.5, 2.0, 3.0]) * 40.0
    kept = admitted_goodput_per_s(over, 0.1, 4, 0.5)
    lost = open_loop_goodput_per_s(over, 0.1, 4, 0.5, duration_s=60.0)
    assert np.all(kept[1:] > 20 * lost[1:])
    assert np.all(np.diff(lost) < 0)
    assert kept.min() > 0.5 * 40.0


def test_far_below_capacity_nothing_is_late_but_slow_services() -> None:
    late = np.exp(-1.0 / 0.1)
    assert open_loop_goodput_per_s(0.1, 0.1, 8, 1.0, duration_s=1e4) == pytest.approx(0.1 * (1 - late), rel=1e-3)


@pytest.mark.parametrize(
    ("rate", "fixed", "item"), [(10, 0.01, 0.01), (50, 0.01, 0.01), (10, 0.1, 0.01), (80, 0.1, 0.01)]
)
def test_batches_answer_about_as_fast_as_in_a_simulation(rate: float, fixed: float, item: float) -> None:
    arrived = arrivals_s(np.random.default_rng(7), rate, 40_000, 1)[:, 0]
    measured = float(batched_responses_s(arrived, fixed, item).mean())
    law = float(batched_response_s(rate, fixed, item))
    assert 0.97 * measured <= law <= 1.15 * measured  # an upper bound, close to it


@given(st.floats(0.0, 95.0), st.floats(0.0, 1.0))
def test_a_batch_takes_no_less_than_its_own_service_and_more_with_load(rate: float, fixed: float) -> None:
    item = 0.01
    law = float(batched_response_s(rate, fixed, item))
    assert law >= (fixed + item) * (1 - 1e-9)
    assert float(batched_response_s(rate + 1.0, fixed, item)) >= law * (1 - 1e-9)
    assert batched_response_s(100.0, fixed, item) == np.inf


def test_half_of_the_greatest_rate_is_reached_at_fixed_over_item() -> None:
    assert batch_rate_per_s(10, 0.1, 0.01) == pytest.approx(50.0)
    assert batch_rate_per_s(1e9, 0.1, 0.01) == pytest.approx(100.0)


def test_batches_fill_in_half_the_time_of_their_arrivals_or_half_the_window() -> None:
    assert batch_fill_delay_s(10, 9) == pytest.approx(0.4)
    assert batch_fill_delay_s(10, 9, 0.2) == pytest.approx(0.1)
    assert batch_fill_delay_s(10, 1) == 0.0
    with pytest.raises(ValueError, match="window_s"):
        batch_fill_delay_s(10, 1, -1.0)


@given(st.floats(0.0, 1.0), st.integers(0, 10))
def test_retries_are_a_geometric_series(fails: float, retries: int) -> None:
    series = sum(fails**k for k in range(retries + 1))
    assert float(retry_amplification(fails, retries)) == pytest.approx(series, rel=1e-9)


@given(st.floats(1.0, 500.0), st.integers(0, 8))
def test_retries_die_out_below_the_capacity_and_multiply_above(rate: float, retries: int) -> None:
    load = float(retried_load_per_s(rate, 100.0, retries))
    assert rate * (1 - 1e-9) <= load <= rate * (retries + 1) * (1 + 1e-9)
    if rate < 95.0:
        assert load == pytest.approx(rate, rel=1e-3)
    if rate > 110.0:
        assert load == pytest.approx(rate * float(retry_amplification(1 - 100 / load, retries)), rel=1e-3)
