"""Duplicates of a whole corpus, new against published and new against new, in bounded memory on any workers.

The rule (docs/decisions/0008-dedup.md): documents have a total order, published before new, then the order
of the input. A new document is dropped if and only if an earlier new one has its URL (`duplicate-url`), an
earlier one has its text (`exact-duplicate`), or an earlier one that it meets in a bucket has an exact
Jaccard of at least the threshold with it (`near-duplicate`). The steps are maps over parts and over hash
partitions with files between them; the driver only starts them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError
from sixfold.systems.rag.clean.minhash import BANDS, PERMUTATIONS
from sixfold.systems.rag.duplicates import (
    Fate,
    Rows,
    band_entries,
    candidate_pairs,
    compared_rows,
    distinct_pairs,
    same_text,
    same_url,
    verify,
)
from sixfold.systems.rag.name_files import NAME_COLUMNS, read_names, write_names
from sixfold.systems.rag.parts import Parts
from sixfold.systems.rag.records_arrow import dropped_schema
from sixfold.systems.rag.shingle_files import MappedShingles, write_shingles
from sixfold.systems.rag.shuffle import read_slices, write_slices

__all__ = ["DEDUP_MAPS", "DedupConfig", "Deduplication", "deduplicate"]

Map = Callable[[Callable[[int], Any], Iterable[int]], Iterable[Any]]
FOLDERS = ("names", "url", "url-fates", "text", "text-fates", "band", "pairs", "compared", "shingles", "drops")
REASONS = {"duplicate-url": "same-url", "exact-duplicate": "same-text", "near-duplicate": "similar-text"}
DEDUP_MAPS = 4  # over the parts; those over a few partitions come to nothing beside them
ENTRY_BYTES = 32
SORT_FACTOR = 6  # a partition is read, sorted and paired: copies of it that live at once


@dataclass(frozen=True, slots=True)
class DedupConfig:
    """Settings of the rule (`threshold`, `representatives`) and of its execution (`memory_bytes`)."""

    threshold: float = 0.8
    representatives: int = 8  # earliest members of a bucket that each other member is compared with
    memory_bytes: int = 256_000_000  # of one task; sets the number of partitions, never the result

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"threshold is {self.threshold}, expected above 0 and at most 1")
        if self.representatives < 1 or self.memory_bytes < 1:
            raise ConfigError("representatives and memory_bytes have to be at least 1")


@dataclass(frozen=True, slots=True)
class Deduplication:
    """Where the outcome lies, and how much of it there is."""

    drops: Path  # Parquet of `dropped_schema()`, by part and row of the dropped document
    superseded: Path  # Parquet (doc_id, url): published documents whose URL has another text now
    n_documents: int
    counts: dict[str, int]  # drops by stage


@dataclass(frozen=True, slots=True)
class Job:
    """What every task is given: small, picklable, the same for all."""

    parts: Parts
    work: Path
    n_partitions: int
    config: DedupConfig
    dead: tuple[Path, ...]  # of each published part, the rows to pass over; empty if there are none

    def files(self, step: str, n: int) -> list[Path]:
        return [self.work / step / f"{i:06d}.arrow" for i in range(n)]


def deduplicate(
    parts: list[Path],
    published: list[Path],
    work: Path,
    *,
    dead: Sequence[Path] = (),
    map: Map = map,
    config: DedupConfig | None = None,
    n_partitions: int | None = None,
) -> Deduplication:
    """Find the documents of `parts` to drop, against each other and against `published` ones.

    `parts` and `published` are Parquet files of `document_schema()`, in the order of the input and of the
    publication. `dead` has an .npy file for each published part, of the ascending rows that are not in the
    index: they count for nothing. `map` runs a function over integers, in any order and anywhere that sees
    `work`; it returns the results in order. The memory of a task is about `memory_bytes`; the driver's is
    eight bytes a duplicate. The outcome depends on the documents only. `work` is emptied first.

    Raises InputError for a part that is not one.
    """
    config = config or DedupConfig()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    table = Parts([*published, *parts], len(published))
    rows = list(map(table.n_rows, range(len(table.paths))))
    if n_partitions is None:
        n_partitions = max(1, -(-sum(rows) * BANDS * ENTRY_BYTES * SORT_FACTOR // config.memory_bytes))
    job = Job(table, work, n_partitions, config, tuple(dead))
    every_part, partitions = range(len(table.paths)), range(n_partitions)
    for folder in FOLDERS:
        (work / folder).mkdir()
    _run(map, _spread, job, every_part)
    for step, gather in (("url", _gather_urls), ("text", _gather_texts)):
        _run(map, gather, job, partitions)
        _collect_gone(job, step)
    _run(map, _pair, job, partitions)
    _run(map, _shingle, job, every_part)
    _run(map, _decide, job, every_part)
    drops, superseded = work / "drops.parquet", work / "superseded.parquet"
    counts = _join(job, drops, superseded)
    for folder in FOLDERS:
        shutil.rmtree(work / folder)
    for step in ("url", "text"):
        (work / f"{step}-gone.npy").unlink()
    return Deduplication(drops, superseded, sum(rows[len(published) :]), counts)


def _run(map: Map, task: Callable[[Job, int], None], job: Job, numbers: Iterable[int]) -> None:
    for _ in map(partial(task, job), numbers):
        pass


def _spread(job: Job, part: int) -> None:
    """The name of every document, and its entries: by the hash of its URL, by that of its text, and one a band."""
    columns = ["doc_id", "text_digest", "signature", *NAME_COLUMNS]
    names, urls, texts, bands = [], [], [], []
    for rows, batch in job.parts.batches(part, columns, _gone(job, part)):
        names.append((rows.row, batch.select(NAME_COLUMNS)))  # not its signatures: a part's would be kept
        high, low = _halves(bytes.fromhex("".join(batch["doc_id"].to_pylist())))
        text_high, text_low = _halves(b"".join(batch["text_digest"].to_pylist()))
        places = rows.columns()
        urls.append(pa.table({"high": high, "low": low, "text_high": text_high, "text_low": text_low, **places}))
        texts.append(pa.table({"high": text_high, "low": text_low, **places}))
        signatures = batch["signature"].to_pylist()
        if any(len(s) not in (0, 4 * PERMUTATIONS) for s in signatures):
            got = sorted({len(s) for s in signatures})
            expected = f"expected {4 * PERMUTATIONS}: clean it again"
            raise InputError(f"signatures of {got} bytes, {expected}", path=job.parts.paths[part])
        bands.append(band_entries(signatures, rows))
    write_names(names, job.work / "names" / f"{part:06d}.arrow")
    for step, tables, key in (("url", urls, "high"), ("text", texts, "high"), ("band", bands, "hash")):
        _write_entries(job, step, part, tables, key)


def _gather_urls(job: Job, partition: int) -> None:
    _write_by_part(job, "url-fates", partition, same_url(_entries(job, "url", partition)))


def _gather_texts(job: Job, partition: int) -> None:
    """Of the documents that their URL did not settle."""
    _write_by_part(job, "text-fates", partition, same_text(_entries(job, "text", partition, "url")))


def _pair(job: Job, partition: int) -> None:
    """Of the documents that neither settled."""
    pairs = candidate_pairs(_entries(job, "band", partition, "url", "text"), job.config.representatives)
    _write_by_part(job, "pairs", partition, pairs)
    _write_by_part(job, "compared", partition, compared_rows(pairs))


def _shingle(job: Job, part: int) -> None:
    """The shingles of the documents of a part that are in some pair, as the later or as the earlier one."""
    rows = np.unique(read_slices(job.files("compared", job.n_partitions), part)["row"].to_numpy())
    texts = ((here, table["text"].to_pylist()) for here, table in job.parts.take_groups(part, rows, ["text"]))
    write_shingles(texts, job.work / "shingles" / f"{part:06d}.arrow")


def _decide(job: Job, part: int) -> None:
    """The dropped documents of a part with their reasons; of a published part, which ones are superseded."""
    table = _superseded(job, part) if part < job.parts.n_published else _drops(job, part)
    write_slices(table, np.zeros(len(table), np.int64), 1, job.work / "drops" / f"{part:06d}.arrow")


def _superseded(job: Job, part: int) -> pa.Table:
    fates = read_slices(job.files("url-fates", job.n_partitions), part)
    # Rows superseded by a published one were reported when that one was new.
    fates = fates.filter(pa.array(fates["kept_part"].to_numpy() >= job.parts.n_published))
    return job.parts.take(part, np.sort(fates["row"].to_numpy()), ["doc_id", "url"])


def _drops(job: Job, part: int) -> pa.Table:
    verdicts: list[tuple[int, tuple[int, int], str, float]] = []  # row, place of what is kept, stage, Jaccard
    for step in ("url-fates", "text-fates"):
        for f in read_slices(job.files(step, job.n_partitions), part).to_pylist():
            stage = "duplicate-url" if f["fate"] == Fate.SAME_URL else "exact-duplicate"
            verdicts.append((f["row"], (f["kept_part"], f["kept_row"]), stage, 1.0))
    pairs = distinct_pairs(read_slices(job.files("pairs", job.n_partitions), part))
    with MappedShingles(job.files("shingles", len(job.parts.paths))) as shingles_at:
        near = verify(pairs, shingles_at, job.config.threshold)
    verdicts += [(n.row, (n.kept_part, n.kept_row), "near-duplicate", n.jaccard) for n in near]
    verdicts.sort()
    columns = ["url", "source_file", "source_offset", "source_digest", "order"]
    taken = job.parts.take(part, np.array([v[0] for v in verdicts], np.int64), columns)
    names = read_names(job.files("names", len(job.parts.paths)), [place for _, place, _, _ in verdicts])
    told = {
        "stage": [stage for _, _, stage, _ in verdicts],
        "reason": [REASONS[stage] for _, _, stage, _ in verdicts],
        "detail": [_detail(stage, *names[place], similarity) for _, place, stage, similarity in verdicts],
    }
    return pa.table({**{name: taken[name] for name in columns}, **told}, schema=dropped_schema())


def _detail(stage: str, url: str, source: str, similarity: float) -> str:
    if stage == "duplicate-url":
        return f"the record at {source} is kept"
    return f"jaccard {similarity:.4f} with {url}" if stage == "near-duplicate" else f"text of {url}"


def _join(job: Job, drops: Path, superseded: Path) -> dict[str, int]:
    """One file of the drops of every new part, one of the superseded documents; the drops by stage."""
    counts: dict[str, int] = {}
    empty = pa.schema([("doc_id", pa.string()), ("url", pa.string())])
    with pq.ParquetWriter(superseded, empty) as old, pq.ParquetWriter(drops, dropped_schema()) as new:
        for part in range(len(job.parts.paths)):
            table = read_slices([job.work / "drops" / f"{part:06d}.arrow"], 0)
            if part < job.parts.n_published:
                old.write_table(table)
                continue
            new.write_table(table)
            for stage in table["stage"].to_pylist():
                counts[stage] = counts.get(stage, 0) + 1
    return dict(sorted(counts.items()))


def _collect_gone(job: Job, step: str) -> None:
    """The places (part, row in 32 bits each) that a step took out, sorted, for later steps to pass over."""
    gone = [np.zeros(0, np.int64)]
    for path in job.files(f"{step}-fates", job.n_partitions):
        with pa.memory_map(str(path)) as file:
            fates = pa.ipc.open_file(file).read_all()
        gone.append((fates["part"].to_numpy() << 32) | fates["row"].to_numpy())
    np.save(job.work / f"{step}-gone.npy", np.sort(np.concatenate(gone)))


def _gone(job: Job, part: int) -> NDArray[np.int64]:
    """The rows of a part that are dead."""
    return np.load(job.dead[part]) if part < len(job.dead) else np.zeros(0, np.int64)


def _entries(job: Job, step: str, partition: int, *without: str) -> pa.Table:
    """The entries of a partition but for those of rows that earlier steps took out."""
    entries = read_slices(job.files(step, len(job.parts.paths)), partition)
    places = (entries["part"].to_numpy() << 32) | entries["row"].to_numpy()
    kept = np.ones(len(entries), np.bool_)
    for earlier in without:
        kept &= ~np.isin(places, np.load(job.work / f"{earlier}-gone.npy", mmap_mode="r"))
    return entries.filter(pa.array(kept)).combine_chunks()


def _halves(joined: bytes) -> NDArray[np.uint64]:
    """(2, N) The halves of 128-bit hashes that lie one after the other."""
    return np.frombuffer(joined, ">u8").astype(np.uint64).reshape(-1, 2).T


def _write_entries(job: Job, step: str, part: int, tables: list[pa.Table], key: str) -> None:
    entries = pa.concat_tables(tables) if tables else _no_entries(step)
    partitions = (entries[key].to_numpy() >> np.uint64(32)) % np.uint64(job.n_partitions)
    write_slices(entries, partitions.astype(np.int64), job.n_partitions, job.work / step / f"{part:06d}.arrow")


def _no_entries(step: str) -> pa.Table:
    keys = {"url": ["high", "low", "text_high", "text_low"], "text": ["high", "low"], "band": ["hash"]}[step]
    nothing = np.zeros(0, np.int64)
    columns = {name: np.zeros(0, np.uint64) for name in keys}
    return pa.table({**columns, **Rows(nothing, nothing, nothing).columns()})


def _write_by_part(job: Job, step: str, partition: int, table: pa.Table) -> None:
    path = job.work / step / f"{partition:06d}.arrow"
    write_slices(table, table["part"].to_numpy(), len(job.parts.paths), path)
