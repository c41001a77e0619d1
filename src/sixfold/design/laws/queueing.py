"""Laws of waiting: what a service with c servers makes of requests that arrive at random.

Arrivals are a Poisson process of `arrivals_per_s`; a request occupies one of `servers` for `service_s` on average.
Utilisation is arrivals x service / servers; at 1 and above the line grows without end.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = ["erlang_c", "littles_law", "mean_wait_s", "response_quantile_s", "utilisation"]


def utilisation(arrivals_per_s: ArrayLike, service_s: ArrayLike, servers: ArrayLike) -> Floats:
    """Return the share of their time that servers are busy, were none refused: lambda s / c."""
    c = at_least("servers", servers, 1.0)
    return np.asarray(at_least("arrivals_per_s", arrivals_per_s, 0.0) * at_least("service_s", service_s, 0.0) / c)


def littles_law(arrivals_per_s: ArrayLike, response_s: ArrayLike) -> Floats:
    """Return the requests in the service on average: L = lambda W (Little, Operations Research 9(3), 1961)."""
    return np.asarray(at_least("arrivals_per_s", arrivals_per_s, 0.0) * at_least("response_s", response_s, 0.0))


def erlang_c(offered_load: float, servers: int) -> float:
    """Return the share of requests that have to wait (M/M/c); 1 when the load reaches the servers.

    offered_load: arrivals x service, in servers. By the recursion of Erlang's B formula, which does not overflow.
    Source: Kleinrock, Queueing Systems I, 1975, section 3.5.
    """
    a = float(at_least("offered_load", offered_load, 0.0))
    c = int(at_least("servers", servers, 1.0))
    if a >= c:
        return 1.0
    blocked = 1.0
    for n in range(1, c + 1):
        blocked = a * blocked / (n + a * blocked)
    return blocked / (1 - (a / c) * (1 - blocked))


def mean_wait_s(arrivals_per_s: float, service_s: float, servers: int, *, service_variation: float = 1.0) -> float:
    """Return the mean time in the line; infinite at a utilisation of 1.

    service_variation: standard deviation of the service time over its mean; 1 is the exponential of M/M/c, 0 a
    constant. Source: Allen and Cunneen's approximation of G/G/c (A. O. Allen, Probability, Statistics and Queueing
    Theory, 2nd edition, 1990, section 5.3.5): the wait of M/M/c times (1 + variation^2) / 2.
    """
    load = float(utilisation(arrivals_per_s, positive("service_s", service_s), 1))
    spread = (1 + float(at_least("service_variation", service_variation, 0.0)) ** 2) / 2
    if load >= servers:
        return math.inf
    return erlang_c(load, servers) * service_s / (servers - load) * spread


def response_quantile_s(
    q: float, arrivals_per_s: float, service_s: float, servers: int, *, slow_service_s: float | None = None
) -> float:
    """Return about the q-quantile of the time from arrival to answer: that of the line, and a service on top.

    slow_service_s: the q-quantile of the service time alone, `service_s` if it varies little. Of M/M/c the wait
    exceeds t with probability C e^(-(c - a) t / s) (Kleinrock I, section 3.5). Adding quantiles overstates a little:
    slow services and long waits seldom meet.
    """
    share = float(within("q", q, 0.0, 1.0))
    load = float(utilisation(arrivals_per_s, positive("service_s", service_s), 1))
    if load >= servers:
        return math.inf
    waiting = erlang_c(load, servers)
    service = service_s if slow_service_s is None else slow_service_s
    if waiting <= 1 - share:
        return service
    return service + math.log(waiting / (1 - share)) * service_s / (servers - load)
