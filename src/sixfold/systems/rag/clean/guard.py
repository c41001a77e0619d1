"""A deadline and a memory cap for each page, kept by ending the process that cleans it."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import time
from pathlib import Path
from types import TracebackType

import psutil

from sixfold.errors import ConfigError
from sixfold.systems.rag.clean.cleaner import Cleaner
from sixfold.systems.rag.records import Document, Dropped, RawRecord

__all__ = ["EXIT_OUT_OF_MEMORY", "PageGuard"]

EXIT_OUT_OF_MEMORY = 71
_SLACK = 0.05  # of the deadline: the timer is set again only when as much of it has run


class PageGuard:
    """Cleans pages in a process that is expendable, and leaves word of what ended it.

    Extractors run C code that can hang with the interpreter's lock held, so nothing inside the process can stop
    one: past the deadline the process exits (`faulthandler`'s watchdog, a thread that needs no lock). `word` is
    the file that then says why. Whoever runs the work again, in another process, finds it in `fault`. No byte
    of a page leaves the process, so being guarded costs next to nothing.

    Use as a context manager; not for several threads. Raises ConfigError for a deadline that is not positive.
    """

    def __init__(self, word: Path, *, deadline_s: float, memory_bytes: int) -> None:
        if deadline_s <= 0:
            raise ConfigError(f"deadline_s is {deadline_s}, expected more than 0")
        self.deadline_s = deadline_s
        self.memory_bytes = memory_bytes
        self._path = word
        self._until_s = 0.0

    def __enter__(self) -> PageGuard:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab+", buffering=0)
        self._file.seek(0)
        self.fault = self._reason(self._file.read(64))
        self._file.truncate(0)
        self._limits = resource.getrlimit(resource.RLIMIT_DATA)
        # Beyond what the process has now: the engine's own buffers do not count against a page.
        now_bytes = getattr(psutil.Process().memory_info(), "data", None)
        if now_bytes is not None:  # not on macOS, where the kernel would not keep the limit either
            self._limit(now_bytes + self.memory_bytes)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_DATA, self._limits)
        self._file.close()
        self._path.unlink()

    def clean(self, cleaner: Cleaner, raw: RawRecord) -> Document | Dropped:
        """What the cleaner makes of a record; the process ends within 1.05 deadlines, or when memory is short."""
        now_s = time.monotonic()
        if now_s > self._until_s:
            faulthandler.dump_traceback_later(self.deadline_s * (1 + _SLACK), file=self._file, exit=True)
            self._until_s = now_s + self.deadline_s * _SLACK
        try:
            return cleaner.clean(raw)
        except MemoryError:
            with contextlib.suppress(BaseException):
                self._file.write(b"Memory")
            os._exit(EXIT_OUT_OF_MEMORY)

    def _limit(self, most_bytes: int) -> None:
        _, hard = self._limits
        most_bytes = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, hard))

    def _reason(self, word: bytes) -> tuple[str, str] | None:
        """(reason, detail) of what ended the process before this one; None if it left no word."""
        if word.startswith(b"Timeout"):  # as faulthandler writes it
            return "deadline", f"more than {self.deadline_s:g} s"
        if word.startswith(b"Memory"):
            return "memory", f"more than {self.memory_bytes} bytes"
        return None
