"""Reading loose files: one page a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sixfold.systems.rag.payload import binary_type, payload_digest
from sixfold.systems.rag.records import Dropped, RawRecord, Source
from sixfold.systems.rag.splits import KIND_OF_SUFFIX, ReadOptions, Split

__all__ = ["read_file", "read_files"]


def read_files(split: Split, after_offset: int, options: ReadOptions) -> Iterator[RawRecord | Dropped]:
    """The files of a group in order; `after_offset` is a `Split.position`."""
    for ordinal, path in enumerate(split.members, split.start):
        if ordinal > after_offset:
            yield read_file(path, options)


def read_file(path: str, options: ReadOptions) -> RawRecord | Dropped:
    """One file as a record, or why it is none."""
    name = path.encode("utf-8", "backslashreplace").decode("utf-8")  # a name may hold any bytes, a report not
    url = Path(path).absolute().as_uri()

    def dropped(reason: str, detail: str) -> Dropped:
        return Dropped(url, "read", reason, detail, Source(name, 0, ""))

    suffix = os.path.splitext(path)[1].lower()
    kind = KIND_OF_SUFFIX.get(suffix)
    if kind is None:
        return dropped("unsupported-type", suffix or "no suffix")
    if not os.path.isfile(path):  # a pipe or a device would never end
        return dropped("unreadable", "not a regular file" if os.path.exists(path) else "no such file")
    try:
        with open(path, "rb") as file:
            payload = file.read(options.max_payload_bytes + 1)
    except OSError as error:
        return dropped("unreadable", error.strerror or str(error))
    if not payload:
        return dropped("empty", "no payload")
    if len(payload) > options.max_payload_bytes:
        return dropped("too-large", f"more than {options.max_payload_bytes} bytes")
    binary = binary_type(payload, None)
    if binary is not None:
        return dropped("binary", f"{binary}, named {suffix}")
    return RawRecord(url, payload, kind, None, Source(name, 0, payload_digest(payload)))
