"""What every run of `balance` for rag is over: passages of the embedded site, what is asked, what comes in.

Known items measure quality: pages lose their leading sentence, and are asked for by it.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sixfold.axes import Axis
from sixfold.systems.rag.build_chunks import shard_of
from sixfold.systems.rag.crew import SerialCrew
from sixfold.systems.rag.index.manifest import Manifest, publish, read_manifest
from sixfold.systems.rag.index.segment import IndexedChunk, write_segment
from sixfold.systems.rag.index.segment_reader import SegmentReader
from sixfold.systems.rag.known_items import KnownItem, known_items, strip_known_items
from sixfold.systems.rag.records import Document

__all__ = ["Source", "build_site", "open_source"]

_PROSE_LETTERS, _PROSE_WORDS = 0.75, 40  # of a passage that a quality filter would leave alone
_PASSAGES = 3  # of a document that is handed in


@dataclass(frozen=True)
class Source:
    """rows: every passage and its vector, by chunk_id. questions: to load with. items: to measure quality with."""

    folder: Path
    rows: Sequence[tuple[IndexedChunk, Any]]
    questions: Sequence[str]
    items: Sequence[KnownItem]
    prose: Sequence[str]

    def divided(self, shards: int) -> Path:
        """An index of these passages in so many shards, made once, beside the site's."""
        out = self.folder.with_name(f"shards-{shards}")
        if (out / "whole").exists():
            return out
        shutil.rmtree(out, ignore_errors=True)
        (out / "segments").mkdir(parents=True)
        (out / "builds").symlink_to((self.folder / "builds").resolve())  # by whose rules documents are cleaned
        names = []
        for number in range(shards):
            mine = [row for row in self.rows if shard_of(row[0].chunk.doc_id, shards) == number]
            vectors = iter([vector for _, vector in mine])
            name = f"divided-{number:04d}"
            write_segment(out / "segments" / name, (at for at, _ in mine), partial(_next_vectors, vectors))
            names.append((name,))
        publish(out, Manifest(1, tuple(names), {}, read_manifest(self.folder).settings))
        (out / "whole").touch()
        return out

    def document(self, word: str, draw: random.Random) -> dict[str, str]:
        """A page about a word that is nowhere else."""
        body = "".join(f"<p>{_escaped(text)}</p>" for text in draw.sample(self.prose, _PASSAGES))
        html = f"<html><head><title>About {word}</title></head><body><main><p>The page about {word} says this.</p>"
        return {"url": f"http://fresh.example/{word}", "html": f"{html}{body}</main></body></html>"}


def build_site(work: Path, pages: int, seed: int) -> Path:
    """Crawl pages of the embedded site and build an index of them, once; return its folder."""
    from sixfold.systems.rag.build import build
    from sixfold.systems.rag.build_folder import BuildSettings
    from sixfold.systems.rag.crawl.crawler import crawl_single
    from sixfold.systems.rag.embedded_web import hub_and_limits, start_site, stop_site

    index = work / "site"
    if (work / "built").exists():
        return index
    for old in (index, work / "crawl"):
        shutil.rmtree(old, ignore_errors=True)
    index.mkdir(parents=True)
    start_site(work, None, pages, seed)
    try:
        hub, limits = hub_and_limits(work)
        crawl_single([hub], work / "crawl", limits)
    finally:
        stop_site(work)
    crew = SerialCrew(Axis.DATA)
    build([str((work / "crawl" / "warc").resolve())], index, BuildSettings(preset="documentation"), crew, _quiet)
    crew.close()
    (work / "built").touch()
    return index


def open_source(folder: Path, questions: int, items: int, seed: int) -> Source:
    """Read an index, take the sentences of `items` pages out of their passages, and draw questions from the rest."""
    rows = _rows(folder)
    pages: dict[str, list[IndexedChunk]] = {}
    for row, _ in rows:
        pages.setdefault(row.url, []).append(row)
    documents = []
    for url, chunks in pages.items():
        ordered = sorted(chunks, key=lambda at: at.chunk.ordinal)
        first = ordered[0]
        text = "\n".join(at.chunk.text for at in ordered)
        documents.append(Document(first.chunk.doc_id, url, first.title, text, first.language, first.source, b""))
    known = known_items(documents, seed, items)
    rows = _stripped(rows, {item.url: item.summary for item in known})
    prose = [row.chunk.text for row, _ in rows if _is_prose(row.chunk.text)]
    return Source(folder, rows, _questions(rows, questions, random.Random(seed)), known, prose)


def _stripped(rows: Sequence[tuple[IndexedChunk, Any]], cut: dict[str, str]) -> list[tuple[IndexedChunk, Any]]:
    from sixfold.systems.rag.build_embed import embedder

    changed: dict[int, IndexedChunk] = {}
    for at, (row, _) in enumerate(rows):
        text = strip_known_items(row.chunk.text, [cut[row.url]]) if row.url in cut else row.chunk.text
        if text != row.chunk.text and text.strip():
            chunk = replace(row.chunk, text=text, end=row.chunk.start + len(text))
            changed[at] = replace(row, chunk=chunk)
    vectors = embedder().embed([row.chunk.text for row in changed.values()])
    found = list(rows)
    for (at, row), vector in zip(changed.items(), vectors, strict=True):
        found[at] = (row, vector)
    return found


def _rows(index: Path) -> list[tuple[IndexedChunk, Any]]:
    """Every passage with its vector."""
    rows: list[tuple[IndexedChunk, Any]] = []
    for name in read_manifest(index).segments:
        reader = SegmentReader.open(index / "segments" / name)
        if reader.vectors is None:
            raise RuntimeError(f"segment {name} has no vectors")
        rows += zip(reader.read(list(range(len(reader)))), reader.vectors.vectors, strict=True)
    return sorted(rows, key=lambda row: row[0].chunk.chunk_id)


def _questions(rows: Sequence[tuple[IndexedChunk, Any]], n: int, draw: random.Random) -> list[str]:
    """n different questions: a few words in a row of a passage."""
    found: dict[str, None] = {}
    while len(found) < n:
        words = re.findall(r"[A-Za-z][a-z]{2,}", draw.choice(rows)[0].chunk.text)
        if len(words) >= 8:
            at = draw.randrange(len(words) - 7)
            found[" ".join(words[at : at + draw.randint(4, 8)])] = None
    return list(found)


def _is_prose(text: str) -> bool:
    words = text.split()
    letters = sum(map(str.isalpha, text)) / max(sum(map(len, words)), 1)
    return len(words) >= _PROSE_WORDS and letters >= _PROSE_LETTERS


def _next_vectors(vectors: Iterator[Any], texts: Sequence[str]) -> Any:
    return np.stack([next(vectors) for _ in texts])


def _quiet(step: str, done: int, total: int) -> None:
    """A build that nobody watches."""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
