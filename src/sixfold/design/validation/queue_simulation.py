"""Small simulations of queues, request by request, that formulas are held against. Times in seconds.

Many independent runs are simulated at once: arrays are requests (in order of arrival) x runs, as ArrivalsNR.
"""

from __future__ import annotations

import numpy as np

from sixfold.design.checks import Floats

__all__ = [
    "admitted_responses_s",
    "arrivals_s",
    "batched_responses_s",
    "fork_join_responses_s",
    "service_times_s",
    "waits_s",
]


def arrivals_s(rng: np.random.Generator, rate_per_s: float, requests: int, runs: int) -> Floats:
    """Times of Poisson arrivals, requests x runs."""
    return np.asarray(np.cumsum(rng.exponential(1.0 / rate_per_s, (requests, runs)), axis=0))


def service_times_s(rng: np.random.Generator, mean_s: float, variation: float, requests: int, runs: int) -> Floats:
    """Service times of a mean and a variation (deviation over mean): constant at 0, exponential at 1, else gamma."""
    if variation == 0.0:
        return np.full((requests, runs), mean_s)
    shape = 1.0 / variation**2
    return rng.gamma(shape, mean_s / shape, (requests, runs))


def waits_s(arrived_s: Floats, services_s: Floats, servers: int) -> Floats:
    """Time in the line of each request, first come, first served by `servers` of each run."""
    runs = np.arange(arrived_s.shape[1])
    free = np.zeros((len(runs), servers))
    waits = np.empty_like(arrived_s)
    for at, now in enumerate(arrived_s):
        first = free.argmin(axis=1)
        begin = np.maximum(now, free[runs, first])
        free[runs, first] = begin + services_s[at]
        waits[at] = begin - now
    return waits


def admitted_responses_s(arrived_s: Floats, services_s: Floats, servers: int, places: int) -> Floats:
    """Time to the answer of each request; infinite for those that find all places, in service and in line, taken."""
    runs = np.arange(arrived_s.shape[1])
    free, leaving = np.zeros((len(runs), servers)), np.zeros((len(runs), places))
    responses = np.full_like(arrived_s, np.inf)
    for at, now in enumerate(arrived_s):
        place = leaving.argmin(axis=1)
        taken = np.flatnonzero(leaving[runs, place] <= now)  # runs with a place for this request
        first = free[taken].argmin(axis=1)
        begin = np.maximum(now[taken], free[taken, first])
        end = begin + services_s[at, taken]
        free[taken, first] = end
        leaving[taken, place[taken]] = end
        responses[at, taken] = end - now[taken]
    return responses


def fork_join_responses_s(arrived_s: Floats, services_s: Floats) -> Floats:
    """Time to the last answer of requests that go to every shard at once; each shard serves one after another.

    arrived_s: one run, of N requests; services_s: N x shards. A shard is done with a request at the greatest, over
    earlier ones, of their arrival and all services since (Lindley).
    """
    done = np.cumsum(services_s, axis=0)
    ends = done + np.maximum.accumulate(arrived_s[:, np.newaxis] - (done - services_s), axis=0)
    return np.asarray(ends.max(axis=1) - arrived_s)


def batched_responses_s(arrived_s: Floats, fixed_s: float, item_s: float) -> Floats:
    """Time to the answer of each request, of one run, at a server that takes all that wait whenever it is free."""
    responses = np.empty(len(arrived_s))
    first, free = 0, 0.0
    while first < len(arrived_s):
        begin = max(free, float(arrived_s[first]))
        end = int(np.searchsorted(arrived_s, begin, side="right"))
        free = begin + fixed_s + item_s * (end - first)
        responses[first:end] = free - arrived_s[first:end]
        first = end
    return responses
