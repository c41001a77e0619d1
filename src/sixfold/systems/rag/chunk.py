"""Cutting a document into passages of whole sentences that know where in the text they lie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from sixfold.errors import ConfigError
from sixfold.systems.rag.clean.sentences import sentence_spans
from sixfold.systems.rag.records import Chunk, Document

__all__ = ["ChunkConfig", "chunk_document"]

WORD = re.compile(r"\S+")
MAX_HEADING_CHARS = 100
MAX_SEGMENT_CHARS = 20_000  # sentences are found within this much text at once
SENTENCE_ENDS = tuple(".!?…:;,。！？")

Span = tuple[int, int]  # characters [start, end) of the document's text, without white space at either end


@dataclass(frozen=True, slots=True)
class ChunkConfig:
    """How large passages are; a passage ends where the next sentence would exceed either bound."""

    target_words: int = 200
    max_chars: int = 2_000
    overlap_sentences: int = 0  # repeated at the head of the next passage of the same section: 0 or 1

    def __post_init__(self) -> None:
        if self.target_words < 1 or self.max_chars < 1:
            raise ConfigError("target_words and max_chars have to be at least 1")
        if self.overlap_sentences not in (0, 1):
            raise ConfigError(f"overlap_sentences is {self.overlap_sentences}, expected 0 or 1")


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence, a line of code or a heading: what is not cut unless it exceeds a bound by itself."""

    start: int
    end: int
    n_words: int
    is_heading: bool


def chunk_document(document: Document, config: ChunkConfig | None = None) -> list[Chunk]:
    """The passages of a document in order: every word is in one (or, with overlap, in two).

    A heading stays with what follows it. Nothing is cut inside a word unless the word is longer than
    `max_chars`. Chunk ids depend on the document's id, the ordinal and the text.
    """
    config = config or ChunkConfig()
    text = document.text
    chunks = []
    for ordinal, (start, end) in enumerate(_pack(list(_units(text, document.language, config)), config)):
        passage = text[start:end]
        key = f"{document.doc_id}\x00{ordinal}\x00{passage}".encode("utf-8", "surrogatepass")
        chunk_id = blake2b(key, digest_size=16).hexdigest()
        chunks.append(Chunk(chunk_id, document.doc_id, ordinal, start, end, passage))
    return chunks


def _units(text: str, language: str, config: ChunkConfig) -> Iterator[_Unit]:
    """The units of a text in order, none above the bounds."""
    lines = [(m.start(), m.end()) for m in re.finditer(r"[^\n]+", text)]
    for i, (line_start, line_end) in enumerate(lines):
        line = text[line_start:line_end]
        if line.isspace():
            continue
        if _is_heading(line, ends_text=i + 1 == len(lines)):
            yield from _bounded(text, (line_start, line_end), config, is_heading=True)
            continue
        for start, end in _bounded_segments(text, line_start, line_end):
            for a, b in sentence_spans(text[start:end], language):
                yield from _bounded(text, (start + a, start + b), config, is_heading=False)


def _is_heading(line: str, *, ends_text: bool) -> bool:
    """A short line that does not end like a sentence (or that Markdown marks), with something after it."""
    stripped = line.strip()
    if ends_text or len(stripped) > MAX_HEADING_CHARS:
        return False
    if stripped.startswith("#"):
        return True
    return not stripped.endswith(SENTENCE_ENDS) and len(stripped.split()) <= 12 and not line[0].isspace()


def _bounded_segments(text: str, start: int, end: int) -> Iterator[Span]:
    # A page without line breaks would give the segmenter megabytes at once.
    while end - start > MAX_SEGMENT_CHARS:
        cut = text.rfind(" ", start + 1, start + MAX_SEGMENT_CHARS)
        cut = cut if cut > 0 else start + MAX_SEGMENT_CHARS
        yield start, cut
        start = cut
    yield start, end


def _bounded(text: str, span: Span, config: ChunkConfig, *, is_heading: bool) -> Iterator[_Unit]:
    """The span as units within the bounds, cut between words, or inside one that is too long by itself."""
    piece = text[slice(*span)]
    n_words = len(piece.split())
    if n_words <= config.target_words and len(stripped := piece.strip()) <= config.max_chars:
        if stripped:
            start = span[0] + len(piece) - len(piece.lstrip())
            yield _Unit(start, start + len(stripped), n_words, is_heading)
        return
    first = last = -1
    n_words = 0
    for match in WORD.finditer(text, *span):
        for start, end in _pieces(match.start(), match.end(), config.max_chars):
            if first >= 0 and (end - first > config.max_chars or n_words >= config.target_words):
                yield _Unit(first, last, n_words, is_heading)
                first, n_words = -1, 0
            if first < 0:
                first = start
            last = end
            n_words += 1
    if first >= 0:
        yield _Unit(first, last, n_words, is_heading)


def _pieces(start: int, end: int, max_chars: int) -> Iterator[Span]:
    for at in range(start, end, max_chars):
        yield at, min(end, at + max_chars)


def _pack(units: list[_Unit], config: ChunkConfig) -> Iterator[Span]:
    """Spans of consecutive units, as many as the bounds allow; a heading ends none of them."""
    at = 0
    while at < len(units):
        end = at + 1
        n_words = units[at].n_words
        while end < len(units) and _fits(units[at], units[end], n_words, config):
            n_words += units[end].n_words
            end += 1
        if end < len(units):
            body = end
            while body - 1 > at and units[body - 1].is_heading:
                body -= 1
            # A run of headings as long as a passage is a table of contents: it is cut like anything else.
            if not units[body - 1].is_heading:
                end = body
        yield units[at].start, units[end - 1].end
        repeated = end - config.overlap_sentences
        overlaps = (
            config.overlap_sentences
            and end < len(units)
            and repeated > at
            and not units[end].is_heading
            and _fits(units[repeated], units[end], units[repeated].n_words, config)
        )
        at = repeated if overlaps else end


def _fits(first: _Unit, added: _Unit, n_words: int, config: ChunkConfig) -> bool:
    return added.end - first.start <= config.max_chars and n_words + added.n_words <= config.target_words
