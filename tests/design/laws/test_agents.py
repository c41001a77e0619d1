"""Laws of agentic work against counting, simulation and one another."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.agents import (
    cascade_cost_usd,
    cascade_success,
    chain_success,
    concurrent_tasks,
    coordination_efficiency,
    cost_per_success_usd,
    error_amplification,
    reasoning_turns,
    retried_success,
    retry_attempts,
    task_cost_usd,
    task_latency_s,
    task_tokens,
    token_overhead,
    vote_success,
)

share = st.floats(0.0, 1.0)


@pytest.mark.parametrize(("steps", "fan_out"), [(1, 1), (5, 1), (7, 3)])
def test_tokens_are_those_of_a_loop(steps: int, fan_out: int) -> None:
    context, read, seen, cached = 100, 0, 0, 0
    for _ in range(steps):
        for call in range(fan_out):
            read += context
            held = seen if call == 0 else context
            cached += held
        seen = context
        context += fan_out * (30 + 20)
    tokens = task_tokens(steps, 100, 30, 20, fan_out=fan_out, cached_share=1.0)
    assert tokens.calls == steps * fan_out
    assert tokens.fresh + tokens.cached == read
    assert tokens.cached == cached
    assert tokens.written == steps * fan_out * 20


def test_context_makes_long_tasks_quadratic() -> None:
    read = [float(task_tokens(s, 0, 500, 500).fresh) for s in (100, 200)]
    assert read[1] / read[0] == pytest.approx(4.0, rel=0.01)


@given(st.floats(1, 200), share, st.floats(1, 8))
def test_a_cache_never_costs_more(steps: float, cached_share: float, fan_out: float) -> None:
    none = task_tokens(steps, 1000, 200, 300, fan_out=fan_out)
    some = task_tokens(steps, 1000, 200, 300, fan_out=fan_out, cached_share=cached_share)
    cost = [float(task_cost_usd(tokens, 3e-6, 15e-6, cached_usd=0.3e-6)) for tokens in (some, none)]
    assert cost[0] <= cost[1] * (1 + 1e-12)
    assert some.fresh + some.cached == pytest.approx(float(none.fresh))


def test_retries_are_those_of_a_simulation() -> None:
    rng = random.Random(3)
    tries, right, n = 0, 0, 40_000
    for _ in range(n):
        for _attempt in range(3):
            tries += 1
            good = rng.random() < 0.7
            rejected = rng.random() < (0.1 if good else 0.8)
            if not rejected:
                right += good
                break
    assert retried_success(0.7, 2, caught=0.8, false_alarm=0.1) == pytest.approx(right / n, abs=0.01)
    assert retry_attempts(0.7, 2, caught=0.8, false_alarm=0.1) == pytest.approx(tries / n, abs=0.02)


@given(share, st.integers(1, 30))
def test_chains_are_no_better_than_their_steps_and_checks_help(success: float, steps: int) -> None:
    assert chain_success(success, steps) <= success
    assert retried_success(success, 3) >= success - 1e-12
    assert retried_success(success, 3, caught=0.0) == pytest.approx(success)


@given(st.floats(0.01, 0.999), st.integers(1, 50), share)
def test_errors_grow_with_agents_and_fall_with_checks(success: float, agents: int, caught: float) -> None:
    assert 1 - 1e-9 <= error_amplification(success, agents) <= agents + 1e-9
    assert error_amplification(success, agents, caught=caught) <= error_amplification(success, agents) + 1e-9


def test_voting_helps_those_who_are_mostly_right() -> None:
    assert vote_success(0.7, 3) == pytest.approx(0.7**3 + 3 * 0.7**2 * 0.3)
    assert vote_success(0.4, 5) < 0.4 < 0.6 < vote_success(0.6, 5)


def test_teams_as_published() -> None:
    """Kim et al. 2025, table 5: independent agents take 11.4 turns for 7.2, with 37 % success."""
    assert token_overhead(11.4, 7.2) == pytest.approx(1.58, abs=0.005)
    assert coordination_efficiency(0.37, 11.4, 7.2) == pytest.approx(0.234, abs=0.0005)
    assert reasoning_turns(1) == pytest.approx(7.2, rel=0.25)


def test_cascades() -> None:
    success, escalated = cascade_success(0.7, 0.95)
    assert escalated == pytest.approx(0.3)
    assert success == pytest.approx(0.985)
    assert cascade_cost_usd(0.001, 0.02, escalated) == pytest.approx(0.007)
    blind, none = cascade_success(0.7, 0.95, caught=0.0)
    assert (blind, none) == (pytest.approx(0.7), 0.0)
    assert cost_per_success_usd(0.007, success) == pytest.approx(0.0071066, rel=1e-4)
    assert np.isinf(cost_per_success_usd(1.0, 0.0))


def test_latency_and_concurrency() -> None:
    assert task_latency_s(10, 0.5, 0.02, 100, tool_s=0.5) == pytest.approx(30.0)
    slow = task_latency_s(10, 0.5, 0.02, 100, tool_s=0.5, fan_out=[1, 4, 16], spread=0.5)
    assert slow[0] == pytest.approx(30.0)
    assert np.all(np.diff(slow) > 0)
    assert concurrent_tasks(200_000, 5, 30, peak_factor=3) == pytest.approx(200_000 * 5 / 86_400 * 3 * 30)
