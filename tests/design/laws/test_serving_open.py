"""Requests that come at random: the law against a simulation of the engine step by step, and what must hold."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.design.catalog.devices import device
from sixfold.design.catalog.serving import engine, front_end, model_served, serving_framework
from sixfold.design.laws.serving import Replica, decode_step_s, prefill_step_s
from sixfold.design.laws.serving_queue import OpenServed, closed_loop, open_loop

SOFTWARE = serving_framework("trtllm")
ENGINE, FRONT = engine(device("h100-sxm-80gb"), SOFTWARE), front_end(SOFTWARE)
MODEL = model_served("llama-3-8b")
ONE = np.ones(())
PROMPT, ANSWER, PLACES = 1024.0, 200.0, 64.0


def on(tensor: float = 1.0) -> Replica:
    return Replica(ONE * tensor, ONE, ONE * 2, ONE * 2)


def served(per_s: float, places: float = PLACES, prompt: float = PROMPT, cached: float = 0.0) -> OpenServed:
    return open_loop(MODEL, per_s, prompt, ANSWER, on(), ENGINE, FRONT, places=places, cached=cached)


def simulated(per_s: float, requests: int = 1500) -> tuple[float, float]:
    """99th percentile of the seconds to the first token, and mean seconds between tokens, step by step."""
    draw = np.random.default_rng(3)
    arrivals = deque(np.cumsum(draw.exponential(1 / per_s, requests)).tolist())
    context, known = PROMPT + ANSWER / 2, dict[tuple[int, int], float]()

    def step_s(read: int, running: int) -> float:
        key = (read // 64, running)
        if key not in known:
            share = read / PROMPT
            known[key] = float(
                prefill_step_s(MODEL, PROMPT, share, running, context, on(), ENGINE)
                if read
                else decode_step_s(MODEL, running, context, on(), ENGINE)
            )
        return known[key]

    now = 0.0
    waiting: deque[tuple[float, int, int]] = deque()  # came, tokens to read, tokens to write
    running: list[tuple[int, float, int]] = []
    first: list[float] = []
    spent, written = 0.0, 0
    while arrivals or waiting or running:
        if not waiting and not running:
            now = max(now, arrivals[0])
        while arrivals and arrivals[0] <= now:
            came = arrivals.popleft()
            waiting.append((came, max(int(draw.exponential(PROMPT)), 1), max(int(draw.exponential(ANSWER)), 2)))
        read, begun = 0, []
        while waiting and len(running) + len(begun) < PLACES and read + waiting[0][1] <= FRONT.chunk_tokens:
            begun.append(waiting.popleft())
            read += begun[-1][1]
        now += step_s(read, len(running))
        running = [(left - 1, began, of) for left, began, of in running]
        for _, began, of in (entry for entry in running if entry[0] <= 0):
            spent, written = spent + now - began, written + of - 1
        running = [entry for entry in running if entry[0] > 0]
        for came, _, of in begun:
            first.append(now - came)
            running.append((of - 1, now, of))
    return float(np.quantile(first, 0.99)), spent / written


@pytest.mark.parametrize("load", [0.2, 0.5, 0.8])
def test_the_law_says_what_a_simulation_does(load: float) -> None:
    per_s = load * float(served(1.0).capacity_per_s)
    first_s, token_s = simulated(per_s)
    said = served(per_s)
    assert float(said.token_s) == pytest.approx(token_s, rel=0.15)
    handed_on = FRONT.admit_s + PROMPT * FRONT.prompt_token_s
    assert 0.6 * first_s < float(said.first_token_s) - handed_on < 2.0 * first_s


@settings(max_examples=40)
@given(st.floats(1, 256), st.floats(64, 16_000), st.floats(0, 0.9))
def test_waits_grow_with_the_load_and_end_at_the_capacity(places: float, prompt: float, cached: float) -> None:
    most = float(served(0.0, places, prompt, cached).capacity_per_s)
    first = [float(served(share * most, places, prompt, cached).first_token_s) for share in (0.1, 0.5, 0.9, 1.01)]
    assert first == sorted(first)
    assert np.isinf(first[-1])
    assert np.isfinite(first[0])


def test_many_clients_in_a_closed_loop_get_the_capacity_of_the_open_one() -> None:
    busy = closed_loop(MODEL, 4 * PLACES, PROMPT, ANSWER, on(), ENGINE, FRONT, places=PLACES)
    assert float(served(1.0).capacity_per_s) == pytest.approx(float(busy.requests_per_s), rel=0.1)


def test_shares_of_the_time_are_the_capacity() -> None:
    said = served(1.0)
    assert 1.0 / float(said.read_s + said.decode_s + said.exchange_s) == pytest.approx(float(said.capacity_per_s))
