"""Laws of the parts of a data system: shards, near-duplicates, seen-sets, crawling, index scans.

Pure functions of numbers or numpy arrays, like `laws`.
"""

from __future__ import annotations

from math import ceil, log

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "bloom_bits_per_key",
    "bloom_false_positive_rate",
    "bloom_hash_count",
    "crawl_rate_pages_per_s",
    "crawl_time_s",
    "ivf_distances_per_query",
    "ivf_scan_fraction",
    "lsh_candidate_probability",
    "lsh_expected_errors",
    "lsh_threshold",
    "minhash_standard_error",
    "shard_count",
]


def shard_count(items: float, bytes_per_item: float, memory_bytes: float) -> int:
    """Return ceil(N b / M): the fewest nodes whose memory holds `items` of `bytes_per_item` each.

    `memory_bytes` is what one node may use for it. No items still need one shard. Source: a count.
    """
    needed = float(at_least("items", items, 0.0)) * float(at_least("bytes_per_item", bytes_per_item, 0.0))
    return max(1, ceil(needed / float(positive("memory_bytes", memory_bytes))))


def lsh_candidate_probability(similarity: ArrayLike, rows: int, bands: int) -> Floats:
    """Return 1 - (1 - s^r)^b: the chance that two documents of Jaccard similarity s become candidates.

    The MinHash signature has `bands` bands of `rows` values; a candidate agrees on all of at least one band.
    Source: Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3rd ed., section 3.4.2.
    """
    s = within("similarity", similarity, 0.0, 1.0)
    r, b = at_least("rows", rows, 1.0), at_least("bands", bands, 1.0)
    with np.errstate(divide="ignore"):  # log(0) at s = 1 is the right -inf
        return np.asarray(-np.expm1(b * np.log1p(-(s**r))))  # expm1/log1p keep small probabilities exact


def lsh_threshold(rows: int, bands: int) -> float:
    """Return (1/b)^(1/r), about the similarity where the S-curve is steepest (MMDS, section 3.4.2)."""
    return float((1.0 / at_least("bands", bands, 1.0)) ** (1.0 / at_least("rows", rows, 1.0)))


def lsh_expected_errors(similarities: ArrayLike, threshold: float, rows: int, bands: int) -> tuple[float, float]:
    """Return the expected (false negatives, false positives) among pairs of the given similarities.

    A pair at or above `threshold` that is no candidate is a false negative; one below it that is a candidate
    is a false positive, which verification by exact similarity removes and only costs time (MMDS, 3.4.3).
    """
    s = np.atleast_1d(within("similarities", similarities, 0.0, 1.0))
    duplicate = s >= float(within("threshold", threshold, 0.0, 1.0))
    chance = lsh_candidate_probability(s, rows, bands)
    return float((1.0 - chance[duplicate]).sum()), float(chance[~duplicate].sum())


def minhash_standard_error(similarity: ArrayLike, hashes: int) -> Floats:
    """Return sqrt(s (1 - s) / n), the standard error of a Jaccard similarity estimated from n MinHashes.

    Each of the n comparisons is a Bernoulli trial of chance s. Source: Broder, "On the resemblance and
    containment of documents", SEQUENCES 1997.
    """
    s = within("similarity", similarity, 0.0, 1.0)
    return np.asarray(np.sqrt(s * (1.0 - s) / at_least("hashes", hashes, 1.0)))


def bloom_bits_per_key(false_positive_rate: ArrayLike) -> Floats:
    """Return log2(1/p) / ln 2 = 1.44 log2(1/p): the bits a key of a Bloom filter with the best hash count.

    Source: Broder and Mitzenmacher, "Network applications of Bloom filters", Internet Mathematics 1(4), 2004,
    section 2.2.
    """
    rate = within("false_positive_rate", positive("false_positive_rate", false_positive_rate), 0.0, 1.0)
    return np.asarray(-np.log2(rate) / log(2.0))


def bloom_hash_count(bits_per_key: float) -> int:
    """Return the whole number of hashes nearest to (m/n) ln 2, at least 1 (Broder and Mitzenmacher 2004)."""
    return max(1, round(float(positive("bits_per_key", bits_per_key)) * log(2.0)))


def bloom_false_positive_rate(bits: ArrayLike, keys: ArrayLike, hashes: ArrayLike) -> Floats:
    """Return (1 - e^(-k n / m))^k: the chance that an absent key is reported (m bits, n keys, k hashes).

    Source: Broder and Mitzenmacher 2004, section 2.1.
    """
    m, n, k = positive("bits", bits), at_least("keys", keys, 0.0), at_least("hashes", hashes, 1.0)
    return np.asarray((-np.expm1(-k * n / m)) ** k)


def crawl_rate_pages_per_s(
    workers: ArrayLike, worker_pages_per_s: ArrayLike, hosts: ArrayLike, delay_s: ArrayLike
) -> Floats:
    """Return min(W r, H / delta): W crawlers of r pages/s on H hosts, each asked every delta seconds.

    A delay of 0 leaves min(W r, infinity). Source: the two bounds of a polite crawler (work and hosts);
    compare Lee et al., "IRLbot: scaling to 6 billion pages and beyond", WWW 2008.
    """
    work = at_least("workers", workers, 1.0) * positive("worker_pages_per_s", worker_pages_per_s)
    with np.errstate(divide="ignore", over="ignore"):
        polite = at_least("hosts", hosts, 1.0) / at_least("delay_s", delay_s, 0.0)
    return np.asarray(np.minimum(work, polite))


def crawl_time_s(pages_per_host: ArrayLike, workers: int, worker_pages_per_s: float, delay_s: float) -> float:
    """Return the least seconds to fetch every page: max(sum of n_h / (W r), the largest n_h times delta).

    The finite form of `crawl_rate_pages_per_s`: hosts run dry at different times, and the largest decides.
    """
    pages = np.atleast_1d(at_least("pages_per_host", pages_per_host, 0.0))
    rate = float(at_least("workers", workers, 1.0)) * float(positive("worker_pages_per_s", worker_pages_per_s))
    return max(float(pages.sum()) / rate, float(pages.max(initial=0.0)) * float(at_least("delay_s", delay_s, 0.0)))


def ivf_scan_fraction(probes: ArrayLike, lists: ArrayLike) -> Floats:
    """Return probes / lists, at most 1: the share of the vectors read when lists are equally long."""
    return np.asarray(np.minimum(1.0, at_least("probes", probes, 0.0) / at_least("lists", lists, 1.0)))


def ivf_distances_per_query(
    vectors: ArrayLike, probes: ArrayLike, lists: ArrayLike, imbalance: ArrayLike = 1.0
) -> Floats:
    """Return the distances a query computes: one a centroid, and the probed share of the vectors.

    `imbalance` is lists * sum(n_i^2) / N^2 >= 1: longer lists are also likelier to be probed. Source: Jegou,
    Douze and Schmid, "Product quantization for nearest neighbor search", PAMI 33(1), 2011.
    """
    share = ivf_scan_fraction(probes, lists) * at_least("imbalance", imbalance, 1.0)
    read = np.minimum(share, 1.0) * at_least("vectors", vectors, 0.0)
    return np.asarray(at_least("lists", lists, 1.0) + read)
