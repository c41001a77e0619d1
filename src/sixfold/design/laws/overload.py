"""Laws of load that comes whether or not it can be served: batches, retries, admission, goodput at an objective."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within
from sixfold.design.laws.queueing import erlang_b, erlang_c

__all__ = [
    "admitted_goodput_per_s",
    "batch_fill_delay_s",
    "batch_rate_per_s",
    "batched_response_s",
    "open_loop_goodput_per_s",
    "places_for_objective",
    "refused_share",
    "retried_load_per_s",
    "retry_amplification",
]

_LEVELS = 128  # quantiles or times that a mean is taken over
_ROUNDS = 200  # of iteration towards the load that retries make


def batch_rate_per_s(batch: ArrayLike, fixed_s: ArrayLike, item_s: ArrayLike) -> Floats:
    """Return b / (fixed + b item): the items/s of a server that does b at once, for a fixed price and one each.

    Half of the greatest rate, 1 / item, is reached at b = fixed / item. Source: the linear service time of Inoue,
    "Queueing analysis of GPU-based inference servers with dynamic batching", Performance Evaluation 147, 2021.
    """
    size = at_least("batch", batch, 1.0)
    return np.asarray(size / (at_least("fixed_s", fixed_s, 0.0) + size * positive("item_s", item_s)))


def batch_fill_delay_s(arrivals_per_s: ArrayLike, batch: ArrayLike, window_s: ArrayLike = np.inf) -> Floats:
    """Return the mean time that an item waits for its batch of b to fill, or for a window to close.

    The k-th of b waits for b - k more arrivals: (b - 1) / (2 lambda) on average, and at most half of the window that
    the first opens, up to rounding. Source: a count; Clipper's batching delay (Crankshaw et al., NSDI 2017, 4.3).
    """
    window = np.asarray(window_s, dtype=np.float64)
    if not np.all(window >= 0.0):
        raise ValueError(f"got window_s={window_s!r}, expected at least 0")
    fill_s = (at_least("batch", batch, 1.0) - 1.0) / (2.0 * positive("arrivals_per_s", arrivals_per_s))
    return np.asarray(np.minimum(fill_s, window / 2.0))


def batched_response_s(arrivals_per_s: ArrayLike, fixed_s: ArrayLike, item_s: ArrayLike) -> Floats:
    """Return the mean time to an answer of a server that, when free, takes all that wait as one batch.

    min(phi_0, phi_1), with x = lambda item: phi_0 = (item + fixed) / (2 (1 - x)) x (1 + 2 lambda fixed + (1 - lambda
    fixed) / (1 + x)) for light load, phi_1 = 3/2 fixed / (1 - x) + item / 2 x (x + 2) / (1 - x^2) for heavy load,
    infinite from x = 1. An upper bound, close to the mean; the batch is not limited. Source: Inoue 2021, theorem 2.
    """
    rate = at_least("arrivals_per_s", arrivals_per_s, 0.0)
    fixed, item = at_least("fixed_s", fixed_s, 0.0), positive("item_s", item_s)
    x = rate * item
    stable = x < 1.0
    spare = np.where(stable, 1.0 - x, 1.0)
    light_s = (item + fixed) / (2.0 * spare) * (1.0 + 2.0 * rate * fixed + (1.0 - rate * fixed) / (1.0 + x))
    heavy_s = 1.5 * fixed / spare + item / 2.0 * (x + 2.0) / (spare * (1.0 + x))
    return np.asarray(np.where(stable, np.minimum(light_s, heavy_s), np.inf))


def retry_amplification(failure_probability: ArrayLike, retries: ArrayLike) -> Floats:
    """Return the attempts a request makes on average: (1 - p^(r + 1)) / (1 - p), r + 1 when all fail.

    Source: a geometric series; retries over several layers multiply (Beyer et al., Site Reliability Engineering, 2016,
    chapter 22).
    """
    fails = within("failure_probability", failure_probability, 0.0, 1.0)
    attempts = at_least("retries", retries, 0.0) + 1.0
    always = fails >= 1.0
    return np.asarray(np.where(always, attempts, (1.0 - fails**attempts) / np.where(always, 1.0, 1.0 - fails)))


def retried_load_per_s(arrivals_per_s: ArrayLike, capacity_per_s: ArrayLike, retries: ArrayLike) -> Floats:
    """Return the attempts/s that reach a service which fails what is beyond its capacity, each tried again r times.

    The load that sustains itself: lambda x `retry_amplification`(1 - capacity / load), the highest there is. Below the
    capacity retries die out; above it they multiply, up to lambda (r + 1). Services whose late answers are lost work do
    worse: they can stay overloaded after the arrivals have fallen. Source: Bronson et al., "Metastable failures in
    distributed systems", HotOS 2021; the fixed point is of the model above.
    """
    arrivals, capacity = at_least("arrivals_per_s", arrivals_per_s, 0.0), positive("capacity_per_s", capacity_per_s)
    tries = at_least("retries", retries, 0.0)
    load = arrivals * (tries + 1.0)  # from above: the highest fixed point
    for _ in range(_ROUNDS):
        failing = np.maximum(0.0, 1.0 - capacity / np.maximum(load, capacity))
        load = arrivals * retry_amplification(failing, tries)
    return np.asarray(load)


def refused_share(offered_load: ArrayLike, servers: ArrayLike, places: ArrayLike) -> Floats:
    """Return the share of requests that find all `places`, in service and in line, taken (M/M/c/K).

    offered_load: a = arrivals x service, in servers; places: K, at least the servers. rho^m B / (1 + B (rho + .. +
    rho^m)) with m = K - c, rho = a / c and Erlang's B. Source: the birth-death states of Kleinrock, Queueing Systems
    I, 1975, section 3.6.
    """
    a, c, total = np.broadcast_arrays(
        at_least("offered_load", offered_load, 0.0), at_least("servers", servers, 1.0), at_least("places", places, 1.0)
    )
    if np.any(total < c):
        raise ValueError(f"got places={places!r} below servers={servers!r}, expected a place for each server")
    return _line_states(a, c, total - c)[1]


def places_for_objective(service_s: ArrayLike, servers: ArrayLike, objective_s: ArrayLike) -> Floats:
    """Return the most requests, in service and in line, of which the last is in time on average: c objective / s.

    Not below the servers. Source: Little, Operations Research 9(3), 1961.
    """
    c = at_least("servers", servers, 1.0)
    fitting = np.floor(c * positive("objective_s", objective_s) / positive("service_s", service_s) + 1e-9)
    return np.asarray(np.maximum(c, fitting))


def admitted_goodput_per_s(
    arrivals_per_s: ArrayLike,
    service_s: ArrayLike,
    servers: ArrayLike,
    objective_s: ArrayLike,
    *,
    places: ArrayLike | None = None,
) -> Floats:
    """Return the answers/s within the objective of a service that refuses requests beyond its `places` (M/M/c/K).

    places: `places_for_objective` if None. A request that finds j in line before it waits for j + 1 departures, each
    of mean s / c, and is then served for an exponential time. The mean over j is taken at 128 quantiles. Source: the
    states of Kleinrock 1975, section 3.6; first come, first served.
    """
    rate, service = at_least("arrivals_per_s", arrivals_per_s, 0.0), positive("service_s", service_s)
    c, objective = at_least("servers", servers, 1.0), positive("objective_s", objective_s)
    total = places_for_objective(service, c, objective) if places is None else at_least("places", places, 1.0)
    rate, service, c, objective, total = np.broadcast_arrays(rate, service, c, objective, total)
    line = np.maximum(total - c, 0.0)
    at_once, refused = _line_states(rate * service, c, line)
    waited = np.zeros_like(rate)
    for level in (np.arange(_LEVELS) + 0.5) / _LEVELS:
        ahead = _geometric_quantile(level, rate * service / c, line)
        waited = waited + _in_time_after(ahead + 1.0, service, c, objective) / _LEVELS
    return np.asarray(rate * (at_once * -np.expm1(-objective / service) + (1.0 - at_once - refused) * waited))


def open_loop_goodput_per_s(
    arrivals_per_s: ArrayLike,
    service_s: ArrayLike,
    servers: ArrayLike,
    objective_s: ArrayLike,
    *,
    duration_s: ArrayLike,
) -> Floats:
    """Return the answers/s within the objective of a service that refuses nothing, first come, first served.

    Over a load that starts with an empty line and lasts `duration_s`. The line, in seconds of work, is a Brownian
    motion held above zero, of drift lambda s / c - 1 and variance 2 lambda s^2 / c^2 a second; below its capacity a
    service is never later than the steady M/M/c. Above it the line grows until every answer is late, which is why
    admission is needed. Source: Harrison, Brownian Motion and Stochastic Flow Systems, 1985, section 3.6; Kleinrock
    1975, section 3.5.
    """
    rate, service = at_least("arrivals_per_s", arrivals_per_s, 0.0), positive("service_s", service_s)
    c, objective = at_least("servers", servers, 1.0), positive("objective_s", objective_s)
    duration = positive("duration_s", duration_s)
    rate, service, c, objective, duration = np.broadcast_arrays(rate, service, c, objective, duration)
    drift = rate * service / c - 1.0
    variance_s = np.maximum(2.0 * rate * service**2 / c**2, 1e-300)
    room_s = np.maximum(objective - service, 0.0)
    transient = np.zeros_like(rate)
    for part in (np.arange(_LEVELS) + 0.5) / _LEVELS:
        transient = transient + _line_beyond(room_s, part * duration, drift, variance_s) / _LEVELS
    late = np.where(drift < 0.0, np.minimum(transient, _steady_late_share(rate, service, c, objective)), transient)
    return np.asarray(np.minimum(c / service, rate * (1.0 - late)))


def _line_states(load: Floats, servers: Floats, line: Floats) -> tuple[Floats, Floats]:
    """The shares of M/M/c/K requests that are served at once and that are refused."""
    lost, rho = erlang_b(load, servers), load / servers
    # Of rho^0 .. rho^m, divided by the largest so that no power overflows.
    top = np.where(rho > 1.0, line, 0.0) * np.log(np.maximum(rho, 1.0))
    even = np.abs(rho - 1.0) < 1e-9
    ratio = np.where(rho > 1.0, 1.0 / np.maximum(rho, 1.0), rho)
    powers = np.where(even, line + 1.0, -np.expm1((line + 1.0) * _log(ratio)) / np.where(even, 1.0, 1.0 - ratio))
    idle = (1.0 - lost) * np.exp(-top)
    last = lost * np.where(rho > 1.0, 1.0, np.exp(line * _log(ratio)))
    whole = idle + lost * powers
    return np.asarray(idle / whole), np.asarray(last / whole)


def _geometric_quantile(level: float, rho: Floats, line: Floats) -> Floats:
    """The quantile of a length 0 .. m - 1 whose chances are in proportion to rho^length."""
    even = np.abs(rho - 1.0) < 1e-9
    slope = np.where(even, 1.0, _log(rho))
    falling = np.log1p(-level * -np.expm1(line * np.minimum(slope, 0.0))) / slope
    rising = line + np.log(level + (1.0 - level) * np.exp(-line * np.maximum(slope, 0.0))) / slope
    length = np.where(even, level * line, np.where(slope < 0.0, falling, rising))
    return np.asarray(np.clip(np.floor(length), 0.0, np.maximum(line - 1.0, 0.0)))


def _in_time_after(departures: Floats, service_s: Floats, servers: Floats, objective_s: Floats) -> Floats:
    """P(E + S <= t): E the time of some departures of rate c / s, S exponential of mean s."""
    from scipy.special import gammainc

    rate, own = servers / service_s, 1.0 / service_s
    waited = gammainc(departures, rate * objective_s)
    one = servers <= 1.0 + 1e-9  # a departure and a service have one rate: one more of the same
    rest = np.where(one, 1.0, rate - own)
    power = np.where(one, 0.0, departures * np.log(rate / rest) - own * objective_s)
    several = waited - np.exp(power) * gammainc(departures, rest * objective_s)
    return np.asarray(np.where(one, gammainc(departures + 1.0, rate * objective_s), np.clip(several, 0.0, 1.0)))


def _line_beyond(room_s: Floats, time_s: Floats, drift: Floats, variance_s: Floats) -> Floats:
    """P(line > room) of a Brownian motion reflected at zero, `time_s` after it was empty."""
    from scipy.special import log_ndtr, ndtr

    deviation_s = np.sqrt(variance_s * time_s)
    mirrored = 2.0 * drift * room_s / variance_s + log_ndtr(-(room_s + drift * time_s) / deviation_s)
    return np.asarray(np.clip(ndtr(-(room_s - drift * time_s) / deviation_s) + np.exp(mirrored), 0.0, 1.0))


def _steady_late_share(rate: Floats, service_s: Floats, servers: Floats, objective_s: Floats) -> Floats:
    """P(W + S > t) of M/M/c: W is 0, or exponential of rate c / s - lambda; S exponential of mean s."""
    own = 1.0 / service_s
    spare = np.maximum(servers * own - rate, 0.0)
    waiting = erlang_c(rate * service_s, servers)
    even = np.abs(own - spare) < 1e-9 * own  # one rate: the limit
    gap = np.where(even, 1.0, own - spare)
    served, waited = np.exp(-objective_s * own), np.exp(-objective_s * spare)
    both = np.where(even, served * (1.0 + objective_s * own), (own * waited - spare * served) / gap)
    return np.asarray((1.0 - waiting) * served + waiting * both)


def _log(ratio: Floats) -> Floats:
    return np.log(np.maximum(ratio, 1e-300))
