"""Vectors by the hash of their text, on disk: what was embedded once is never embedded again.

Every writer has two append-only files of its own, and every reader reads all of them: `NAME.D.vectors`
(rows of D float32) and `NAME.D.keys` (records of a 16-byte hash and the CRC-32 of the row). A row is written
before its key, so a writer that is killed leaves at most a torn tail that nobody counts.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from zlib import crc32

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError

__all__ = ["EmbeddingCache", "Forgotten", "forget"]

Vectors = npt.NDArray[np.float32]
_Columns = dict[str, npt.NDArray[Any]]

_KEY = np.dtype([("hash", "S16"), ("crc", "<u4")])  # as on disk; the hash is read as two integers
_ENTRY = {"high": "<u8", "low": "<u8", "file": "<u4", "row": "<u4"}  # columns, each contiguous
_MERGE_AT = 65_536  # entries that wait in a dict before they are sorted in


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A vector that is not there any more: the file without its suffix, its row, and what it was."""

    file: str
    row: int
    size_bytes: int
    sha256: str


class EmbeddingCache:
    """The cache of one model in one folder, shared by any number of processes.

    Holds 24 bytes of memory for each vector on disk, and no vectors. `writer` names this process's own files;
    two processes must not use one name at a time (ConfigError). Use as a context manager, or call `close`.
    """

    def __init__(self, folder: str | Path, model_id: str, *, writer: str = "main", dimension: int = 384) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", writer):
            raise ConfigError(f"got writer {writer!r}, expected 1 to 64 letters, digits, '-' or '_'")
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.dimension = dimension
        self._row_bytes = 4 * dimension
        self._model = model_id.encode()
        self._entries: _Columns = {name: np.empty(0, kind) for name, kind in _ENTRY.items()}  # by (high, low)
        self._recent: dict[bytes, tuple[int, int]] = {}
        self._names: list[str] = []
        self._rows: list[int] = []  # rows of each file that are indexed
        self._readers: dict[int, BinaryIO] = {}
        self._own = f"{writer}.{dimension}"
        self._keys = self._path(self._own, "keys").open("ab", buffering=0)
        self._vectors = self._path(self._own, "vectors").open("ab", buffering=0)
        try:
            fcntl.flock(self._keys, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise ConfigError(
                f"another process writes to {self.folder} as {writer!r}; give each its own name"
            ) from None
        self._cut_torn_tail()
        self.refresh()

    def __len__(self) -> int:
        return len(self._entries["high"]) + len(self._recent)

    def get(self, texts: Sequence[str]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Vectors [n, D] and which of the n are known, bool [n]; the rows of the others are zero."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        found = np.zeros(len(texts), dtype=np.bool_)
        for at, text in enumerate(texts):
            place = self._find(self._hash(text))
            row = self._read(*place) if place else None
            if row is not None:
                vectors[at], found[at] = row, True
        return vectors, found

    def put(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Append vectors [n, D] of texts that are not there yet.

        Raises ConfigError if the shapes do not fit, OSError when the disk is full (nothing is torn then).
        """
        if vectors.shape != (len(texts), self.dimension):
            raise ConfigError(f"got vectors of shape {vectors.shape} for {len(texts)} texts of {self.dimension}")
        new: dict[bytes, bytes] = {}
        for text, vector in zip(texts, vectors, strict=True):
            key = self._hash(text)
            place = self._find(key)
            if key not in new and (place is None or self._read(*place) is None):
                new[key] = np.ascontiguousarray(vector, dtype="<f4").tobytes()
        if not new:
            return
        try:
            _write_all(self._vectors, b"".join(new.values()))
            _write_all(self._keys, b"".join(key + crc32(row).to_bytes(4, "little") for key, row in new.items()))
        except OSError:
            self._cut_torn_tail()
            raise
        own = self._names.index(self._own)
        for key in new:
            self._remember(key, own, self._rows[own])
            self._rows[own] += 1

    def embed(self, texts: Sequence[str], embed: Callable[[Sequence[str]], Vectors]) -> Vectors:
        """Vectors [n, D] of texts: the known ones from disk, each of the others embedded once and kept."""
        vectors, found = self.get(texts)
        missing: dict[str, list[int]] = {}
        for at in np.flatnonzero(~found):
            missing.setdefault(texts[int(at)], []).append(int(at))
        if missing:
            fresh = embed(list(missing))
            self.put(list(missing), fresh)
            for row, places in zip(fresh, missing.values(), strict=True):
                vectors[places] = row
        return vectors

    def refresh(self) -> None:
        """Take in what other writers have appended since."""
        for path in sorted(self.folder.glob(f"*.{self.dimension}.keys")):
            name = path.name.removesuffix(".keys")
            if name not in self._names:
                self._names.append(name)
                self._rows.append(0)
            file = self._names.index(name)
            whole = self._whole_rows(name)
            for first in range(self._rows[file], whole, _MERGE_AT):
                count = min(_MERGE_AT, whole - first)
                keys = np.fromfile(path, dtype=_KEY, count=count, offset=first * _KEY.itemsize)
                halves = np.ascontiguousarray(keys["hash"]).view("<u8").reshape(-1, 2)
                self._merge(halves, np.full(len(keys), file), np.arange(first, first + len(keys)))
            self._rows[file] = max(self._rows[file], whole)

    def close(self) -> None:
        """Close the files; another process may then write under this name."""
        for file in (self._keys, self._vectors, *self._readers.values()):
            file.close()
        self._readers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _path(self, name: str, suffix: str) -> Path:
        return self.folder / f"{name}.{suffix}"

    def _hash(self, text: str) -> bytes:
        return _hash(self._model, text)

    def _whole_rows(self, name: str) -> int:
        keys = self._path(name, "keys").stat().st_size // _KEY.itemsize
        try:
            return min(keys, self._path(name, "vectors").stat().st_size // self._row_bytes)
        except FileNotFoundError:
            return 0

    def _cut_torn_tail(self) -> None:
        rows = self._whole_rows(self._own)
        os.ftruncate(self._keys.fileno(), rows * _KEY.itemsize)
        os.ftruncate(self._vectors.fileno(), rows * self._row_bytes)

    def _find(self, key: bytes) -> tuple[int, int] | None:
        if key in self._recent:
            return self._recent[key]
        high, low = (int.from_bytes(half, "little") for half in (key[:8], key[8:]))
        known = self._entries
        at = int(np.searchsorted(known["high"], np.uint64(high)))
        while at < len(known["high"]) and known["high"][at] == high:
            if known["low"][at] == low:
                return int(known["file"][at]), int(known["row"][at])
            at += 1
        return None

    def _read(self, file: int, row: int) -> Vectors | None:
        """One row, or None if its checksum says that a power cut or a bad disk has damaged it."""
        if file not in self._readers:
            self._readers[file] = self._path(self._names[file], "vectors").open("rb")
            self._readers[-1 - file] = self._path(self._names[file], "keys").open("rb")
        data = os.pread(self._readers[file].fileno(), self._row_bytes, row * self._row_bytes)
        record = os.pread(self._readers[-1 - file].fileno(), _KEY.itemsize, row * _KEY.itemsize)
        if len(data) < self._row_bytes or crc32(data).to_bytes(4, "little") != record[16:]:
            return None
        return np.frombuffer(data, dtype="<f4")

    def _remember(self, key: bytes, file: int, row: int) -> None:
        self._recent[key] = (file, row)
        if len(self._recent) >= _MERGE_AT:
            halves = np.frombuffer(b"".join(self._recent), dtype="<u8").reshape(-1, 2)
            files, rows = np.array(list(self._recent.values())).T
            self._recent.clear()
            self._merge(halves, files, rows)

    def _merge(self, halves: npt.NDArray[Any], files: npt.NDArray[Any], rows: npt.NDArray[Any]) -> None:
        new = {"high": halves[:, 0], "low": halves[:, 1], "file": files, "row": rows}
        both = {name: np.concatenate([self._entries[name], new[name].astype(_ENTRY[name])]) for name in _ENTRY}
        order = np.lexsort((both["low"], both["high"]))
        both = {name: column[order] for name, column in both.items()}
        # Of one hash the newest counts: the older one was found damaged, or another writer was as fast.
        last = np.ones(len(order), dtype=np.bool_)
        last[:-1] = (np.diff(both["high"]) != 0) | (np.diff(both["low"]) != 0)
        self._entries = {name: column[last] for name, column in both.items()}


def forget(folder: str | Path, model_ids: Iterable[str], texts: Iterable[str], *, dry: bool = False) -> list[Forgotten]:
    """Overwrite the vectors of these texts, of every writer, and their keys; on disk when this returns.

    Open caches notice at once: the checksum of such a row is wrong, so it counts as not known. `dry` only finds them.
    """
    models = [model_id.encode() for model_id in model_ids]
    wanted = np.array(sorted({_hash(model, text) for text in texts for model in models}), dtype="S16").reshape(-1)
    forgotten: list[Forgotten] = []
    for path in sorted(Path(folder).glob("*.*.keys")) if len(wanted) else []:
        dimension = path.name.split(".")[-2]
        row_bytes = 4 * int(dimension) if dimension.isdecimal() else 0
        vectors = path.with_suffix(".vectors")
        rows = min(path.stat().st_size // _KEY.itemsize, vectors.stat().st_size // row_bytes if row_bytes else 0)
        with path.open("rb" if dry else "r+b", buffering=0) as keys, vectors.open(keys.mode, buffering=0) as values:
            for first in range(0, rows, _MERGE_AT):
                block = np.fromfile(path, dtype=_KEY, count=min(_MERGE_AT, rows - first), offset=first * _KEY.itemsize)
                for row in (first + np.flatnonzero(np.isin(block["hash"], wanted))).tolist():
                    vector = os.pread(values.fileno(), row_bytes, row * row_bytes)
                    forgotten.append(Forgotten(path.stem, row, row_bytes, sha256(vector).hexdigest()))
                    if not dry:  # the vector first: whoever is killed in between finds the key again
                        os.pwrite(values.fileno(), bytes(row_bytes), row * row_bytes)
                        os.pwrite(keys.fileno(), bytes(16) + b"\xff" * 4, row * _KEY.itemsize)
            if not dry:
                os.fsync(values.fileno())
                os.fsync(keys.fileno())
    return forgotten


def _hash(model: bytes, text: str) -> bytes:
    digest = blake2b(model, digest_size=16)
    digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def _write_all(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
