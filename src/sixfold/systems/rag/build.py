"""A build from input to a published generation of an index: clean, deduplicate, cut, embed, index, tune.

    INDEX/manifest.json, segments/, tombstones/    the index (index/)
    INDEX/builds/NNNN/                             what each build read, kept and dropped (build_folder.py)
    INDEX/embeddings/                              vectors by the hash of their text

A build is resumed by the same command. What it writes into the index depends on its input and its settings
only: not on the number of workers, nor on how often it was killed.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.parquet as pq

from sixfold.design.data_laws import shard_count
from sixfold.errors import ConfigError
from sixfold.files import read_json, replace_json
from sixfold.systems.rag import build_steps as steps
from sixfold.systems.rag.build_folder import BuildFolder, BuildSettings
from sixfold.systems.rag.build_index import bytes_per_text_byte
from sixfold.systems.rag.build_steps import Advance
from sixfold.systems.rag.build_tune import TuneJob, tune_segment
from sixfold.systems.rag.crew import Crew
from sixfold.systems.rag.index.manifest import (
    Manifest,
    Tombstones,
    publish,
    read_manifest,
    read_tombstones,
    write_tombstones,
)
from sixfold.systems.rag.index.segment import SegmentInfo
from sixfold.systems.rag.index.segment_reader import segment_bytes
from sixfold.systems.rag.splits import plan_splits

__all__ = ["BuildSummary", "build", "builds_of"]


@dataclass(frozen=True, slots=True)
class BuildSummary:
    """What a build came to."""

    index: str
    generation: int
    records: int
    documents: int  # that it added
    passages: int
    dropped: dict[str, int]  # by stage
    superseded: int  # published documents that it replaced
    shards: int  # of the whole index
    probes: int | None  # None: vectors are scanned exactly
    rework_records: int  # begun more than once, because a worker or the build died


def builds_of(index: Path) -> list[BuildFolder]:
    """The builds of an index, oldest first, the unfinished one included."""
    folder = index / "builds"
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [BuildFolder(path) for path in paths if path.name.isdecimal()]


def build(
    inputs: list[str],
    index: Path,
    settings: BuildSettings,
    crew: Crew,
    advance: Advance,
    *,
    killable: bool = True,
) -> BuildSummary:
    """Build `inputs` into `index`, or go on with the build of the same inputs that was interrupted.

    Raises InputError and ConfigError for what the caller can mend; the index stays as it was then.
    """
    folder = _current(index, inputs, settings)
    if folder.done_path.exists():
        return BuildSummary(**read_json(folder.done_path))
    before = [b for b in builds_of(index) if b.path != folder.path]
    published = [b.documents(part) for b in before for part in range(len(b.read_plan()[2]))]
    splits = steps.plan(folder, inputs, settings)
    reports = steps.clean(folder, crew, advance, killable=killable)
    counts = steps.drop_duplicates(folder, crew, published)

    def attempt(shards: int) -> tuple[int, list[SegmentInfo | None]]:
        passages = steps.cut(folder, crew, advance, shards)
        steps.embed(folder, crew, advance, index / "embeddings")
        paths = [index / "segments" / f"{folder.path.name}-{shard:04d}" for shard in range(shards)]
        return passages, steps.write_segments(
            folder, crew, advance, paths, len(splits), settings.capacity_bytes, with_vectors=True
        )

    def undo() -> None:
        shutil.rmtree(folder.path / "chunks")
        for path in (index / "segments").glob(f"{folder.path.name}-*"):
            shutil.rmtree(path)

    needed = shard_count(
        sum(report.text_bytes for report in reports), bytes_per_text_byte(with_vectors=True), settings.capacity_bytes
    )
    most = max(needed, sum(report.kept for report in reports))
    _, (passages, written) = steps.fit_shards(needed, most, attempt, undo)
    segments = [info for info in written if info is not None]
    jobs = [TuneJob(index / "segments" / info.name) for info in segments]
    probes = max([0, *(found for _, found in crew.map(tune_segment, jobs))])
    manifest, superseded = _next_generation(index, folder, segments, settings, probes)
    summary = BuildSummary(
        index=str(index),
        generation=manifest.generation,
        records=sum(report.kept + report.dropped for report in reports),
        documents=sum(report.kept for report in reports) - sum(counts.values()),
        passages=passages,
        dropped=_dropped(folder, len(splits)) | counts,
        superseded=superseded,
        shards=len(manifest.shards),
        probes=manifest.settings["probes"] or None,
        rework_records=sum(report.rework for report in reports),
    )
    publish(index, manifest)
    replace_json(folder.done_path, asdict(summary))
    shutil.rmtree(folder.path / "chunks", ignore_errors=True)
    return summary


def _current(index: Path, inputs: list[str], settings: BuildSettings) -> BuildFolder:
    """The build to go on with, the finished one of the same input, or a new one."""
    builds = builds_of(index)
    if builds:
        last = builds[-1]
        if not last.plan_path.exists():  # killed before it had a plan
            return last
        of_inputs, of_settings, splits = last.read_plan()
        same = of_inputs == inputs and of_settings == settings
        if same and (not last.done_path.exists() or splits == plan_splits(inputs, settings.split_bytes)):
            return last
        if not last.done_path.exists():
            raise ConfigError(
                f"{index} has an unfinished build of {' '.join(of_inputs)} with other inputs or settings: "
                f"finish that first, or delete {last.path}"
            )
    return BuildFolder(index / "builds" / f"{len(builds) + 1:04d}")


def _next_generation(
    index: Path, folder: BuildFolder, segments: list[SegmentInfo], settings: BuildSettings, probes: int
) -> tuple[Manifest, int]:
    """The generation with the new segments, and without the documents that they replace."""
    if (index / "manifest.json").exists():
        now = read_manifest(index)
        if {info.name for info in segments} & {name for shard in now.shards for name in shard}:
            raise ConfigError(f"{index} already has the segments of this build; its record of them was lost")
    else:
        now = Manifest(0, ())
    gone = frozenset(pq.read_table(folder.superseded, columns=["doc_id"])["doc_id"].to_pylist())
    tombstones = dict(now.tombstones)
    for name in (name for shard in now.shards for name in shard):
        before = read_tombstones(index, now, name)
        merged = Tombstones(before.documents | gone, before.chunks)
        if merged != before:
            tombstones[name] = write_tombstones(index, name, now.generation + 1, merged)
    shards = [list(shard) for shard in now.shards]
    sizes = [sum(segment_bytes(index / "segments" / name) for name in shard) for shard in shards]
    for info in segments:  # into the emptiest shard that has room, else into a new one
        at = min(range(len(shards)), key=lambda n: (sizes[n], n), default=None)
        if at is None or sizes[at] + info.total_bytes > settings.capacity_bytes:
            at = len(shards)
            shards.append([])
            sizes.append(0)
        shards[at].append(info.name)
        sizes[at] += info.total_bytes
    known = {**now.settings, "probes": max(probes, int(now.settings.get("probes", 0)))}
    return Manifest(now.generation + 1, tuple(map(tuple, shards)), tombstones, known), len(gone)


def _dropped(folder: BuildFolder, parts: int) -> dict[str, int]:
    """Dropped records by the stage that dropped them, a part at a time."""
    counts: dict[str, int] = {}
    for part in range(parts):
        for stage in pq.read_table(folder.dropped(part), columns=["stage"])["stage"].to_pylist():
            counts[stage] = counts.get(stage, 0) + 1
    return dict(sorted(counts.items()))
