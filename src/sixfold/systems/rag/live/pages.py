"""A page that is handed in, rather than crawled: what it has to be, and the record that it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sixfold.errors import InputError
from sixfold.systems.rag.payload import binary_type, payload_digest
from sixfold.systems.rag.records import Dropped, Kind, RawRecord, Source

__all__ = ["MOST_BYTES", "MOST_PAGES", "Page", "check_call", "page_of", "raw_record"]

MOST_PAGES = 1_000  # of one call
MOST_BYTES = 64_000_000  # of all pages of one call
MAX_URL_CHARS = 2_048
MAX_TITLE_CHARS = 2_000  # as handed in; the cleaner keeps less
FIELDS = {"html": Kind.HTML, "text": Kind.TEXT, "markdown": Kind.MARKDOWN}


@dataclass(frozen=True, slots=True)
class Page:
    """One page and its address, which is its identity; `title` stands in for the one that the page has."""

    url: str
    payload: bytes
    kind: Kind = Kind.HTML
    charset: str | None = "utf-8"
    title: str | None = None

    def __post_init__(self) -> None:
        if not self.url or len(self.url) > MAX_URL_CHARS or not self.url.isprintable() or " " in self.url:
            expected = f"1 to {MAX_URL_CHARS} printable characters without blanks"
            raise InputError(f"got {self.url[:80]!r}, expected {expected}", field="url")
        try:
            parts = urlsplit(self.url)
            whole = bool(parts.scheme and (parts.netloc or parts.path.startswith("/")))
        except ValueError:
            whole = False
        if not whole:
            raise InputError(f"got {self.url[:80]!r}, expected an absolute URL such as https://host/page", field="url")
        if self.title is not None and len(self.title) > MAX_TITLE_CHARS:
            raise InputError(f"{len(self.title)} characters, expected at most {MAX_TITLE_CHARS}", field="title")


def page_of(fields: Mapping[str, Any]) -> Page:
    """A page from {"url", "html" or "text" or "markdown", "title"?}. Raises InputError naming the field."""
    if unknown := sorted(set(fields) - {"url", "title", *FIELDS}):
        raise InputError(f"expected url, title and one of {', '.join(FIELDS)}", field=unknown[0])
    given = [name for name in FIELDS if fields.get(name) is not None]
    if len(given) != 1:
        raise InputError(f"got {' and '.join(given) or 'none'} of {', '.join(FIELDS)}, expected one", field="html")
    for name in ("url", given[0], "title"):
        if not isinstance(value := fields.get(name), str) and not (name == "title" and value is None):
            raise InputError(f"got {type(value).__name__}, expected text", field=name)
    payload = fields[given[0]].encode("utf-8", "replace")
    return Page(fields["url"], payload, FIELDS[given[0]], "utf-8", fields.get("title"))


def check_call(pages: Sequence[Page | RawRecord]) -> None:
    """Raises InputError for more pages or bytes than one call may bring."""
    total_bytes = sum(len(page.payload) for page in pages)
    if len(pages) > MOST_PAGES or total_bytes > MOST_BYTES:
        got = f"{len(pages)} pages of {total_bytes} bytes"
        raise InputError(f"got {got}, expected at most {MOST_PAGES} of {MOST_BYTES}: hand them in by several calls")


def raw_record(page: Page) -> RawRecord | Dropped:
    """What a reader of its archived record will see; it has no place yet. Or why such a record would be refused."""
    source = Source("", 0, payload_digest(page.payload))
    if not page.payload:
        return Dropped(page.url, "read", "empty", "no payload", source)
    if (binary := binary_type(page.payload, page.charset)) is not None:
        return Dropped(page.url, "read", "binary", f"{binary}, handed in as {page.kind.value}", source)
    return RawRecord(page.url, page.payload, page.kind, page.charset, source)
