"""Laws of approximate nearest-neighbour search: recall against effort and code, work of a query, shards.

Effort is what a query may look at: probed lists of an inverted file, candidates of a graph search (ef, search list).
Recall is of the k nearest among k answers, unless a law says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within
from sixfold.design.laws.data import ivf_distances_per_query

__all__ = [
    "SearchCurve",
    "code_noise",
    "coded_first_recall",
    "coded_recall",
    "disk_query_s",
    "effort_for_coded_recall",
    "effort_for_recall",
    "fit_search_curve",
    "graph_distances_per_query",
    "ivf_query_bytes",
    "merge_bytes",
    "merged_share",
    "scaled_half_effort",
    "scan_queries_per_s",
    "scan_s",
    "search_recall",
]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_LEAST_NOISE = 1e-6
_ROUNDS = 60  # of halving: an interval of any two doubles shrinks to one


def search_recall(effort: ArrayLike, half_effort: ArrayLike, spread: ArrayLike) -> Floats:
    """Return the share of true neighbours that a search of some effort meets: Phi(ln(effort / half) / spread).

    The rank of the list (or the candidate) that holds a neighbour is taken as log-normal: half_effort is its median,
    spread the standard deviation of its logarithm. Both depend on data, index and size: `fit_search_curve`. The form
    is an assumption that holds over three decades of probes and one and a half of search lists in the logs that ship
    with the package (`validation/published/ann_bigann.csv`). Source: neighbours spread over the cells nearest to a
    query, in Jegou, Douze and Schmid, "Product quantization for nearest neighbor search", IEEE TPAMI 33(1), 2011, IV.
    """
    from scipy.special import ndtr

    with np.errstate(divide="ignore"):
        rank = np.log(at_least("effort", effort, 0.0) / positive("half_effort", half_effort))
    return np.asarray(ndtr(rank / positive("spread", spread)))


def effort_for_recall(recall: ArrayLike, half_effort: ArrayLike, spread: ArrayLike) -> Floats:
    """Return the effort that meets a share of the true neighbours: the inverse of `search_recall`.

    Infinite for a recall of 1, 0 for a recall of 0.
    """
    from scipy.special import ndtri

    away = ndtri(within("recall", recall, 0.0, 1.0))
    with np.errstate(over="ignore"):
        return np.asarray(positive("half_effort", half_effort) * np.exp(positive("spread", spread) * away))


class SearchCurve(NamedTuple):
    """How recall grows with the effort of one index over one set of data; noise: of its codes, 0 for full vectors."""

    half_effort: float
    spread: float
    noise: float = 0.0

    def recall(self, effort: ArrayLike) -> Floats:
        """Return the recall of k among k."""
        return coded_recall(self.noise, search_recall(effort, self.half_effort, self.spread))

    def effort(self, recall: ArrayLike) -> Floats:
        """Return the least effort for a recall, infinite where codes do not allow it."""
        return effort_for_coded_recall(recall, self.half_effort, self.spread, self.noise)


def fit_search_curve(
    effort: ArrayLike,
    recall: ArrayLike,
    *,
    expected: SearchCurve | None = None,
    sureness: Sequence[float] = (1.5, 0.35, 1.0),
    error: float = 0.01,
    exact: bool = False,
) -> SearchCurve:
    """Fit half effort, spread and noise to a pilot: recalls that were measured at some efforts on some shard.

    expected: of other data, (10, 2, 0.3) if None; sureness: the standard deviations of the logarithms of the three
    around it; error: that of a measured recall. Together they decide where few points say little, so that two points,
    or one, are enough. exact: full vectors are compared, there is no noise.

    Raises:
        ValueError: as many efforts as recalls are needed, one at least.
    """
    from scipy.optimize import least_squares

    tried = np.atleast_1d(positive("effort", effort))
    found = np.atleast_1d(within("recall", recall, 0.0, 1.0))
    if tried.shape != found.shape or tried.ndim != 1 or tried.size == 0:
        raise ValueError(f"got {tried.size} efforts and {found.size} recalls, expected as many, one at least")
    free = 2 if exact else 3
    start = np.log(np.maximum(np.array((expected or SearchCurve(10.0, 2.0, 0.3))[:free]), 1e-3))
    width = np.array(sureness[:free])

    def misses(logs: Floats) -> Floats:
        curve = SearchCurve(*np.exp(logs))
        return np.concatenate([(curve.recall(tried) - found) / error, (logs - start) / width])

    bounds = (start - 12.0 * width, start + 12.0 * width)
    return SearchCurve(*(float(value) for value in np.exp(least_squares(misses, start, bounds=bounds).x)))


def scaled_half_effort(
    pilot_half_effort: ArrayLike, size: ArrayLike, pilot_size: ArrayLike, exponent: ArrayLike
) -> Floats:
    """Return the half effort of a larger index from that of a pilot: half (size / pilot size)^exponent.

    size: lists of an inverted file, whose length stays the same, or points of a graph. exponent: measured; 0.25 to 0.4
    for lists. No published law is known to us. Source: sweeps over 2^16 to 2^22 lists that ship with the package (Faiss
    wiki, logs of bench_all_ivf, 2021).
    """
    ratio = positive("size", size) / positive("pilot_size", pilot_size)
    return np.asarray(positive("pilot_half_effort", pilot_half_effort) * ratio ** at_least("exponent", exponent, 0.0))


def code_noise(bits_per_dimension: ArrayLike, scale: ArrayLike, rate: ArrayLike = 1.0) -> Floats:
    """Return the noise of coded distances: scale 2^(-rate bits), in units of ln(rank).

    The error of the logarithm of a distance times the intrinsic dimension: how far, in ln(rank), a code moves a
    neighbour. rate: 1 is the 6 dB a bit of the rate-distortion function; product codes reach less. scale: of the data,
    about its intrinsic dimension. Source: Gersho and Gray, Vector Quantization and Signal Compression, 1992;
    intrinsic dimension as in Amsaleg et al., "Estimating local intrinsic dimensionality", KDD 2015.
    """
    bits = at_least("bits_per_dimension", bits_per_dimension, 0.0)
    return np.asarray(positive("scale", scale) * np.exp2(-positive("rate", rate) * bits))


def coded_recall(noise: ArrayLike, share: ArrayLike = 1.0, looked: ArrayLike = 1.0) -> Floats:
    """Return the recall of k among k when distances are compared by codes, over a `share` of the true neighbours.

    looked: so many times k of the best by code are compared again with full vectors, 1 if none is. With share c, noise
    n and looked r: c Phi(a / n) + r Phi(-a / n - n), where a = ln(r / c) - n^2 / 2; this is 2 Phi(-n/2) for c = r = 1,
    and c without noise. It depends on k little: neighbours are a Poisson process whose count grows as r^d (d the
    intrinsic dimension), so that ln(rank) has an exponential law below the k-th, and the code adds a normal error of n
    to it. Few k lose more: `coded_first_recall`. Source: that model, integrated here; codes as in Jegou et al. 2011,
    III.B.
    """
    from scipy.special import ndtr

    n, c, r = np.broadcast_arrays(
        at_least("noise", noise, 0.0), within("share", share, 0.0, 1.0), at_least("looked", looked, 1.0)
    )
    n = np.maximum(n, _LEAST_NOISE)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        a = (np.log(r) - np.log(c)) / n - n / 2.0
        return np.asarray(np.where(c > 0.0, c * ndtr(a) + r * ndtr(-a - n), 0.0))


def coded_first_recall(noise: ArrayLike, share: ArrayLike = 1.0) -> Floats:
    """Return the chance that the first answer is the nearest neighbour ("1-recall@1"), distances compared by codes.

    The mean over a normal z of c / (1 + c A(z)), A = e^(n z + n^2 / 2) Phi(z + n) - Phi(z), by quadrature of 40 nodes:
    no other neighbour may overtake. Source: the same model as `coded_recall`, for k = 1.
    """
    from scipy.special import ndtr

    n, c = np.broadcast_arrays(at_least("noise", noise, 0.0), within("share", share, 0.0, 1.0))
    n, c = n[..., np.newaxis], c[..., np.newaxis]
    overtaking = np.exp(np.minimum(n * _NODES + n**2 / 2.0, 700.0)) * ndtr(_NODES + n) - ndtr(_NODES)
    return np.asarray(np.sum(_WEIGHTS * c / (1.0 + c * np.maximum(overtaking, 0.0)), axis=-1))


def effort_for_coded_recall(
    recall: ArrayLike, half_effort: ArrayLike, spread: ArrayLike, noise: ArrayLike = 0.0
) -> Floats:
    """Return the effort for a recall of k among k by codes; infinite where the codes do not allow it at any effort.

    The inverse of `coded_recall` over `search_recall`, by halving. Those that compare the best again with full
    vectors have no noise.
    """
    wanted, n = np.broadcast_arrays(within("recall", recall, 0.0, 1.0), at_least("noise", noise, 0.0))
    low, high = np.zeros_like(wanted), np.ones_like(wanted)
    for _ in range(_ROUNDS):
        share = (low + high) / 2.0
        short = coded_recall(n, share) < wanted
        low, high = np.where(short, share, low), np.where(short, high, share)
    share = np.where(coded_recall(n, 1.0) < wanted, 1.0, high)
    return effort_for_recall(share, half_effort, spread)


def ivf_query_bytes(
    vectors: ArrayLike,
    probes: ArrayLike,
    lists: ArrayLike,
    code_bytes: ArrayLike,
    dimension: ArrayLike,
    imbalance: ArrayLike = 1.0,
) -> Floats:
    """Return the bytes that a query of an inverted file reads: all centroids of 4 bytes a number, and probed codes.

    imbalance: `ivf_distances_per_query`. Where a graph finds the lists, they are fewer: take lists of a graph search
    off. Source: Jegou et al. 2011, section IV.B.
    """
    c = at_least("lists", lists, 1.0)
    codes = ivf_distances_per_query(vectors, probes, c, imbalance) - c
    return np.asarray(c * 4.0 * at_least("dimension", dimension, 1.0) + codes * positive("code_bytes", code_bytes))


def graph_distances_per_query(list_size: ArrayLike, degree: ArrayLike, new_share: ArrayLike = 0.5) -> Floats:
    """Return the distances that a search of a proximity graph computes: ef R new_share.

    Each of ef candidates is expanded once, and of its R neighbours (2 M of HNSW's ground layer) some have been seen.
    new_share: falls with the overlap of neighbourhoods; half for R = 32 over a million points (documentation of Vamana,
    as shipped), where the way in adds about 8 R. Source: Malkov and Yashunin,
    "Efficient and robust approximate nearest neighbor search using HNSW graphs", IEEE TPAMI 42(4), 2020, section 4.2.
    """
    seen = within("new_share", new_share, 0.0, 1.0)
    return np.asarray(at_least("list_size", list_size, 1.0) * at_least("degree", degree, 1.0) * seen)


def scan_s(
    scanned_bytes: ArrayLike,
    bytes_per_s: ArrayLike,
    *,
    scanned_flop: ArrayLike = 0.0,
    flop_per_s: ArrayLike = np.inf,
    fixed_s: ArrayLike = 0.0,
) -> Floats:
    """Return the time of a query on one core or device: fixed + max(bytes / bandwidth, FLOP / rate).

    bytes_per_s: of the core's or device's share, what it reaches. A batch of queries that scan the same lists reads
    them once: divide the bytes by it. Source: Williams, Waterman and Patterson, "Roofline", CACM 52(4), 2009.
    """
    rate = np.asarray(flop_per_s, dtype=np.float64)
    if not np.all(rate > 0.0):
        raise ValueError(f"got flop_per_s={flop_per_s!r}, expected above 0")
    read_s = at_least("scanned_bytes", scanned_bytes, 0.0) / positive("bytes_per_s", bytes_per_s)
    compute_s = at_least("scanned_flop", scanned_flop, 0.0) / rate
    return np.asarray(at_least("fixed_s", fixed_s, 0.0) + np.maximum(read_s, compute_s))


def scan_queries_per_s(threads: ArrayLike, query_s: ArrayLike) -> Floats:
    """Return the queries/s of threads that each serve one at a time: threads / time (Little 1961)."""
    return np.asarray(at_least("threads", threads, 0.0) / positive("query_s", query_s))


def disk_query_s(
    reads: ArrayLike, beam: ArrayLike, read_s: ArrayLike, *, compute_s: ArrayLike = 0.0, queue_depth: ArrayLike = 1.0
) -> Floats:
    """Return the time of a graph search on disk: ceil(reads / beam) rounds of a read each, and what is computed.

    reads: about one a candidate that is expanded and not cached; beam: of them at once; queue_depth: requests that wait
    for one another in the device, 1 when it is idle. Source: Subramanya et al., "DiskANN", NeurIPS 2019, section 3.
    """
    rounds = np.ceil(at_least("reads", reads, 0.0) / at_least("beam", beam, 1.0))
    waited_s = positive("read_s", read_s) * at_least("queue_depth", queue_depth, 1.0)
    return np.asarray(rounds * waited_s + at_least("compute_s", compute_s, 0.0))


def merged_share(k: ArrayLike, shards: ArrayLike, returned: ArrayLike) -> Floats:
    """Return the share of the k best that survives when each of n shards returns its m best: n E[min(X, m)] / k.

    X, the number of the best in one shard, is binomial (k, 1 / n): passages lie at random, as by hash. 1 when every
    shard returns k. Source: a count.
    """
    from scipy.stats import binom

    best, n, m = np.broadcast_arrays(at_least("k", k, 1.0), at_least("shards", shards, 1.0), at_least("m", returned, 0))
    # E[min(X, m)] is the sum of P(X > j) below m; beyond k there is nothing to return.
    steps = np.arange(int(np.minimum(m, best).max(initial=0.0)))
    beyond = binom.sf(steps, best[..., np.newaxis], 1.0 / n[..., np.newaxis])
    kept = np.where(steps < np.minimum(m, best)[..., np.newaxis], beyond, 0.0).sum(axis=-1)
    return np.asarray(np.minimum(1.0, n * kept / best))


def merge_bytes(returned: ArrayLike, shards: ArrayLike, answer_bytes: ArrayLike = 16.0) -> Floats:
    """Return the bytes that reach whoever merges: n shards of m answers each, identity and score of 16 bytes."""
    each = at_least("returned", returned, 0.0) * positive("answer_bytes", answer_bytes)
    return np.asarray(each * at_least("shards", shards, 1.0))
