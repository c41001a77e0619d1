"""Laws of communication: what messages and collectives take over a link of start-up alpha and beta a byte."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive

__all__ = ["AlphaBeta", "fit_alpha_beta", "message_time_s", "scatter_gather_time_s"]


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
