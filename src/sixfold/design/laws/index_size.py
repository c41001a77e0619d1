"""Laws of the size of an index of vectors, by kind, and of what it takes to build."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "disk_graph_bytes",
    "flat_bytes",
    "graph_build_flop",
    "hnsw_bytes",
    "ivf_build_flop",
    "ivf_flat_bytes",
    "ivf_pq_bytes",
    "ivf_sq8_bytes",
    "usual_lists",
    "vamana_bytes",
]

_ID_BYTES = 8.0
_LINK_BYTES = 4.0
_SECTOR_BYTES = 4096.0


def flat_bytes(vectors: ArrayLike, dimension: ArrayLike, number_bytes: ArrayLike = 4.0) -> Floats:
    """Return the bytes of vectors as they are: N d b. Source: a count."""
    each = at_least("dimension", dimension, 1.0) * positive("number_bytes", number_bytes)
    return np.asarray(at_least("vectors", vectors, 0.0) * each)


def ivf_flat_bytes(vectors: ArrayLike, dimension: ArrayLike, lists: ArrayLike, number_bytes: ArrayLike = 4.0) -> Floats:
    """Return the bytes of an inverted file of vectors as they are: N (d b + 8) and a centroid of 4 d bytes a list.

    Source: Sivic and Zisserman, ICCV 2003; a count, with identities of 8 bytes (Douze et al., "The Faiss library",
    2024).
    """
    whole = flat_bytes(vectors, dimension, number_bytes) + at_least("vectors", vectors, 0.0) * _ID_BYTES
    return np.asarray(whole + flat_bytes(at_least("lists", lists, 1.0), dimension))


def ivf_sq8_bytes(vectors: ArrayLike, dimension: ArrayLike, lists: ArrayLike) -> Floats:
    """Return the bytes of an inverted file with one byte a number: N (d + 8), centroids, and a range a number.

    Source: Douze et al. 2024 (scalar quantiser).
    """
    ranges = 8.0 * at_least("dimension", dimension, 1.0)
    return np.asarray(ivf_flat_bytes(vectors, dimension, lists, 1.0) + ranges)


def ivf_pq_bytes(
    vectors: ArrayLike,
    dimension: ArrayLike,
    lists: ArrayLike,
    code_bytes: ArrayLike,
    *,
    part_bits: ArrayLike = 8.0,
    coarse_links: ArrayLike = 0.0,
    block: ArrayLike = 1.0,
) -> Floats:
    """Return the bytes of an inverted file of product codes: N (m + 8), centroids, their links, the codebooks.

    code_bytes: m, of all parts of a vector; part_bits: of one of them; coarse_links: M of an HNSW graph over the
    centroids, 0 for none; block: codes that a scan takes at once, to which lists are filled up (32 of fast scans).
    Source: Jegou, Douze and Schmid 2011, table II; Douze et al. 2024.
    """
    code = positive("code_bytes", code_bytes)
    codes = at_least("vectors", vectors, 0.0) * (code + _ID_BYTES)
    books = np.exp2(at_least("part_bits", part_bits, 1.0)) * 4.0 * at_least("dimension", dimension, 1.0)
    c = at_least("lists", lists, 1.0)
    links = c * 2.0 * at_least("coarse_links", coarse_links, 0.0) * _LINK_BYTES
    filling = c * code * (at_least("block", block, 1.0) - 1.0) / 2.0
    return np.asarray(codes + flat_bytes(c, dimension) + links + books + filling)


def hnsw_bytes(vectors: ArrayLike, dimension: ArrayLike, links: ArrayLike, number_bytes: ArrayLike = 4.0) -> Floats:
    """Return the bytes of an HNSW graph over vectors: N (d b + 8 + 4 (2 M + M / (M - 1))).

    links: M; 2 M on the ground layer and M on each of the 1 / (M - 1) layers above it that a point is in on average.
    Source: Malkov and Yashunin 2020, section 4.2.3 (memory cost), with level factor 1 / ln M.
    """
    m = at_least("links", links, 2.0)
    graph = _LINK_BYTES * (2.0 * m + m / (m - 1.0)) + _ID_BYTES
    return np.asarray(flat_bytes(vectors, dimension, number_bytes) + at_least("vectors", vectors, 0.0) * graph)


def vamana_bytes(vectors: ArrayLike, dimension: ArrayLike, degree: ArrayLike, number_bytes: ArrayLike = 4.0) -> Floats:
    """Return the bytes of a flat graph of at most R links over vectors in memory: N (d b + 4 (R + 1)).

    Source: Subramanya et al., "DiskANN", NeurIPS 2019, section 3.2 (a block of R identities, padded, and its length).
    """
    links = _LINK_BYTES * (at_least("degree", degree, 1.0) + 1.0)
    return np.asarray(flat_bytes(vectors, dimension, number_bytes) + at_least("vectors", vectors, 0.0) * links)


def disk_graph_bytes(
    vectors: ArrayLike,
    dimension: ArrayLike,
    degree: ArrayLike,
    code_bytes: ArrayLike,
    *,
    number_bytes: ArrayLike = 4.0,
    cached_share: ArrayLike = 0.0,
) -> tuple[Floats, Floats]:
    """Return the bytes of memory and of disk of a graph that is searched on disk.

    In memory a code of each vector and the cached share of the nodes; on disk each node's vector and links, as many as
    fit in a sector of 4096 bytes, or several sectors a node. Source: Subramanya et al. 2019, sections 3.2 to 3.5.
    """
    n = at_least("vectors", vectors, 0.0)
    node = positive("number_bytes", number_bytes) * at_least("dimension", dimension, 1.0)
    node = node + _LINK_BYTES * (at_least("degree", degree, 1.0) + 1.0)
    in_sector = np.floor(_SECTOR_BYTES / node)
    sectors = np.where(in_sector >= 1.0, np.ceil(n / np.maximum(in_sector, 1.0)), n * np.ceil(node / _SECTOR_BYTES))
    memory = n * (positive("code_bytes", code_bytes) + within("cached_share", cached_share, 0.0, 1.0) * node)
    return np.asarray(memory), np.asarray(sectors * _SECTOR_BYTES)


def usual_lists(vectors: ArrayLike) -> Floats:
    """Return the inverted lists that are usual for so many vectors: 4 to 16 sqrt(N) below a million, then steps.

    2^16 to 10 million, 2^18 to 100 million, 2^20 from there to a billion and more. Source: Faiss wiki, "Guidelines to
    choose an index".
    """
    n = at_least("vectors", vectors, 1.0)
    few = np.exp2(np.round(np.log2(8.0 * np.sqrt(n))))
    return np.asarray(np.where(n < 1e6, few, np.where(n <= 1e7, 2.0**16, np.where(n <= 1e8, 2.0**18, 2.0**20))))


def ivf_build_flop(
    vectors: ArrayLike,
    dimension: ArrayLike,
    lists: ArrayLike,
    *,
    training_vectors: ArrayLike | None = None,
    rounds: ArrayLike = 20.0,
    code_values: ArrayLike = 0.0,
) -> Floats:
    """Return the FLOP to train and fill an inverted file: 2 d (rounds t c + N c + N values).

    training_vectors: t, 64 a list if None, at most N; every vector is compared with all centroids, and to be coded
    with all values (2^bits) of each part of the product code. With a graph over the centroids the second term shrinks
    to that of its searches. Source: Lloyd's iteration; Jegou et al. 2011, section II.A.
    """
    n, c = at_least("vectors", vectors, 0.0), at_least("lists", lists, 1.0)
    given = 64.0 * c if training_vectors is None else at_least("training_vectors", training_vectors, 1.0)
    compared = at_least("rounds", rounds, 1.0) * np.minimum(given, n) * c + n * c
    coded = n * at_least("code_values", code_values, 0.0)
    return np.asarray(2.0 * at_least("dimension", dimension, 1.0) * (compared + coded))


def graph_build_flop(
    vectors: ArrayLike,
    dimension: ArrayLike,
    degree: ArrayLike,
    build_list: ArrayLike,
    *,
    passes: ArrayLike = 1.0,
    new_share: ArrayLike = 0.5,
) -> Floats:
    """Return the FLOP to build a graph by inserting points one after another: 2 d N passes (ef R new + R^2).

    Each point is searched for with a list of ef, and its R links and those of its neighbours are pruned; the way in is
    left out. Source: Malkov and Yashunin 2020, section 4.2.2; Subramanya et al. 2019, algorithm 3 (two passes).
    """
    r = at_least("degree", degree, 1.0)
    searched = at_least("build_list", build_list, 1.0) * r * within("new_share", new_share, 0.0, 1.0)
    each = at_least("passes", passes, 1.0) * (searched + r**2)
    return np.asarray(2.0 * at_least("dimension", dimension, 1.0) * at_least("vectors", vectors, 0.0) * each)
