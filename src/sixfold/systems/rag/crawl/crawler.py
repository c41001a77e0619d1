"""A crawl in one process: one worker that owns every host. actors.py runs several."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from sixfold.errors import ConfigError, InputError
from sixfold.files import read_json, replace_json
from sixfold.systems.rag.crawl.fetch import load_client
from sixfold.systems.rag.crawl.journal import read_journals
from sixfold.systems.rag.crawl.limits import CrawlLimits, seed_urls
from sixfold.systems.rag.crawl.progress import crawl_progress
from sixfold.systems.rag.crawl.report import CrawlReport, write_report
from sixfold.systems.rag.crawl.warc import WarcWriter
from sixfold.systems.rag.crawl.worker import CrawlWorker

__all__ = ["crawl_single", "finish_files", "opened_crawl"]

_FIXED = (
    "scope",
    "max_depth",
    "max_redirects",
    "max_body_bytes",
    "types",
    "agent",
)  # a resumed crawl keeps these


@contextlib.contextmanager
def opened_crawl(seeds: Sequence[str], out_dir: Path, limits: CrawlLimits) -> Iterator[tuple[list[str], CrawlLimits]]:
    """Lock `out_dir` for one crawl and check that what lies there is the same crawl; gives seeds and limits.

    ConfigError when another process crawls into it, or when seeds or bounds differ from the crawl it holds.
    """
    urls = seed_urls(seeds)
    limits = limits.within(urls)
    wanted = {"seeds": urls, **{name: asdict(limits)[name] for name in _FIXED}}
    wanted = {name: list(value) if isinstance(value, tuple) else value for name, value in wanted.items()}
    folder = out_dir / "crawl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise InputError(f"cannot write there: {error.strerror}", path=out_dir) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{out_dir}: another process crawls into it; wait for it or choose another") from None
        manifest = folder / "crawl.json"
        if manifest.exists():
            held = read_json(manifest)
            for name, value in wanted.items():
                if held.get(name) != value:
                    raise ConfigError(
                        f"{out_dir} holds a crawl with {name} = {held.get(name)!r}, got {value!r}: "
                        "go on with the same value, or choose another folder"
                    )
        else:
            replace_json(manifest, wanted)
        yield urls, limits


def crawl_single(
    seeds: Sequence[str], out_dir: Path, limits: CrawlLimits | None = None, *, progress: bool = False
) -> CrawlReport:
    """Crawl from `seeds` in this process into `out_dir` (`warc/`, `crawl/`), or go on with what is there.

    Pages already in the archive are not fetched again. Raises ConfigError for bad seeds or bounds, UserError
    when the disk is full.
    """
    with opened_crawl(seeds, Path(out_dir), limits or CrawlLimits()) as (urls, bounds):
        return asyncio.run(_crawl_single(urls, Path(out_dir), bounds, progress))


async def _crawl_single(urls: list[str], out_dir: Path, limits: CrawlLimits, progress: bool) -> CrawlReport:
    load_client()
    start_s = time.perf_counter()
    journals, archive = out_dir / "crawl" / "journal", out_dir / "warc"
    state = read_journals(journals, archive)
    granted = None if limits.max_pages is None else max(0, limits.max_pages - len(state.done))
    finish_files(archive, keep=0)
    worker = CrawlWorker(out_dir, limits, state=state, granted=granted)
    worker.seed(urls)
    with crawl_progress(progress, done=len(state.done)) as show:
        running = asyncio.create_task(worker.run())
        while not running.done():
            await asyncio.wait([running], timeout=0.5)
            show([worker.status()])
        await running
    seconds = time.perf_counter() - start_s
    return write_report(out_dir, read_journals(journals, archive), [worker.stats()], seconds=seconds, workers=1)


def finish_files(archive: Path, keep: int) -> None:
    """Recover the open files of workers numbered above `keep`, which no worker of this run will take over."""
    if archive.exists():
        for path in archive.glob("w*.warc.gz.open"):
            prefix = path.name.split("-")[0]
            if int(prefix[1:]) > keep:
                WarcWriter(archive, prefix, max_records=1, max_bytes=1)
