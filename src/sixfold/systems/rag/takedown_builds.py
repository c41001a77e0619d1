"""What builds keep of pages: texts, known items, journals, passages. Of what is taken down only the fate stays.

A row of a document becomes a row of a dropped record with the stage `takedown`, so that `rag why` can answer; a
build that was interrupted goes on from what is left. The caller holds the index's lock for writing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sixfold.files import read_json, replace_bytes, replace_json
from sixfold.systems.rag.build import builds_of
from sixfold.systems.rag.build_clean import CleanReport, url_order
from sixfold.systems.rag.build_folder import BuildFolder
from sixfold.systems.rag.chunk import chunk_document
from sixfold.systems.rag.records import Dropped, Source
from sixfold.systems.rag.records_arrow import ROW_GROUP_ROWS, dropped_schema, dropped_to_table, table_to_documents
from sixfold.systems.rag.takedown_receipt import Found
from sixfold.systems.rag.takedown_rules import STAGE, Rule

__all__ = ["build_passages", "build_sources", "find_in_builds", "same_text", "scrub_builds"]


def find_in_builds(index: Path, rule: Rule) -> Iterator[Found]:
    """Everything of a page that the builds of an index hold."""
    for folder in builds_of(index):
        for part in _parts(folder):
            for row in _rows(folder.documents(part), rule):
                yield _found(index, folder.documents(part), _place(row), row["url"], row["title"] + "\n" + row["text"])
            for row in _rows(folder.dropped(part), rule):
                if row["stage"] != STAGE and row["detail"]:  # some rules quote the line that they refuse
                    yield _found(index, folder.dropped(part), _place(row), row["url"], row["detail"])
            for url, sentence in _known(folder, part).items():
                if rule.matches(url):
                    yield _found(index, folder.known_items(part), url, url, sentence)
            for entry in _journal(folder.journal(part)):
                if "at" in entry and entry.get("stage") != STAGE and rule.matches(entry["url"]):
                    text = entry["text"] if "text" in entry else entry["detail"]
                    yield _found(index, folder.journal(part), str(entry["at"]), entry["url"], text)


def build_passages(index: Path, rule: Rule) -> Iterator[str]:
    """The passages that the builds of an index made, or will make, of what the rule names: their vectors are cached."""
    for folder in builds_of(index):
        for part in _parts(folder):
            for table in _matching(folder.documents(part), rule):
                for document in table_to_documents(table):
                    yield from (chunk.text for chunk in chunk_document(document))


def build_sources(index: Path, rule: Rule) -> Iterator[tuple[str, int, str]]:
    """(file, offset, URL) of every matching record that a build has read, also after its text was removed."""
    for folder in builds_of(index):
        for part in _parts(folder):
            for path in (folder.documents(part), folder.dropped(part)):
                for row in _rows(path, rule):
                    yield row["source_file"], row["source_offset"], row["url"]


def same_text(index: Path, rule: Rule, most: int = 100) -> list[str]:
    """URLs that the rule does not name and whose page has the text of one that it names, at most so many."""
    digests = set()
    for folder in builds_of(index):
        for part in _parts(folder):
            for table in _matching(folder.documents(part), rule, ["url", "text_digest"]):
                digests |= set(table["text_digest"].to_pylist())
    urls: dict[str, None] = {}
    if digests:
        wanted = pa.array(sorted(digests), pa.binary(16))
        for folder in builds_of(index):
            for part in _parts(folder):
                if folder.documents(part).exists():
                    table = pq.read_table(folder.documents(part), columns=["url", "text_digest"])
                    same = table.filter(pc.is_in(table["text_digest"], wanted))["url"].to_pylist()
                    urls.update(dict.fromkeys(url for url in same if not rule.matches(url)))
    return list(urls)[:most]


def scrub_builds(index: Path, rule: Rule, published: set[str]) -> None:
    """Remove all of that; doing it again changes nothing. published: the segments that some generation names."""
    for folder in builds_of(index):
        for part in _parts(folder):
            _scrub_part(folder, part, rule)
        if not folder.done_path.exists():
            _scrub_unfinished(index, folder, published)


def _scrub_part(folder: BuildFolder, part: int, rule: Rule) -> None:
    gone = [rule.dropped(row["url"], _source(row)) for row in _rows(folder.documents(part), rule)]
    refused = [rule.dropped(r["url"], _source(r)) for r in _rows(folder.dropped(part), rule) if r["stage"] != STAGE]
    if gone or refused:  # first the fates, then the texts: killed in between, both are there, and this is done again
        table = pq.read_table(folder.dropped(part))
        places = {(one.source.file, one.source.offset) for one in (*gone, *refused)}
        fates = dropped_to_table([*gone, *refused], [url_order(one.url) for one in (*gone, *refused)])
        table = pa.concat_tables([_without(table, places), fates], promote_options="none")
        _replace_table(table.cast(dropped_schema()), folder.dropped(part))
    if gone:
        _forget_duplicates(folder, {(one.source.file, one.source.offset) for one in gone})
        table = pq.read_table(folder.documents(part))
        _replace_table(table.filter(pc.invert(_named(table["url"], rule))), folder.documents(part))
    if (gone or refused) and folder.clean_report(part).exists():
        _recount(folder, part)
    known = _known(folder, part)
    if any(map(rule.matches, known)):
        replace_json(folder.known_items(part), {url: text for url, text in known.items() if not rule.matches(url)})
    _scrub_journal(folder.journal(part), rule)


def _forget_duplicates(folder: BuildFolder, places: set[tuple[str, int]]) -> None:
    """A document that was dropped as a duplicate, too, has one fate from now on."""
    if not folder.drop_counts.exists():
        return
    table = pq.read_table(folder.drops)
    kept = _without(table, places)
    if len(kept) < len(table):
        _replace_table(kept, folder.drops)
    stages = kept["stage"].to_pylist()
    replace_json(folder.drop_counts, {stage: stages.count(stage) for stage in sorted(set(stages))})


def _recount(folder: BuildFolder, part: int) -> None:
    before = CleanReport(**read_json(folder.clean_report(part)))
    texts = pq.read_table(folder.documents(part), columns=["text"])["text"]
    dropped = pq.ParquetFile(folder.dropped(part)).metadata.num_rows
    size = int(pc.sum(pc.binary_length(texts)).as_py() or 0)
    replace_json(
        folder.clean_report(part), asdict(CleanReport(part, len(texts), int(dropped), size, rework=before.rework))
    )


def _scrub_journal(path: Path, rule: Rule) -> None:
    """The outcome of a record that is taken down becomes a drop at the same position."""
    if not path.exists():
        return
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # the worker of a killed build may outlive it by a moment
        lines, changed = [], False
        for entry in _journal(path):
            if "at" in entry and entry.get("stage") != STAGE and rule.matches(entry["url"]):
                fate: Dropped = rule.dropped(entry["url"], Source(**entry["source"]))
                entry, changed = {"at": entry["at"], **asdict(fate)}, True
            lines.append(json.dumps(entry, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
        if changed or not path.read_bytes().endswith(b"\n"):  # a torn line may hold text as well
            replace_bytes(path, b"".join(lines))


def _scrub_unfinished(index: Path, folder: BuildFolder, published: set[str]) -> None:
    """What the build will make again from its documents: passages, comparisons, segments that nobody reads yet."""
    shutil.rmtree(folder.path / "chunks", ignore_errors=True)
    if not folder.drop_counts.exists():
        shutil.rmtree(folder.dedup, ignore_errors=True)
    for pattern in ("documents/*.unfinished", "dropped/*.unfinished", "known/.*.tmp", ".*.partial"):
        for path in folder.path.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for pattern in (f"{folder.path.name}-*", f".{folder.path.name}-*"):
        for path in (index / "segments").glob(pattern):
            if path.name not in published:
                shutil.rmtree(path)


def _parts(folder: BuildFolder) -> range:
    return range(len(folder.read_plan()[2]) if folder.plan_path.exists() else 0)


def _named(urls: pa.ChunkedArray, rule: Rule) -> pa.Array:
    return pa.array([rule.matches(url) for url in urls.to_pylist()], pa.bool_())


def _matching(path: Path, rule: Rule, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The rows of a part that the rule names; their row groups are all that is read beside the URLs."""
    if not path.exists():
        return
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = np.flatnonzero(np.asarray(_named(file.read_row_group(group, columns=["url"])["url"], rule)))
            if len(rows):
                yield file.read_row_group(group, columns=columns).take(pa.array(rows))


def _rows(path: Path, rule: Rule) -> list[dict[str, Any]]:
    return [row for table in _matching(path, rule) for row in table.to_pylist()]


def _without(table: pa.Table, places: set[tuple[str, int]]) -> pa.Table:
    rows = zip(table["source_file"].to_pylist(), table["source_offset"].to_pylist(), strict=True)
    return table.filter(pa.array([row not in places for row in rows], pa.bool_()))


def _replace_table(table: pa.Table, path: Path) -> None:
    """As `write_part` does, and on disk when this returns."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=ROW_GROUP_ROWS, compression="zstd")
    replace_bytes(path, sink.getvalue().to_pybytes())


def _known(folder: BuildFolder, part: int) -> dict[str, str]:
    path = folder.known_items(part)
    known: dict[str, str] = read_json(path) if path.exists() else {}
    return known


def _journal(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a part's journal; a torn last one is cut off when the build goes on."""
    if path.exists():
        with path.open("rb") as lines:
            yield from (json.loads(line) for line in lines if line.endswith(b"\n"))


def _source(row: dict[str, Any]) -> Source:
    return Source(row["source_file"], row["source_offset"], row["source_digest"])


def _place(row: dict[str, Any]) -> str:
    return f"{row['source_file']}:{row['source_offset']}"


def _found(index: Path, path: Path, at: str, url: str, text: str) -> Found:
    data = text.encode("utf-8", "surrogatepass")
    return Found("build", str(path.relative_to(index)), at, url, len(data), hashlib.sha256(data).hexdigest())
