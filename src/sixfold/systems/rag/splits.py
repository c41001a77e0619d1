"""Cutting the input into splits: the unit of parallel work, the same for any number of workers."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sixfold.errors import ConfigError, InputError
from sixfold.systems.rag.records import Kind, Source

__all__ = ["Format", "ReadOptions", "Split", "format_of", "plan_splits"]

FILES_PER_SPLIT = 1_000
TAPER = 6  # a split takes at most this part of what is left
SMALLEST_SHARE = 16  # and at least this part of the target
KIND_OF_SUFFIX = {
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".xhtml": Kind.HTML,
    ".txt": Kind.TEXT,
    ".text": Kind.TEXT,
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
}


class Format(StrEnum):
    """How the records lie in a file."""

    WARC = "warc"  # one record after the other
    WARC_GZIP = "warc.gz"  # one gzip member a record
    JSONL = "jsonl"  # one record a line
    FILES = "files"  # one record a file


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Bounds and field names for reading; the defaults suit a crawl."""

    max_payload_bytes: int = 10_000_000
    url_field: str = "url"
    text_field: str = "text"
    html_field: str = "html"

    def __post_init__(self) -> None:
        if self.max_payload_bytes < 1:
            raise ConfigError(f"max_payload_bytes is {self.max_payload_bytes}, expected at least 1")


@dataclass(frozen=True, slots=True)
class Split:
    """The records of `file` that begin in [start, end): bytes, or ordinals of `members` for loose files."""

    file: str
    start: int
    end: int
    format: Format
    members: tuple[str, ...] = ()  # the files of a group; empty for a byte range

    def position(self, source: Source) -> int:
        """Where a record of this split stands in its order: what `read_split(..., after_offset=)` expects."""
        return self.start + self.members.index(source.file) if self.members else source.offset


def format_of(path: str) -> Format | None:
    """The format by the file's name (and, between plain and gzipped WARC, by its first bytes)."""
    name = path.lower()
    if name.endswith((".warc", ".wet", ".warc.gz", ".wet.gz")):
        return Format.WARC_GZIP if _starts_with_gzip(path, name.endswith(".gz")) else Format.WARC
    if name.endswith((".jsonl", ".ndjson")):
        return Format.JSONL
    return Format.FILES if os.path.splitext(name)[1] in KIND_OF_SUFFIX else None


def _starts_with_gzip(path: str, otherwise: bool) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(2)
    except OSError:
        return otherwise
    return head == b"\x1f\x8b" if len(head) == 2 else otherwise


def plan_splits(inputs: Iterable[str | Path], target_bytes: int = 32_000_000) -> list[Split]:
    """Cut paths, globs and folders into splits of at most about `target_bytes`, in the order of the file names.

    The last ones are smaller and smaller, down to a sixteenth, so that workers who take one after the other end at
    nearly the same time (guided self-scheduling: Polychronopoulos & Kuck, IEEE Trans. Computers 36, 1987). The
    result depends on the inputs and on `target_bytes` only, so whatever is derived from it is the same for any
    number of workers. A file that cannot be read still gets its split: reading it reports why.

    Raises InputError: a path or glob that matches nothing, an unknown format, an empty corpus.
    """
    if target_bytes < 1:
        raise ConfigError(f"target_bytes is {target_bytes}, expected at least 1")
    listed = [str(given) for given in inputs]
    files: dict[str, Format] = {}
    for given in listed:
        files.update(_expand(given))
    sizes = {path: _size_bytes(path) for path in files}
    if not any(sizes.values()):
        raise InputError(f"no records in {', '.join(listed) or 'no inputs'}: every file is empty or unreadable")
    splits: list[Split] = []
    group: list[str] = []
    group_bytes = ordinal = 0
    left_bytes = sum(sizes.values())

    def flush() -> None:
        nonlocal group, group_bytes, ordinal
        if group:
            splits.append(Split(group[0], ordinal, ordinal + len(group), Format.FILES, tuple(group)))
            ordinal += len(group)
        group, group_bytes = [], 0

    for path in sorted(files):
        size = sizes[path]
        if files[path] is Format.FILES:
            group.append(path)
            group_bytes += size
            if group_bytes >= _split_bytes(left_bytes, target_bytes) or len(group) >= FILES_PER_SPLIT:
                left_bytes -= group_bytes
                flush()
            continue
        left_bytes -= group_bytes
        flush()
        start = 0
        while start < size or size == 0:
            step = _split_bytes(left_bytes, target_bytes)
            end = size if size - start < step + step // 2 else start + step
            splits.append(Split(path, start, end, files[path]))
            left_bytes -= end - start
            start = end
            if size == 0:
                break
    flush()
    return splits


def _split_bytes(left_bytes: int, target_bytes: int) -> int:
    return max(1, target_bytes // SMALLEST_SHARE, min(target_bytes, left_bytes // TAPER))


def _expand(given: str) -> Iterator[tuple[str, Format]]:
    if os.path.isdir(given):
        found = False
        for folder, names, file_names in os.walk(given):
            names[:] = sorted(n for n in names if not n.startswith("."))
            for name in file_names:
                if not name.startswith("."):
                    found = True
                    path = os.path.join(folder, name)
                    # Unknown files of a folder are counted when read, not refused: a site has pictures too.
                    yield path, format_of(path) or Format.FILES
        if not found:
            raise InputError("the folder has no files, expected WARC, HTML, text, Markdown or JSONL", path=given)
        return
    matches = [given] if os.path.lexists(given) else glob.glob(given, recursive=True)
    if not matches:
        raise InputError("no such file, folder or match", path=given)
    for path in matches:
        if os.path.isdir(path):
            yield from _expand(path)
            continue
        known = format_of(path)
        if known is None:
            expected = ".warc, .warc.gz, .wet.gz, .jsonl, .html, .txt or .md"
            raise InputError(f"unknown format, expected {expected} or a folder of those", path=path)
        yield path, known


def _size_bytes(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
