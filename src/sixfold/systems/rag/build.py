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

from sixfold.errors import ConfigError
from sixfold.files import read_json, replace_json
from sixfold.systems.rag import build_steps as steps
from sixfold.systems.rag.build_clean import cleaner_config
from sixfold.systems.rag.build_folder import BuildFolder, BuildSettings, input_state
from sixfold.systems.rag.build_index import planned_shards
from sixfold.systems.rag.build_publish import publish_segments, published_build
from sixfold.systems.rag.build_steps import Advance
from sixfold.systems.rag.build_tune import TuneJob, tune_segment
from sixfold.systems.rag.crew import Crew
from sixfold.systems.rag.index.lock import WRITING, alone
from sixfold.systems.rag.index.segment import SegmentInfo
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
    dropped: dict[str, int]  # by "stage: reason"; repeated documents by stage
    superseded: int  # published documents that it replaced
    shards: int  # of the whole index
    probes: int | None  # None: vectors are scanned exactly
    rework_records: int  # begun more than once, because a worker or the build died


def builds_of(index: Path) -> list[BuildFolder]:
    """The builds of an index, oldest first, the unfinished one included."""
    folder = index / "builds"
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [BuildFolder(path) for path in paths if path.name.isdecimal()]


def begin(inputs: list[str], index: Path, settings: BuildSettings) -> BuildFolder:
    """The build to go on with, the finished one of the same input, or a new one with its plan written.

    Raises InputError and ConfigError for what the caller can mend; nothing was written then.
    """
    cleaner_config(settings)  # refuses a preset that does not exist
    builds = builds_of(index)
    if builds and builds[-1].plan_path.exists():
        last = builds[-1]
        of_inputs, of_settings, splits = last.read_plan()
        same = of_inputs == inputs and of_settings == settings
        if not last.done_path.exists():
            if same:
                return last
            raise ConfigError(
                f"{index} has an unfinished build of {' '.join(of_inputs)} with other inputs or settings: "
                f"finish that first, or delete {last.path}"
            )
        if same and splits == plan_splits(inputs, settings.split_bytes) and last.read_state() == input_state(splits):
            return last
        new = BuildFolder(index / "builds" / f"{len(builds) + 1:04d}")
    else:  # none, or one that was killed before it had a plan
        new = builds[-1] if builds else BuildFolder(index / "builds" / "0001")
    before = f"{int(new.path.name) - 1:04d}"
    if (published := published_build(index)) not in (None, before):
        raise ConfigError(f"{index} is of build {published}, and {new.path.parent} lacks that; use a new folder")
    splits = plan_splits(inputs, settings.split_bytes)
    _clear_segments(index, new)  # of an unfinished build of this number that was deleted
    new.write_plan(inputs, settings, splits)
    return new


def build(
    inputs: list[str],
    index: Path,
    settings: BuildSettings,
    crew: Crew,
    advance: Advance,
) -> BuildSummary:
    """Build `inputs` into `index`, or go on with the build of the same inputs that was interrupted.

    Raises InputError and ConfigError for what the caller can mend; the index stays as it was then.
    """
    folder = begin(inputs, index, settings)
    with alone(index, WRITING):
        if not folder.done_path.exists():
            summary = _build(folder, index, crew, advance)
            replace_json(folder.done_path, asdict(summary))
        _discard(folder.path / "chunks")
        return BuildSummary(**read_json(folder.done_path))


def _build(folder: BuildFolder, index: Path, crew: Crew, advance: Advance) -> BuildSummary:
    _, settings, splits = folder.read_plan()
    before = [b for b in builds_of(index) if b.path != folder.path]
    reports = steps.clean(folder, crew, advance)
    counts = steps.drop_duplicates(folder, crew, before)
    kept = sum(report.kept for report in reports) - sum(counts.values())

    def attempt(shards: int) -> tuple[int, list[SegmentInfo | None]]:
        folder.write_shards(shards)
        steps.cut(folder, crew, advance, shards)
        passages = steps.embed(folder, crew, advance, index / "embeddings")
        paths = [index / "segments" / f"{folder.path.name}-{shard:04d}" for shard in range(shards)]
        return passages, steps.write_segments(
            folder, crew, advance, paths, len(splits), settings.capacity_bytes, with_vectors=True
        )

    def undo() -> None:  # killed in between, the build tries the same number of shards again
        _clear_segments(index, folder)
        _discard(folder.path / "chunks")

    needed = planned_shards(steps.kept_text_bytes(reports, counts), settings.capacity_bytes, with_vectors=True)
    _, (passages, written) = steps.fit_shards(folder.read_shards() or needed, max(needed, kept), attempt, undo)
    segments = [info for info in written if info is not None]
    jobs = [TuneJob(index / "segments" / info.name) for info in segments]
    probes = max([0, *(found for _, found in crew.map(tune_segment, jobs))])
    manifest, superseded = publish_segments(index, folder, segments, settings, probes)
    return BuildSummary(
        index=str(index),
        generation=manifest.generation,
        records=sum(report.kept + report.dropped for report in reports),
        documents=kept,
        passages=passages,
        dropped=_dropped(folder, len(splits)) | counts,
        superseded=superseded,
        shards=len(manifest.shards),
        probes=manifest.settings["probes"] or None,
        rework_records=sum(report.rework for report in reports),
    )


def _clear_segments(index: Path, folder: BuildFolder) -> None:
    """Discard what a build has written into the index and not published."""
    for path in (index / "segments").glob(f"{folder.path.name}-*"):
        _discard(path)


def _discard(folder: Path) -> None:
    """Delete a folder so that whoever is killed in the middle leaves none of that name."""
    doomed = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(doomed, ignore_errors=True)
    if folder.exists():
        folder.rename(doomed)
        shutil.rmtree(doomed)


def _dropped(folder: BuildFolder, parts: int) -> dict[str, int]:
    """Dropped records by the rule that dropped them, a part at a time."""
    counts: dict[str, int] = {}
    for part in range(parts):
        for row in pq.read_table(folder.dropped(part), columns=["stage", "reason"]).to_pylist():
            rule = f"{row['stage']}: {row['reason']}"
            counts[rule] = counts.get(rule, 0) + 1
    return dict(sorted(counts.items()))
