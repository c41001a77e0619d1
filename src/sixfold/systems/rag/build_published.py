"""Which documents of earlier builds are still in the index: only those can make a new one a duplicate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sixfold.systems.rag.build_folder import BuildFolder
from sixfold.systems.rag.index.manifest import read_manifest, read_tombstones
from sixfold.systems.rag.index.segment_reader import SegmentReader

__all__ = ["PublishedPart", "dropped_places", "published_parts", "write_dead_rows", "write_live_records"]

_SCHEMA = pa.schema([("doc_id", pa.string()), ("source_file", pa.string()), ("source_offset", pa.int64())])
_RECORD = _SCHEMA.names


@dataclass(frozen=True, slots=True)
class PublishedPart:
    """One part of an earlier build, the records that are live, and where its dead rows are to be written."""

    build: Path
    part: int
    live: Path
    dead: Path

    @property
    def documents(self) -> Path:
        return BuildFolder(self.build).documents(self.part)


def published_parts(before: list[BuildFolder], work: Path) -> list[PublishedPart]:
    """The parts of earlier builds in the order of their publication."""
    places = [(folder.path, part) for folder in before for part in range(len(folder.read_plan()[2]))]
    return [
        PublishedPart(build, part, work / "live.parquet", work / f"{number:06d}.npy")
        for number, (build, part) in enumerate(places)
    ]


def write_live_records(index: Path, path: Path) -> None:
    """Write which record each document of the newest generation comes from: a document and its place in the input."""
    manifest = read_manifest(index)
    tables = [_SCHEMA.empty_table()]
    for name in manifest.segments:
        gone = read_tombstones(index, manifest, name)
        reader = SegmentReader.open(index / "segments" / name)
        live, table = reader.live(gone.documents, gone.chunks), reader.table(_RECORD)
        table = table if live is None else table.filter(pa.array(live))
        tables.append(table.group_by(_RECORD).aggregate([]).select(_RECORD).cast(_SCHEMA))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.concat_tables(tables), path)


def write_dead_rows(job: PublishedPart) -> None:
    """Write the ascending rows of a part whose documents were dropped in their own build, replaced or removed."""
    documents = pq.read_table(job.documents, columns=_RECORD)
    live = pq.read_table(job.live, filters=pc.field("doc_id").isin(documents["doc_id"].to_pylist()))
    alive = set(zip(*(live[name].to_pylist() for name in _RECORD), strict=True))
    rows = zip(*(documents[name].to_pylist() for name in _RECORD), strict=True)
    dead = np.fromiter((row not in alive for row in rows), np.bool_, len(documents))
    job.dead.parent.mkdir(parents=True, exist_ok=True)
    np.save(job.dead, np.flatnonzero(dead))


def dropped_places(folder: BuildFolder, part: int) -> set[tuple[str, int]]:
    """(file, offset) of the documents of a part that deduplication dropped."""
    split = folder.read_plan()[2][part]
    # Of the drops of the whole corpus only the row groups of this part's files are read.
    mine = pc.field("source_file").isin(list(split.members) or [split.file])
    drops = pq.read_table(folder.drops, columns=["source_file", "source_offset"], filters=mine)
    return set(zip(drops["source_file"].to_pylist(), drops["source_offset"].to_pylist(), strict=True))
