"""What visits of archived pages saw: crawl/visits.jsonl, one line a visit, only appended to.

The first visit of a page is the one that archived it; its time and validators are read from the archive once.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sixfold.files import append_json_line, read_json_lines
from sixfold.systems.rag.crawl.change_rate import Visit
from sixfold.systems.rag.crawl.journal import Done, JournalState
from sixfold.systems.rag.crawl.warc import OPEN_SUFFIX

__all__ = ["ARCHIVED", "CHANGED", "GONE", "UNCHANGED", "PageHistory", "VisitLog", "VisitRecord", "archived_visit"]

ARCHIVED, CHANGED, UNCHANGED, GONE = "archived", "changed", "unchanged", "gone"  # others: moved, disallowed, failed
_END = "end"
_HEAD_BYTES = 1 << 14


@dataclass(frozen=True, slots=True)
class VisitRecord:
    """One visit and what it saw. Of a changed page, `file`, `offset` and `length` say where it was archived."""

    url: str
    at_s: float  # since the epoch
    outcome: str
    digest: str = ""  # of the payload, as WARC-Payload-Digest has it
    etag: str = ""
    last_modified: str = ""
    detail: str = ""
    file: str = ""
    offset: int = 0
    length: int = 0


@dataclass(slots=True)
class PageHistory:
    """What is known of one page."""

    url: str
    last_s: float  # of the last visit that saw whether it had changed
    digest: str
    etag: str
    last_modified: str
    visits: list[Visit] = field(default_factory=list)
    gone: bool = False

    def take(self, record: VisitRecord) -> None:
        """Fold one more visit in; those that saw no page do not count for the rate."""
        self.gone = record.outcome == GONE
        if record.outcome in (CHANGED, UNCHANGED):
            if record.at_s > self.last_s:
                self.visits.append(Visit(record.at_s - self.last_s, record.outcome == CHANGED))
            self.last_s = record.at_s
            self.digest = record.digest or self.digest
            self.etag, self.last_modified = record.etag or self.etag, record.last_modified or self.last_modified


class VisitLog:
    """The visits of one crawl, folded by page; `unreported` are those since the last run that came to its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.pages: dict[str, PageHistory] = {}
        self.unreported: list[VisitRecord] = []
        self.ends: dict[str, int] = {}  # WARC file -> where its last known record ends
        for line in read_json_lines(path):
            self._take(VisitRecord(**line))

    def add(self, record: VisitRecord) -> None:
        """Append a visit; it survives this process."""
        append_json_line(self._path, asdict(record))
        self._take(record)

    def end(self, at_s: float) -> None:
        """The run has told somebody what it saw."""
        self.add(VisitRecord("", at_s, _END))

    def _take(self, record: VisitRecord) -> None:
        if record.outcome == _END:
            self.unreported.clear()
            return
        if record.file:
            self.ends[record.file] = max(self.ends.get(record.file, 0), record.offset + record.length)
        if record.outcome == ARCHIVED:
            validators = (record.digest, record.etag, record.last_modified)
            self.pages.setdefault(record.url, PageHistory(record.url, record.at_s, *validators))
            return
        self.unreported.append(record)
        if record.url in self.pages:
            self.pages[record.url].take(record)


def archived_visit(archive: Path, url: str, done: Done) -> VisitRecord | None:
    """The visit that archived a page, from the head of its record; None if that is not there (any more)."""
    at = done.position
    path = archive / at.file
    try:
        with (path if path.exists() else path.with_name(at.file + OPEN_SUFFIX)).open("rb") as file:
            file.seek(at.offset)
            head = zlib.decompressobj(31).decompress(file.read(min(at.length, _HEAD_BYTES)), _HEAD_BYTES)
    except (OSError, zlib.error):
        return None
    warc, _, http = head.partition(b"\r\n\r\n")
    of_record = _fields(warc)
    of_page = _fields(http.partition(b"\r\n\r\n")[0])
    if of_record.get("warc-target-uri", "").strip("<>") != url:
        return None  # taken down
    try:
        at_s = datetime.fromisoformat(of_record["warc-date"]).astimezone(UTC).timestamp()
    except (KeyError, ValueError):
        return None
    return VisitRecord(url, at_s, ARCHIVED, at.digest, of_page.get("etag", ""), of_page.get("last-modified", ""))


def add_archived(log: VisitLog, state: JournalState, archive: Path) -> None:
    """Take in the pages of a crawl that the log does not have yet."""
    for url, done in state.done.items():
        if url not in log.pages and (record := archived_visit(archive, url, done)) is not None:
            log.add(record)


def validators(page: PageHistory) -> Mapping[str, str]:
    """The headers of a conditional request (RFC 9110, section 13.1); empty for a page that came without any."""
    headers = {"If-None-Match": page.etag, "If-Modified-Since": page.last_modified}
    return {name: value for name, value in headers.items() if value}


def _fields(head: bytes) -> dict[str, str]:
    """Header fields by their names in lower case."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {
        name.strip().lower(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon
    }
