"""Reading single columns and rows of the Parquet parts of a corpus, a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sixfold.errors import InputError
from sixfold.systems.rag.duplicates import Rows

__all__ = ["Parts"]

PUBLISHED = -(1 << 62)  # ranks of published rows begin here, below every order


@dataclass(frozen=True)
class Parts:
    """The parts of a corpus by number, the published ones first."""

    paths: list[Path]
    n_published: int

    def n_rows(self, part: int) -> int:
        """Documents of a part, from its footer."""
        with self._opened(part) as file:
            return int(file.metadata.num_rows)

    def batches(
        self, part: int, columns: list[str], without: NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Rows, pa.Table]]:
        """The rows of a part and some of their columns, a row group at a time; `without` some rows."""
        with self._opened(part) as file:
            start = 0
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=[*columns, "order"])
                row = np.arange(start, start + len(table), dtype=np.int64)
                start += len(table)
                order = table["order"].to_numpy()
                rank = PUBLISHED + (part << 32) + row if part < self.n_published else order
                rows = Rows(rank, np.full(len(row), part, np.int64), row)
                if without is not None and len(without):
                    kept = np.flatnonzero(~np.isin(row, without))
                    rows, table = rows.take(kept), table.take(pa.array(kept))
                if len(table):
                    yield rows, table

    def take(self, part: int, rows: NDArray[np.int64], columns: list[str]) -> pa.Table:
        """Some columns of ascending rows of a part."""
        with self._opened(part) as file:
            nothing = file.schema_arrow.empty_table().select(columns)
        return pa.concat_tables([nothing, *(table for _, table in self.take_groups(part, rows, columns))])

    def take_groups(
        self, part: int, rows: NDArray[np.int64], columns: list[str]
    ) -> Iterator[tuple[NDArray[np.int64], pa.Table]]:
        """Ascending rows of a part and some of their columns, by row group; only those they lie in are read."""
        if not len(rows):
            return
        with self._opened(part) as file:
            start = 0
            for group in range(file.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                low, high = np.searchsorted(rows, [start, end])
                if low < high:
                    here = rows[low:high]
                    yield here, file.read_row_group(group, columns=columns).take(pa.array(here - start))
                start = end

    @contextmanager
    def _opened(self, part: int) -> Iterator[pq.ParquetFile]:
        path = self.paths[part]
        try:
            with pq.ParquetFile(path) as file:
                yield file
        except (OSError, pa.ArrowException, KeyError) as error:
            raise InputError(f"not a part of documents: {str(error)[:200]}", path=path) from None
