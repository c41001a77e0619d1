"""What was handed in and what became of it: raw pages in WARC files, and one journal line a call.

    INDEX/live/pages-NNNNN.warc.gz   the pages that passages of live segments come from; `Source` points there
    INDEX/live/journal.jsonl         a line for each call: when, what, and the fate of every page

Both are only appended to. How much of them counts is written into the manifest with the generation that it belongs
to, so one rename publishes all of it; what lies behind that is of a writer that was killed, and is cut off.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastwarc.stream_io import GzipWriter
from fastwarc.warc import WarcRecord, WarcRecordType

from sixfold.errors import InputError
from sixfold.files import json_text
from sixfold.systems.rag.crawl.warc import http_head
from sixfold.systems.rag.index.manifest import Manifest, read_manifest
from sixfold.systems.rag.records import Kind, RawRecord, Source

__all__ = ["Ledger", "Position", "live_records"]

MOST_ARCHIVE_BYTES = 256_000_000  # of one file of pages
_MIME = {Kind.HTML: "text/html", Kind.TEXT: "text/plain", Kind.MARKDOWN: "text/markdown"}
_GZIP_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Position:
    """How much of the ledger counts: what is behind it was never published."""

    journal_bytes: int = 0
    archive: int = 0  # number of the newest file of pages
    archive_bytes: int = 0

    @staticmethod
    def of(manifest: Manifest) -> Position:
        """The position that a generation was published with."""
        try:
            return Position(**manifest.settings.get("live", {}))
        except TypeError as error:
            raise InputError(f"settings.live is not a position ({error}); build the index again") from None


class Ledger:
    """Open for one call of one writer, who must hold the index's lock for writing."""

    def __init__(self, index: Path, position: Position) -> None:
        self._folder = index.resolve() / "live"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._position = position
        self._records: list[bytes] = []
        self._journal_bytes = _mend_journal(_journal(index), position.journal_bytes)
        for path in self._folder.glob("pages-*.warc.gz"):
            if int(path.name[6:].split(".")[0]) > position.archive:
                path.unlink()
        self._archive_bytes = _cut(self._archive(position.archive), position.archive_bytes)
        self._number = position.archive
        if self._archive_bytes >= MOST_ARCHIVE_BYTES:
            self._number, self._archive_bytes = position.archive + 1, 0
        self._end = self._archive_bytes

    def keep(self, record: RawRecord) -> Source:
        """Add a page to those that will be archived; where it will lie."""
        source = Source(str(self._archive(self._number)), self._end, record.source.digest)
        self._records.append(_member(record))
        self._end += len(self._records[-1])
        return source

    def commit(self, entry: Mapping[str, Any], *, published: bool) -> Position:
        """Write the pages and the journal's line to the disk; what to publish a generation with.

        published: False if no generation will tell of it; the line counts then from now on.
        """
        if self._records:
            _append(self._archive(self._number), b"".join(self._records))
        line = json_text({**entry, "published": published}).encode("utf-8", "replace") + b"\n"
        _append(self._folder / "journal.jsonl", line)
        return Position(self._journal_bytes + len(line), self._number, self._end)

    def _archive(self, number: int) -> Path:
        return self._folder / f"pages-{number:05d}.warc.gz"


def live_records(index: Path, url: str) -> list[dict[str, Any]]:
    """What became of a URL whenever it was handed in or removed, oldest first; as `run_why` tells it of builds."""
    if not _journal(index).exists():
        return []
    # Most lines are about other URLs: those that cannot have it need not be parsed.
    needle = json.dumps(url, ensure_ascii=False).encode("utf-8", "replace")
    entries = (json.loads(line) for line in _lines(index) if needle in line)
    return [
        {"build": "live", "at": entry["at"], **_told(page)}
        for entry in entries
        for page in entry["pages"]
        if page["url"] == url
    ]


def _told(page: Mapping[str, Any]) -> dict[str, Any]:
    fate = "kept" if page["fate"] in ("added", "replaced") else page["fate"]
    told = {name: value for name, value in page.items() if value and name not in ("url", "fate", "doc_id")}
    return {"fate": fate, **told}


def _lines(index: Path) -> Iterator[bytes]:
    """The journal's lines that count."""
    counted = Position.of(read_manifest(index)).journal_bytes if (index / "manifest.json").exists() else 0
    end = 0
    with _journal(index).open("rb") as file:
        for line in file:
            end += len(line)
            if not line.endswith(b"\n") or (end > counted and _published(line)):
                return
            yield line


def _mend_journal(path: Path, counted: int) -> int:
    """Cut off what was to be published and never was; the size that is left (bytes)."""
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        end = file.seek(min(counted, path.stat().st_size))
        for line in file:
            if not line.endswith(b"\n") or _published(line):
                break
            end += len(line)
        file.truncate(end)
    return end


def _published(line: bytes) -> bool:
    return line.endswith(b'"published":true}\n')


def _cut(path: Path, size: int) -> int:
    if not path.exists():
        return 0
    if path.stat().st_size > size:
        os.truncate(path, size)
    return path.stat().st_size


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _member(page: RawRecord) -> bytes:
    """A response record in a gzip member of its own, as the crawler would have written it."""
    charset = f"; charset={page.charset}" if page.charset else ""
    head = http_head(200, "OK", [("Content-Type", _MIME[page.kind] + charset)], len(page.payload), decoded=False)
    record = WarcRecord()
    record.init_headers(WarcRecordType.response)
    record.headers["WARC-Target-URI"] = page.url
    record.headers["WARC-Payload-Digest"] = page.source.digest
    record.headers["Content-Type"] = "application/http; msgtype=response"
    record.set_bytes_content(head + page.payload)
    buffer = io.BytesIO()
    member = GzipWriter(buffer, compression_level=_GZIP_LEVEL)
    record.write(member)
    member.finish()
    return buffer.getvalue()


def _journal(index: Path) -> Path:
    return index / "live" / "journal.jsonl"
