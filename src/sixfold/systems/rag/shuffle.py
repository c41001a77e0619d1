"""Tables on disk cut by a partition number: a writer makes one file, a reader maps its slice of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["read_slices", "write_slices"]

EDGES = b"edges"


def write_slices(table: pa.Table, partitions: NDArray[np.integer], n_partitions: int, path: Path) -> None:
    """Write the rows sorted by partition, else in their order, with the edges of the partitions."""
    order = np.argsort(partitions, kind="stable")
    edges = np.searchsorted(partitions[order], np.arange(n_partitions + 1))
    schema = table.schema.with_metadata({EDGES: json.dumps(edges.tolist())})
    unfinished = path.with_name(path.name + ".unfinished")
    with pa.OSFile(str(unfinished), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_table(table.take(pa.array(order)).replace_schema_metadata(schema.metadata))
    unfinished.replace(path)


def read_slices(paths: Sequence[Path], partition: int) -> pa.Table:
    """The rows of one partition from every file, in the order of the files; nothing else is read."""
    slices = []
    for path in paths:
        with pa.memory_map(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
        edges = json.loads(table.schema.metadata[EDGES])
        slices.append(table.slice(edges[partition], edges[partition + 1] - edges[partition]))
    return pa.concat_tables([s.replace_schema_metadata(None) for s in slices]).combine_chunks()
