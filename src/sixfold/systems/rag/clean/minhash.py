"""MinHash signatures (Broder 1997) and the bands they are cut into for locality-sensitive hashing.

Shapes: D documents, P permutations, B bands of R rows, P = B R.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from sixfold.systems.rag.shingles import shingles

__all__ = ["BANDS", "PERMUTATIONS", "ROWS", "SEED", "band_hashes", "signature"]

BANDS, ROWS = 14, 8  # as FineWeb: a pair of Jaccard 0.8 meets in some band with probability 0.92
PERMUTATIONS = BANDS * ROWS
SEED = 20_240_625
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def signature(text: str) -> bytes:
    """P little-endian uint32, the least hash under each permutation; empty for a text without words."""
    hashes = shingles(text)
    if not len(hashes):
        return b""
    ends = np.array([0, len(hashes)], np.uint64)
    rows = RMinHash.digest_matrix_from_flat_token_hashes(hashes, ends, PERMUTATIONS, SEED).to_rows()
    return np.asarray(rows[0], "<u4").tobytes()


def band_hashes(signatures_DP: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """(D, B) One hash a band, the band's number included; equal rows have equal hashes."""
    rows_DBR = signatures_DP.reshape(len(signatures_DP), BANDS, ROWS).astype(np.uint64)
    hashes = np.broadcast_to(np.arange(1, BANDS + 1, dtype=np.uint64), rows_DBR.shape[:2])
    for r in range(ROWS):
        hashes = (hashes ^ rows_DBR[:, :, r]) * MULTIPLIER
        hashes = hashes ^ (hashes >> np.uint64(29))
    return hashes
