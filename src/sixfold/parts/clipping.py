"""No record counts for more than a bound: rows cut to a norm, and what that means for a sum in whole numbers."""

# Shapes: N records, D numbers of each.

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError

__all__ = ["clip_rows", "integer_sensitivity"]

Floats = NDArray[np.float64]


def clip_rows(G_ND: Floats, norm: float) -> tuple[Floats, float]:
    """The rows, those longer than `norm` in L2 scaled down to it, and the share of rows that were; 0 of none.

    The share depends on the records: it is for their holder, and leaves only with noise of its own. Raises ConfigError
    for a norm that bounds nothing, InputError for a row whose length is not finite: scaling would not bound it. Source:
    Abadi et al., "Deep learning with differential privacy", CCS 2016, algorithm 1.
    """
    if not 0 < norm < math.inf:
        raise ConfigError(f"got a clipping norm of {norm:g}, expected above 0 and finite")
    with np.errstate(over="ignore"):
        norms_N = np.linalg.norm(G_ND, axis=1)
    if not np.isfinite(norms_N).all():
        row = int(np.flatnonzero(~np.isfinite(norms_N))[0])
        raise InputError(f"row {row} has the length {norms_N[row]:g}: expected finite numbers")
    return G_ND * (norm / np.maximum(norms_N, norm))[:, np.newaxis], float((norms_N > norm).sum() / max(len(G_ND), 1))


def integer_sensitivity(clip: float, scale: float, dimensions: int) -> float:
    """How far one record, added or removed, can move a rounded sum in L2 norm, in units: clip x scale + sqrt(D).

    The sum of clipped rows is scaled and rounded once. One row more moves what is rounded by at most clip x scale, and
    |round(a + b) - round(a)| <= |b| + 1 in each of D coordinates; the triangle inequality gives the bound. Were each
    row rounded by itself, half of the second term would do: |round(b)| <= |b| + 1/2. The order of float64 additions
    moves a sum of N rows by a share of N^2 2^-52 of the first term at most: 2e-8 for ten thousand rows.
    """
    return clip * scale + math.sqrt(dimensions)
