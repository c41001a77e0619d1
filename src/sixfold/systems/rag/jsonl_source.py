"""Reading JSON Lines: one page a line, as text or as HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sixfold.systems.rag.payload import payload_digest
from sixfold.systems.rag.records import Dropped, Kind, RawRecord, Source
from sixfold.systems.rag.splits import ReadOptions, Split

__all__ = ["read_jsonl", "read_jsonl_record"]

SKIP_BYTES = 1 << 20


def read_jsonl(split: Split, after_offset: int, options: ReadOptions) -> Iterator[RawRecord | Dropped]:
    """The lines that begin in the split, in order; one item a line that is not blank."""
    try:
        file = open(split.file, "rb", buffering=SKIP_BYTES)  # noqa: SIM115
    except OSError as error:
        yield _dropped(split.file, split.start, "unreadable", error.strerror or str(error))
        return
    with file:
        if after_offset >= split.start:
            file.seek(after_offset)
        elif split.start:
            # The line that covers the boundary belongs to the split before, unless it begins right here.
            file.seek(split.start - 1)
            _skip_line(file)
        while (offset := file.tell()) < split.end:
            item = _read_line(file, split.file, offset, options)
            if item is not None and offset > after_offset:
                yield item


def read_jsonl_record(source: Source, options: ReadOptions) -> RawRecord | Dropped:
    """The one line at `source.offset`."""
    with open(source.file, "rb") as file:
        file.seek(source.offset)
        item = _read_line(file, source.file, source.offset, options)
    return item or _dropped(source.file, source.offset, "bad-record", "a blank line")


def _skip_line(file: BinaryIO) -> None:
    while (piece := file.readline(SKIP_BYTES)) and not piece.endswith(b"\n"):
        pass


def _read_line(file: BinaryIO, path: str, offset: int, options: ReadOptions) -> RawRecord | Dropped | None:
    # JSON may write a character in six bytes; twice the payload is what honest text needs.
    limit = 2 * options.max_payload_bytes + (1 << 16)
    line = file.readline(limit)
    if len(line) == limit and not line.endswith(b"\n"):
        _skip_line(file)
        return _dropped(path, offset, "too-large", f"a line of more than {limit} bytes")
    if not line.strip():
        return None
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return _dropped(path, offset, "bad-json", str(error)[:200])
    if not isinstance(fields, dict):
        return _dropped(path, offset, "bad-json", f"expected an object, got {type(fields).__name__}")
    url = fields.get(options.url_field)
    if not isinstance(url, str) or not url:
        url = f"{Path(path).absolute().as_uri()}#offset={offset}"
    url = url.encode("utf-8", "replace").decode("utf-8")
    for field, kind in ((options.text_field, Kind.TEXT), (options.html_field, Kind.HTML)):
        value = fields.get(field)
        if isinstance(value, str) and value:
            payload = value.encode("utf-8", "replace")
            if len(payload) > options.max_payload_bytes:
                return _dropped(path, offset, "too-large", f"{len(payload)} bytes in [{field}]", url)
            return RawRecord(url, payload, kind, "utf-8", Source(path, offset, payload_digest(payload)))
    wanted = f"[{options.text_field}] or [{options.html_field}]"
    return _dropped(path, offset, "missing-field", f"no text in {wanted}", url)


def _dropped(file: str, offset: int, reason: str, detail: str, url: str = "") -> Dropped:
    return Dropped(url, "read", reason, detail, Source(file, offset, ""))
