"""Documents and dropped records as Arrow tables and Parquet parts: what the stages of a build hand on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sixfold.systems.rag.records import Document, Dropped, Source

__all__ = [
    "document_order",
    "document_schema",
    "documents_to_table",
    "dropped_schema",
    "dropped_to_table",
    "read_dropped",
    "table_to_documents",
    "table_to_dropped",
    "text_digest",
    "write_part",
]

ROW_GROUP_ROWS = 128  # what a reader of single rows has to load at least
ORDINAL_BITS = 32
SOURCE_FIELDS = [("source_file", pa.string()), ("source_offset", pa.int64()), ("source_digest", pa.string())]


def document_schema() -> pa.Schema:
    """One row a document; `order` is its place in the input, `text_digest` 128-bit BLAKE2b of the text."""
    return pa.schema(
        [
            ("doc_id", pa.string()),
            ("url", pa.string()),
            ("title", pa.string()),
            ("text", pa.string()),
            ("language", pa.string()),
            *SOURCE_FIELDS,
            ("signature", pa.binary()),
            ("order", pa.int64()),
            ("text_digest", pa.binary(16)),
            ("n_words", pa.int32()),
        ]
    )


def dropped_schema() -> pa.Schema:
    """One row a dropped record; `order` is its place in the input."""
    return pa.schema(
        [
            ("url", pa.string()),
            ("stage", pa.string()),
            ("reason", pa.string()),
            ("detail", pa.string()),
            *SOURCE_FIELDS,
            ("order", pa.int64()),
        ]
    )


def document_order(split_index: int, ordinal: int) -> int:
    """The place of a record in the input: by split, then by its number within the split (below 2^32)."""
    return (split_index << ORDINAL_BITS) | ordinal


def text_digest(text: str) -> bytes:
    """What two documents share if and only if their texts are equal: 128-bit BLAKE2b."""
    return blake2b(text.encode("utf-8"), digest_size=16).digest()


def documents_to_table(documents: Sequence[Document], orders: Sequence[int]) -> pa.Table:
    """Documents and their places in the input as rows of `document_schema()`."""
    return pa.table(
        {
            "doc_id": [d.doc_id for d in documents],
            "url": [_utf8(d.url) for d in documents],
            "title": [d.title for d in documents],
            "text": [d.text for d in documents],
            "language": [d.language for d in documents],
            **_sources(d.source for d in documents),
            "signature": [d.signature for d in documents],
            "order": list(orders),
            "text_digest": [text_digest(d.text) for d in documents],
            "n_words": [len(d.text.split()) for d in documents],
        },
        schema=document_schema(),
    )


def table_to_documents(table: pa.Table) -> list[Document]:
    """The inverse of `documents_to_table`, without the orders."""
    return [
        Document(r["doc_id"], r["url"], r["title"], r["text"], r["language"], _source(r), r["signature"])
        for r in table.to_pylist()
    ]


def dropped_to_table(dropped: Sequence[Dropped], orders: Sequence[int]) -> pa.Table:
    """Dropped records and their places in the input as rows of `dropped_schema()`."""
    return pa.table(
        {
            "url": [_utf8(d.url) for d in dropped],
            "stage": [d.stage for d in dropped],
            "reason": [d.reason for d in dropped],
            "detail": [_utf8(d.detail) for d in dropped],
            **_sources(d.source for d in dropped),
            "order": list(orders),
        },
        schema=dropped_schema(),
    )


def table_to_dropped(table: pa.Table) -> list[Dropped]:
    """The inverse of `dropped_to_table`, without the orders."""
    return [Dropped(r["url"], r["stage"], r["reason"], r["detail"], _source(r)) for r in table.to_pylist()]


def read_dropped(path: Path) -> list[Dropped]:
    """The dropped records of a Parquet file."""
    return table_to_dropped(pq.read_table(path))


def write_part(table: pa.Table, path: Path) -> None:
    """Write a part whole or not at all; the same table gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    pq.write_table(table, unfinished, row_group_size=ROW_GROUP_ROWS, compression="zstd")
    unfinished.replace(path)


def _sources(sources: Iterable[Source]) -> dict[str, list[str] | list[int]]:
    listed = list(sources)
    return {
        "source_file": [_utf8(s.file) for s in listed],
        "source_offset": [s.offset for s in listed],
        "source_digest": [s.digest for s in listed],
    }


def _source(row: dict[str, object]) -> Source:
    return Source(str(row["source_file"]), int(str(row["source_offset"])), str(row["source_digest"]))


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
