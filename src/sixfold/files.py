"""Files that are either whole or absent: atomic replacement, and append-only JSON lines."""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from sixfold.errors import InputError

__all__ = ["append_json_line", "json_text", "read_json", "read_json_lines", "replace_bytes", "replace_json"]


def replace_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader, or a crash, sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """`value` as strict JSON: NaN and the infinities, which JSON does not have, become null."""
    separators = (",", ":") if indent is None else None
    return json.dumps(_finite(value), indent=indent, separators=separators, ensure_ascii=False, allow_nan=False)


def replace_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    replace_bytes(path, (json_text(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read one JSON file; InputError names the file and the line when it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not JSON: {error}", path=path, line=getattr(error, "lineno", None)) from None


def append_json_line(path: Path, value: Any) -> None:
    """Append one line; lines of several processes do not mix, and a torn last line is cut off first.

    A torn line is what a killed writer or a full disk leaves. Raises OSError when the disk is full.
    """
    line = (json_text(value) + "\n").encode()
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = _mend_tail(file)
        if (written := file.write(line)) != len(line):
            file.truncate(end)
            raise OSError(f"{path}: wrote {written} of {len(line)} bytes: free some space on its disk")


def read_json_lines(path: Path) -> Iterator[Any]:
    """The values of a JSON-lines file; a torn last line (its writer was killed) is left out."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except ValueError as error:  # also of bytes that are not UTF-8
            if number == len(lines):  # no newline behind it: the writer died in the middle
                return
            raise InputError(f"not JSON: {error}", path=path, line=number) from None


def _mend_tail(file: BinaryIO) -> int:
    """Make an open JSON-lines file end with a newline; return its size."""
    end = file.seek(0, os.SEEK_END)
    start, tail = end, b""
    while start > 0 and b"\n" not in tail:
        start = max(0, start - 4096)
        file.seek(start)
        tail = file.read(end - start)
    tail = tail[tail.rfind(b"\n") + 1 :]
    if not tail:
        return end
    try:
        json.loads(tail)
    except ValueError:
        return file.truncate(end - len(tail))
    file.write(b"\n")  # whole but for its newline
    return end + 1


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
