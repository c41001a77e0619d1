"""Reading single columns and rows of the Parquet parts of a corpus, a row group at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sixfold.errors import InputError
from sixfold.systems.rag.duplicates import Rows
from sixfold.systems.rag.shingles import shingles

__all__ = ["Parts"]

T = TypeVar("T")

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
        """Some columns of ascending rows of a part, reading only the row groups they lie in."""
        with self._opened(part) as file:
            taken = [file.schema_arrow.empty_table().select(columns)]
            start = 0
            for group in range(file.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                low, high = np.searchsorted(rows, [start, end])
                if low < high:
                    here = pa.array(rows[low:high] - start)
                    taken.append(file.read_row_group(group, columns=columns).take(here))
                start = end
            return pa.concat_tables(taken)

    def names(self, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], tuple[str, str]]:
        """The URLs of documents at (part, row), and where they come from as "file:offset"."""
        found: dict[tuple[int, int], tuple[str, str]] = {}
        for part, rows in _by_part(places):
            taken = self.take(part, rows, ["url", "source_file", "source_offset"]).to_pylist()
            told = [(t["url"], f"{t['source_file']}:{t['source_offset']}") for t in taken]
            found.update(_keyed(part, rows, told))
        return found

    def shingles(self, pairs: pa.Table) -> dict[tuple[int, int], NDArray[np.uint64]]:
        """The shingles of every document in some pairs; of the texts one row group at a time is held."""
        later = zip(pairs["part"].to_pylist(), pairs["row"].to_pylist(), strict=True)
        kept = zip(pairs["kept_part"].to_pylist(), pairs["kept_row"].to_pylist(), strict=True)
        found: dict[tuple[int, int], NDArray[np.uint64]] = {}
        for part, rows in _by_part([*later, *kept]):
            texts = self.take(part, rows, ["text"])["text"]
            found.update(_keyed(part, rows, (shingles(text.as_py()) for text in texts)))
        return found

    @contextmanager
    def _opened(self, part: int) -> Iterator[pq.ParquetFile]:
        path = self.paths[part]
        try:
            with pq.ParquetFile(path) as file:
                yield file
        except (OSError, pa.ArrowException, KeyError) as error:
            raise InputError(f"not a part of documents: {str(error)[:200]}", path=path) from None


def _by_part(places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    distinct = np.array(sorted(set(places)), np.int64).reshape(-1, 2)
    for part in np.unique(distinct[:, 0]).tolist():
        yield part, distinct[distinct[:, 0] == part, 1]


def _keyed(part: int, rows: NDArray[np.int64], values: Iterable[T]) -> dict[tuple[int, int], T]:
    return {(part, row): value for row, value in zip(rows.tolist(), values, strict=True)}
