"""Laws of a serving engine under clients: time to the first token with its queue, time between tokens, throughput.

A closed loop is how benchmarks drive an engine: each of `clients` sends its next request when its last one is answered.
An open loop is what users are: requests come whether or not others are answered. All times of a cycle follow from each
other, and are found by iteration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within
from sixfold.design.laws.communication import message_time_s
from sixfold.design.laws.queueing import wait_quantile_s
from sixfold.design.laws.serving import Engine, Replica, collectives_s, decode_step_s, prefill_step_s
from sixfold.design.laws.serving_memory import ServedModel, kv_bytes_per_token

__all__ = ["FrontEnd", "OpenServed", "Served", "closed_loop", "open_loop", "split_loop", "station_wait_s"]

_ITERATIONS = 12
_OPEN_ITERATIONS = 4  # waits are quantiles of guessed spreads: the last digits of what is under way do not show
_MOST_BUSY = 0.98
_MATCHED = 0.9  # how busy readers are where there are as many as keep up


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """What stands before an engine, and how the engine takes prompts in.

    admit_s, prompt_token_s: from a client's call to the engine's line, and more for each token of the prompt (parsing,
    tokenising, scheduling). entry_s, answer_token_s: of each request, and of each token of its answer, in the one
    process through which all of them pass. held_back: how many requests wait for a place on average although there is
    one for each client (places are given back late). chunk_tokens: of prompts in one step. mixed: 1 if steps with a
    prompt also decode, 0 if decoding pauses. variation: squared, of the times between arrivals: 1 at random, 0 evenly.
    """

    admit_s: float
    prompt_token_s: float
    entry_s: float
    answer_token_s: float
    held_back: float
    chunk_tokens: float
    mixed: float
    variation: float


@dataclass(frozen=True, slots=True)
class Served:
    """One replica under its clients, means over requests.

    first_token_s: from a client's call to its first token, every wait on the way. token_s: between tokens after it.
    request_s: until the last one. requests_per_s, output_tokens_per_s: of the replica. running: requests that decode.
    """

    first_token_s: Floats
    token_s: Floats
    request_s: Floats
    requests_per_s: Floats
    output_tokens_per_s: Floats
    running: Floats


@dataclass(frozen=True, slots=True)
class OpenServed:
    """One replica under requests that come at random.

    capacity_per_s: requests, with a full batch. first_token_s: a quantile; infinite beyond capacity. token_s: mean
    between tokens at this load. request_s: mean of a whole request, without its waits. running: requests that decode at
    this load. read_s, decode_s, exchange_s: a request's share of the replica's time with a full batch: its prompt, its
    answer, and the exchanges between devices of both, which the first two are without.
    """

    capacity_per_s: Floats
    first_token_s: Floats
    token_s: Floats
    request_s: Floats
    running: Floats
    read_s: Floats
    decode_s: Floats
    exchange_s: Floats


def station_wait_s(clients: ArrayLike, elsewhere_s: ArrayLike, demand_s: ArrayLike) -> Floats:
    """Return the wait of a cycle at one server that each of `clients` needs for demand_s, elsewhere_s apart from it.

    R = d (1 + (c - 1) / c X R) with X = c / (Z + R), solved for R; the wait is R - d. Never below c d - Z - d. Source:
    Schweitzer's approximation of mean value analysis (Lazowska et al., Quantitative System Performance, 1984, section
    6.4.2).
    """
    c, z = at_least("clients", clients, 1.0), at_least("elsewhere_s", elsewhere_s, 0.0)
    d = at_least("demand_s", demand_s, 0.0)
    excess = c * d - z
    return np.asarray(np.maximum(0.5 * (excess + np.sqrt(excess * excess + 4.0 * d * z)) - d, 0.0))


def closed_loop(
    model: ServedModel,
    clients: ArrayLike,
    prompt: ArrayLike,
    answer: ArrayLike,
    replica: Replica,
    engine: Engine,
    front: FrontEnd,
    *,
    places: ArrayLike = np.inf,
    cached: ArrayLike = 0.0,
    rounds: ArrayLike = 10.0,
    alike: ArrayLike = 0.0,
) -> Served:
    """Return what `clients` of one replica see that decodes and reads prompts in turn (continuous batching).

    prompt, answer: tokens of a request. places: the largest batch. cached: share of prompts whose keys and values are
    held. rounds: requests that each client sends; the first ones of all come at once, and their wait counts that once.
    alike: 1 where all requests are of one length. An engine that pauses decoding for prompts then reads those of all
    clients, decodes for all, and sees all end at once, over and over: every round waits like the first one.
    With n requests decoding, n / answer prompts are read in each of their steps: token = step + n / answer x prefill.
    Ranks with attention of their own wait for each other, so an engine holds prompts until each rank has one
    (TensorRT-LLM documents, attention data parallelism, balance).
    A first token waits for the step under way, for prompts before it (M/G/1, Kleinrock 1975, section 5.7, scaled by
    `variation`), for its own step and, where the process that passes tokens on is full, for that one
    (`station_wait_s`). Source: Yu et al., "Orca", OSDI 2022, section 3; Agrawal et al., "Sarathi-Serve", OSDI 2024.
    """
    c, out = at_least("clients", clients, 1.0), at_least("answer", answer, 1.0)
    length, most = positive("prompt", prompt), np.asarray(places, dtype=np.float64)
    held, first_ones = within("cached", cached, 0.0, 1.0), positive("rounds", rounds)
    context = length + out / 2.0
    room = np.maximum(np.minimum(most, c - np.where(c > 1.0, front.held_back, 0.0)), 1.0)
    fits = np.maximum(front.chunk_tokens / np.maximum(length * (1.0 - held), 1.0), 1.0) * replica.data
    pieces = np.maximum(length * (1.0 - held) / front.chunk_tokens - 1.0, 0.0)
    full = np.minimum(fits, c)
    in_step = within("alike", alike, 0.0, 1.0)
    running, together = room, np.asarray(np.ones_like(room))
    for _ in range(_ITERATIONS):
        step_s = decode_step_s(model, running, context, replica, engine)
        read_s, each_s = _read_s(model, length, together, running, context, replica, engine, front, held, step_s)
        read_s = read_s + pieces * step_s * front.mixed
        token_s = step_s + running / out * each_s
        decoding_s = (out - 1.0) * token_s
        rate = running / (out * token_s)
        busy = np.minimum(rate * each_s, _MOST_BUSY)
        line_s = front.variation * busy / (2.0 * (1.0 - busy)) * each_s * (1.0 - 1.0 / c)
        line_s = np.minimum(line_s, (c - 1.0) / 2.0 * each_s)
        under_way_s = 0.5 * (busy * read_s + (1.0 - busy) * step_s)
        _, burst_s = _read_s(model, length, full, running, context, replica, engine, front, held, step_s)
        first_s = under_way_s + line_s + read_s + front.admit_s + length * front.prompt_token_s
        first_s = first_s + (c - 1.0) / 2.0 * burst_s / first_ones
        if front.mixed == 0.0:
            batch_s, batches = burst_s * full, np.maximum(room / full, 1.0)
            whole_first_s = (batches + 1.0) / 2.0 * batch_s + front.admit_s + length * front.prompt_token_s
            first_s = first_s + in_step * (whole_first_s - first_s)
            token_s = token_s + in_step * (step_s + (batches - 1.0) / 2.0 * batch_s / out - token_s)
            decoding_s = (out - 1.0) * token_s
        engine_s = (first_s + decoding_s) * np.maximum(c / room, 1.0)
        whole_s = np.asarray(engine_s + station_wait_s(c, engine_s, front.entry_s + out * front.answer_token_s))
        now = c / whole_s
        running = np.asarray(np.clip(0.5 * running + 0.5 * now * out * token_s, np.minimum(1.0, room), room))
        if front.mixed == 0.0:
            running = np.asarray(running + in_step * (room - running))  # all decode, or none
        together = np.clip(now * read_s, np.minimum(replica.data, full), full)
    return Served(
        first_token_s=np.asarray(whole_s - decoding_s),
        token_s=np.asarray(token_s),
        request_s=whole_s,
        requests_per_s=np.asarray(now),
        output_tokens_per_s=np.asarray(now * out),
        running=running,
    )


def open_loop(
    model: ServedModel,
    per_s: ArrayLike,
    prompt: ArrayLike,
    answer: ArrayLike,
    replica: Replica,
    engine: Engine,
    front: FrontEnd,
    *,
    places: ArrayLike,
    cached: ArrayLike = 0.0,
    quantile: ArrayLike = 0.99,
) -> OpenServed:
    """Return what `per_s` requests/s, coming at random at one replica, see of it.

    prompt, answer: mean tokens of a request; their lengths vary like exponential ones. places: the largest batch, at
    least 1. With n = per_s x answer x token under way (Little), token = step(n) / (1 - per_s x prefill). A first token
    waits for a place (M/G/c over places), for prompts before it (M/G/1), for the step under way, and for its own step;
    quantiles of waits are added, which overstates a little. Source: as of `closed_loop`; waits: `queueing`.
    """
    rate, out = at_least("per_s", per_s, 0.0), at_least("answer", answer, 1.0)
    length, most = positive("prompt", prompt), at_least("places", places, 1.0)
    held = within("cached", cached, 0.0, 1.0)
    context, fresh = length + out / 2.0, length * (1.0 - held)
    fits = np.maximum(front.chunk_tokens / np.maximum(fresh, 1.0), 1.0) * replica.data
    full_s = decode_step_s(model, most, context, replica, engine)
    together = np.clip(most / out, 1.0, fits)
    _, full_each_s = _read_s(model, length, together, most, context, replica, engine, front, held, full_s)
    capacity = 1.0 / (out * full_s / most + full_each_s)
    # From above: steps are longest with a full batch, and what is under way only falls from there.
    running = np.clip(rate * out * full_s, 1.0, most)
    together = np.clip(rate * full_each_s, 1.0, fits)
    for _ in range(_OPEN_ITERATIONS):
        step_s = decode_step_s(model, running, context, replica, engine)
        read_s, each_s = _read_s(model, length, together, running, context, replica, engine, front, held, step_s)
        busy = np.minimum(rate * each_s, _MOST_BUSY)
        token_s = step_s / (1.0 - busy)
        running = np.clip(rate * out * token_s, 1.0, most)
        together = np.clip(rate * read_s, 1.0, fits)
    pieces = np.maximum(fresh / front.chunk_tokens - 1.0, 0.0)
    read_s = read_s + pieces * step_s * front.mixed
    served_s = read_s + (out - 1.0) * token_s
    place_s = wait_quantile_s(quantile, rate, served_s, most)
    line_s = wait_quantile_s(quantile, busy, np.ones_like(busy), 1.0) * each_s
    first_s = place_s + line_s + step_s + read_s + front.admit_s + length * front.prompt_token_s
    exchange_s = collectives_s(model, most, replica, engine)
    read_exchange_s = collectives_s(model, fresh, replica, engine)
    return OpenServed(
        capacity_per_s=np.asarray(capacity),
        first_token_s=np.asarray(np.where(rate <= capacity, first_s, np.inf)),
        token_s=np.asarray(token_s),
        request_s=np.asarray(served_s),
        running=np.asarray(running),
        read_s=np.asarray(np.maximum(full_each_s - read_exchange_s, 0.0)),
        decode_s=np.asarray(out * (full_s - exchange_s) / most),
        exchange_s=np.asarray(out * exchange_s / most + np.minimum(read_exchange_s, full_each_s)),
    )


def split_loop(
    model: ServedModel,
    clients: ArrayLike,
    prompt: ArrayLike,
    answer: ArrayLike,
    reader: tuple[Replica, Engine],
    writer: tuple[Replica, Engine],
    front: FrontEnd,
    *,
    readers: ArrayLike = 1.0,
    writers: ArrayLike = 1.0,
    port_bytes_per_s: ArrayLike = 50e9,
    port_alpha_s: ArrayLike = 1e-4,
    cached: ArrayLike = 0.0,
    rounds: ArrayLike = 10.0,
) -> Served:
    """Return what `clients` see of `readers` replicas that only read prompts and `writers` that only decode.

    Keys and values of a prompt travel from one to the other through as many ports as the smaller of both has devices.
    The cycle is never shorter than clients x prefill / readers. readers: NaN takes the fewest that keep up with what
    writers answer ("rate matching", Mitra et al., "Beyond the buzz: a pragmatic take on inference disaggregation",
    arXiv 2506.05508, 2025). Source: Zhong et al., "DistServe", OSDI 2024, section 3; Patel et al., "Splitwise", ISCA
    2024; waits: `station_wait_s`.
    """
    c, out, length = at_least("clients", clients, 1.0), at_least("answer", answer, 1.0), positive("prompt", prompt)
    context = length + out / 2.0
    pools, many = at_least("writers", writers, 1.0), np.asarray(readers, dtype=np.float64)
    stated = at_least("readers", np.where(np.isnan(many), 1.0, many), 1.0)
    held, first_ones = within("cached", cached, 0.0, 1.0), positive("rounds", rounds)
    (read_on, read_engine), (write_on, write_engine) = reader, writer
    fits = np.maximum(front.chunk_tokens / np.maximum(length * (1.0 - held), 1.0), 1.0) * read_on.data
    full = np.minimum(fits, np.maximum(c / stated, 1.0))
    alone = np.ones_like(c)
    read_s = prefill_step_s(model, length, alone * read_on.data, 0.0, 0.0, read_on, read_engine, cached=held)
    many_s = prefill_step_s(
        model,
        length,
        np.maximum(full / read_on.data, 1.0) * read_on.data,
        0.0,
        0.0,
        read_on,
        read_engine,
        cached=held,
    )
    each_s = many_s / full
    step_s = decode_step_s(model, np.maximum(c / pools, 1.0), context, write_on, write_engine)
    matched = np.maximum(np.ceil(c / (out * step_s) * each_s / _MATCHED), 1.0)
    many = np.where(np.isnan(many), matched, stated)
    ports = np.minimum(read_on.tensor * read_on.data, write_on.tensor * write_on.data)
    sent = length * kv_bytes_per_token(model, read_on.value_bytes) / ports
    moved_s = message_time_s(sent, port_alpha_s, 1.0 / positive("port_bytes_per_s", port_bytes_per_s))
    running = c
    for _ in range(_ITERATIONS):
        token_s = decode_step_s(model, np.maximum(running / pools, 1.0), context, write_on, write_engine)
        decoding_s = (out - 1.0) * token_s
        busy = np.minimum(running / (out * token_s) * each_s / many, _MOST_BUSY)
        line_s = front.variation * busy / (2.0 * (1.0 - busy)) * each_s / many
        first_s = line_s + read_s + moved_s + token_s / 2.0 + front.admit_s + length * front.prompt_token_s
        first_s = first_s + np.maximum(c / many - 1.0, 0.0) / 2.0 * each_s / first_ones
        whole_s = first_s + decoding_s
        whole_s = whole_s + station_wait_s(c, whole_s, each_s / many)
        whole_s = whole_s + station_wait_s(c, whole_s, front.entry_s + out * front.answer_token_s)
        running = np.asarray(0.5 * running + 0.5 * c / whole_s * out * token_s)
    return Served(
        first_token_s=np.asarray(whole_s - decoding_s),
        token_s=np.asarray(token_s),
        request_s=whole_s,
        requests_per_s=np.asarray(c / whole_s),
        output_tokens_per_s=np.asarray(c / whole_s * out),
        running=running,
    )


def _read_s(
    model: ServedModel,
    length: Floats,
    together: Floats,
    running: Floats,
    context: Floats,
    replica: Replica,
    engine: Engine,
    front: FrontEnd,
    held: Floats,
    step_s: Floats,
) -> tuple[Floats, Floats]:
    """Seconds of a step that reads `together` prompts, and what each of them adds to decoding alone."""
    # Ranks go in step: one prompt takes as long as one on each of them.
    prompts = np.maximum(together / replica.data, 1.0) * replica.data
    beside = running * front.mixed
    whole_s = prefill_step_s(model, length, prompts, beside, context, replica, engine, cached=held)
    return whole_s, np.asarray(np.maximum(whole_s - step_s * front.mixed, 0.0) / together)
