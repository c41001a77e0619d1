"""Looking for a string in every byte of a folder, also where gzip or Parquet hide it: the proof of a removal."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sixfold.errors import InputError

__all__ = ["files_with"]

_READ_BYTES = 1 << 20


def files_with(folders: Iterable[Path], needles: Iterable[str]) -> dict[str, list[str]]:
    """needle -> the files that have it, as UTF-8 bytes, in a gzip member or in a column of a Parquet file.

    A needle that lies across two blocks of a megabyte is found as well. Raises InputError for an empty one.
    """
    wanted = {needle: needle.encode() for needle in needles}
    if not all(wanted.values()):
        raise InputError("an empty string is in every file")
    found: dict[str, list[str]] = {needle: [] for needle in wanted}
    longest = max(map(len, wanted.values()), default=1)
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            missing = dict(wanted)
            tail = b""
            for block in _contents(path):
                window = tail + block
                for needle in [n for n, data in missing.items() if data in window]:
                    del missing[needle]
                    found[needle].append(str(path))
                tail = window[-longest + 1 :] if longest > 1 else b""
                if not missing:
                    break
    return found


def _contents(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            yield block
    yield b"\0"  # so that nothing seems to go on from one view of the file into the next
    if ".gz" in path.suffixes:
        yield from _inflated(path)
    elif ".parquet" in path.name:
        yield from _columns(path)


def _inflated(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        inflater, data = zlib.decompressobj(31), b""
        while data or (data := file.read(_READ_BYTES)):
            try:
                yield inflater.decompress(data)
            except zlib.error:  # the torn end of a file that is still written
                return
            data = inflater.unused_data
            if inflater.eof:
                inflater = zlib.decompressobj(31)


def _columns(path: Path) -> Iterator[bytes]:
    try:
        with pq.ParquetFile(path) as file:
            names = [f.name for f in file.schema_arrow if pa.types.is_string(f.type) or pa.types.is_binary(f.type)]
            for batch in file.iter_batches(batch_size=256, columns=names):
                for column in batch.columns:
                    values = column.cast(pa.binary()).to_pylist()
                    yield b"\0".join(value or b"" for value in values) + b"\0"
    except (OSError, pa.ArrowException):  # not whole: its bytes were looked at
        return
