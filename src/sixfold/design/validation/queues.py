"""Laws of queues held against simulations of ours: waits, fan-out, batches, goodput with and without admission.

No measurements are published that tell all a formula needs. The simulations are of the laws' own assumptions (Poisson
arrivals, independent services), so that what is seen is the error of formulas, not of assumptions. Nothing is fitted
but the constants beside them: to other loads, of the calibration cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sixfold.design.checks import Floats
from sixfold.design.laws.overload import (
    admitted_goodput_per_s,
    batched_response_s,
    open_loop_goodput_per_s,
    places_for_objective,
)
from sixfold.design.laws.queueing import mean_wait_cosmetatos_s, mean_wait_s, wait_quantile_s
from sixfold.design.laws.tails import fan_out_level
from sixfold.design.validation.queue_simulation import (
    admitted_responses_s,
    arrivals_s,
    batched_responses_s,
    fork_join_responses_s,
    service_times_s,
    waits_s,
)
from sixfold.design.validation.score import Case, Family, score

__all__ = ["families"]

_SEED = 20_261
_REQUESTS, _WARM_UP, _RUNS = 1_500, 700, 250  # of a cell with waits
_LONG, _SHORT = 50_000, 500  # requests of one run, and of runs whose line is short
_SOURCE = "simulated here, seed 20261"
_SERVICE_S = 0.1
_TELLING_S = 0.05 * _SERVICE_S  # a quantile below says only that hardly anybody waits
_OBJECTIVE_S = 0.5
_DURATION_S = 15.0
_SCORED, _CALIBRATED = (0.5, 0.7, 0.8, 0.9), (0.6, 0.75)  # utilisations


@dataclass(frozen=True, slots=True)
class _Cell:
    """One simulated number beside its formula; unit: what a constant is a multiple of."""

    id: str
    measured: float
    predicted: float
    unit: float = 1.0


def families(data: Path | None = None) -> list[Family]:
    """Return the families of queues, all simulated; `data`, of published rows, is not read."""
    del data
    return [
        _family(
            "queue waits of M/M/c (simulated)", _markov, "mean and 95th percentile; exact formulas: sampling error"
        ),
        _family("queue waits of M/G/c (simulated)", _general, "mean and 99th percentile; variation of services 0 to 2"),
        _family("queue of batches (simulated)", _batches, "mean response; the formula is an upper bound"),
        _family("fan-out tail (simulated)", _fan_out, "99th percentile of shards that are queues with common arrivals"),
        _family("goodput with admission (simulated)", _admitted, "M/M/c/K at .5 to 2.4 times the capacity", False),
        _family("goodput without admission (simulated)", _open_loop, "15 s of load from an empty line", False),
    ]


def _family(
    name: str, cells: Callable[[Sequence[float]], Iterator[_Cell]], about: str, lower_is_better: bool = True
) -> Family:
    constant = math.exp(float(np.mean([math.log(cell.measured / cell.unit) for cell in cells(_CALIBRATED)])))
    cases = [Case(cell.id, _SOURCE, cell.measured, cell.predicted, constant * cell.unit) for cell in cells(_SCORED)]
    note = f"simulated; {about}; baseline: one multiple of the service time or the capacity, of other loads"
    return score(name, cases, lower_is_better=lower_is_better, note=note)


def _random(*cell: float) -> np.random.Generator:
    return np.random.default_rng([_SEED, *(round(1000 * part) for part in cell)])


def _waits(rng: np.random.Generator, load: float, servers: int, variation: float) -> Floats:
    """Waits after the warm-up, of independent runs."""
    arrived = arrivals_s(rng, load * servers / _SERVICE_S, _REQUESTS, _RUNS)
    return waits_s(arrived, service_times_s(rng, _SERVICE_S, variation, *arrived.shape), servers)[_WARM_UP:]


def _markov(loads: Sequence[float]) -> Iterator[_Cell]:
    for servers in (1, 4, 16):
        for load in loads:
            waits, rate = _waits(_random(1, servers, load), load, servers, 1.0), load * servers / _SERVICE_S
            name = f"c {servers}, utilisation {load:g}"
            yield _Cell(f"{name}, mean", float(waits.mean()), float(mean_wait_s(rate, _SERVICE_S, servers)), _SERVICE_S)
            slow = float(np.quantile(waits, 0.95))
            if slow > _TELLING_S:
                yield _Cell(f"{name}, p95", slow, float(wait_quantile_s(0.95, rate, _SERVICE_S, servers)), _SERVICE_S)


def _general(loads: Sequence[float]) -> Iterator[_Cell]:
    for servers, variation in ((1, 0.0), (4, 0.0), (4, 0.5), (4, 2.0), (16, 0.5), (16, 2.0)):
        for load in loads:
            rate = load * servers / _SERVICE_S
            waits = _waits(_random(2, servers, load, variation), load, servers, variation)
            name = f"c {servers}, variation {variation:g}, utilisation {load:g}"
            mean_s = float(mean_wait_cosmetatos_s(rate, _SERVICE_S, servers, service_variation=variation))
            yield _Cell(f"{name}, mean", float(waits.mean()), mean_s, _SERVICE_S)
            slow = float(np.quantile(waits, 0.99))
            if slow > _TELLING_S:
                law = float(wait_quantile_s(0.99, rate, _SERVICE_S, servers, service_variation=variation))
                yield _Cell(f"{name}, p99", slow, law, _SERVICE_S)


def _batches(loads: Sequence[float]) -> Iterator[_Cell]:
    item_s = 0.01
    for fixed_s in (0.005, 0.02, 0.1):
        for load in loads:
            rate = load / item_s
            arrived = arrivals_s(_random(3, fixed_s, load), rate, _LONG, 1)[:, 0]
            responses = batched_responses_s(arrived, fixed_s, item_s)
            law = float(batched_response_s(rate, fixed_s, item_s))
            yield _Cell(f"fixed {fixed_s:g} s, load {load:g}", float(responses.mean()), law, fixed_s + item_s)


def _fan_out(loads: Sequence[float]) -> Iterator[_Cell]:
    """Shards of one server each: a response is exponential, of mean s / (1 - rho), at each of them."""
    for shards in (2, 6, 20):
        for load in loads:
            rng = _random(4, shards, load)
            arrived = arrivals_s(rng, load / _SERVICE_S, _LONG, 1)[:, 0]
            found = fork_join_responses_s(arrived, rng.exponential(_SERVICE_S, (_LONG, shards)))[_LONG // 20 :]
            beyond = 1.0 - float(fan_out_level(0.99, shards))
            law = -math.log(beyond) * _SERVICE_S / (1.0 - load)
            yield _Cell(f"{shards} shards, utilisation {load:g}", float(np.quantile(found, 0.99)), law, _SERVICE_S)


def _admitted(loads: Sequence[float]) -> Iterator[_Cell]:
    for servers in (1, 4, 16):
        capacity = servers / _SERVICE_S
        places = int(places_for_objective(_SERVICE_S, servers, _OBJECTIVE_S))
        for load in (*loads, *(4.0 * other - 1.2 for other in loads)):
            rng = _random(5, servers, load)
            arrived = arrivals_s(rng, load * capacity, _SHORT, _RUNS)
            services = service_times_s(rng, _SERVICE_S, 1.0, *arrived.shape)
            found = admitted_responses_s(arrived, services, servers, places)[_SHORT // 2 :]
            law = float(admitted_goodput_per_s(load * capacity, _SERVICE_S, servers, _OBJECTIVE_S))
            measured = float(np.mean(found <= _OBJECTIVE_S)) * load * capacity
            yield _Cell(f"c {servers}, load {load:g}", measured, law, capacity)


def _open_loop(loads: Sequence[float]) -> Iterator[_Cell]:
    for servers in (4, 16):
        capacity = servers / _SERVICE_S
        for load in (*loads, *(0.9 + other / 4.0 for other in loads)):  # to 12 % above: beyond, nearly all are late
            rng, rate = _random(6, servers, load), load * capacity
            most = int(rate * _DURATION_S + 6.0 * math.sqrt(rate * _DURATION_S))
            arrived = arrivals_s(rng, rate, most, _RUNS)
            services = service_times_s(rng, _SERVICE_S, 1.0, *arrived.shape)
            in_time = waits_s(arrived, services, servers) + services <= _OBJECTIVE_S
            measured = float(np.sum(in_time & (arrived <= _DURATION_S))) / (_RUNS * _DURATION_S)
            law = float(open_loop_goodput_per_s(rate, _SERVICE_S, servers, _OBJECTIVE_S, duration_s=_DURATION_S))
            yield _Cell(f"c {servers}, load {load:g}", measured, law, capacity)
