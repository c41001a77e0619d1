"""Reading WARC and WET files record by record, from any byte, through whatever damage they have."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from fastwarc.warc import WarcRecord, WarcRecordType

from sixfold.systems.rag.payload import binary_type, kind_of_mime, payload_digest, sniff_kind
from sixfold.systems.rag.records import Dropped, RawRecord, Source
from sixfold.systems.rag.splits import Format, ReadOptions, Split

__all__ = ["read_warc", "read_warc_record"]

GZIP_MAGIC = b"\x1f\x8b\x08"
HEADER_BYTES = 1 << 16  # WARC and HTTP header blocks beyond this are not honest ones
READ_BYTES = 1 << 14
SEARCH_BYTES = 1 << 20
CONTENT_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """What stands at one offset: the bytes of a record, or as much of them as could be had and the fault."""

    data: bytes
    next: int  # where the next record should begin; without meaning when there is a fault
    fault: str = ""
    detail: str = ""


class Cursor(Protocol):
    """The two questions a carrier of WARC records answers."""

    def find(self, start: int, end: int) -> int | None:
        """The offset of the first record that begins in [start, end)."""

    def read(self, offset: int) -> Block:
        """The record at an offset that `find` or a previous block gave."""


class GzipCursor:
    """One gzip member a record (ISO 28500, annex A), inflated within a bound."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self.file, self.max_bytes = file, max_bytes

    def find(self, start: int, end: int) -> int | None:
        for offset in _occurrences(self.file, GZIP_MAGIC, start, end):
            self.file.seek(offset)
            try:
                head = zlib.decompressobj(31).decompress(self.file.read(512), 5)
            except zlib.error:
                continue
            if head == b"WARC/":
                return offset
        return None

    def read(self, offset: int) -> Block:
        self.file.seek(offset)
        inflater = zlib.decompressobj(31)
        pieces: list[bytes] = []
        room = self.max_bytes + 1
        while not inflater.eof:
            # zlib may hold output back when a bound was met, so a full buffer is drained before more is read.
            chunk = inflater.unconsumed_tail or self.file.read(READ_BYTES)
            if not chunk:
                return Block(b"".join(pieces), offset, "truncated", "the file ends inside a gzip member")
            try:
                piece = inflater.decompress(chunk, room)
            except zlib.error as error:
                return Block(b"".join(pieces), offset, "corrupt-gzip", str(error))
            pieces.append(piece)
            room -= len(piece)
            if room <= 0:
                return Block(b"".join(pieces), offset, "too-large", f"inflates to more than {self.max_bytes} bytes")
        return Block(b"".join(pieces), self.file.tell() - len(inflater.unused_data))


class PlainCursor:
    """Records one after the other, each as long as its Content-Length says."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self.file, self.max_bytes = file, max_bytes

    def find(self, start: int, end: int) -> int | None:
        for offset in _occurrences(self.file, b"WARC/1.", start, end):
            self.file.seek(max(0, offset - 1))
            at_line_start = offset == 0 or self.file.read(1) == b"\n"
            if at_line_start and _content_span(self.file.read(HEADER_BYTES)) is not None:
                return offset
        return None

    def read(self, offset: int) -> Block:
        self.file.seek(offset)
        head = self.file.read(HEADER_BYTES)
        span = _content_span(head) if head.startswith(b"WARC/") else None
        if span is None:
            return Block(head[:256], offset, "bad-record", "no WARC header with a Content-Length here")
        total = sum(span)
        if total > self.max_bytes:
            # A length is believed if it leads to another record or to the end; else the next is searched.
            following = self._after(offset + total)
            self.file.seek(following)
            honest = self.file.read(5) in (b"WARC/", b"") and following <= self.file.seek(0, os.SEEK_END)
            return Block(head, following if honest else offset, "too-large", f"{span[1]} bytes are declared")
        self.file.seek(offset)
        data = self.file.read(total)
        if len(data) < total:
            return Block(data, offset, "truncated", "the file ends inside a record")
        return Block(data, self._after(offset + total))

    def _after(self, offset: int) -> int:
        self.file.seek(offset)
        tail = self.file.read(16)
        return offset + len(tail) - len(tail.lstrip(b"\r\n"))


def read_warc(split: Split, after_offset: int, options: ReadOptions) -> Iterator[RawRecord | Dropped]:
    """The records of a split in the order of their offsets; one item an offset, whatever is wrong with it."""
    try:
        file = open(split.file, "rb", buffering=SEARCH_BYTES)  # noqa: SIM115
    except OSError as error:
        yield _dropped(split.file, split.start, "unreadable", error.strerror or str(error))
        return
    with file:
        cursor = _cursor(file, split.format, options)
        offset: int | None
        if after_offset >= split.start:
            offset = after_offset
        elif split.start == 0:
            offset = 0  # so that rubbish at the head of a file is reported and not passed over
        else:
            offset = cursor.find(split.start, split.end)
        while offset is not None and offset < split.end:
            block = cursor.read(offset)
            item = _interpret(block, split.file, offset, options)
            if item is not None and offset > after_offset:
                yield item
            intact = not block.fault or (block.fault == "too-large" and block.next > offset)
            offset = block.next if intact else cursor.find(offset + 1, split.end)


def read_warc_record(source: Source, format: Format, options: ReadOptions) -> RawRecord | Dropped:
    """The one record at `source.offset`."""
    with open(source.file, "rb") as file:
        item = _interpret(_cursor(file, format, options).read(source.offset), source.file, source.offset, options)
    return item or _dropped(source.file, source.offset, "bad-record", "not a record with a page")


def _cursor(file: BinaryIO, format: Format, options: ReadOptions) -> Cursor:
    bound = options.max_payload_bytes + HEADER_BYTES
    return GzipCursor(file, bound) if format is Format.WARC_GZIP else PlainCursor(file, bound)


def _occurrences(file: BinaryIO, needle: bytes, start: int, end: int) -> Iterator[int]:
    position = start
    while position < end:
        file.seek(position)
        window = file.read(SEARCH_BYTES)
        if len(window) < len(needle):
            return
        at = window.find(needle)
        while at >= 0 and position + at < end:
            yield position + at
            at = window.find(needle, at + 1)
        position += max(1, len(window) - len(needle) + 1)


def _content_span(head: bytes) -> tuple[int, int] | None:
    """(bytes of the header block, bytes of content) of the record that begins with `head`."""
    stop = head.find(b"\r\n\r\n")
    length = CONTENT_LENGTH.search(head, 0, stop + 2) if stop > 0 else None
    return (stop + 4, int(length[1])) if length else None


def _dropped(file: str, offset: int, reason: str, detail: str, url: str = "") -> Dropped:
    return Dropped(url, "read", reason, detail, Source(file, offset, ""))


def _interpret(block: Block, file: str, offset: int, options: ReadOptions) -> RawRecord | Dropped | None:
    """The page in a block, the reason why there is none, or None for a record that is not about a page."""
    if not block.data.strip(b"\r\n\x00") and not block.fault:
        return None
    try:
        record = WarcRecord.from_bytes(block.data)
    except OSError as error:
        return _dropped(file, offset, block.fault or "bad-record", block.detail or str(error))
    url = (record.headers.get("WARC-Target-URI") or "").strip("<>")

    def dropped(reason: str, detail: str) -> Dropped:
        return _dropped(file, offset, reason, detail, url)

    span = _content_span(block.data[:HEADER_BYTES])
    if span is not None and len(block.data) > sum(span) and b"WARC/1." in block.data[sum(span) : sum(span) + 64]:
        how = "recompress the file with one gzip member a record"
        return dropped("not-record-compressed", f"several records in one gzip member: {how}")
    if block.fault:
        return dropped(block.fault, block.detail)
    if span is None:
        return dropped("bad-record", "no Content-Length in the WARC header")
    if len(block.data) < sum(span):
        return dropped("truncated", f"{len(block.data)} of {sum(span)} bytes are there")
    if record.record_type == WarcRecordType.revisit:
        return dropped("revisit", "refers to an earlier record")
    if record.record_type not in (
        WarcRecordType.response,
        WarcRecordType.resource,
        WarcRecordType.conversion,
    ):
        return None
    if not url:
        return dropped("no-url", "no WARC-Target-URI")
    return _page(record, block.data, file, offset, url, options)


def _page(
    record: WarcRecord, data: bytes, file: str, offset: int, url: str, options: ReadOptions
) -> RawRecord | Dropped:
    def dropped(reason: str, detail: str) -> Dropped:
        return _dropped(file, offset, reason, detail, url)

    charset: str | None = None
    mime = record.headers.get("Content-Type")
    if record.record_type == WarcRecordType.response:
        payload, status, mime, charset = _http(data, options.max_payload_bytes + 1)
        if payload is None:
            return dropped("bad-http", "no HTTP header, or an encoding that cannot be undone")
        if status != 200:
            return dropped("status", str(status))
    else:
        payload = bytes(record.reader.read(options.max_payload_bytes + 1))
        if record.record_type == WarcRecordType.conversion:
            charset = "utf-8"  # WET files are UTF-8 by definition
    if not payload:
        return dropped("empty", "no payload")
    if len(payload) > options.max_payload_bytes:
        return dropped("too-large", f"decodes to more than {options.max_payload_bytes} bytes")
    binary = binary_type(payload, charset)
    kind = kind_of_mime(mime) if mime else sniff_kind(payload)
    if kind is None:
        return dropped("unsupported-type", (mime or "").split(";")[0][:80])
    if binary is not None:
        return dropped("binary", f"{binary}, labelled {(mime or 'nothing').split(';')[0][:80]}")
    return RawRecord(url, payload, kind, charset, Source(file, offset, payload_digest(payload)))


def _http(data: bytes, limit: int) -> tuple[bytes | None, int, str | None, str | None]:
    """(payload, status, media type, charset). Crawlers often store a decoded body under the header of the
    encoded one: an encoding that does not decode is taken as already undone."""
    for decoding in ("all", "content", "transfer", "none"):
        record = WarcRecord.from_bytes(data)
        try:
            record.parse_http(auto_decode=decoding)
            headers = record.http_headers
            status = headers.status_code if headers is not None else None
            if headers is None or status is None:
                return None, 0, None, None
            payload = bytes(record.reader.read(limit))
        except OSError:
            continue
        return payload, int(status), headers.get("Content-Type"), record.http_charset
    return None, 0, None, None
