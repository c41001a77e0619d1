"""Server-sent events, read from bytes as they come (WHATWG HTML, section 9.2.6). No I/O inside."""

from __future__ import annotations

import re

from sixfold.errors import ConfigError

__all__ = ["EventTooLargeError", "SseReader"]

_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventTooLargeError(ValueError):
    """An event is larger than the reader was told to hold."""


class SseReader:
    """Collects the `data` of events; what else they carry (event names, identifiers, comments) is left out.

    most_bytes: of one event; its end may never come.
    """

    def __init__(self, most_bytes: int = 1 << 20) -> None:
        if most_bytes < 1:
            raise ConfigError(f"got most_bytes={most_bytes}, expected at least 1")
        self._most_bytes = most_bytes
        self._rest = b""  # of a line whose end has not come
        self._data: list[bytes] = []  # lines of the event whose end has not come
        self._held_bytes = 0

    def feed(self, chunk: bytes) -> list[str]:
        """The data of every event that this chunk completes, however events were cut into chunks.

        Raises EventTooLargeError. Bytes that are not UTF-8 become U+FFFD.
        """
        buffer = self._rest + chunk
        events: list[str] = []
        start = 0
        for end in _LINE_END.finditer(buffer):
            if end.group() == b"\r" and end.end() == len(buffer):
                break  # its line feed may be the next byte
            line = buffer[start : end.start()]
            start = end.end()
            if line.startswith(b"data") and line[4:5] in (b":", b""):
                value = line[5:].removeprefix(b" ")
                self._data.append(value)
                self._held_bytes += len(value) + 1
                self._check(0)
            elif not line and self._data:
                events.append(b"\n".join(self._data).decode("utf-8", "replace"))
                self._data, self._held_bytes = [], 0
        self._rest = buffer[start:]
        self._check(len(self._rest))
        return events

    def _check(self, more_bytes: int) -> None:
        if self._held_bytes + more_bytes > self._most_bytes:
            raise EventTooLargeError(f"an event of more than {self._most_bytes} bytes")
