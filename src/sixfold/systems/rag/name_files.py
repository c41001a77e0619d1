"""What documents are called, by part and row: a file a part, mapped when asked, so that a few names cost little.

Every part that drops documents names those it kept instead, and they lie in any other part: opening Parquet for
each of these pairs took longer than all the comparing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["NAME_COLUMNS", "read_names", "write_names"]

NAME_COLUMNS = ["url", "source_file", "source_offset"]
SCHEMA = pa.schema(
    [("row", pa.int64()), ("url", pa.string()), ("source_file", pa.string()), ("source_offset", pa.int64())]
)


def write_names(batches: Iterable[tuple[NDArray[np.int64], pa.Table]], path: Path) -> None:
    """Write rows, ascending over all batches, with tables of their `NAME_COLUMNS`."""
    unfinished = path.with_name(path.name + ".unfinished")
    tables = [batch.add_column(0, "row", pa.array(rows)).cast(SCHEMA) for rows, batch in batches]
    with pa.OSFile(str(unfinished), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        writer.write_table(pa.concat_tables([SCHEMA.empty_table(), *tables]).combine_chunks())
    unfinished.replace(path)


def read_names(paths: list[Path], places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], tuple[str, str]]:
    """(part, row) -> the URL of a document, and where it comes from as "file:offset". `paths` are by part.

    Raises KeyError for a row that was not written.
    """
    found: dict[tuple[int, int], tuple[str, str]] = {}
    distinct = np.array(sorted(set(places)), np.int64).reshape(-1, 2)
    for part in np.unique(distinct[:, 0]).tolist():
        rows = distinct[distinct[:, 0] == part, 1]
        with pa.memory_map(str(paths[part])) as file:
            table = pa.ipc.open_file(file).read_all()
            written = table["row"].to_numpy()
            at = np.searchsorted(written, rows)
            if np.any(at == len(written)) or np.any(written[at] != rows):
                raise KeyError(f"rows of part {part} without a name")
            told = table.take(pa.array(at)).to_pylist()
        for row, one in zip(rows.tolist(), told, strict=True):
            found[part, row] = (one["url"], f"{one['source_file']}:{one['source_offset']}")
    return found
