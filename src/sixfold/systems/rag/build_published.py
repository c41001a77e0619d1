"""Which documents of earlier builds are still in the index: only those can make a new one a duplicate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sixfold.systems.rag.build_folder import BuildFolder

__all__ = ["PublishedPart", "dropped_places", "published_parts", "write_dead_rows"]


@dataclass(frozen=True, slots=True)
class PublishedPart:
    """One part of an earlier build, the builds that came after it, and where its dead rows are to be written."""

    build: Path
    part: int
    later: tuple[Path, ...]
    dead: Path

    @property
    def documents(self) -> Path:
        return BuildFolder(self.build).documents(self.part)


def published_parts(before: list[BuildFolder], work: Path) -> list[PublishedPart]:
    """The parts of earlier builds in the order of their publication."""
    places = [(at, part) for at, folder in enumerate(before) for part in range(len(folder.read_plan()[2]))]
    return [
        PublishedPart(before[at].path, part, tuple(b.path for b in before[at + 1 :]), work / f"{number:06d}.npy")
        for number, (at, part) in enumerate(places)
    ]


def write_dead_rows(job: PublishedPart) -> None:
    """Write the ascending rows of a part whose documents were dropped in their own build or replaced since."""
    folder = BuildFolder(job.build)
    documents = pq.read_table(job.documents, columns=["doc_id", "source_file", "source_offset"])
    gone = dropped_places(folder, job.part)
    places = zip(documents["source_file"].to_pylist(), documents["source_offset"].to_pylist(), strict=True)
    dead = np.fromiter((place in gone for place in places), np.bool_, len(documents))
    ids = documents["doc_id"]
    for path in job.later:
        file = BuildFolder(path).superseded
        replaced = pq.read_table(file, columns=["doc_id"], filters=pc.field("doc_id").isin(ids.to_pylist()))
        dead |= pc.is_in(ids, pa.array(replaced["doc_id"].to_pylist(), pa.string())).to_numpy()
    job.dead.parent.mkdir(parents=True, exist_ok=True)
    np.save(job.dead, np.flatnonzero(dead))


def dropped_places(folder: BuildFolder, part: int) -> set[tuple[str, int]]:
    """(file, offset) of the documents of a part that deduplication dropped."""
    split = folder.read_plan()[2][part]
    # Of the drops of the whole corpus only the row groups of this part's files are read.
    mine = pc.field("source_file").isin(list(split.members) or [split.file])
    drops = pq.read_table(folder.drops, columns=["source_file", "source_offset"], filters=mine)
    return set(zip(drops["source_file"].to_pylist(), drops["source_offset"].to_pylist(), strict=True))
