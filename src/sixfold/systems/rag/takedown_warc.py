"""Records of WARC files are overwritten in place by notes of the same length: every other record keeps its offset.

A note is a gzip member of its own with a `metadata` record; what it is shorter is filled with blanks in its content
(stored, not deflated) and, where that cannot come out even, in the comment of the gzip header (RFC 1952, 2.3).
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO
from uuid import NAMESPACE_URL, uuid5

from sixfold.errors import InputError
from sixfold.systems.rag.takedown_receipt import Found
from sixfold.systems.rag.takedown_rules import iso_time
from sixfold.systems.rag.warc_source import CONTENT_LENGTH, HEADER_BYTES, READ_BYTES, GzipCursor

__all__ = ["Member", "find_records", "journaled_members", "note_of_length", "overwrite"]

_STORED_BYTES = 65_535  # of one stored block of deflate (RFC 1951, 3.2.4)
_FRAME_BYTES = 18  # gzip header and trailer


@dataclass(frozen=True, slots=True)
class Member:
    """A gzip member, and the URL of the record in it; empty for one that is about no URL."""

    offset: int
    length: int
    url: str


def find_records(
    path: Path, matches: Callable[[str], bool], place: str, name: str, known: Iterable[Member] = ()
) -> Iterator[Found]:
    """The records of a `.warc.gz` file whose URL matches, of every type that names one.

    known: members as a crawl's journal has them; only what lies between them is read. What cannot be inflated (the
    torn end of a file that is still written) is passed over.
    """
    with path.open("rb") as file:
        for member in _members(file, _without_overlaps(known, path.stat().st_size)):
            if not member.url or not matches(member.url):
                continue
            file.seek(member.offset)
            payload = raw = file.read(member.length)
            try:
                record = zlib.decompress(raw, 31)
            except zlib.error:
                pass  # damaged, but the journal says what it was: pieces of it may be legible
            else:
                if not _url(record):  # what the journal names is a note by now
                    continue
                payload = _payload(record)
            digest = hashlib.sha256(payload).hexdigest()
            yield Found(place, name, str(member.offset), member.url, len(payload), digest, member.length)


def overwrite(path: Path, found: Found, receipt: str, at_s: float) -> bool:
    """Put the note in the place of a record, on disk when this returns; whether it was not there already."""
    offset = int(found.at)
    note = note_of_length(found.length, receipt, at_s, f"{found.file}:{offset}")
    with path.open("r+b", buffering=0) as file:
        if os.pread(file.fileno(), len(note), offset) == note:
            return False
        done = 0
        while done < len(note):
            done += os.pwrite(file.fileno(), note[done:], offset + done)
        os.fsync(file.fileno())
    return True


def note_of_length(length: int, receipt: str, at_s: float, where: str) -> bytes:
    """A gzip member of exactly so many bytes with a WARC record that says that one was taken down here.

    The same arguments give the same bytes. Raises InputError for less than such a record takes (about 150).
    """
    identity = uuid5(NAMESPACE_URL, f"takedown:{receipt}:{where}")
    told = f"taken-down: {iso_time(at_s)}\r\nreceipt: {receipt}\r\n".encode()

    def record(body: bytes) -> bytes:
        kind = "Content-Type: application/warc-fields\r\n" if body else ""
        head = (
            f"WARC/1.1\r\nWARC-Type: metadata\r\nWARC-Record-ID: <urn:uuid:{identity}>\r\n"
            f"WARC-Date: {iso_time(at_s)}\r\n{kind}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body + b"\r\n\r\n"

    spare = length - len(_member(record(told), 0))
    blanks = max(0, spare - 5 * (spare // _STORED_BYTES + 1) - len(str(length)))
    for fill in range(blanks, blanks + 32):  # the number of digits and of stored blocks depends on it
        member = _member(record(told + b" " * fill), 0)
        if spare < 0 or len(member) > length:
            break
        if length - len(member) < 16:
            return _padded(member, length)
    for body in (told, b""):
        member = _member(record(body), 9)
        if len(member) <= length:
            return _padded(member, length)
    raise InputError(f"a gzip member of {length} bytes has no room for a note of its takedown")


def journaled_members(crawl: Path) -> dict[str, list[Member]]:
    """Where the records of a crawl lie by its journals: file name -> members, those of forgotten lives included."""
    members: dict[str, list[Member]] = {}
    for path in sorted((crawl / "crawl" / "journal").glob("w*.jsonl")):
        with path.open("rb") as lines:
            for line in lines:
                if line.startswith(b'["done",') and line.endswith(b"\n"):
                    _, url, (file, offset, length, _), *_ = json.loads(line)
                    members.setdefault(file, []).append(Member(offset, length, url))
    return members


def _without_overlaps(known: Iterable[Member], size: int) -> list[Member]:
    """In order; without those that another one contradicts (a power cut took a record and another lies there now)."""
    ordered = sorted(set(known), key=lambda m: (m.offset, m.length))
    wrong = {m for m in ordered if m.offset + m.length > size}
    for one, other in pairwise(ordered):
        if one.offset + one.length > other.offset:
            wrong |= {one, other}
    return [member for member in ordered if member not in wrong]


def _members(file: BinaryIO, known: list[Member]) -> Iterator[Member]:
    """Every member in order; the known ones are not read."""
    size = file.seek(0, os.SEEK_END)
    at = 0
    for member in [*known, Member(size, 0, "")]:
        while at < member.offset:
            read = _read_member(file, at)
            if read is None:
                following = GzipCursor(file, HEADER_BYTES).find(at + 1, member.offset)
                at = member.offset if following is None else following
                continue
            yield read
            at = read.offset + read.length
        if member.length:
            yield member
        at = max(at, member.offset + member.length)


def _read_member(file: BinaryIO, offset: int) -> Member | None:
    """The member at an offset; None if there is none, or not a whole one."""
    file.seek(offset)
    inflater = zlib.decompressobj(31)
    head, read = b"", 0
    try:
        while not inflater.eof:
            chunk = inflater.unconsumed_tail
            if not chunk:
                chunk = file.read(READ_BYTES)
                read += len(chunk)
            if not chunk:
                return None
            piece = inflater.decompress(chunk, 1 << 20)
            if len(head) < HEADER_BYTES:
                head += piece[:HEADER_BYTES]
    except zlib.error:
        return None
    return Member(offset, read - len(inflater.unused_data), _url(head))


def _url(head: bytes) -> str:
    """WARC-Target-URI of the record that begins so."""
    for line in head.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"warc-target-uri":
            return value.strip().decode("utf-8", "replace").strip("<>")
    return ""


def _payload(record: bytes) -> bytes:
    """The body of an HTTP answer, or the content of any other record.

    Raises InputError for several records in one gzip member: the others would be lost with it.
    """
    head, _, content = record.partition(b"\r\n\r\n")
    declared = CONTENT_LENGTH.search(head + b"\r\n")
    if declared and len(content) > int(declared[1]) + 4:
        raise InputError("several records in one gzip member: recompress the file with one member a record")
    content = content.removesuffix(b"\r\n\r\n")
    if b"WARC-Type: response" in head:
        content = content.partition(b"\r\n\r\n")[2]
    return content


def _member(data: bytes, level: int) -> bytes:
    if level:
        deflater = zlib.compressobj(level, zlib.DEFLATED, -15)
        body = deflater.compress(data) + deflater.flush()
    else:
        body = b""
        for at in range(0, len(data), _STORED_BYTES):
            block = data[at : at + _STORED_BYTES]
            last = at + _STORED_BYTES >= len(data)
            body += struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
    header = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    return header + body + struct.pack("<II", zlib.crc32(data), len(data))


def _padded(member: bytes, length: int) -> bytes:
    """The member with a comment in its header that makes it so long."""
    missing = length - len(member)
    if not missing:
        return member
    return member[:3] + b"\x10" + member[4:10] + b" " * (missing - 1) + b"\0" + member[10:]
