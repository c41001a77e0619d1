"""What flows through the build: a raw record becomes a document or a reason, a document becomes chunks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

__all__ = ["Chunk", "Document", "Dropped", "Kind", "RawRecord", "Source", "document_id"]


class Kind(StrEnum):
    """How the payload of a raw record is to be read."""

    HTML = "html"
    TEXT = "text"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a record lies: enough to read it again and to check that it is the same."""

    file: str  # the input file, as given
    offset: int  # of the record in that file (bytes; of the gzip member in a compressed WARC)
    digest: str  # "sha1:" and the base32 SHA-1 of the payload, as WARC-Payload-Digest writes it


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One page as it was fetched or read: bytes, and what its carrier said about them."""

    url: str
    payload: bytes
    kind: Kind
    charset: str | None  # as declared by the carrier (HTTP header), not by the page
    source: Source


@dataclass(frozen=True, slots=True)
class Document:
    """One page that passed every filter: its main text and where that came from."""

    doc_id: str  # document_id(url)
    url: str
    title: str
    text: str
    language: str  # ISO 639-1
    source: Source
    signature: bytes  # MinHash of the text's word shingles, little-endian uint32


@dataclass(frozen=True, slots=True)
class Dropped:
    """One record that did not become a document, and why."""

    url: str
    stage: str  # "read", "extract", "language", "gopher-quality", "exact-duplicate", ...
    reason: str  # a short stable word one can count by
    detail: str  # the measured value, the threshold, the representative that was kept instead, ...
    source: Source


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: `text == document.text[start:end]`, so it can be traced to its record and back."""

    chunk_id: str
    doc_id: str
    ordinal: int  # position among the chunks of its document
    start: int  # characters into the document's text
    end: int
    text: str


def document_id(url: str) -> str:
    """The identity of a document is its URL: 128-bit BLAKE2b, as 32 hexadecimal digits."""
    return blake2b(url.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
