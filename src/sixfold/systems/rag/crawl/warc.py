"""Writes fetched pages as standard WARC 1.1: one gzip member a record, files whole or recoverable."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fastwarc.stream_io import GzipWriter
from fastwarc.warc import WarcRecord, WarcRecordType

from sixfold.errors import UserError

__all__ = ["OPEN_SUFFIX", "WarcPosition", "WarcWriter", "cut_torn_tail", "http_head", "write_failure"]

OPEN_SUFFIX = ".open"  # behind the name of a file that is still being written
_GZIP_LEVEL = 1  # on this text: 0.22 of the size at 546 MB/s; level 6 gives 0.13 at 109 MB/s
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class WarcPosition:
    """Where a record lies."""

    file: str  # the name of the finished file
    offset: int  # of its gzip member (bytes)
    length: int  # of its gzip member (bytes)
    digest: str  # "sha1:" and the base32 SHA-1 of the payload


def http_head(status: int, reason: str, headers: Iterable[tuple[str, str]], body_bytes: int, decoded: bool) -> bytes:
    """The HTTP head as it is archived: `Content-Length` fits the body that follows it.

    What described the transfer and no longer holds (chunks, compression) is kept with `X-Archive-Orig-`.
    """
    lines = [f"HTTP/1.1 {status} {reason}"]
    for name, value in headers:
        lower = name.lower()
        if lower == "transfer-encoding" or (decoded and lower == "content-encoding"):
            name = f"X-Archive-Orig-{name}"
        elif lower == "content-length":
            if value.strip() == str(body_bytes):
                continue
            name = f"X-Archive-Orig-{name}"
        lines.append(f"{name}: {value}")
    lines.append(f"Content-Length: {body_bytes}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1", "replace")


def cut_torn_tail(path: Path, known_good: int = 0) -> int:
    """Cut a WARC file at the end of its last whole gzip member and return its new size (bytes).

    A member is whole when it inflates to its end and its CRC holds. The scan starts at `known_good`, which
    must be a member's end.
    """
    good = known_good
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        position = file.seek(min(good, size))
        inflate = zlib.decompressobj(wbits=31)
        data = b""
        try:
            while data or (data := file.read(1 << 20)):
                inflate.decompress(data)
                position += len(data) - len(inflate.unused_data)
                data = inflate.unused_data
                if inflate.eof:
                    good = position
                    inflate = zlib.decompressobj(wbits=31)
        except zlib.error:
            pass  # not gzip from here on
        good = min(good, size)
        if good < size:
            file.truncate(good)
    return good


def write_failure(error: OSError, path: Path) -> UserError:
    """The one clear line for a write that failed."""
    if error.errno in _FULL:
        return UserError(f"{path}: no space left on the disk; free some and run again: the crawl goes on where it is")
    return UserError(f"{path}: cannot write it: {error.strerror}")


class WarcWriter:
    """Appends response records to `folder/PREFIX-NNNNN.warc.gz`, a new file every so many records or bytes.

    A file has the suffix `.open` until it is finished. One that a dead process left is cut and appended to:
    at the end its journal gives in `ends` (file name -> bytes), else behind its last whole record.
    """

    def __init__(
        self,
        folder: Path,
        prefix: str,
        *,
        max_records: int,
        max_bytes: int,
        agent: str = "sixfold",
        ends: Mapping[str, int] | None = None,
    ) -> None:
        self._folder, self._prefix, self._agent = folder, prefix, agent
        self._max_records, self._max_bytes = max_records, max_bytes
        self._fd: int | None = None
        self._records = self._size = 0
        folder.mkdir(parents=True, exist_ok=True)
        taken = {int(p.name[len(prefix) + 1 :].split(".")[0]) for p in folder.glob(f"{prefix}-*.warc.gz*")}
        self._number = max(taken, default=-1) + 1
        for left in sorted(folder.glob(f"{prefix}-*.warc.gz{OPEN_SUFFIX}")):
            self._take_over(left, (ends or {}).get(left.name.removesuffix(OPEN_SUFFIX), 0))

    def _take_over(self, path: Path, end: int) -> None:
        if end and end <= path.stat().st_size:
            os.truncate(path, end)  # a whole record that its journal does not know would be fetched twice
        elif cut_torn_tail(path) == 0:
            path.unlink()
            return
        path.rename(path.with_name(path.name.removesuffix(OPEN_SUFFIX)))

    def append(
        self, url: str, head: bytes, body: bytes, *, truncated: str | None = None, address: str | None = None
    ) -> WarcPosition:
        """Write one response record; `truncated` is a WARC-Truncated reason such as "length"."""
        digest = _sha1(body)
        record = WarcRecord()
        record.init_headers(WarcRecordType.response)
        headers = record.headers
        headers["WARC-Target-URI"] = url
        headers["WARC-Payload-Digest"] = digest
        headers["WARC-Block-Digest"] = _sha1(head, body)
        if address is not None:
            headers["WARC-IP-Address"] = address
        if truncated is not None:
            headers["WARC-Truncated"] = truncated
        headers["Content-Type"] = "application/http; msgtype=response"
        record.set_bytes_content(head + body)
        if self._fd is None:
            self._open()
        offset = self._size
        length = self._write(record)
        position = WarcPosition(self._name, offset, length, digest)
        self._records += 1
        if self._records >= self._max_records or self._size >= self._max_bytes:
            self.close()
        return position

    def close(self) -> None:
        """Finish the present file: on disk, then under its final name."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        os.fsync(fd)
        os.close(fd)
        (self._folder / (self._name + OPEN_SUFFIX)).rename(self._folder / self._name)

    def abandon(self) -> None:
        """Let the present file be as a killed process would leave it, for a successor to mend."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _open(self) -> None:
        self._name = f"{self._prefix}-{self._number:05d}.warc.gz"
        self._number += 1
        self._records = self._size = 0
        path = self._folder / (self._name + OPEN_SUFFIX)
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError as error:
            raise write_failure(error, path) from None
        info = WarcRecord()
        info.init_headers(WarcRecordType.warcinfo)
        info.headers["WARC-Filename"] = self._name
        info.headers["Content-Type"] = "application/warc-fields"
        info.set_bytes_content(
            f"software: {self._agent}\r\nformat: WARC File Format 1.1\r\nrobots: obey (RFC 9309)\r\n".encode()
        )
        self._write(info)

    def _write(self, record: WarcRecord) -> int:
        buffer = io.BytesIO()
        member = GzipWriter(buffer, compression_level=_GZIP_LEVEL)
        record.write(member)
        member.finish()
        data = memoryview(buffer.getbuffer())
        size = len(data)
        try:
            while data:
                data = data[_write_all(self._fd, data) :]
        except OSError as error:
            raise write_failure(error, self._folder / self._name) from None
        self._size += size
        return size


def _sha1(*parts: bytes) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        digest.update(part)
    return "sha1:" + base64.b32encode(digest.digest()).decode()


def _write_all(fd: int | None, data: memoryview) -> int:
    if fd is None:
        raise OSError(errno.EBADF, "the file is closed")
    return os.write(fd, data)
