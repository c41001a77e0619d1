"""Laws of differential privacy: what noise on a sum of clipped contributions promises, and what it costs in accuracy.

The noise multiplier is the standard deviation of the noise over the clipping norm; a round takes each record or client
with probability `sampling` (Poisson). Neighbouring data sets differ by one record added or removed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "average_noise",
    "dp_epsilon",
    "excess_risk",
    "gaussian_rdp",
    "noise_for_epsilon",
    "subsampled_gaussian_rdp",
]

_FRACTIONS = np.concatenate([np.arange(1.1, 2.0, 0.1), np.arange(2.25, 4.0, 0.25), np.arange(4.5, 11.0, 1.0)])
_WHOLE = (*range(2, 33), 36, 40, 48, 56, 64, 80, 96, 128, 192, 256, 512)
_ORDERS = np.sort(np.concatenate([_FRACTIONS[_FRACTIONS % 1.0 > 1e-9], np.array(_WHOLE, dtype=np.float64)]))
_POINTS = 384  # of the integral at a fractional order; the trapezoid rule is exact to 1e-9 here for noise from 0.3 up
_LEAST_NOISE, _MOST_NOISE = 0.05, 1e5
_HALVINGS = 48


def gaussian_rdp(order: ArrayLike, noise: ArrayLike) -> Floats:
    """Return the Renyi divergence that one release of the Gaussian mechanism allows: alpha / (2 sigma^2).

    Source: Mironov, "Renyi differential privacy", IEEE CSF 2017, corollary 3.
    """
    return np.asarray(at_least("order", order, 1.0) / (2.0 * positive("noise", noise) ** 2))


def subsampled_gaussian_rdp(order: float, noise: ArrayLike, sampling: ArrayLike) -> Floats:
    """Return the Renyi divergence of one round of the sampled Gaussian mechanism, at one order above 1.

    log E[(1 - q + q e^((2 z - 1) / (2 sigma^2)))^alpha] / (alpha - 1), z normal with deviation sigma: a binomial sum at
    a whole order, the integral itself at a fractional one. Source: Mironov, Talwar and Zhang, "Renyi differential
    privacy of the sampled Gaussian mechanism", arXiv 1908.10530, 2019, section 3.
    """
    sigma, q = np.broadcast_arrays(positive("noise", noise), within("sampling", sampling, 0.0, 1.0))
    if not (np.isfinite(order) and order > 1.0):
        raise ValueError(f"got order={order!r}, expected finite and above 1")
    return _round_rdp(float(order), sigma, q)


def dp_epsilon(
    noise: ArrayLike, rounds: ArrayLike, delta: ArrayLike, *, sampling: ArrayLike = 1.0, classic: bool = False
) -> Floats:
    """Return epsilon after so many rounds: the least over Renyi orders from 1.1 to 512.

    classic: convert as in Mironov 2017, proposition 3, e(alpha) + log(1 / delta) / (alpha - 1), which older published
    values use; else the smaller e(alpha) + log((alpha - 1) / alpha) - (log delta + log alpha) / (alpha - 1) of Canonne,
    Kamath and Steinke, "The discrete Gaussian for differential privacy", NeurIPS 2020, proposition 12. Each pair of
    noise and sampling is computed once, so a search over rounds is cheap. Source: Mironov 2017; Mironov et al. 2019.
    """
    sigma, t, d, q = np.broadcast_arrays(
        positive("noise", noise),
        at_least("rounds", rounds, 0.0),
        within("delta", delta, 1e-300, 1.0),
        within("sampling", sampling, 0.0, 1.0),
    )
    pairs, inverse = np.unique(np.stack([sigma.ravel(), q.ravel()]), axis=1, return_inverse=True)
    place = inverse.reshape(sigma.shape)
    best = np.full(sigma.shape, np.inf)
    log_d = np.log(d)
    for order in _ORDERS:
        spent = t * _round_rdp(float(order), pairs[0], pairs[1])[place]
        if classic:
            spent = spent - log_d / (order - 1.0)
        else:
            spent = spent + np.log1p(-1.0 / order) - (log_d + np.log(order)) / (order - 1.0)
        best = np.minimum(best, spent)
    return np.asarray(np.where((t > 0.0) & (q > 0.0), np.maximum(best, 0.0), 0.0))


def noise_for_epsilon(
    epsilon: ArrayLike, rounds: ArrayLike, delta: ArrayLike, *, sampling: ArrayLike = 1.0, classic: bool = False
) -> Floats:
    """Return the least noise multiplier, to one part in a million, that keeps epsilon after so many rounds.

    By halving `dp_epsilon`, which falls with the noise; infinite where no multiplier up to 1e5 does. Source: the same.
    """
    target, t, d, q = np.broadcast_arrays(
        positive("epsilon", epsilon), at_least("rounds", rounds, 1.0), delta, sampling
    )
    low, high = np.full(target.shape, np.log(_LEAST_NOISE)), np.full(target.shape, np.log(_MOST_NOISE))
    for _ in range(_HALVINGS):
        if np.all(high - low < 1e-6):
            break
        middle = (low + high) / 2.0
        kept = dp_epsilon(np.exp(middle), t, d, sampling=q, classic=classic) <= target
        low, high = np.where(kept, low, middle), np.where(kept, middle, high)
    return np.asarray(np.where(high < np.log(_MOST_NOISE), np.exp(high), np.inf))


def average_noise(noise: ArrayLike, clip: ArrayLike, clients: ArrayLike) -> Floats:
    """Return the standard deviation of the noise on each coordinate of the average: sigma C / n.

    Over d coordinates its norm is about sqrt(d) times that, to be held against an average of norm at most C. Source:
    McMahan et al., "Learning differentially private recurrent language models", ICLR 2018, section 2.
    """
    scale = at_least("noise", noise, 0.0) * positive("clip", clip)
    return np.asarray(scale / at_least("clients", clients, 1.0))


def excess_risk(
    epsilon: ArrayLike,
    delta: ArrayLike,
    examples: ArrayLike,
    parameters: ArrayLike,
    *,
    lipschitz: ArrayLike = 1.0,
    diameter: ArrayLike = 1.0,
    curvature: ArrayLike | None = None,
) -> Floats:
    """Return the order of the loss that privacy adds to the best of a convex problem, constants and log n left out.

    L D sqrt(p log(1 / delta)) / (n eps), at most L D, which knowing nothing costs; with strong convexity
    L^2 p log(1 / delta) / (mu n^2 eps^2). Source: Bassily, Smith and Thakurta, "Private empirical risk minimization:
    efficient algorithms and tight error bounds", FOCS 2014, theorem 2.4.
    """
    n, p = at_least("examples", examples, 1.0), at_least("parameters", parameters, 1.0)
    of_delta = -np.log(within("delta", delta, 1e-300, 1.0))
    most = positive("lipschitz", lipschitz) * positive("diameter", diameter)
    relative = np.sqrt(p * of_delta) / (n * positive("epsilon", epsilon))
    if curvature is None:
        return np.asarray(np.minimum(most * relative, most))
    convex = np.asarray(lipschitz, dtype=np.float64) ** 2 * relative**2 / positive("curvature", curvature)
    return np.asarray(np.minimum(convex, most))


def _round_rdp(order: float, sigma: Floats, q: Floats) -> Floats:
    """Without checks, of two arrays of one shape."""
    whole = abs(order - round(order)) < 1e-9
    moment = _whole_moment(round(order), sigma, q) if whole else _fractional_moment(order, sigma, q)
    sampled = np.maximum(moment, 0.0) / (order - 1.0)
    return np.asarray(np.where(q >= 1.0, order / (2.0 * sigma**2), np.where(q <= 0.0, 0.0, sampled)))


def _whole_moment(order: int, sigma: Floats, q: Floats) -> Floats:
    """log sum C(alpha, k) (1 - q)^(alpha - k) q^k e^((k^2 - k) / (2 sigma^2)), k on a new first axis."""
    from scipy.special import gammaln, logsumexp, xlog1py, xlogy

    k = np.arange(order + 1, dtype=np.float64).reshape(-1, *([1] * sigma.ndim))
    choose = gammaln(order + 1.0) - gammaln(k + 1.0) - gammaln(order - k + 1.0)
    terms = choose + xlogy(k, q) + xlog1py(order - k, -q) + (k * k - k) / (2.0 * sigma**2)
    return np.asarray(logsumexp(terms, axis=0))


def _fractional_moment(order: float, sigma: Floats, q: Floats) -> Floats:
    """The logarithm of the expectation by the trapezoid rule, points on a new first axis."""
    from scipy.special import logsumexp

    place = np.linspace(0.0, 1.0, _POINTS).reshape(-1, *([1] * sigma.ndim))
    low, high = -10.0 * sigma, order + 10.0 * sigma  # its mass lies about 0 and about the order
    z = low + (high - low) * place
    with np.errstate(divide="ignore"):
        ratio = np.logaddexp(np.log1p(-q), np.log(q) + (2.0 * z - 1.0) / (2.0 * sigma**2))
    terms = order * ratio - (z / sigma) ** 2 / 2.0
    step = (high - low) / (_POINTS - 1.0)
    return np.asarray(logsumexp(terms, axis=0) + np.log(step / (sigma * np.sqrt(2.0 * np.pi))))
