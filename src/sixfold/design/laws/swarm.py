"""Laws of robots that agree by talking to their neighbours: gossip, radio, reach, control periods, coverage.

Robots share one radio channel where they hear one another; positions are those of a random geometric graph where no
layout is named.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "Layout",
    "adjacency",
    "airtime_share",
    "auction_rounds",
    "clearance_m",
    "connected_probability",
    "coverage_time_s",
    "critical_range_m",
    "csma_efficiency",
    "endurance_s",
    "gossip_rounds",
    "message_airtime_s",
    "metropolis_weights",
    "most_robots",
    "safe_speed_m_per_s",
    "second_eigenvalue",
    "second_eigenvalue_of",
]

Layout = Literal["ring", "grid", "geometric", "complete"]
_EXACT = 2000  # robots up to which a graph is built and its eigenvalues computed
_APART = 1.0 - 1e-10  # an eigenvalue that is 1 but for rounding; a ring of 2000 has 1 - 3e-6


def adjacency(layout: Layout, robots: int, *, range_share: float | None = None, seed: int = 0) -> Floats:
    """Return the neighbours of each robot as a symmetric matrix of 0 and 1, [robots, robots].

    grid: the squarest rows and columns that hold them, the last row perhaps shorter. geometric: uniform positions in
    the unit square, neighbours within `range_share` of its side, if None twice the critical range. Source:
    Penrose, Random Geometric Graphs, 2003.
    """
    n = int(at_least("robots", robots, 1.0))
    if n > _EXACT:
        raise ValueError(f"got robots={robots}, expected at most {_EXACT}: use second_eigenvalue_of")
    at = np.arange(n)
    near = np.zeros((n, n))
    if layout == "complete":
        near[:] = 1.0
    elif layout == "ring":
        near[at, (at + 1) % n] = 1.0
    elif layout == "grid":
        columns = int(np.ceil(np.sqrt(n)))
        x, y = at % columns, at // columns
        near[:] = (np.abs(x[:, None] - x) + np.abs(y[:, None] - y)) == 1
    elif layout == "geometric":
        reach = float(critical_range_m(max(n, 2), 1.0)) * 2.0 if range_share is None else range_share
        place = np.random.default_rng(seed).random((n, 2))
        distance = np.hypot(place[:, None, 0] - place[:, 0], place[:, None, 1] - place[:, 1])
        near[:] = distance <= positive("range_share", reach)
    else:
        raise ValueError(f"got layout={layout!r}, expected ring, grid, geometric or complete")
    near = np.maximum(near, near.T)
    np.fill_diagonal(near, 0.0)
    return near


def metropolis_weights(neighbours: ArrayLike) -> Floats:
    """Return the weights by which robots average with their neighbours, [robots, robots]; rows and columns sum to 1.

    1 / (1 + max(d_i, d_j)) for neighbours, what is left for itself; each needs only its own and its neighbours'
    degrees. Source: Xiao, Boyd and Lall, "A scheme for robust distributed sensor fusion based on average consensus",
    IPSN 2005.
    """
    near = within("neighbours", neighbours, 0.0, 1.0)
    if near.ndim != 2 or near.shape[0] != near.shape[1] or not np.array_equal(near, near.T):
        raise ValueError(f"got neighbours of shape {near.shape}, expected a symmetric matrix")
    degree = near.sum(axis=1)
    weights = near / (1.0 + np.maximum(degree[:, None], degree))
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights + np.diag(1.0 - weights.sum(axis=1)))


def second_eigenvalue(weights: ArrayLike) -> float:
    """Return the second largest absolute eigenvalue of symmetric averaging weights; 1 where the graph is not connected.

    Source: Boyd, Ghosh, Prabhakar and Shah, "Randomized gossip algorithms", IEEE Trans. Information Theory 52(6), 2006.
    """
    matrix = np.asarray(weights, dtype=np.float64)
    if len(matrix) < 2:
        return 0.0
    values = np.linalg.eigvalsh(matrix)
    value = float(max(abs(values[0]), abs(values[-2])))
    return 1.0 if value > _APART else value


def second_eigenvalue_of(layout: Layout, robots: ArrayLike, *, range_share: ArrayLike = np.nan) -> Floats:
    """Return the second eigenvalue under Metropolis weights from the layout alone, for any number of robots at once.

    complete: 0. ring: 1 - (2 / 3) (1 - cos(2 pi / n)), exact from 4 robots. grid: 1 - (2 / 5) (1 - cos(pi /
    sqrt(n))), as inner robots have four neighbours. geometric: a step to a random neighbour within r, of variance r^2
    / 4 in each direction, against the slowest wave of the unit square: 1 - pi^2 r^2 / 8 x d / (1 + d + sqrt(d / pi)),
    d = pi r^2 n, the last term for the larger degree of two; its default range is twice the critical one. Measured on
    graphs from that range up, 1 - lambda is up to twice what it should be, most often 1.3 times: sides and corners
    mix worst. Source: Boyd et al. 2006, section IV: mixing of order 1 / r^2.
    """
    n = at_least("robots", robots, 1.0)
    if layout == "complete":
        value = np.zeros(n.shape)
    elif layout == "ring":
        value = np.where(n < 4.0, 0.0, 1.0 - (1.0 - np.cos(2.0 * np.pi / n)) * 2.0 / 3.0)
    elif layout == "grid":
        value = 1.0 - (1.0 - np.cos(np.pi / np.maximum(np.sqrt(n), 1.0))) * 2.0 / 5.0
    elif layout == "geometric":
        given = np.asarray(range_share, dtype=np.float64)
        reach = np.where(np.isnan(given), 2.0 * critical_range_m(np.maximum(n, 2.0), 1.0), given)
        degree = np.pi * reach**2 * n
        value = 1.0 - np.minimum(1.0, np.pi**2 * reach**2 / 8.0) * degree / (1.0 + degree + np.sqrt(degree / np.pi))
    else:
        raise ValueError(f"got layout={layout!r}, expected ring, grid, geometric or complete")
    return np.asarray(np.where(n < 2.0, 0.0, np.clip(value, 0.0, 1.0)))


def gossip_rounds(eigenvalue: ArrayLike, error: ArrayLike) -> Floats:
    """Return the rounds of averaging until the spread is `error` of what it was: log(error) / log(lambda), at least 1.

    Infinite for an eigenvalue of 1. In each round every robot averages once with all its neighbours. Source: Xiao and
    Boyd, "Fast linear iterations for distributed averaging", Systems and Control Letters 53(1), 2004; of pairs that
    meet at random Boyd et al. 2006, theorem 3.
    """
    value, left = within("eigenvalue", eigenvalue, 0.0, 1.0), within("error", error, 1e-300, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rounds = np.where(value >= 1.0, np.inf, np.log(left) / np.log(np.maximum(value, 1e-300)))
    return np.asarray(np.maximum(1.0, rounds))


def message_airtime_s(
    payload_bytes: ArrayLike, rate_bits_per_s: ArrayLike, *, preamble_s: ArrayLike = 20e-6, gap_s: ArrayLike = 34e-6
) -> Floats:
    """Return how long a message occupies the channel: gap + preamble + payload / rate.

    The defaults are of IEEE 802.11 with OFDM: 20 us of preamble and signal field (802.11-2016, clause 17), 34 us of
    DIFS (clause 10.3). Source: Bianchi, "Performance analysis of the IEEE 802.11 distributed coordination function",
    IEEE J. Selected Areas in Communications 18(3), 2000, section IV.
    """
    payload_s = 8.0 * at_least("payload_bytes", payload_bytes, 0.0) / positive("rate_bits_per_s", rate_bits_per_s)
    return np.asarray(payload_s + at_least("preamble_s", preamble_s, 0.0) + at_least("gap_s", gap_s, 0.0))


def csma_efficiency(
    robots: ArrayLike, message_s: ArrayLike, *, slot_s: ArrayLike = 9e-6, window: ArrayLike = 16.0
) -> Floats:
    """Return the share of the channel that messages get when all robots always have one to send.

    Each sends in a slot with chance 2 / (W + 1); idle slots and collisions, which last as long as a message, are
    lost. No one backs off further: broadcasts are never acknowledged, so their window stays W. Source: Bianchi 2000,
    equations 8 and 13.
    """
    n, busy_s = at_least("robots", robots, 1.0), positive("message_s", message_s)
    chance = 2.0 / (at_least("window", window, 1.0) + 1.0)
    idle = (1.0 - chance) ** n
    one = n * chance * (1.0 - chance) ** (n - 1.0)
    return np.asarray(one * busy_s / (idle * positive("slot_s", slot_s) + (1.0 - idle) * busy_s))


def airtime_share(
    robots: ArrayLike, messages_per_s: ArrayLike, message_s: ArrayLike, *, receivers: ArrayLike = 1.0
) -> Floats:
    """Return the share of the channel that n robots within earshot ask for; above 1 it cannot be had.

    receivers: 1 for broadcasts, the number of neighbours when each is sent its own copy. Source: Gupta and Kumar, "The
    capacity of wireless networks", IEEE Trans. Information Theory 46(2), 2000: those who hear one another share.
    """
    asked_s = at_least("messages_per_s", messages_per_s, 0.0) * at_least("message_s", message_s, 0.0)
    return np.asarray(at_least("robots", robots, 0.0) * asked_s * at_least("receivers", receivers, 0.0))


def most_robots(
    allowed_share: ArrayLike, messages_per_s: ArrayLike, message_s: ArrayLike, *, unicast: bool = False
) -> Floats:
    """Return how many robots may share a channel: the greatest n whose `airtime_share` is allowed, a whole number.

    unicast: each sends a copy to each other, n (n - 1) messages. Source: the same as `airtime_share`.
    """
    share = within("allowed_share", allowed_share, 0.0, 1.0)
    slots = share / (positive("messages_per_s", messages_per_s) * positive("message_s", message_s))
    slots = slots * (1.0 + 1e-12)  # a whole quotient stays whole
    return np.asarray(np.floor((1.0 + np.sqrt(1.0 + 4.0 * slots)) / 2.0 if unicast else slots))


def critical_range_m(robots: ArrayLike, area_m2: ArrayLike) -> Floats:
    """Return the range from which uniformly placed robots are one network: sqrt(A log(n) / (pi n)).

    Source: Gupta and Kumar, "Critical power for asymptotic connectivity in wireless networks", 1998; Penrose 2003.
    """
    n = at_least("robots", robots, 2.0)
    return np.asarray(np.sqrt(positive("area_m2", area_m2) * np.log(n) / (np.pi * n)))


def connected_probability(robots: ArrayLike, area_m2: ArrayLike, range_m: ArrayLike) -> Floats:
    """Return about the chance that all robots on a square are one network: exp(-those expected to be alone).

    With m = pi r^2 n / A neighbours: n e^-m inside, 2 sqrt(A) / r e^(-m / 2) along the sides and 4 pi / m e^(-m / 4) in
    the corners, where a robot hears half and a quarter of the neighbours. Source: Penrose, "The longest edge of the
    random minimal spanning tree", Annals of Applied Probability 7(2), 1997; borders as in Coon, Dettmann and Georgiou,
    "Full connectivity: corners, edges and faces", J. Statistical Physics 147(4), 2012.
    """
    n, area = at_least("robots", robots, 1.0), positive("area_m2", area_m2)
    reach = np.maximum(at_least("range_m", range_m, 0.0), 1e-9 * np.sqrt(area))
    heard = np.pi * reach**2 * n / area
    alone = n * np.exp(-heard) + 2.0 * np.sqrt(area) / reach * np.exp(-heard / 2.0)
    alone = alone + 4.0 * np.pi / heard * np.exp(-heard / 4.0)
    return np.asarray(np.where(n < 2.0, 1.0, np.exp(-alone)))


def clearance_m(speed_m_per_s: ArrayLike, delay_s: ArrayLike, braking_m_per_s2: ArrayLike) -> Floats:
    """Return the way to a stop: what is travelled while sensing, planning and talking, and v^2 / (2 a) of braking.

    Source: kinematics; as a bound on safe speed, Liu, Watterson, Tang and Kumar, "High speed navigation for quadrotors
    with limited onboard sensing", ICRA 2016.
    """
    speed = at_least("speed_m_per_s", speed_m_per_s, 0.0)
    braking = speed**2 / (2.0 * positive("braking_m_per_s2", braking_m_per_s2))
    return np.asarray(speed * at_least("delay_s", delay_s, 0.0) + braking)


def safe_speed_m_per_s(free_m: ArrayLike, delay_s: ArrayLike, braking_m_per_s2: ArrayLike) -> Floats:
    """Return the speed from which a robot stops within `free_m`: the inverse of `clearance_m`.

    a (sqrt(t^2 + 2 d / a) - t). Source: the same as `clearance_m`.
    """
    a, t = positive("braking_m_per_s2", braking_m_per_s2), at_least("delay_s", delay_s, 0.0)
    way = 2.0 * at_least("free_m", free_m, 0.0) / a
    return np.asarray(a * way / (np.sqrt(t**2 + way) + np.maximum(t, 1e-300)))


def auction_rounds(diameter: ArrayLike, tasks: ArrayLike) -> Floats:
    """Return the rounds after which a bundle auction has settled at the latest: tasks x the diameter of the network.

    Source: Choi, Brunet and How, "Consensus-based decentralized auctions for robust task allocation", IEEE Trans.
    Robotics 25(4), 2009, theorem 1 and section V.
    """
    return np.asarray(at_least("diameter", diameter, 0.0) * at_least("tasks", tasks, 0.0))


def coverage_time_s(
    area_m2: ArrayLike,
    robots: ArrayLike,
    sensing_width_m: ArrayLike,
    speed_m_per_s: ArrayLike,
    *,
    overlap: ArrayLike = 0.0,
    covered_share: ArrayLike = 1.0,
    planned: bool = True,
) -> Floats:
    """Return the time in which n robots see `covered_share` of an area.

    planned: lanes without gaps, A / (n w v (1 - overlap)) of it. Otherwise random search, whose covered share is
    1 - e^(-n w v t / A): it never ends for all of the area. Source: Koopman, Search and Screening, 1946, chapter 2;
    lanes in Choset, "Coverage for robotics: a survey", Annals of Mathematics and AI 31, 2001.
    """
    share = within("covered_share", covered_share, 0.0, 1.0)
    new = 1.0 - within("overlap", overlap, 0.0, 0.999)
    swept = at_least("robots", robots, 1.0) * positive("sensing_width_m", sensing_width_m) * new
    once_s = positive("area_m2", area_m2) / (swept * positive("speed_m_per_s", speed_m_per_s))
    with np.errstate(divide="ignore"):
        return np.asarray(once_s * (share if planned else -np.log1p(-share)))


def endurance_s(
    battery_wh: ArrayLike,
    hover_w: ArrayLike,
    *,
    compute_w: ArrayLike = 0.0,
    radio_w: ArrayLike = 0.0,
    airtime: ArrayLike = 0.0,
    reserve_share: ArrayLike = 0.2,
) -> Floats:
    """Return how long a robot works on a charge: usable energy over its power, the radio's weighed by its airtime.

    Source: energy balance; Stolaroff et al., "Energy use and life cycle greenhouse gas emissions of drones for
    commercial package delivery", Nature Communications 9, 2018.
    """
    usable_j = (
        3600.0 * at_least("battery_wh", battery_wh, 0.0) * (1.0 - within("reserve_share", reserve_share, 0.0, 1.0))
    )
    sending_w = at_least("radio_w", radio_w, 0.0) * within("airtime", airtime, 0.0, 1.0)
    return np.asarray(usable_j / (positive("hover_w", hover_w) + at_least("compute_w", compute_w, 0.0) + sending_w))
