"""Reading the input of a build: WARC and WET files, JSON Lines, folders of pages; broken records included."""

from __future__ import annotations

from collections.abc import Iterator

from sixfold.errors import InputError
from sixfold.systems.rag.file_source import read_file, read_files
from sixfold.systems.rag.jsonl_source import read_jsonl, read_jsonl_record
from sixfold.systems.rag.records import Dropped, RawRecord, Source
from sixfold.systems.rag.splits import Format, ReadOptions, Split, format_of, plan_splits
from sixfold.systems.rag.warc_source import read_warc, read_warc_record

__all__ = ["Format", "ReadOptions", "Split", "plan_splits", "read_record", "read_split"]

DEFAULTS = ReadOptions()


def read_split(split: Split, after_offset: int = -1, options: ReadOptions = DEFAULTS) -> Iterator[RawRecord | Dropped]:
    """Every page of a split in the order of `Split.position`, from after `after_offset` on.

    What is wrong with the data is never raised: it comes as `Dropped(stage="read", reason=...)`, one item a
    position. The reasons are `truncated`, `corrupt-gzip`, `too-large`, `bad-record`, `revisit`, `no-url`,
    `not-record-compressed`, `bad-http`, `status`, `empty`, `unsupported-type`, `binary`, `bad-json`,
    `missing-field` and `unreadable`. Records that are not about a page (requests, metadata) are passed over.
    """
    if split.format is Format.FILES:
        return read_files(split, after_offset, options)
    if split.format is Format.JSONL:
        return read_jsonl(split, after_offset, options)
    return read_warc(split, after_offset, options)


def read_record(source: Source, options: ReadOptions = DEFAULTS) -> RawRecord:
    """The record at `source`, read again by seeking.

    Raises InputError: the file is gone, or what stands there is not what was read before.
    """
    try:
        format = format_of(source.file)
        item: RawRecord | Dropped
        if format is Format.JSONL:
            item = read_jsonl_record(source, options)
        elif format in (Format.WARC, Format.WARC_GZIP):
            item = read_warc_record(source, format, options)
        else:
            item = read_file(source.file, options)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=source.file) from None
    if isinstance(item, Dropped):
        raise InputError(f"no record at offset {source.offset} any more: {item.reason}", path=source.file)
    if item.source.digest != source.digest:
        got = f"the record at offset {source.offset} has digest {item.source.digest}"
        raise InputError(f"{got}, expected {source.digest}: the file has changed since it was read", path=source.file)
    return item
