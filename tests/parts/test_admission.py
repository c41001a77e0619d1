"""Admission: nothing is taken on that cannot be answered in time, and what is refused learns when to come back."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.parts.admission import Admission, Refusal, Ticket

SERVICE_S = 0.1


def admission(concurrency: int = 2) -> Admission:
    return Admission(concurrency, typical_s={"ask": SERVICE_S})


def simulate(arrivals: list[float], budget_s: float, concurrency: int, *, refuse: bool) -> tuple[int, int]:
    """Good answers and refusals of a service that takes exactly SERVICE_S for each request."""
    policy = admission(concurrency)
    events: list[tuple[float, int, Ticket | None]] = [(at, n, None) for n, at in enumerate(arrivals)]
    heapq.heapify(events)
    good = refused = 0
    number = len(arrivals)
    while events:
        now, _, done = heapq.heappop(events)
        if done is None:
            ticket = policy.arrive("ask", now, budget_s if refuse else 1e9)
            if isinstance(ticket, Refusal):
                refused += 1
                continue
        else:
            policy.finish(done, now)
            good += now <= (done.latest_s if refuse else done.latest_s - 1e9 + budget_s) + 1e-9
        for ticket in policy.start(now):
            if ticket.started_s is None:
                refused += 1
                continue
            number += 1
            heapq.heappush(events, (now + SERVICE_S, number, ticket))
    return good, refused


@given(st.lists(st.floats(0, 5), min_size=1, max_size=80), st.floats(0.1, 2), st.integers(1, 4))
def test_with_a_steady_service_everything_taken_on_is_answered_in_time(
    arrivals: list[float], budget_s: float, concurrency: int
) -> None:
    good, refused = simulate(sorted(arrivals), budget_s, concurrency, refuse=True)
    assert good + refused == len(arrivals)


def test_under_three_times_the_load_goodput_stays_and_without_admission_it_collapses() -> None:
    overload = [n / 60 for n in range(600)]  # 60 a second for 10 s; two servers do 20 a second
    with_admission, refused = simulate(overload, 0.5, 2, refuse=True)
    without, _ = simulate(overload, 0.5, 2, refuse=False)
    assert with_admission >= 0.95 * 20 * 10
    assert refused == 600 - with_admission
    assert without <= 20


@given(st.integers(1, 50), st.floats(0.13, 3))
def test_after_retry_after_the_same_request_is_taken_on(ahead: int, budget_s: float) -> None:
    policy = admission()
    for _ in range(ahead):
        policy.arrive("ask", 0.0, 1e9)
    policy.start(0.0)
    answer = policy.arrive("ask", 0.0, budget_s)
    if isinstance(answer, Ticket):
        assert policy.expected_wait_s(0.0) <= budget_s + ahead * SERVICE_S
        return
    now, running = 0.0, list(policy._running.values())
    while running and now + SERVICE_S <= answer.retry_after_s + 1e-9:
        now += SERVICE_S
        for ticket in running:
            policy.finish(ticket, now)
        running = policy.start(now)
    assert isinstance(policy.arrive("ask", now + SERVICE_S, budget_s), Ticket)


def test_the_service_time_is_that_of_completed_requests_only() -> None:
    policy = Admission(1)
    for took_s in (1.0, 1.0, 50.0):
        ticket = policy.arrive("ask", 0.0, 100.0)
        assert isinstance(ticket, Ticket)
        policy.start(0.0)
        policy.finish(ticket, took_s, completed=took_s < 10)
    assert policy.service_s("ask") == pytest.approx(1.0)
    assert policy.drain_rate_per_s("ask") == pytest.approx(1.0)


def test_one_that_was_given_up_in_the_line_leaves_it() -> None:
    policy = admission(1)
    first, second = (policy.arrive("ask", 0.0, 10.0) for _ in range(2))
    assert isinstance(first, Ticket)
    assert isinstance(second, Ticket)
    policy.start(0.0)
    policy.finish(second, 0.01, completed=False)
    assert policy.waiting == 0
    assert policy.running == 1


@pytest.mark.parametrize(("concurrency", "waiting"), [(0, 1), (1, -1)])
def test_bounds(concurrency: int, waiting: int) -> None:
    with pytest.raises(ConfigError, match="expected at least"):
        Admission(concurrency, waiting)
