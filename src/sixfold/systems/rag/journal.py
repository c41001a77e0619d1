"""What became of every record of a split, one line each, so that a killed build goes on at the next record."""

from __future__ import annotations

import fcntl
import json
import os
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from sixfold.systems.rag.records import Document, Dropped, Source

__all__ = ["Journal"]


class Journal:
    """An append-only file of two kinds of lines: a record was begun, a record came to an outcome.

    A line is one write to an unbuffered file, so what a killed process had appended is there; a torn last
    line is cut off when the journal is opened again. Opening waits for the worker of a killed build, which may
    outlive it by a moment.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.finished: set[int] = set()  # positions with an outcome
        self.attempts: Counter[int] = Counter()  # by position, of this session and the earlier ones
        self.whole_bytes = 0
        for entry, end in self._entries():
            self.whole_bytes = end
            if "begin" in entry:
                self.attempts[entry["begin"]] += 1
            else:
                self.finished.add(entry["at"])
        self._file.truncate(self.whole_bytes)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        self._file.close()

    @property
    def last_position(self) -> int:
        """The largest position (`Split.position`) with an outcome, -1 before the first."""
        return max(self.finished, default=-1)

    @property
    def rework(self) -> int:
        """Records that were begun and lost: each costs one more attempt."""
        return self.attempts.total() - len(self.finished)

    def begin(self, position: int) -> None:
        """Note that the record at `position` is in flight."""
        self._append({"begin": position})
        self.attempts[position] += 1

    def finish(self, position: int, outcome: Document | Dropped) -> None:
        """Note what became of the record at `position`."""
        entry = {"at": position, **asdict(outcome)}
        if isinstance(outcome, Document):
            entry["signature"] = b64encode(outcome.signature).decode()
        self._append(entry)
        self.finished.add(position)

    def outcomes(self) -> Iterator[Document | Dropped]:
        """Every outcome in the order in which it was written."""
        for entry, _ in self._entries():
            if "begin" in entry:
                continue
            del entry["at"]
            source = Source(**entry.pop("source"))
            if "signature" in entry:
                yield Document(**{**entry, "source": source, "signature": b64decode(entry["signature"])})
            else:
                yield Dropped(**entry, source=source)

    def sync(self) -> None:
        """Force everything to the disk: the outcomes survive a power cut as well."""
        os.fsync(self._file.fileno())

    def _append(self, entry: dict[str, Any]) -> None:
        # Surrogates that a page smuggled in would not encode; escape them, they come back the same.
        line = memoryview(json.dumps(entry, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
        while line:  # a disk that is nearly full takes a part of it before it refuses
            line = line[self._file.write(line) :]

    def _entries(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Each whole line and the position behind it."""
        end = 0
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                end += len(line)
                yield json.loads(line), end
