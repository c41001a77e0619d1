"""The shingles of documents that are to be compared: made once each, kept in a file a part, mapped when read.

A document that many others resemble is asked for by all of their parts; its text is read once.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sixfold.systems.rag.shingles import shingles

__all__ = ["MappedShingles", "write_shingles"]

SCHEMA = pa.schema([("row", pa.int64()), ("shingles", pa.large_list(pa.uint64()))])


def write_shingles(batches: Iterable[tuple[NDArray[np.int64], Iterable[str]]], path: Path) -> None:
    """Write the shingles of texts with their rows, ascending; one batch at a time is held in memory."""
    unfinished = path.with_name(path.name + ".unfinished")
    with pa.OSFile(str(unfinished), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        for rows, texts in batches:
            sets = [shingles(text) for text in texts]
            offsets = np.cumsum([0, *map(len, sets)], dtype=np.int64)
            lists = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(sets)))
            writer.write_batch(pa.record_batch([pa.array(rows), lists], schema=SCHEMA))
    unfinished.replace(path)


class MappedShingles:
    """(part, row) -> (S) its shingles, of one file a part; what is asked for is paged in, nothing is copied.

    Use as a context manager: arrays taken from it are not to outlive it.
    """

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths
        self._parts: dict[int, _Batches] = {}
        self._maps: list[pa.MemoryMappedFile] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.clear()
        for mapped in self._maps:
            mapped.close()

    def __getitem__(self, place: tuple[int, int]) -> NDArray[np.uint64]:
        """Raises KeyError for a row whose shingles were not written."""
        part, row = place
        if part not in self._parts:
            self._parts[part] = self._read(part)
        return self._parts[part][row]

    def _read(self, part: int) -> _Batches:
        mapped = pa.memory_map(str(self._paths[part]))
        self._maps.append(mapped)
        reader = pa.ipc.open_file(mapped)
        return _Batches([reader.get_batch(number) for number in range(reader.num_record_batches)])


class _Batches:
    """row -> shingles of one file. Only what is asked for is made an array: a part knows many, and is asked few."""

    def __init__(self, batches: list[pa.RecordBatch]) -> None:
        rows = [batch.column("row").to_numpy() for batch in batches]
        self._rows = np.concatenate([np.zeros(0, np.int64), *rows])
        self._starts = np.cumsum([0, *map(len, rows)])
        lists = [batch.column("shingles") for batch in batches]
        self._lists = [(column.offsets.to_numpy(), column.values.to_numpy()) for column in lists]

    def __getitem__(self, row: int) -> NDArray[np.uint64]:
        at = int(np.searchsorted(self._rows, row))
        if at == len(self._rows) or self._rows[at] != row:
            raise KeyError(row)
        number = int(np.searchsorted(self._starts, at, side="right")) - 1
        offsets, values = self._lists[number]
        first = at - int(self._starts[number])
        found: NDArray[np.uint64] = values[offsets[first] : offsets[first + 1]]
        return found
