"""Laws of communication: what messages and collectives take over a link of start-up alpha and beta a byte."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "AlphaBeta",
    "all_gather_time_s",
    "all_reduce_time_s",
    "all_to_all_time_s",
    "broadcast_time_s",
    "compressed_time_s",
    "exposed_time_s",
    "fit_alpha_beta",
    "hierarchical_all_reduce_time_s",
    "message_time_s",
    "reduce_scatter_time_s",
    "ring_all_reduce_time_s",
    "scatter_gather_time_s",
    "tree_all_reduce_time_s",
    "two_level_bytes_per_s",
]


class AlphaBeta(NamedTuple):
    """The price of a message over a link: start-up seconds and seconds a byte."""

    alpha_s: float
    beta_s_per_byte: float

    def time_s(self, size_bytes: ArrayLike) -> Floats:
        """Return the seconds of messages of the given sizes."""
        return message_time_s(size_bytes, self.alpha_s, self.beta_s_per_byte)

    @property
    def half_bandwidth_bytes(self) -> float:
        """The message size at which half of the time is start-up (Hockney's n 1/2); infinite without beta."""
        return self.alpha_s / self.beta_s_per_byte if self.beta_s_per_byte else float("inf")


def message_time_s(size_bytes: ArrayLike, alpha_s: ArrayLike, beta_s_per_byte: ArrayLike) -> Floats:
    """Return alpha + n beta, the seconds of a message of n bytes.

    Source: Hockney, "The communication challenge for MPP", Parallel Computing 20(3), 1994.
    """
    beta = at_least("beta_s_per_byte", beta_s_per_byte, 0.0)
    return np.asarray(at_least("alpha_s", alpha_s, 0.0) + at_least("size_bytes", size_bytes, 0.0) * beta)


def scatter_gather_time_s(
    p: ArrayLike,
    request_bytes: ArrayLike,
    reply_bytes: ArrayLike,
    alpha_s: ArrayLike,
    beta_s_per_byte: ArrayLike,
) -> Floats:
    """Return the communication seconds of one request to each of `p` workers and one reply from each.

    The messages of each direction pass through the coordinator's one port, one after the other:
    p (alpha + n beta) each way, in the cost model of Thakur, Rabenseifner and Gropp, "Optimization of
    collective communication operations in MPICH", IJHPCA 19(1), 2005.
    """
    out_s = message_time_s(request_bytes, alpha_s, beta_s_per_byte)
    back_s = message_time_s(reply_bytes, alpha_s, beta_s_per_byte)
    return np.asarray(at_least("p", p, 1.0) * (out_s + back_s))


def fit_alpha_beta(sizes_bytes: ArrayLike, times_s: ArrayLike) -> AlphaBeta:
    """Fit alpha + n beta to measured messages by least squares of the relative error, neither below zero.

    Times span orders of magnitude; an absolute fit would let the noise of the largest message decide alpha.

    Raises:
        ValueError: fewer than two distinct sizes, or a time that is not positive.
    """
    sizes = np.atleast_1d(at_least("sizes_bytes", sizes_bytes, 0.0))
    times = np.atleast_1d(positive("times_s", times_s))
    if sizes.shape != times.shape or np.unique(sizes).size < 2:
        raise ValueError(f"got {sizes.size} sizes and {times.size} times, expected as many, at two sizes or more")
    scale = float(sizes.max())  # so that both columns are of one magnitude
    weighted = np.column_stack([1.0 / times, sizes / scale / times])
    alpha, slope = np.linalg.lstsq(weighted, np.ones_like(times), rcond=None)[0]
    if alpha < 0.0 or slope < 0.0:  # one parameter is zero at the constrained minimum: fit the other alone
        singles = [float(column.sum() / (column @ column)) for column in weighted.T]
        residuals = [
            float(np.sum((1.0 - column * single) ** 2)) for column, single in zip(weighted.T, singles, strict=True)
        ]
        alpha, slope = (singles[0], 0.0) if residuals[0] <= residuals[1] else (0.0, singles[1])
    return AlphaBeta(float(alpha), float(slope) / scale)


def all_gather_time_s(p: ArrayLike, size_bytes: ArrayLike, alpha_s: ArrayLike, beta_s_per_byte: ArrayLike) -> Floats:
    """Return the seconds of an all-gather over a ring: (p - 1) (alpha + n / p beta).

    size_bytes: n, what every process holds afterwards. Source: Thakur, Rabenseifner and Gropp 2005, section 4.1.
    """
    ranks = at_least("p", p, 1.0)
    share = at_least("size_bytes", size_bytes, 0.0) / ranks
    step_s = at_least("alpha_s", alpha_s, 0.0) + share * at_least("beta_s_per_byte", beta_s_per_byte, 0.0)
    return np.asarray((ranks - 1.0) * step_s)


def reduce_scatter_time_s(
    p: ArrayLike, size_bytes: ArrayLike, alpha_s: ArrayLike, beta_s_per_byte: ArrayLike
) -> Floats:
    """Return the seconds of a reduce-scatter over a ring: (p - 1) (alpha + n / p beta), the additions for nothing.

    size_bytes: n, what every process holds before. Source: Thakur, Rabenseifner and Gropp 2005, section 4.2.
    """
    return all_gather_time_s(p, size_bytes, alpha_s, beta_s_per_byte)


def ring_all_reduce_time_s(
    p: ArrayLike, size_bytes: ArrayLike, alpha_s: ArrayLike, beta_s_per_byte: ArrayLike
) -> Floats:
    """Return the seconds of an all-reduce over a ring: 2 (p - 1) (alpha + n / p beta).

    A reduce-scatter, then an all-gather: as few bytes as possible, many start-ups. Source: Patarasuk and Yuan,
    "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 69(2), 2009.
    """
    return np.asarray(2.0 * all_gather_time_s(p, size_bytes, alpha_s, beta_s_per_byte))


def tree_all_reduce_time_s(
    p: ArrayLike, size_bytes: ArrayLike, alpha_s: ArrayLike, beta_s_per_byte: ArrayLike
) -> Floats:
    """Return the seconds of an all-reduce over two binary trees: 2 (ceil(log2 p) alpha + n beta).

    Few start-ups; each process sends all of n up and receives it down, in a pipeline. Source: Sanders, Speck and
    Traeff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan", Parallel Computing 35(12), 2009.
    """
    ranks = at_least("p", p, 1.0)
    depth = np.ceil(np.log2(ranks))
    whole_s = at_least("size_bytes", size_bytes, 0.0) * at_least("beta_s_per_byte", beta_s_per_byte, 0.0)
    return np.asarray(np.where(ranks > 1.0, 2.0 * (depth * at_least("alpha_s", alpha_s, 0.0) + whole_s), 0.0))


def all_reduce_time_s(p: ArrayLike, size_bytes: ArrayLike, alpha_s: ArrayLike, beta_s_per_byte: ArrayLike) -> Floats:
    """Return the seconds of an all-reduce by ring or trees, whichever is faster, as libraries choose by size."""
    ring_s = ring_all_reduce_time_s(p, size_bytes, alpha_s, beta_s_per_byte)
    return np.asarray(np.minimum(ring_s, tree_all_reduce_time_s(p, size_bytes, alpha_s, beta_s_per_byte)))


def broadcast_time_s(p: ArrayLike, size_bytes: ArrayLike, alpha_s: ArrayLike, beta_s_per_byte: ArrayLike) -> Floats:
    """Return the seconds of a broadcast: by binomial tree, or scattered and gathered if that is faster.

    ceil(log2 p) (alpha + n beta), or (ceil(log2 p) + p - 1) alpha + 2 (p - 1) / p n beta for long messages. Source:
    Thakur, Rabenseifner and Gropp 2005, section 4.4.
    """
    ranks, size = at_least("p", p, 1.0), at_least("size_bytes", size_bytes, 0.0)
    alpha, beta = at_least("alpha_s", alpha_s, 0.0), at_least("beta_s_per_byte", beta_s_per_byte, 0.0)
    depth = np.ceil(np.log2(ranks))
    spread_s = (depth + ranks - 1.0) * alpha + 2.0 * (ranks - 1.0) / ranks * size * beta
    return np.asarray(np.minimum(depth * (alpha + size * beta), spread_s))


def all_to_all_time_s(p: ArrayLike, size_bytes: ArrayLike, alpha_s: ArrayLike, beta_s_per_byte: ArrayLike) -> Floats:
    """Return the seconds of an all-to-all by pairwise exchange: (p - 1) (alpha + n / p beta).

    size_bytes: n, what one process holds for all p together, itself included. Source: Thakur, Rabenseifner and Gropp
    2005, section 4.3 (long messages).
    """
    return all_gather_time_s(p, size_bytes, alpha_s, beta_s_per_byte)


def two_level_bytes_per_s(
    members: ArrayLike, per_node: ArrayLike, scale_up_bytes_per_s: ArrayLike, port_bytes_per_s: ArrayLike
) -> Floats:
    """Return the bytes/s of a ring through nodes whose members share fast links: min(scale-up, r x port).

    members: of the ring; per_node: r, how many of them one node holds. A ring inside one node never leaves it. In a
    ring over nodes the r members of a node enter and leave it through r ports, of `port_bytes_per_s` each. Source: the
    hierarchy that NCCL builds (Jeaugey, "NCCL 2.0", GTC 2017); members and ports as in Wang et al., "Rail-only", 2023.
    """
    size, inside = at_least("members", members, 1.0), at_least("per_node", per_node, 1.0)
    up, port = positive("scale_up_bytes_per_s", scale_up_bytes_per_s), positive("port_bytes_per_s", port_bytes_per_s)
    return np.asarray(np.where(inside >= size, up, np.minimum(up, inside * port)))


def hierarchical_all_reduce_time_s(
    per_node: ArrayLike, nodes: ArrayLike, size_bytes: ArrayLike, inner: AlphaBeta, outer: AlphaBeta
) -> Floats:
    """Return the seconds of an all-reduce in three steps: scatter in the node, reduce among nodes, gather in the node.

    Of n bytes only n / r pass each port between nodes. inner, outer: links in a node and between nodes. Source: Jia et
    al., "Highly scalable deep learning training system with mixed-precision", 2018, section 3.3.
    """
    inside = at_least("per_node", per_node, 1.0)
    up_s = reduce_scatter_time_s(inside, size_bytes, inner.alpha_s, inner.beta_s_per_byte)
    down_s = all_gather_time_s(inside, size_bytes, inner.alpha_s, inner.beta_s_per_byte)
    share = np.asarray(size_bytes, dtype=np.float64) / inside
    return np.asarray(up_s + all_reduce_time_s(nodes, share, outer.alpha_s, outer.beta_s_per_byte) + down_s)


def exposed_time_s(
    communication_s: ArrayLike, compute_s: ArrayLike, overlap: ArrayLike, contention: ArrayLike = 0.0
) -> Floats:
    """Return the seconds that communication adds to computation of which a share can run beside it.

    overlap: the share of `compute_s` during which messages may fly, 0 to 1. contention: what a second of hidden
    communication costs the computation, which loses cores and memory bandwidth to it. c - hidden + contention x hidden,
    where hidden = min(c, overlap x compute). Source: the overlap model of Rajbhandari et al., "ZeRO-Infinity", SC21,
    section 4, with the slow-down of Rashidi et al., "Enabling compute-communication overlap in distributed deep
    learning training platforms", ISCA 2021.
    """
    busy = at_least("communication_s", communication_s, 0.0)
    room = at_least("compute_s", compute_s, 0.0) * within("overlap", overlap, 0.0, 1.0)
    hidden = np.minimum(busy, room)
    return np.asarray(busy - hidden + hidden * within("contention", contention, 0.0, 1.0))


def compressed_time_s(
    plain_s: ArrayLike, size_bytes: ArrayLike, ratio: ArrayLike, codec_bytes_per_s: ArrayLike
) -> Floats:
    """Return the seconds of a collective whose messages are compressed `ratio` times, coder and decoder included.

    T / ratio + 2 n / codec: it pays where the codec is faster than about twice the link. Start-ups, which compression
    does not shrink, count as bytes; choose `plain_s` large against them. Source: Agarwal et al., "On the utility of
    gradient compression in distributed training systems", MLSys 2022, section 3.
    """
    shrunk_s = at_least("plain_s", plain_s, 0.0) / at_least("ratio", ratio, 1.0)
    codec_s = 2.0 * at_least("size_bytes", size_bytes, 0.0) / positive("codec_bytes_per_s", codec_bytes_per_s)
    return np.asarray(shrunk_s + codec_s)
