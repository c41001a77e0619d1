"""What the commands of `sixfold rag` do: crawl, build, ask, explain, trace."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sixfold.axes import Axis
from sixfold.errors import ConfigError, InputError
from sixfold.lab.lab import Lab
from sixfold.systems.rag.build import begin, build, builds_of
from sixfold.systems.rag.build_embed import embedder
from sixfold.systems.rag.build_folder import BuildFolder, BuildSettings
from sixfold.systems.rag.build_steps import Advance
from sixfold.systems.rag.crawl.actors import crawl_distributed
from sixfold.systems.rag.crawl.crawler import crawl_single
from sixfold.systems.rag.crawl.limits import CrawlLimits
from sixfold.systems.rag.crew import RayCrew, SerialCrew
from sixfold.systems.rag.index.filters import Filter
from sixfold.systems.rag.index.manifest import read_manifest
from sixfold.systems.rag.index.shard import Shard
from sixfold.systems.rag.live.ledger import live_records
from sixfold.systems.rag.records import Source
from sixfold.systems.rag.retrieve import Retriever
from sixfold.systems.rag.sources import read_record
from sixfold.systems.rag.takedown import why_taken_down

__all__ = ["newest_index", "print_passages", "run_ask", "run_build", "run_crawl", "run_trace", "run_why"]


def run_crawl(
    seeds: list[str], out: Path, *, workers: int, pages: int, depth: int, delay_s: float, any_host: bool
) -> dict[str, Any]:
    """Crawl into `out`, or go on with the crawl that is there."""
    limits = CrawlLimits(scope=("*",) if any_host else (), max_depth=depth, max_pages=pages, delay_s=delay_s)
    if workers == 0:
        report = crawl_single(seeds, out, limits, progress=True)
    else:
        with Lab.local(workers=workers):
            report = crawl_distributed(seeds, out, limits, workers=workers, progress=True)
    return report.as_json()


def run_build(
    inputs: list[str],
    out: Path,
    *,
    workers: int,
    capacity_bytes: int,
    preset: str,
    languages: tuple[str, ...] | None,
    address: str | None,
) -> dict[str, Any]:
    """Build an index, or go on with, or add to, the one that is there."""
    settings = BuildSettings(preset=preset, languages=languages, capacity_bytes=capacity_bytes)
    with _writing_to(out), _progress() as advance:
        folder = begin(inputs, out, settings)  # what is wrong with the input is said before Ray is started
        if workers == 0 or folder.done_path.exists():
            serial = SerialCrew(Axis.DATA)
            return asdict(build(inputs, out, settings, serial, advance))
        with Lab.connect(address, workers=workers) if address else Lab.local(workers=workers):
            crew = RayCrew(workers, Axis.DATA)
            try:
                return asdict(build(inputs, out, settings, crew, advance))
            finally:
                crew.close()


def run_ask(
    question: str, index: Path | None, *, k: int, language: str | None = None, host: str | None = None
) -> dict[str, Any]:
    """The k best passages for a question, each with its source."""
    index = index or newest_index()
    if not question.strip():
        raise ConfigError("the question is empty; ask something in words")
    manifest = read_manifest(index)
    shards = [Shard.open(index, number, manifest) for number in range(len(manifest.shards))]
    if not shards:
        return {"question": question, "index": str(index), "generation": manifest.generation, "passages": []}
    retriever = Retriever(shards, embedder().embed_query, probes=manifest.settings.get("probes") or None)
    passages = retriever.search(question, k, where=Filter(language=language, host=host))
    return {
        "question": question,
        "index": str(index),
        "generation": manifest.generation,
        "passages": [asdict(passage) for passage in passages],
    }


def print_passages(answer: dict[str, Any]) -> None:
    """For people: number, title, source, text."""
    console = Console()
    if not answer["passages"]:
        console.print("no passage has anything to do with that")
    for number, p in enumerate(answer["passages"], start=1):
        console.print(f"[{number}] {p['title']}", style="bold", markup=False)
        source = p["source"]
        console.print(f"    {p['url']}  characters {p['start']}-{p['end']}", style="cyan", markup=False)
        console.print(
            f"    {source['file']} at byte {source['offset']}  chunk {p['chunk_id']}",
            style="dim",
            markup=False,
        )
        console.print("\n".join(f"    {line}" for line in p["text"].splitlines()), markup=False)
        console.print()


def run_why(url: str, index: Path | None) -> list[dict[str, Any]]:
    """What became of every record of a URL (or of a file that was built from), in every build of an index."""
    if "://" not in url and Path(url).exists():
        url = Path(url).absolute().as_uri()
    index = index or newest_index()
    records = why_taken_down(index, url)
    for folder in _builds(index):
        gone = set()
        if folder.drop_counts.exists():
            for row in pq.read_table(folder.drops, filters=pc.field("url") == url).to_pylist():
                gone.add((row["source_file"], row["source_offset"]))
                records.append(_fate(folder, row))
        for part in range(len(folder.read_plan()[2])):
            if folder.clean_report(part).exists():
                records += [
                    _fate(folder, row)
                    for row in pq.read_table(folder.dropped(part), filters=pc.field("url") == url).to_pylist()
                ]
                columns = ["url", "source_file", "source_offset", "language", "n_words"]
                kept = pq.read_table(folder.documents(part), columns=columns, filters=pc.field("url") == url)
                records += [
                    {"build": folder.path.name, "fate": "kept", "language": row["language"], "words": row["n_words"],
                     "source": f"{row['source_file']}:{row['source_offset']}"}
                    for row in kept.to_pylist()
                    if (row["source_file"], row["source_offset"]) not in gone
                ]  # fmt: skip
    records += live_records(index, url)
    if not records:
        raise InputError(f"no record of {url}: it was never read; was it crawled?", path=index)
    return records


def run_trace(chunk_id: str, index: Path | None) -> dict[str, Any]:
    """Follow a passage to its record in the input, and check that the record is still what was read."""
    index = index or newest_index()
    manifest = read_manifest(index)
    for number in range(len(manifest.shards)):
        shard = Shard.open(index, number, manifest)
        if (found := shard.passages([chunk_id]).get(chunk_id)) is not None:
            source: Source = found.source
            raw = read_record(source)
            return {
                "chunk_id": chunk_id,
                "url": found.url,
                "start": found.chunk.start,
                "end": found.chunk.end,
                "shard": number,
                "file": source.file,
                "offset": source.offset,
                "digest": source.digest,
                "payload_bytes": len(raw.payload),
                "text": found.chunk.text,
            }
    raise InputError(f"no passage {chunk_id!r} in generation {manifest.generation}", path=index)


def newest_index(runs: Path = Path("runs")) -> Path:
    """The index that the newest run of the rag study left; ConfigError if there is none."""
    found = sorted(runs.glob("rag-*/work/published/manifest.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ConfigError("no index: name one with --index, or make one with `sixfold study rag`")
    return found[-1].parent


def _builds(index: Path) -> list[BuildFolder]:
    builds = [folder for folder in builds_of(index) if folder.plan_path.exists()]
    if not builds:
        raise InputError("not an index: it has no builds", path=index)
    return builds


def _fate(folder: BuildFolder, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "build": folder.path.name,
        "fate": "dropped",
        "stage": row["stage"],
        "reason": row["reason"],
        "detail": row["detail"],
        "source": f"{row['source_file']}:{row['source_offset']}",
    }


_REFUSALS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR,
    errno.EISDIR, errno.EEXIST,
}  # fmt: skip


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """What the disk refuses is the user's to mend: one line with the place instead of a traceback."""
    try:
        yield
    except OSError as error:
        number = error.errno
        if number is None and re.search(r"requested and \d+ written", str(error)):
            number = errno.ENOSPC  # numpy's way to say it
        if number not in _REFUSALS:
            raise
        reason = f"cannot write: {os.strerror(number)}; mend that and run the same command again"
        raise InputError(reason, path=error.filename or folder) from error


@contextmanager
def _progress() -> Iterator[Advance]:
    """A bar a step, on stderr if that is a terminal."""
    columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bars: dict[str, Any] = {}

        def advance(step: str, done: int, total: int) -> None:
            if step not in bars:
                bars[step] = progress.add_task(step, total=total)
            progress.update(bars[step], completed=done, total=total)

        yield advance
