"""Clients in a closed loop: the law against a simulation of the engine step by step, and what must hold."""

from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.design.catalog.devices import device
from sixfold.design.catalog.serving import engine, front_end, model_named, serving_framework
from sixfold.design.laws.serving import Replica, decode_step_s, prefill_step_s
from sixfold.design.laws.serving_memory import ServedModel
from sixfold.design.laws.serving_queue import FrontEnd, closed_loop, split_loop, station_wait_s

SOFTWARE = serving_framework("trtllm")
ENGINE = engine(device("h100-sxm-80gb"), SOFTWARE)
FRONT = replace(front_end(SOFTWARE), admit_s=0.0, prompt_token_s=0.0)
ONE = np.ones(())


def model(name: str = "llama-3.1-8b") -> ServedModel:
    found = model_named(name)
    assert found is not None
    return found[0]


def on(tensor: float = 1.0, data: float = 1.0) -> Replica:
    return Replica(ONE * tensor, ONE * data, ONE * 2, ONE * 2)


def simulated(clients: int, prompt: int, answer: int, *, mixed: bool, shortest: float) -> tuple[float, float]:
    """Mean seconds to the first token and between tokens, of an engine that is run step by step.

    Ten requests a client; prompts enter in order, up to 8,192 tokens a step.
    """
    draw, shape, context = np.random.default_rng(1), model(), prompt + answer / 2
    known: dict[tuple[float, int], float] = {}

    def step_s(share: float, running: int) -> float:
        key = (round(share, 3), running)
        if key not in known:
            beside = running if mixed or not share else 0
            known[key] = float(
                prefill_step_s(shape, prompt, share, beside, context, on(), ENGINE)
                if share
                else decode_step_s(shape, running, context, on(), ENGINE)
            )
        return known[key]

    now, left = 0.0, 9 * clients
    waiting = deque((0.0, prompt) for _ in range(clients))
    running: list[tuple[int, float, int]] = []  # tokens to come, time of the first one, tokens in all
    first, between = [], []
    while waiting or running:
        room, read, done = 8192, 0.0, []
        while waiting and room:
            came, missing = waiting.popleft()
            part = min(missing, room)
            room, read = room - part, read + part / prompt
            if part < missing:
                waiting.appendleft((came, missing - part))
                break
            done.append(came)
        now += step_s(read, len(running))
        if mixed or not read:
            running = [(tokens - 1, began, of) for tokens, began, of in running]
            for _, began, of in (entry for entry in running if entry[0] <= 0):
                between.append((now - began) / max(of - 1, 1))
                if left:
                    left -= 1
                    waiting.append((now, prompt))
            running = [entry for entry in running if entry[0] > 0]
        for came in done:
            first.append(now - came)
            of = max(int(answer * (1 - (1 - shortest) * draw.random())), 2)
            running.append((of - 1, now, of))
    return float(np.mean(first)), float(np.mean(between))


@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize(("prompt", "answer", "clients"), [(1024, 128, 16), (1024, 512, 64), (4096, 256, 32)])
def test_the_law_says_what_a_simulation_of_random_lengths_does(
    prompt: int, answer: int, clients: int, mixed: bool
) -> None:
    first_s, token_s = simulated(clients, prompt, answer, mixed=mixed, shortest=0.8)
    said = closed_loop(model(), clients, prompt, answer, on(), ENGINE, replace(FRONT, mixed=float(mixed)))
    assert float(said.token_s) == pytest.approx(token_s, rel=0.1)
    assert float(said.first_token_s) == pytest.approx(first_s, rel=0.25)


@pytest.mark.parametrize(("prompt", "answer", "clients"), [(1024, 128, 16), (1024, 512, 64), (4096, 256, 32)])
def test_requests_of_one_length_go_in_step_where_prompts_pause_decoding(prompt: int, answer: int, clients: int) -> None:
    first_s, token_s = simulated(clients, prompt, answer, mixed=False, shortest=1.0)
    said = closed_loop(model(), clients, prompt, answer, on(), ENGINE, replace(FRONT, mixed=0.0), alike=1.0)
    assert float(said.first_token_s) == pytest.approx(first_s, rel=0.05)
    assert float(said.token_s) == pytest.approx(token_s, rel=0.05)


@given(st.floats(1, 500), st.floats(0, 10), st.floats(0, 1))
def test_a_station_waits_between_its_bounds(clients: float, elsewhere_s: float, demand_s: float) -> None:
    wait_s = float(station_wait_s(clients, elsewhere_s, demand_s))
    assert wait_s >= clients * demand_s - elsewhere_s - demand_s - 1e-9
    assert 0.0 <= wait_s <= (clients - 1.0) * demand_s + 1e-9


answers, prompts, counts = st.floats(16, 2000), st.floats(64, 16_000), st.integers(1, 200)
fronts = st.sampled_from(["trtllm", "vllm", "sglang"])


def _front(name: str) -> FrontEnd:
    return front_end(serving_framework(name))


@settings(max_examples=60)
@given(fronts, counts, prompts, answers, st.sampled_from([1.0, 4.0, 8.0]), st.floats(1.05, 3), st.booleans())
def test_a_longer_prompt_never_comes_back_sooner(
    name: str, clients: int, prompt: float, answer: float, tensor: float, more: float, alike: bool
) -> None:
    short, long = (
        closed_loop(model(), clients, prompt * f, answer, on(tensor), ENGINE, _front(name), alike=float(alike))
        for f in (1.0, more)
    )
    assert 0.0 < short.first_token_s <= long.first_token_s * 1.02  # iterations end within 2 %
    assert short.token_s <= long.token_s * 1.02


@settings(max_examples=60)
@given(fronts, counts, prompts, answers, st.sampled_from([1.0, 4.0, 8.0]), st.integers(2, 4))
def test_more_clients_never_lower_throughput(
    name: str, clients: int, prompt: float, answer: float, tensor: float, more: int
) -> None:
    few, many = (closed_loop(model(), clients * f, prompt, answer, on(tensor), ENGINE, _front(name)) for f in (1, more))
    assert many.output_tokens_per_s >= few.output_tokens_per_s * 0.98
    assert many.output_tokens_per_s * many.request_s == pytest.approx(clients * more * answer, rel=1e-6)  # Little


def test_a_held_prefix_and_more_places_shorten_the_wait() -> None:
    plain, held = (closed_loop(model(), 64, 8000, 256, on(), ENGINE, FRONT, cached=share) for share in (0.0, 0.9))
    assert held.first_token_s < 0.5 * plain.first_token_s
    few = closed_loop(model(), 64, 8000, 256, on(), ENGINE, FRONT, places=16)
    assert few.first_token_s > 2.0 * plain.first_token_s
    assert few.token_s < plain.token_s


def test_split_readers_spare_decoding_and_are_a_queue_of_their_own() -> None:
    pair = ((on(), ENGINE), (on(), ENGINE))
    together = closed_loop(model(), 64, 8000, 256, on(), ENGINE, FRONT)
    split = split_loop(model(), 64, 8000, 256, *pair, FRONT)
    more = split_loop(model(), 64, 8000, 256, *pair, FRONT, readers=4.0)
    assert split.token_s < together.token_s
    assert more.first_token_s < split.first_token_s
    assert float(split.requests_per_s) == pytest.approx(
        1.0 / float(prefill_step_s(model(), 8000, 1.0, 0.0, 0.0, on(), ENGINE)), rel=0.15
    )  # one reader is all that it can do


def test_readers_that_nobody_counted_are_the_fewest_that_keep_up() -> None:
    pair = ((on(), ENGINE), (on(), ENGINE))
    unknown = split_loop(model(), 64, 8000, 256, *pair, FRONT, readers=np.nan)
    counts = [split_loop(model(), 64, 8000, 256, *pair, FRONT, readers=float(n)) for n in range(1, 40)]
    same = [n for n, one in enumerate(counts, 1) if np.isclose(one.requests_per_s, unknown.requests_per_s, rtol=1e-3)]
    assert same
    assert same[0] > 1
    assert unknown.first_token_s < 0.2 * counts[0].first_token_s  # whose one reader is full
