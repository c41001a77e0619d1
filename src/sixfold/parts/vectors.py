"""An immutable index of vectors by inner product: an exact scan, and an inverted file (IVF) for speed.

The exact scan promises the same scores and the same order for any division of the vectors. A matrix product
does not give that (its last bits depend on the shapes), so it only picks candidates, with a margin that its
rounding cannot exceed; each candidate is then scored by `pair_scores`, whose bits depend on the pair alone.

Array legend: n vectors, q queries, d dimensions, k results, c candidates.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError, InputError, first_line
from sixfold.files import replace_json
from sixfold.parts.ivf import Ivf

__all__ = ["ANN_MINIMUM", "VectorIndex", "fewest_probes", "pair_scores", "recall", "tune"]

Vectors = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

FORMAT = "sixfold-vectors-1"
ANN_MINIMUM = 4_096  # vectors; an exact scan of fewer takes about a millisecond
BLOCK_ROWS = 16_384  # vectors that are scored at once by the exact scan
_LARGEST_SCORE = 1e37  # a matrix product of single precision must not overflow
_PAIR_VALUES = 1 << 19  # products that `pair_scores` holds at once, in double precision


class VectorIndex:
    """Vectors 0..n-1, in memory or mapped from a folder; never changed once built."""

    def __init__(self, vectors_nd: Vectors, longest: float, ivf: Ivf | None) -> None:
        self.vectors = vectors_nd
        self.longest = longest  # the largest Euclidean norm among the vectors
        self._ivf = ivf

    @classmethod
    def build(cls, vectors_nd: Vectors, *, ann_minimum: int = ANN_MINIMUM, seed: int = 0) -> VectorIndex:
        """Index vectors [n, d] float32; from `ann_minimum` of them on with an IVF of 4 sqrt(n) lists.

        The array is kept, not copied (a mapped one stays on disk); the IVF holds a copy in bfloat16. The same
        vectors give the same bytes. Raises ConfigError: not [n, d], or not finite.
        """
        if vectors_nd.ndim != 2 or vectors_nd.shape[1] == 0 or vectors_nd.dtype != np.float32:
            raise ConfigError(f"got {vectors_nd.dtype} {vectors_nd.shape}, expected float32 of shape [n, d]")
        longest = 0.0
        for _, block_nd in _blocks(vectors_nd):
            squares = np.square(block_nd, dtype=np.float64).sum(axis=1)
            if not np.isfinite(squares).all():
                raise ConfigError("a vector has a value that is not finite; embed its text again")
            longest = max(longest, math.sqrt(float(squares.max())))
        ivf = Ivf.build(vectors_nd, seed) if len(vectors_nd) >= max(1, ann_minimum) else None
        return cls(vectors_nd, longest, ivf)

    def save(self, folder: str | Path, *, with_vectors: bool = True) -> None:
        """Write the index into a folder; `with_vectors=False` when they are its `vectors.npy` already."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if with_vectors:
            np.save(folder / "vectors.npy", self.vectors, allow_pickle=False)
        if self._ivf is not None:
            self._ivf.save(folder / "ivf.faiss")
        meta = {"format": FORMAT, "vectors": len(self), "dimension": self.dimension, "longest": self.longest}
        replace_json(folder / "vectors.json", {**meta, "lists": self.lists})

    @classmethod
    def load(cls, folder: str | Path, *, in_memory: bool = False) -> VectorIndex:
        """Map an index from its folder, or read all of it; the IVF is always read.

        Raises InputError if it is missing or damaged, MemoryError if it does not fit.
        """
        folder = Path(folder)
        try:
            meta = json.loads((folder / "vectors.json").read_text(encoding="utf-8"))
            if meta["format"] != FORMAT:
                raise ValueError(f"its format is {meta['format']!r}, expected {FORMAT!r}")
            # An empty file cannot be mapped.
            mode: Literal["r"] | None = None if in_memory or not meta["vectors"] else "r"
            vectors_nd = np.load(folder / "vectors.npy", mmap_mode=mode, allow_pickle=False)
            if vectors_nd.shape != (meta["vectors"], meta["dimension"]) or vectors_nd.dtype != np.float32:
                raise ValueError("its vectors are not those it was saved with")
            n, d = vectors_nd.shape
            ivf = Ivf.load(folder / "ivf.faiss", n, d, meta["lists"]) if meta["lists"] else None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise InputError(f"not a whole vector index ({first_line(error)}); build it again", path=folder) from error
        return cls(vectors_nd, float(meta["longest"]), ivf)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])

    @property
    def lists(self) -> int:
        """Lists of the IVF, the most that `probes` can usefully be; 0 if there is none."""
        return self._ivf.lists if self._ivf is not None else 0

    def search(
        self, queries_qd: Vectors, k: int, probes: int | None = None, mask: Mask | None = None
    ) -> tuple[Vectors, Positions]:
        """Scores [q, k] float32 and positions [q, k], best first, ties by position; -inf and -1 at the end.

        probes: None scans everything, exactly; otherwise the lists of the IVF to look into (an index without
        one is scanned). mask: [n] True where the vector may be found.
        Where the lists have fewer than k, or the mask leaves little, the scan steps in: k are found if there
        are k.
        Raises ConfigError if a shape or a number does not fit.
        """
        queries_qd = np.ascontiguousarray(queries_qd, dtype=np.float32)
        if queries_qd.ndim != 2 or queries_qd.shape[1] != self.dimension:
            raise ConfigError(f"got queries of shape {queries_qd.shape}, expected [q, {self.dimension}]")
        if not np.isfinite(queries_qd).all():
            raise ConfigError("a query has a value that is not finite")
        if k < 1 or (probes is not None and probes < 1):
            raise ConfigError(f"got k={k}, probes={probes}, expected at least 1")
        if mask is not None and mask.shape != (len(self),):
            raise ConfigError(f"got a mask of shape {mask.shape}, expected [{len(self)}]")
        allowed = len(self) if mask is None else int(np.count_nonzero(mask))
        if self._ivf is None or probes is None or allowed * self.lists <= len(self) * probes:
            return self._scan(queries_qd, k, mask)
        scores_qk, positions_qk = self._probe(self._ivf, queries_qd, k, probes, mask)
        short = np.flatnonzero(positions_qk[:, min(k, allowed) - 1] < 0)
        if len(short):
            scores_qk[short], positions_qk[short] = self._scan(queries_qd[short], k, mask)
        return scores_qk, positions_qk

    def _probe(
        self, ivf: Ivf, queries_qd: Vectors, k: int, probes: int, mask: Mask | None
    ) -> tuple[Vectors, Positions]:
        # The lists hold rounded copies: take some more than k, and score them as the scan does.
        positions_qc = ivf.candidates(queries_qd, k + max(2, k // 8), probes, mask)
        scores_qc = pair_scores(queries_qd, self.vectors, np.maximum(positions_qc, 0))
        scores_qc[positions_qc < 0] = -np.inf
        best_qk = np.lexsort((positions_qc, -scores_qc), axis=1)[:, :k]
        return np.take_along_axis(scores_qc, best_qk, axis=1), np.take_along_axis(positions_qc, best_qk, axis=1)

    def _scan(self, queries_qd: Vectors, k: int, mask: Mask | None) -> tuple[Vectors, Positions]:
        # |fl(x.y) - x.y| <= d u / (1 - d u) |x| |y| with u = 2^-24, in any order of summation (Higham,
        # "Accuracy and Stability of Numerical Algorithms", 2002, eq. 3.5); doubled, which also covers the
        # rounding of the final scores. Two scores that far apart cannot change places.
        norms_q = np.sqrt(np.square(queries_qd, dtype=np.float64).sum(axis=1))
        if float(norms_q.max(initial=0.0)) * self.longest > _LARGEST_SCORE:
            raise ConfigError("the vectors are too long for single precision; scale them to unit length")
        margins_q = 2 * (self.dimension + 4) * 2.0**-23 * norms_q * self.longest
        candidates = [_Candidates(k, float(margin)) for margin in margins_q]
        for first, block_nd in _blocks(self.vectors):
            rows = None
            if mask is not None:
                allowed = mask[first : first + len(block_nd)]
                if not allowed.all():
                    rows = np.flatnonzero(allowed)
                    block_nd = block_nd[rows]
                    if not len(rows):
                        continue
            rough_qn = queries_qd @ block_nd.T
            for rough_n, found in zip(rough_qn, candidates, strict=True):
                found.offer(rough_n, first, rows)
        scores_qk = np.full((len(queries_qd), k), -np.inf, dtype=np.float32)
        positions_qk = np.full((len(queries_qd), k), -1, dtype=np.int64)
        for at, found in enumerate(candidates):
            positions_c = found.positions
            scores_c = pair_scores(queries_qd[at : at + 1], self.vectors, positions_c[None, :])[0]
            best = np.lexsort((positions_c, -scores_c))[:k]
            scores_qk[at, : len(best)], positions_qk[at, : len(best)] = scores_c[best], positions_c[best]
        return scores_qk, positions_qk


class _Candidates:
    """The positions of one query whose rough score is within the margin of the k-th best so far."""

    def __init__(self, k: int, margin: float) -> None:
        self._k, self._margin = k, margin
        self._threshold = -math.inf
        self._rough = np.empty(0, dtype=np.float32)
        self.positions: Positions = np.empty(0, dtype=np.int64)

    def offer(self, rough_n: Vectors, first: int, rows: Positions | None) -> None:
        """Scores of the positions first + (0, 1, ...) or first + rows."""
        at = np.flatnonzero(rough_n >= self._threshold)
        if not len(at):
            return
        self._rough = np.concatenate([self._rough, rough_n[at]])
        self.positions = np.concatenate([self.positions, first + (at if rows is None else rows[at])])
        if len(self._rough) > self._k:
            cut = len(self._rough) - self._k
            # In double precision: rounded up, the threshold would cost a candidate.
            self._threshold = float(np.partition(self._rough, cut)[cut]) - self._margin
            keep = self._rough >= self._threshold
            self._rough, self.positions = self._rough[keep], self.positions[keep]


def pair_scores(queries_qd: Vectors, vectors_nd: Vectors, positions_qc: Positions) -> Vectors:
    """Inner products [q, c] float32 of each query with the vectors at its positions.

    The products are exact in double precision and are added in one fixed tree by element-wise additions,
    so a score depends on its two vectors only: not on q, c or n, or on where the vectors lie.
    """
    q, c = positions_qc.shape
    d = queries_qd.shape[1]
    scores_p = np.empty(q * c, dtype=np.float32)  # one place a pair
    positions_p = positions_qc.reshape(-1)
    step = max(1, _PAIR_VALUES // d)
    for first in range(0, q * c, step):
        pairs = slice(first, first + step)
        terms_pd = vectors_nd[positions_p[pairs]].astype(np.float64)
        terms_pd *= queries_qd[np.arange(first, first + len(terms_pd)) // c]
        width = d
        while width > 1:
            half = width // 2
            terms_pd[:, :half] += terms_pd[:, half : 2 * half]
            if width % 2:
                terms_pd[:, half] = terms_pd[:, width - 1]
            width = half + width % 2
        scores_p[pairs] = terms_pd[:, 0]
    return scores_p.reshape(q, c)


def recall(found_qk: npt.NDArray[Any], exact_qk: npt.NDArray[Any]) -> float:
    """The mean share of each query's exact results that were found; missing ones (-1 or b"") do not count."""
    missing = exact_qk.dtype.type(-1) if exact_qk.dtype.kind == "i" else exact_qk.dtype.type()
    shares = []
    for found, exact in zip(found_qk, exact_qk, strict=True):
        wanted = set(exact.tolist()) - {missing}
        shares.append(len(wanted & set(found.tolist())) / len(wanted) if wanted else 1.0)
    return float(np.mean(shares)) if shares else 1.0


def tune(index: VectorIndex, queries_qd: Vectors, k: int, target_recall: float) -> int:
    """The smallest number of probes whose recall@k on sample queries reaches the target; see `fewest_probes`.

    Use queries like those that will be asked and none that will be scored.
    """
    _, exact_qk = index.search(queries_qd, k)

    def recall_at(probes: int) -> float:
        return recall(index.search(queries_qd, k, probes=probes)[1], exact_qk)

    return fewest_probes(recall_at, target_recall, max(1, index.lists))


def fewest_probes(recall_at: Callable[[int], float], target_recall: float, most: int) -> int:
    """A number of probes, at most 1/32 above the smallest of 1..`most`, whose recall reaches the target.

    Looking into more lists loses nothing, so it is found by doubling, since few usually suffice, and bisection;
    `most` if none reaches it. Raises ConfigError if the target is not in (0, 1].
    """
    if not 0 < target_recall <= 1:
        raise ConfigError(f"got target_recall={target_recall}, expected above 0 and at most 1")
    low, high = 1, 1
    while high < most and recall_at(high) < target_recall:
        low, high = high + 1, min(2 * high, most)
    while high - low > high // 32:
        middle = (low + high) // 2
        low, high = (low, middle) if recall_at(middle) >= target_recall else (middle + 1, high)
    return high


def _blocks(vectors_nd: Vectors) -> Iterator[tuple[int, Vectors]]:
    for first in range(0, len(vectors_nd), BLOCK_ROWS):
        yield first, np.asarray(vectors_nd[first : first + BLOCK_ROWS])
