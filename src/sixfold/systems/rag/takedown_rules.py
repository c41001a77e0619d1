"""What is taken down: rules on URLs, and the list of them that crawls, builds and writers look at.

INDEX/takedowns/blocklist.jsonl and CRAWL/crawl/blocklist.jsonl, one rule a line, only appended to
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from sixfold.errors import ConfigError, InputError
from sixfold.files import append_json_line, read_json_lines
from sixfold.systems.rag.crawl.links import canonical_url
from sixfold.systems.rag.records import Dropped, Source

__all__ = ["STAGE", "Blocklist", "Rule", "build_blocklist", "crawl_blocklist", "index_blocklist", "iso_time"]

STAGE = "takedown"  # what a refused record is dropped by
MAX_CHARS = 2_048
MAX_STARS = 16
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?)(?::(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, and whose it is. A URL is compared in the crawl's spelling, whatever its own was."""

    kind: Literal["url", "host", "pattern"]
    value: str
    subdomains: bool = False  # of a host: everything below it too
    at_s: float = 0.0  # since the epoch
    reason: str = ""
    receipt: str = ""

    @classmethod
    def of(
        cls,
        *,
        url: str | None = None,
        host: str | None = None,
        pattern: str | None = None,
        subdomains: bool = False,
        reason: str = "",
    ) -> Rule:
        """A rule from exactly one of a URL, a host (`name` or `name:port`) and a pattern.

        pattern: of whole URLs; `*` stands for any characters, everything else for itself. Raises ConfigError.
        """
        given = {name: value for name, value in (("url", url), ("host", host), ("pattern", pattern)) if value}
        if len(given) != 1:
            raise ConfigError(
                f"got {' and '.join(given) or 'nothing'} to take down, expected one of url, host, pattern"
            )
        ((kind, value),) = given.items()
        if len(value) > MAX_CHARS or len(reason) > MAX_CHARS:
            raise ConfigError(f"got {max(len(value), len(reason))} characters, expected at most {MAX_CHARS}")
        if not value.isprintable() or any(map(str.isspace, value)):
            raise ConfigError(f"got {value!r}, expected printable characters without blanks")
        if subdomains and kind != "host":
            raise ConfigError(f"subdomains are of a host, got a {kind}")
        if kind == "url":
            return cls("url", canonical_url(value) or value, reason=reason)
        if kind == "host":
            return cls("host", _host(value), subdomains, reason=reason)
        if value.count("*") > MAX_STARS or not value.strip("*"):
            raise ConfigError(f"got pattern {value!r}, expected 1 to {MAX_STARS} '*' and something beside them")
        return cls("pattern", value, reason=reason)

    @property
    def key(self) -> tuple[str, str, bool]:
        """What makes two rules the same one."""
        return self.kind, self.value, self.subdomains

    def __str__(self) -> str:
        return f"{self.kind} {self.value}" + (" and its subdomains" if self.subdomains else "")

    def matches(self, url: str) -> bool:
        """Whether a URL, in any spelling, is named; linear in its length."""
        canonical = canonical_url(url) or url
        if self.kind == "url":
            return canonical == self.value
        if self.kind == "host":
            names = _names(canonical)
            return self.value in names or (self.subdomains and any(name.endswith("." + self.value) for name in names))
        return _glob(self.value, canonical) or _glob(self.value, url)

    def dropped(self, url: str, source: Source) -> Dropped:
        """What a build or a writer says of a record that it refuses."""
        return Dropped(url, STAGE, self.kind, f"{self} at {iso_time(self.at_s)}, receipt {self.receipt}", source)


class Blocklist:
    """The rules in a file, read again when it has grown. Without the file there are no rules."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._exact: dict[tuple[str, str], Rule] = {}  # (kind, value) of URLs and hosts without subdomains
        self._others: list[Rule] = []
        self.refresh()

    def __bool__(self) -> bool:
        """Whether there are rules."""
        return bool(self._exact or self._others)

    def refresh(self) -> bool:
        """Take in what was added; whether there was anything. Costs one look at the file's size."""
        try:
            stat = os.stat(self.path) if self.path is not None else None
        except FileNotFoundError:
            stat = None
        stamp = None if stat is None else (stat.st_ino, stat.st_size)
        if stamp == self._stamp:
            return False
        self._exact, self._others = {}, []
        for rule in self.rules():
            if rule.kind == "pattern" or rule.subdomains:
                self._others.append(rule)
            else:
                self._exact.setdefault((rule.kind, rule.value), rule)
        self._stamp = stamp
        return True

    def rules(self) -> Iterator[Rule]:
        """As they are in the file. Raises InputError for a line that is none: a rule must not be passed over."""
        known = {field.name for field in fields(Rule)}
        for number, line in enumerate(read_json_lines(self.path) if self.path is not None else (), start=1):
            if not isinstance(line, dict) or not {"kind", "value"} <= set(line) <= known:
                raise InputError("not a rule of a takedown", path=self.path, line=number)
            yield Rule(**line)

    def rule_for(self, url: str) -> Rule | None:
        """The rule that names a URL, if any."""
        if not self:
            return None
        canonical = canonical_url(url) or url
        if (rule := self._exact.get(("url", canonical))) is not None:
            return rule
        for name in _names(canonical):
            if (rule := self._exact.get(("host", name))) is not None:
                return rule
        return next((rule for rule in self._others if rule.matches(url)), None)

    def add(self, rule: Rule) -> None:
        """Append a rule, unless it is there; on disk when this returns."""
        if self.path is None:
            raise ConfigError("this list of takedowns has no file")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if all(known.key != rule.key for known in self.rules()):
            append_json_line(self.path, asdict(rule))
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.refresh()


def index_blocklist(index: Path) -> Path:
    """Where an index keeps its rules."""
    return index / "takedowns" / "blocklist.jsonl"


def crawl_blocklist(crawl: Path) -> Path:
    """Where a crawl keeps its rules."""
    return crawl / "crawl" / "blocklist.jsonl"


def build_blocklist(build: Path) -> Path | None:
    """Where the index of a build INDEX/builds/NNNN keeps its rules; None for a build that is not of an index."""
    return index_blocklist(build.parent.parent) if build.parent.name == "builds" else None


def iso_time(at_s: float) -> str:
    """A time as people and WARC files write it."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _host(value: str) -> str:
    name = value.lower().rstrip(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            raise ConfigError(f"got host {value!r}, expected a name or an address") from None
    if not _HOST.fullmatch(name):
        raise ConfigError(f"got host {value!r}, expected a name or an address, and perhaps ':PORT'")
    return name


def _names(url: str) -> tuple[str, ...]:
    """What a host rule may call the host of a URL: with and without its port."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ()
    if not host:
        return ()
    host = f"[{host}]" if ":" in host else host.rstrip(".")
    port = port or _DEFAULT_PORTS.get(parts.scheme)
    return (host, f"{host}:{port}") if port else (host,)


def _glob(pattern: str, text: str) -> bool:
    """`*` stands for any characters. The earliest place of each piece is the best one, so nothing is tried twice."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == first
    *middle, last = rest
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
