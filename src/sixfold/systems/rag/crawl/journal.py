"""The crawl's memory on disk: append-only events, one file per life of a worker.

An event belongs to a URL and not to a worker, so any number of workers can go on from the journals of any
other number: each folds all files and keeps what it owns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sixfold.files import read_json_lines
from sixfold.systems.rag.crawl.warc import OPEN_SUFFIX, WarcPosition, write_failure

__all__ = ["Done", "Found", "Journal", "JournalState", "read_journals"]

Found = tuple[str, int, int]  # url, depth, redirects in a row


@dataclass(frozen=True, slots=True)
class Done:
    """A page in the archive."""

    position: WarcPosition
    depth: int
    payload_bytes: int
    truncated: str | None


@dataclass(slots=True)
class JournalState:
    """What all journals together say."""

    found: dict[str, tuple[int, int]] = field(default_factory=dict)  # url -> depth, hops
    done: dict[str, Done] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    failed: dict[str, tuple[str, str]] = field(default_factory=dict)  # url -> kind, detail
    leased: dict[str, int] = field(default_factory=dict)  # url -> times handed out

    def finished(self, url: str) -> bool:
        """Whether nothing remains to be done for `url`."""
        return url in self.done or url in self.failed or url in self.redirects

    def unfinished(self) -> list[Found]:
        """The URLs still to be fetched."""
        return [(url, depth, hops) for url, (depth, hops) in self.found.items() if not self.finished(url)]


class Journal:
    """One life of one worker. Lines are written unbuffered: what was written survives the process."""

    def __init__(self, folder: Path, worker: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.life = len(list(folder.glob(f"w{worker:03d}-*.jsonl")))
        self._path = folder / f"w{worker:03d}-{self.life:04d}.jsonl"
        self._file = self._path.open("xb", buffering=0)
        self._held: list[bytes] = []
        self._torn = False  # a write failed half-way: nothing may follow a torn line

    def found(self, links: Iterable[Found]) -> None:
        """These URLs are known (seeds)."""
        self._write(["found", list(links)])

    def leased(self, url: str) -> None:
        """This URL is about to be fetched; written together with the next outcome."""
        self._held.append(_line(["leased", url]))

    def done(self, url: str, done: Done, links: list[Found]) -> None:
        """This page is in the archive, and brought these new links."""
        at = done.position
        where = [at.file, at.offset, at.length, at.digest]
        self._write(["done", url, where, done.depth, done.payload_bytes, done.truncated, links])

    def redirect(self, url: str, target: str, links: list[Found]) -> None:
        """This URL points to another one."""
        self._write(["redirect", url, target, links])

    def failed(self, url: str, kind: str, detail: str) -> None:
        """This URL is given up."""
        self._write(["failed", url, kind, detail])

    def flush(self) -> None:
        """Write what is held back."""
        if self._held:
            held, self._held = b"".join(self._held), []
            self._put(held)

    def close(self) -> None:
        """Write what is held back and close the file."""
        try:
            self.flush()
        finally:
            self._file.close()

    def _write(self, event: list[Any]) -> None:
        self._held.append(_line(event))
        self.flush()

    def _put(self, data: bytes) -> None:
        if self._torn:
            return
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError as error:
            self._torn = True
            raise write_failure(error, self._path) from None


def _line(event: list[Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"


def read_journals(folder: Path, archive: Path | None = None) -> JournalState:
    """Fold every journal in `folder`; a torn last line of each is left out.

    With `archive`, pages whose record is not wholly there (the machine died before the disk had it) count as
    not fetched.
    """
    state = JournalState()
    for path in sorted(folder.glob("w*.jsonl")):
        for event in read_json_lines(path):
            _apply(state, event)
    if archive is not None:
        sizes: dict[str, int] = {}
        for path in archive.glob("*.warc.gz*"):
            sizes[path.name.removesuffix(OPEN_SUFFIX)] = path.stat().st_size
        for url, done in list(state.done.items()):
            if done.position.offset + done.position.length > sizes.get(done.position.file, 0):
                del state.done[url]
    return state


def _apply(state: JournalState, event: list[Any]) -> None:
    kind: str = event[0]
    links: list[Found] = []
    if kind == "leased":
        state.leased[event[1]] = state.leased.get(event[1], 0) + 1
    elif kind == "done":
        _, url, where, depth, size, truncated, links = event
        state.done.setdefault(url, Done(WarcPosition(*where), depth, size, truncated))
    elif kind == "redirect":
        _, url, target, links = event
        state.redirects[url] = target
    elif kind == "failed":
        state.failed[event[1]] = (event[2], event[3])
    elif kind == "found":
        links = event[1]
    for url, depth, hops in links:
        known = state.found.get(url)
        if known is None or (depth, hops) < known:
            state.found[url] = (depth, hops)
