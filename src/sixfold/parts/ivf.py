"""An inverted file over vectors by inner product: faiss's lists, with rounded copies of the vectors in them.

It proposes candidates; whoever holds the vectors scores them. Jégou, Douze & Schmid, "Product quantization
for nearest neighbor search", TPAMI 2011, section 4 (the coarse quantizer); docs/decisions/0005 has the choices.

Array legend: n vectors, q queries, d dimensions, l lists, p probed lists, c candidates.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sixfold.errors import PrerequisiteError

__all__ = ["Ivf"]

Vectors = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_TRAIN_PER_LIST = 48  # vectors a centroid is trained on; more was not seen to help
_TRAIN_ROUNDS = 8
_ADD_ROWS = 16_384


class Ivf:
    """About 4 sqrt(n) lists of vectors 0..n-1 in bfloat16: half the memory and 1.3 times the speed of float32."""

    def __init__(self, index: Any) -> None:
        self._index = index
        # One matrix product with these is 3 times as fast as asking faiss's flat index for the nearest.
        self._centroids_dl: Vectors = np.ascontiguousarray(index.quantizer.reconstruct_n(0, index.nlist).T)

    @classmethod
    def build(cls, vectors_nd: Vectors, seed: int = 0) -> Ivf:
        """Cluster and add vectors [n, d]; the same vectors give the same bytes."""
        from threadpoolctl import threadpool_limits

        faiss = _faiss()
        n, d = vectors_nd.shape
        lists = max(1, min(round(4 * math.sqrt(n)), n // 4))
        sample = np.random.default_rng(seed).choice(n, size=min(n, lists * _TRAIN_PER_LIST), replace=False)
        sample.sort()
        index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(d), d, lists, faiss.ScalarQuantizer.QT_bf16, faiss.METRIC_INNER_PRODUCT, False
        )
        index.cp.seed = seed + 1
        index.cp.niter = _TRAIN_ROUNDS
        index.cp.min_points_per_centroid = 1
        # The lists are cells of directions: without this, long centroids of an inner product would take all.
        index.cp.spherical = True
        with threadpool_limits(1):  # sums that several threads share may be added in another order
            index.train(np.ascontiguousarray(vectors_nd[sample]))
            for first in range(0, n, _ADD_ROWS):
                index.add(np.ascontiguousarray(vectors_nd[first : first + _ADD_ROWS]))
        return cls(index)

    def save(self, path: Path) -> None:
        _faiss().write_index(self._index, str(path))

    @classmethod
    def load(cls, path: Path, n: int, d: int, lists: int) -> Ivf:
        """Read an index. Raises ValueError or RuntimeError if it is damaged or of another shape."""
        index = _faiss().read_index(str(path))
        if (index.ntotal, index.d, index.nlist) != (n, d, lists):
            raise ValueError("its files do not fit together")
        return cls(index)

    @property
    def lists(self) -> int:
        return int(self._index.nlist)

    def candidates(self, queries_qd: Vectors, c: int, probes: int, mask: Mask | None) -> Positions:
        """Positions [q, c] of the c best by rounded score in the `probes` nearest lists; -1 where there are fewer.

        queries_qd: contiguous. mask: [n] True where the vector may be found.
        """
        faiss = _faiss()
        q = len(queries_qd)
        probes = min(probes, self.lists)
        rough_ql = queries_qd @ self._centroids_dl
        lists_qp = np.argpartition(rough_ql, self.lists - probes, axis=1)[:, self.lists - probes :]
        rough_qp = np.take_along_axis(rough_ql, lists_qp, axis=1)
        lists_qp = np.ascontiguousarray(lists_qp, dtype=np.int64)
        options: dict[str, Any] = {"nprobe": probes}
        bits = None if mask is None else np.packbits(mask, bitorder="little")  # faiss keeps only a pointer
        if bits is not None:
            options["sel"] = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        rounded_qc = np.empty((q, c), dtype=np.float32)
        positions_qc = np.empty((q, c), dtype=np.int64)
        # The plain binding: the Python wrapper of this method takes no parameters.
        self._index.search_preassigned_c(
            q,
            *map(faiss.swig_ptr, (queries_qd,)),
            c,
            *map(faiss.swig_ptr, (lists_qp, rough_qp, rounded_qc, positions_qc)),
            False,
            faiss.SearchParametersIVF(**options),
        )
        return positions_qc


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise PrerequisiteError("the vector index needs faiss-cpu; run `make setup`") from error
    return faiss
