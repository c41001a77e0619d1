"""The steps of a build, each resumable: what is whole on disk is not done again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from sixfold.axes import Axis
from sixfold.errors import CapacityError
from sixfold.files import read_json, replace_json
from sixfold.systems.rag.build_chunks import ChunkJob, chunk_part
from sixfold.systems.rag.build_clean import CleanJob, CleanReport, clean_split
from sixfold.systems.rag.build_embed import EmbedJob, embed_part
from sixfold.systems.rag.build_folder import BuildFolder, BuildSettings
from sixfold.systems.rag.build_index import SegmentJob, write_shard
from sixfold.systems.rag.build_published import published_parts, write_dead_rows, write_live_records
from sixfold.systems.rag.crew import Crew, SerialCrew
from sixfold.systems.rag.dedup import DedupConfig, deduplicate
from sixfold.systems.rag.index.segment import SegmentInfo
from sixfold.systems.rag.splits import Split, plan_splits

__all__ = [
    "GROUPS_A_WORKER",
    "Advance",
    "clean",
    "cut",
    "drop_duplicates",
    "embed",
    "fit_shards",
    "kept_text_bytes",
    "plan",
    "rehearse",
    "write_segments",
]

T = TypeVar("T")
GROUPS_A_WORKER = 4  # of a map over many short tasks
_MOST_FATAL_PAGES = 1_000  # of one split; each is dropped and named, so they end by themselves
Advance = Callable[[str, int, int], None]  # (step, done, total)


def plan(folder: BuildFolder, inputs: list[str], settings: BuildSettings) -> list[Split]:
    """Cut the input into splits and freeze that; an unfinished build keeps the plan that it began with."""
    if folder.plan_path.exists():
        return folder.read_plan()[2]
    splits = plan_splits(inputs, settings.split_bytes)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_plan(inputs, settings, splits)
    return splits


def clean(folder: BuildFolder, crew: Crew, advance: Advance) -> list[CleanReport]:
    """Every record of every split becomes a document or a reason."""
    _, settings, splits = folder.read_plan()
    jobs = [
        CleanJob(folder.path, part, split, settings, guarded=crew.expendable)
        for part, split in enumerate(splits)
        if not folder.clean_report(part).exists()
    ]
    done = len(splits) - len(jobs)
    for _ in crew.map(clean_split, jobs, most_deaths=_MOST_FATAL_PAGES):
        done += 1
        advance("clean", done, len(splits))
    reports = []
    for part in range(len(splits)):
        folder.journal(part).unlink(missing_ok=True)  # killed between the report and the unlinking
        reports.append(CleanReport(**read_json(folder.clean_report(part))))
    return reports


def drop_duplicates(folder: BuildFolder, crew: Crew, before: list[BuildFolder]) -> dict[str, int]:
    """Find what repeats an earlier document, of this build or of builds `before` it; drops by stage."""
    if folder.drop_counts.exists():
        counts: dict[str, int] = read_json(folder.drop_counts)
        return counts
    _, settings, splits = folder.read_plan()

    def ordered(task: Callable[[int], Any], numbers: Iterable[int]) -> list[Any]:
        # These tasks are short: handed out one by one they would cost more than they take.
        waiting = list(numbers)
        size = max(1, len(waiting) // (GROUPS_A_WORKER * crew.workers))
        groups = [waiting[at : at + size] for at in range(0, len(waiting), size)]
        results = dict(crew.map(partial(_each, task), groups))
        return [result for at in range(len(results)) for result in results[at]]

    parts = [folder.documents(part) for part in range(len(splits))]
    config = DedupConfig(threshold=settings.near_duplicate_jaccard)
    published = published_parts(before, folder.path / "dead")
    if published:
        write_live_records(folder.path.parent.parent, published[0].live)
    for _ in crew.map(write_dead_rows, published):
        pass
    old, dead = [job.documents for job in published], [job.dead for job in published]
    outcome = deduplicate(parts, old, folder.dedup, dead=dead, map=ordered, config=config)
    replace_json(folder.drop_counts, outcome.counts)
    return outcome.counts


def kept_text_bytes(reports: list[CleanReport], dropped: dict[str, int]) -> int:
    """About how many bytes of text deduplication left: its drops are taken to be as long as the others."""
    documents = sum(report.kept for report in reports)
    left = documents - sum(dropped.values())
    return sum(report.text_bytes for report in reports) * left // max(1, documents)


def rehearse(settings: BuildSettings, _: int) -> None:
    """Clean and deduplicate two pages in a folder of their own, to load what a process keeps for its life."""
    page = "<p>" + "Some words of a page that nobody has to read, and that another page has as well. " * 9
    with TemporaryDirectory() as place:
        site, folder = Path(place) / "site", BuildFolder(Path(place) / "build")
        site.mkdir()
        for number in range(2):
            (site / f"{number}.html").write_text(f"{page} {number}")
        crew = SerialCrew(Axis.DATA)
        plan(folder, [str(site)], settings)
        clean(folder, crew, lambda *_: None)
        drop_duplicates(folder, crew, [])


def cut(folder: BuildFolder, crew: Crew, advance: Advance, shards: int, *, source: BuildFolder | None = None) -> int:
    """Documents become passages, by shard; returns the number of those cut now.

    `source` has the documents, if not `folder`.
    """
    source = source or folder
    parts = len(source.read_plan()[2])
    jobs = [
        ChunkJob(source.path, folder.path, part, shards) for part in range(parts) if not folder.chunks(part).exists()
    ]
    return _all(crew.map(chunk_part, jobs), advance, "cut", len(jobs))


def embed(folder: BuildFolder, crew: Crew, advance: Advance, cache: Path) -> int:
    """Passages get vectors; returns the number of passages."""
    parts = len(folder.read_plan()[2])
    jobs = [EmbedJob(folder.path, part, cache) for part in range(parts)]
    return _all(crew.map(embed_part, jobs), advance, "embed", len(jobs))


def write_segments(
    folder: BuildFolder,
    crew: Crew,
    advance: Advance,
    segments: list[Path],
    parts: int,
    capacity_bytes: int,
    *,
    with_vectors: bool,
) -> list[SegmentInfo | None]:
    """Every shard of the build becomes a segment, if it has passages; those that are there are kept."""
    jobs = [
        SegmentJob(folder.path, parts, shard, path, capacity_bytes, with_vectors) for shard, path in enumerate(segments)
    ]
    results: dict[int, SegmentInfo | None] = {}
    for shard, info in crew.map(write_shard, jobs):
        results[shard] = info
        advance("index", len(results), len(jobs))
    return [results[shard] for shard in range(len(jobs))]


def fit_shards(shards: int, most: int, attempt: Callable[[int], T], undo: Callable[[], None]) -> tuple[int, T]:
    """Try with `shards` shards, and with twice as many as long as one of them outgrows its capacity.

    The law's b is a mean: documents may be denser, and their hashes uneven. Raises CapacityError beyond
    `most` shards: then a single document is too large.
    """
    while True:
        try:
            return shards, attempt(shards)
        except CapacityError:
            if shards >= most:
                raise
            undo()
            shards *= 2


def _each(task: Callable[[int], T], numbers: list[int]) -> list[T]:
    return [task(number) for number in numbers]


def _all(results: Iterable[tuple[int, int]], advance: Advance, step: str, total: int) -> int:
    added = 0
    for done, (_, number) in enumerate(results, start=1):
        added += number
        advance(step, done, total)
    return added
