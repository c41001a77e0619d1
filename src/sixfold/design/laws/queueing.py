"""Laws of waiting: what a service with c servers makes of requests that arrive at random.

Arrivals are a Poisson process of `arrivals_per_s`; a request occupies one of `servers` for `service_s` on average.
Utilisation is arrivals x service / servers; at 1 and above the line grows without end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "erlang_b",
    "erlang_c",
    "littles_law",
    "mean_wait_cosmetatos_s",
    "mean_wait_s",
    "response_quantile_s",
    "utilisation",
    "wait_quantile_s",
    "wait_tail",
]

_SMALL = 1e-280  # of a probability: below it, quotients lose their digits


def utilisation(arrivals_per_s: ArrayLike, service_s: ArrayLike, servers: ArrayLike) -> Floats:
    """Return the share of their time that servers are busy, were none refused: lambda s / c."""
    c = at_least("servers", servers, 1.0)
    return np.asarray(at_least("arrivals_per_s", arrivals_per_s, 0.0) * at_least("service_s", service_s, 0.0) / c)


def littles_law(arrivals_per_s: ArrayLike, response_s: ArrayLike) -> Floats:
    """Return the requests in the service on average: L = lambda W (Little, Operations Research 9(3), 1961)."""
    return np.asarray(at_least("arrivals_per_s", arrivals_per_s, 0.0) * at_least("response_s", response_s, 0.0))


def erlang_b(offered_load: ArrayLike, servers: ArrayLike) -> Floats:
    """Return the share of requests that are lost when none may wait (M/M/c/c).

    offered_load: arrivals x service, in servers. B = (a^c / c!) / sum of a^n / n!, n to c: the Poisson probability of c
    over that of at most c. Where a load is so far above c that both vanish, its expansion in c / a. Source:
    Kleinrock, Queueing Systems I, 1975, section 3.6.
    """
    from scipy.special import gammaincc, gammaln, xlogy

    a, c = np.broadcast_arrays(at_least("offered_load", offered_load, 0.0), at_least("servers", servers, 1.0))
    at_most_c = gammaincc(c + 1.0, a)
    exactly_c = np.exp(xlogy(c, a) - a - gammaln(c + 1.0))
    vanished = at_most_c < _SMALL
    share = np.where(vanished, c / np.maximum(a, 1.0), 0.0)  # of the load that is carried, far below 1 where it is used
    expanded = 1.0 / (1.0 / (1.0 - share) - share / (np.maximum(a, 1.0) * (1.0 - share) ** 3))
    return np.asarray(np.where(vanished, expanded, exactly_c / np.where(vanished, 1.0, at_most_c)))


def erlang_c(offered_load: ArrayLike, servers: ArrayLike) -> Floats:
    """Return the share of requests that have to wait (M/M/c); 1 when the load reaches the servers.

    offered_load: arrivals x service, in servers. From Erlang's B: C = B / (1 - (a / c) (1 - B)). Source: Kleinrock,
    Queueing Systems I, 1975, section 3.5.
    """
    a, c = np.broadcast_arrays(at_least("offered_load", offered_load, 0.0), at_least("servers", servers, 1.0))
    lost = erlang_b(a, c)
    stable = a < c
    busy = np.where(stable, a / c, 0.0)
    return np.asarray(np.where(stable, np.minimum(1.0, lost / (1.0 - busy * (1.0 - lost))), 1.0))


def mean_wait_s(
    arrivals_per_s: ArrayLike,
    service_s: ArrayLike,
    servers: ArrayLike,
    *,
    service_variation: ArrayLike = 1.0,
    arrival_variation: ArrayLike = 1.0,
) -> Floats:
    """Return the mean time in the line; infinite at a utilisation of 1.

    service_variation, arrival_variation: standard deviation over mean of the service times and of the times between
    arrivals; 1 is the exponential of M/M/c, 0 a constant. Exact for M/M/c and for M/G/1. Source: Allen and Cunneen's
    approximation of G/G/c (A. O. Allen, Probability, Statistics and Queueing Theory, 2nd edition, 1990, section
    5.3.5): the wait of M/M/c times (arrival variation^2 + service variation^2) / 2.
    """
    load, c, service = _load(arrivals_per_s, service_s, servers)
    spread = at_least("arrival_variation", arrival_variation, 0.0) ** 2
    spread = (spread + at_least("service_variation", service_variation, 0.0) ** 2) / 2.0
    return np.asarray(_markov_wait_s(load, c, service) * spread)


def mean_wait_cosmetatos_s(
    arrivals_per_s: ArrayLike, service_s: ArrayLike, servers: ArrayLike, *, service_variation: ArrayLike = 1.0
) -> Floats:
    """Return the mean time in the line of M/G/c, between M/M/c and M/D/c; infinite at a utilisation of 1.

    v^2 W(M/M/c) + (1 - v^2) W(M/D/c), where W(M/D/c) = W(M/M/c) / 2 x (1 + (1 - rho) (c - 1) (sqrt(4 + 5 c) - 2) /
    (16 rho c)): with many servers and little load, constant services wait more than half as long as random ones, which
    `mean_wait_s` leaves out. Made for variations up to 1; above, never less than M/M/c. Source: Cosmetatos,
    "Some approximate equilibrium results for the multi-server queue (M/G/r)", Oper. Res. Quarterly 27(3), 1976.
    """
    load, c, service = _load(arrivals_per_s, service_s, servers)
    squared = at_least("service_variation", service_variation, 0.0) ** 2
    wait_s = _markov_wait_s(load, c, service)
    rho = np.clip(load / c, 1e-9, 1.0)
    correction = (1.0 - rho) * (c - 1.0) * (np.sqrt(4.0 + 5.0 * c) - 2.0) / (16.0 * rho * c)
    constant = np.minimum(1.0, 0.5 * (1.0 + correction))  # of M/M/c's wait; at most all of it
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(load >= c, np.inf, wait_s * (squared + (1.0 - squared) * constant)))


def wait_tail(
    wait_s: ArrayLike,
    arrivals_per_s: ArrayLike,
    service_s: ArrayLike,
    servers: ArrayLike,
    *,
    service_variation: ArrayLike = 1.0,
) -> Floats:
    """Return the chance that a request waits longer than `wait_s`: C e^(-(c - a) t / s x 2 / (1 + v^2)).

    Exact for M/M/c (Kleinrock I, section 3.5). For other services the conditional wait is taken as exponential with
    the mean of `mean_wait_s`, its form under heavy load: Kingman, "On queues in heavy traffic", J. Royal Stat. Soc. B
    24(2), 1962; for c servers Koellerstroem, J. Applied Probability 11(3), 1974.
    """
    waited = at_least("wait_s", wait_s, 0.0)
    load, c, service = _load(arrivals_per_s, service_s, servers)
    scale_s = _wait_scale_s(load, c, service, service_variation)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(load >= c, 1.0, erlang_c(load, c) * np.exp(-waited / scale_s)))


def wait_quantile_s(
    q: ArrayLike,
    arrivals_per_s: ArrayLike,
    service_s: ArrayLike,
    servers: ArrayLike,
    *,
    service_variation: ArrayLike = 1.0,
) -> Floats:
    """Return the q-quantile of the time in the line, the inverse of `wait_tail`; infinite at a utilisation of 1."""
    share = within("q", q, 0.0, 1.0)
    load, c, service = _load(arrivals_per_s, service_s, servers)
    scale_s = _wait_scale_s(load, c, service, service_variation)
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.log(np.maximum(erlang_c(load, c) / (1.0 - share), 1.0))
        wait_s = np.where(beyond > 0.0, beyond * scale_s, 0.0)  # a constant service under no load: 0 x 0
    return np.asarray(np.where(load >= c, np.inf, wait_s))


def response_quantile_s(
    q: ArrayLike,
    arrivals_per_s: ArrayLike,
    service_s: ArrayLike,
    servers: ArrayLike,
    *,
    slow_service_s: ArrayLike | None = None,
    service_variation: ArrayLike = 1.0,
) -> Floats:
    """Return about the q-quantile of the time from arrival to answer: that of the line, and a service on top.

    slow_service_s: the q-quantile of the service time alone, `service_s` if it varies little. Adding quantiles
    overstates a little: slow services and long waits seldom meet.
    """
    service = positive("service_s", service_s)
    slow = service if slow_service_s is None else at_least("slow_service_s", slow_service_s, 0.0)
    return np.asarray(slow + wait_quantile_s(q, arrivals_per_s, service, servers, service_variation=service_variation))


def _load(arrivals_per_s: ArrayLike, service_s: ArrayLike, servers: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The offered load in servers, the servers and the mean service, of one shape."""
    service = positive("service_s", service_s)
    load = at_least("arrivals_per_s", arrivals_per_s, 0.0) * service
    load, c, service = np.broadcast_arrays(load, at_least("servers", servers, 1.0), service)
    return load, c, service


def _markov_wait_s(load: Floats, servers: Floats, service_s: Floats) -> Floats:
    spare = np.where(load < servers, servers - load, 1.0)
    return np.where(load < servers, erlang_c(load, servers) * service_s / spare, np.inf)


def _wait_scale_s(load: Floats, servers: Floats, service_s: Floats, service_variation: ArrayLike) -> Floats:
    """The mean wait of those who wait."""
    spread = (1.0 + at_least("service_variation", service_variation, 0.0) ** 2) / 2.0
    return np.asarray(service_s / np.where(load < servers, servers - load, 1.0) * spread)
