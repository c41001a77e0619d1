"""Laws of federated learning: bytes, rounds, stragglers, and what hiding each update from the server costs.

`clients` take part in a round; each trains on its own data and sends a model of `model_bytes`. Site times are
log-normal with a median and a sigma, the standard deviation of their logarithm. Privacy is in `laws/privacy.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "SecureAggregation",
    "compressed_share",
    "fedavg_rounds_bound",
    "federated_bytes",
    "heterogeneity_floor",
    "local_updates",
    "quorum_probability",
    "round_time_s",
    "rounds_to_target",
    "secure_aggregation",
    "utilisation_between_rounds",
]

_NODES = 64  # of Gauss-Legendre: the mean of the slowest of 10^4 log-normal sites with sigma 1 to about 1 %


def federated_bytes(
    rounds: ArrayLike,
    clients: ArrayLike,
    model_bytes: ArrayLike,
    *,
    up_share: ArrayLike = 1.0,
    down_share: ArrayLike = 1.0,
) -> Floats:
    """Return the bytes through the server: R K (down + up) |theta|, R K 2 |theta| without compression.

    up_share, down_share: what compression leaves of the model in each direction. Source: McMahan et al.,
    "Communication-efficient learning of deep networks from decentralized data", AISTATS 2017, algorithm 1.
    """
    each_bytes = at_least("model_bytes", model_bytes, 0.0) * (
        at_least("up_share", up_share, 0.0) + at_least("down_share", down_share, 0.0)
    )
    return np.asarray(at_least("rounds", rounds, 0.0) * at_least("clients", clients, 1.0) * each_bytes)


def compressed_share(kept_share: ArrayLike, value_bits: ArrayLike, *, index_bits: ArrayLike = 32.0) -> Floats:
    """Return the bytes of a sparse and quantised update over those of one of 32-bit numbers, at most 1.

    kept_share: of the coordinates; all of them need no index. Source: Sattler et al., "Robust and
    communication-efficient federated learning from non-IID data", IEEE TNNLS 31(9), 2020, section III.
    """
    kept = within("kept_share", kept_share, 0.0, 1.0)
    index = np.where(kept < 1.0, at_least("index_bits", index_bits, 0.0), 0.0)
    return np.asarray(np.minimum(1.0, kept * (positive("value_bits", value_bits) + index) / 32.0))


def round_time_s(
    clients: ArrayLike,
    median_s: ArrayLike,
    sigma: ArrayLike,
    *,
    quorum: ArrayLike | None = None,
    deadline_s: ArrayLike = np.inf,
) -> Floats:
    """Return the mean time of a round that ends when `quorum` of its clients have answered, or at its deadline.

    quorum: all clients if None. E[min(T(k:n), deadline)] of independent log-normal site times: the k-th of n is at the
    level B^-1(U; k, n - k + 1) of a site's distribution, integrated over U. Source: David and Nagaraja, Order
    Statistics, 3rd ed., section 2.1; over-selection and deadlines in Bonawitz et al., "Towards federated learning at
    scale", MLSys 2019.
    """
    from scipy.special import betaincinv, ndtri

    n, k = _quorum(clients, quorum)
    median, spread = positive("median_s", median_s), at_least("sigma", sigma, 0.0)
    deadline = np.asarray(deadline_s, dtype=np.float64)
    if not np.all(deadline > 0.0):
        raise ValueError(f"got deadline_s={deadline_s!r}, expected above 0")
    n, k, median, spread, deadline = np.broadcast_arrays(n, k, median, spread, deadline)
    # a search has many designs of few sizes: the inverse, by far the slowest part, once for each pair of n and k
    (sizes, needed), inverse = np.unique(np.stack([n.ravel(), k.ravel()]), axis=1, return_inverse=True)
    place = inverse.reshape(n.shape)
    at, weight = np.polynomial.legendre.leggauss(_NODES)
    total = np.zeros(n.shape)
    for node, share in zip((at + 1.0) / 2.0, weight / 2.0, strict=True):
        level = ndtri(betaincinv(needed, sizes - needed + 1.0, node))
        total += share * np.minimum(median * np.exp(spread * level[place]), deadline)
    return np.asarray(total)


def quorum_probability(
    clients: ArrayLike, quorum: ArrayLike, deadline_s: ArrayLike, median_s: ArrayLike, sigma: ArrayLike
) -> Floats:
    """Return the chance that at least `quorum` of the clients have answered by the deadline.

    The binomial tail I_p(k, n - k + 1), p the share of log-normal site times under the deadline. Source: David and
    Nagaraja, Order Statistics, 3rd ed., section 2.1.
    """
    from scipy.special import betainc, ndtr

    n, k = _quorum(clients, quorum)
    ratio = positive("deadline_s", deadline_s) / positive("median_s", median_s)
    in_time = ndtr(np.log(ratio) / np.maximum(at_least("sigma", sigma, 0.0), 1e-12))
    return np.asarray(betainc(k, n - k + 1.0, in_time))


def local_updates(examples: ArrayLike, epochs: ArrayLike, batch: ArrayLike) -> Floats:
    """Return the updates that a client makes in a round: u = E n / B, at least one an epoch.

    Source: McMahan et al. 2017, section 3 (an infinite B is all local examples at once).
    """
    held = positive("examples", examples)
    size = np.asarray(batch, dtype=np.float64)
    if not np.all(size > 0.0):
        raise ValueError(f"got batch={batch!r}, expected above 0")
    return np.asarray(positive("epochs", epochs) * np.maximum(1.0, held / size))


def rounds_to_target(rounds_of_one_update: ArrayLike, updates: ArrayLike, floor: ArrayLike) -> Floats:
    """Return the rounds to a target when each client makes u updates a round: R(u) = R(1) ((1 - f) / u + f).

    rounds_of_one_update: R(1), the steps that large-batch SGD over the same clients takes. floor: the share f that
    local work does not replace, 0 where clients hold like data, about 1 and above where they share nothing. The form
    is that of the FedAvg bound, a term that falls with the local steps and two that do not: Karimireddy et al.,
    "SCAFFOLD", ICML 2020, theorem I; see `fedavg_rounds_bound`.
    """
    fixed, u = at_least("floor", floor, 0.0), at_least("updates", updates, 1.0)
    share = np.where(fixed < 1.0, (1.0 - fixed) / u + fixed, 1.0 + (fixed - 1.0) * (1.0 - 1.0 / u))
    return np.asarray(positive("rounds_of_one_update", rounds_of_one_update) * share)


def heterogeneity_floor(updates: ArrayLike, rounds_ratio: ArrayLike) -> float:
    """Return the floor f of `rounds_to_target` that fits ratios R(u) / R(1) best, in squared logarithms.

    Needs at least one row with u above 1; ValueError otherwise. Source: the same as `rounds_to_target`.
    """
    from scipy.optimize import minimize_scalar

    u, ratio = np.broadcast_arrays(at_least("updates", updates, 1.0), positive("rounds_ratio", rounds_ratio))
    if not np.any(u > 1.0):
        raise ValueError(f"got updates={updates!r}, expected some above 1")

    def misfit(floor: float) -> float:
        return float(np.sum(np.log(rounds_to_target(1.0, u, floor) / ratio) ** 2))

    return float(minimize_scalar(misfit, bounds=(0.0, max(1.0, 2.0 * float(ratio.max()))), method="bounded").x)


def fedavg_rounds_bound(
    error: ArrayLike,
    local_steps: ArrayLike,
    sampled: ArrayLike,
    clients: ArrayLike,
    *,
    curvature: ArrayLike,
    smoothness: ArrayLike,
    noise: ArrayLike,
    dissimilarity: ArrayLike,
    amplification: ArrayLike = 1.0,
) -> Floats:
    """Return the order of rounds after which FedAvg's error is below `error` on a strongly convex loss.

    sigma^2 / (mu K S eps) + (1 - S / N) G^2 / (mu S eps) + sqrt(beta) G / (mu sqrt(eps)) + B^2 beta / mu, logarithms
    and constants left out: a bound to compare designs by, not a forecast. noise, dissimilarity: the standard
    deviation of local gradients, and G of clients' gradients about the mean's; amplification: B. Source: Karimireddy
    et al. 2020, theorem I.
    """
    eps, k = positive("error", error), at_least("local_steps", local_steps, 1.0)
    s, n = at_least("sampled", sampled, 1.0), at_least("clients", clients, 1.0)
    if np.any(s > n):
        raise ValueError(f"got sampled={sampled!r} of clients={clients!r}, expected at most as many")
    mu, beta = positive("curvature", curvature), positive("smoothness", smoothness)
    g = at_least("dissimilarity", dissimilarity, 0.0)
    of_noise = at_least("noise", noise, 0.0) ** 2 / (mu * k * s * eps)
    of_sampling = (1.0 - s / n) * g**2 / (mu * s * eps)
    of_drift = np.sqrt(beta / eps) * g / mu
    return np.asarray(
        of_noise + of_sampling + of_drift + at_least("amplification", amplification, 1.0) ** 2 * beta / mu
    )


def utilisation_between_rounds(utilisation_of_every_step: ArrayLike, local_steps: ArrayLike) -> Floats:
    """Return the share of time that compute is busy when it synchronises every `local_steps` steps instead of each.

    u = H c / (H c + s) from c / (c + s) at H = 1: the exchange is as long and H times as rare. Source: Douillard et
    al., "DiLoCo: distributed low-communication training of language models", arXiv 2311.08105, 2023.
    """
    each = within("utilisation_of_every_step", utilisation_of_every_step, 0.0, 1.0)
    steps = at_least("local_steps", local_steps, 1.0)
    return np.asarray(steps * each / np.maximum(steps * each + 1.0 - each, 1e-300))


@dataclass(frozen=True, slots=True)
class SecureAggregation:
    """What a round of secure aggregation costs, as arrays: traffic and computing of a client and of the server."""

    client_bytes: Floats
    server_bytes: Floats
    client_s: Floats
    server_s: Floats


def secure_aggregation(
    clients: ArrayLike,
    values: ArrayLike,
    *,
    value_bits: ArrayLike = 16.0,
    dropped_share: ArrayLike = 0.0,
    threshold_share: ArrayLike = 2.0 / 3.0,
    key_bytes: float = 32.0,
    share_bytes: float = 48.0,
    agreement_s: float = 5e-5,
    multiply_s: float = 5e-8,
    mask_bytes_per_s: float = 1e9,
) -> SecureAggregation:
    """Return the cost of a round in which the server learns only the sum of the clients' vectors of `values` numbers.

    Pairwise masks and a mask of each client, both kept in Shamir shares. Bytes of a client: 2 n keys, 5 n - 4 shares,
    and its vector with log2(n) bits more a number. Time of a client: 2 n key agreements, two polynomials of t terms
    at n places, and n masks of the whole vector; of the server: the shares of n secrets, the mask of every client
    that stayed, and for each that dropped its masks with all the others, the term in m n^2. The rates are of one core
    with AES and 64-bit arithmetic. Source: Bonawitz et al., "Practical secure aggregation for privacy-preserving
    machine learning", CCS 2017, section 7.
    """
    n, m = at_least("clients", clients, 2.0), at_least("values", values, 1.0)
    dropped = within("dropped_share", dropped_share, 0.0, 1.0) * n
    threshold = np.maximum(1.0, within("threshold_share", threshold_share, 0.0, 1.0) * n)
    vector_bytes = m * (positive("value_bits", value_bits) + np.ceil(np.log2(n))) / 8.0
    mask_s = vector_bytes / positive("mask_bytes_per_s", mask_bytes_per_s)
    client_bytes = 2.0 * n * key_bytes + (5.0 * n - 4.0) * share_bytes + vector_bytes
    client_s = 2.0 * n * agreement_s + 2.0 * n * threshold * multiply_s + n * mask_s
    stayed = n - dropped
    server_s = (threshold**2 + n * threshold) * multiply_s + (stayed + dropped * stayed) * mask_s
    server_s = server_s + dropped * stayed * agreement_s
    return SecureAggregation(
        *(np.asarray(each) for each in np.broadcast_arrays(client_bytes, n * client_bytes, client_s, server_s))
    )


def _quorum(clients: ArrayLike, quorum: ArrayLike | None) -> tuple[Floats, Floats]:
    n = at_least("clients", clients, 1.0)
    k = n if quorum is None else at_least("quorum", quorum, 1.0)
    if np.any(k > n):
        raise ValueError(f"got quorum={quorum!r} of clients={clients!r}, expected at most as many")
    return n, k
