"""Which segments and tombstones an index consists of: one file, swapped atomically.

    INDEX/manifest.json                              the newest generation
    INDEX/generations/GENERATION.json                earlier ones, until history.py forgets them
    INDEX/segments/NAME/                             immutable, see segment.py
    INDEX/tombstones/NAME.GENERATION.json            immutable: what was deleted from a segment up to then

A reader that has read a manifest sees that generation for as long as it likes; `sweep` deletes what the
newest one does not name, history.py what no recent one does. Several processes may change an index at once:
each says in `update` how the newest generation is to change, and they do so one after the other.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sixfold.errors import ConfigError, InputError
from sixfold.files import read_json, replace_json

__all__ = [
    "Change",
    "Manifest",
    "Tombstones",
    "delete",
    "locked",
    "publish",
    "read_manifest",
    "read_tombstones",
    "sweep",
    "update",
    "watch_stamp",
    "write_tombstones",
]

FORMAT = "sixfold-index-1"


@dataclass(frozen=True, slots=True)
class Tombstones:
    """What is deleted from one segment: whole documents, and single chunks."""

    documents: frozenset[str] = frozenset()
    chunks: frozenset[str] = frozenset()

    def __or__(self, other: Tombstones) -> Tombstones:
        return Tombstones(self.documents | other.documents, self.chunks | other.chunks)

    def __sub__(self, other: Tombstones) -> Tombstones:
        return Tombstones(self.documents - other.documents, self.chunks - other.chunks)

    def __bool__(self) -> bool:
        return bool(self.documents or self.chunks)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One generation of an index."""

    generation: int
    shards: tuple[tuple[str, ...], ...]  # segment names of each shard
    tombstones: Mapping[str, str] = field(default_factory=dict)  # segment name -> file in tombstones/
    settings: Mapping[str, Any] = field(default_factory=dict)  # what the builder wants to remember; JSON

    def __post_init__(self) -> None:
        names = [name for shard in self.shards for name in shard]
        if len(set(names)) != len(names):
            raise ConfigError("a segment may be in one shard once only")
        if unknown := sorted(set(self.tombstones) - set(names)):
            raise ConfigError(f"tombstones for segment {unknown[0]!r}, which is in no shard")
        for name in (*names, *self.tombstones.values()):
            if not name or name.startswith(".") or "/" in name:
                raise ConfigError(f"got {name!r}, expected the name of a file or folder in the index")

    @property
    def segments(self) -> list[str]:
        """The names of all segments, shard by shard."""
        return [name for shard in self.shards for name in shard]


@dataclass(frozen=True, slots=True)
class Change:
    """What of a generation is another thing in the next one; None leaves it as it is."""

    shards: tuple[tuple[str, ...], ...] | None = None
    gone: Mapping[str, Tombstones] = field(default_factory=dict)  # segment name -> what is deleted beside what is
    settings: Mapping[str, Any] | None = None


def watch_stamp(index: str | Path) -> tuple[int, int]:
    """(inode, mtime in ns) of the manifest: another one whenever a generation was published; zeros without one."""
    try:
        stat = os.stat(Path(index) / "manifest.json")
    except FileNotFoundError:
        return 0, 0
    return stat.st_ino, stat.st_mtime_ns


def read_manifest(index: str | Path) -> Manifest:
    """The newest generation. Raises InputError if there is no index or its manifest is damaged."""
    return manifest_at(Path(index) / "manifest.json")


def manifest_at(path: Path) -> Manifest:
    """The generation in a file. Raises InputError if it is missing or damaged."""
    record = read_json(path)
    try:
        if record["format"] != FORMAT:
            raise ValueError(f"its format is {record['format']!r}, expected {FORMAT!r}")
        shards = tuple(tuple(map(str, shard)) for shard in record["shards"])
        return Manifest(int(record["generation"]), shards, record["tombstones"], record["settings"])
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise InputError(f"not a manifest ({error}); build the index again", path=path) from error


def publish(index: str | Path, manifest: Manifest) -> None:
    """Make a generation the newest one; it must follow the newest by one, or be 1.

    Raises:
        ConfigError: somebody else has published in between; read the manifest and start from it again.
        InputError: a segment or a tombstone file that it names is missing.
    """
    index = Path(index)
    with locked(index):
        _publish(index, manifest, _newest(index).generation)


def update(index: str | Path, change: Callable[[Manifest], Change]) -> Manifest:
    """Publish the generation that `change` makes of the newest one, and return it.

    `change` is given the newest generation (number 0 if there is none) and runs while nobody else may publish:
    it has to be short. What it raises is raised, and nothing is published then. Raises InputError: see `publish`.
    """
    index = Path(index)
    with locked(index):
        now = _newest(index)
        wanted = change(now)
        shards = now.shards if wanted.shards is None else wanted.shards
        following = now.generation + 1
        kept = {name for shard in shards for name in shard}
        if unknown := sorted(set(wanted.gone) - kept):
            raise ConfigError(f"segment {unknown[0]!r} is not in the index")
        files = {name: file for name, file in now.tombstones.items() if name in kept}
        for name, gone in wanted.gone.items():
            before = read_tombstones(index, now, name)
            if (merged := before | gone) != before:
                files[name] = write_tombstones(index, name, following, merged)
        settings = now.settings if wanted.settings is None else wanted.settings
        manifest = Manifest(following, shards, files, settings)
        _publish(index, manifest, now.generation)
    return manifest


def _newest(index: Path) -> Manifest:
    return read_manifest(index) if (index / "manifest.json").exists() else Manifest(0, ())


def _publish(index: Path, manifest: Manifest, newest: int) -> None:
    for name in manifest.segments:
        if not (index / "segments" / name / "segment.json").is_file():
            raise InputError("no such segment; write it before publishing", path=index / "segments" / name)
    for name in manifest.tombstones.values():
        if not (index / "tombstones" / name).is_file():
            raise InputError("no such tombstones; write them before publishing", path=index / "tombstones" / name)
    if manifest.generation != newest + 1:
        raise ConfigError(f"got generation {manifest.generation}, expected {newest + 1}: the index has changed")
    record = {
        "format": FORMAT,
        "generation": manifest.generation,
        "shards": [list(shard) for shard in manifest.shards],
        "tombstones": dict(sorted(manifest.tombstones.items())),
        "settings": dict(manifest.settings),
    }
    for torn in (*index.glob(".manifest.json.*.tmp"), *(index / "tombstones").glob(".*.tmp")):
        torn.unlink(missing_ok=True)  # of somebody who was killed while it was his turn
    if newest:
        _remember(index, newest)
    replace_json(index / "manifest.json", record)


def _remember(index: Path, generation: int) -> None:
    """Keep the manifest that is about to be replaced; it keeps its time, too."""
    kept = index / "generations" / f"{generation:08d}.json"
    kept.parent.mkdir(exist_ok=True)
    try:
        os.link(index / "manifest.json", kept)
    except FileExistsError:  # whoever was to replace it was killed
        pass
    except OSError:  # a file system without links
        shutil.copy2(index / "manifest.json", kept)


def read_tombstones(index: str | Path, manifest: Manifest, segment: str) -> Tombstones:
    """What is deleted from a segment in this generation. Raises InputError if the file is damaged."""
    name = manifest.tombstones.get(segment)
    if name is None:
        return Tombstones()
    path = Path(index) / "tombstones" / name
    record = read_json(path)
    try:
        return Tombstones(frozenset(map(str, record["documents"])), frozenset(map(str, record["chunks"])))
    except (KeyError, TypeError) as error:
        raise InputError(f"not tombstones ({error}); build the index again", path=path) from error


def delete(
    index: str | Path,
    *,
    documents: Iterable[str] = (),
    chunks: Iterable[str] = (),
    segments: Iterable[str] | None = None,
) -> Manifest:
    """Publish a generation in which these documents and chunks are gone, and return it.

    segments: where they are deleted; every segment of the newest generation without it. A document that is
    indexed anew is deleted from the older segments only.
    """
    gone = Tombstones(frozenset(documents), frozenset(chunks))
    only = None if segments is None else list(segments)
    read_manifest(index)  # deleting does not make an index
    return update(index, lambda now: Change(gone=dict.fromkeys(now.segments if only is None else only, gone)))


def write_tombstones(index: str | Path, segment: str, generation: int, tombstones: Tombstones) -> str:
    """Write what is deleted from a segment as of a generation; returns the name for `Manifest.tombstones`."""
    name = f"{segment}.{generation:08d}.json"
    record = {"documents": sorted(tombstones.documents), "chunks": sorted(tombstones.chunks)}
    replace_json(Path(index) / "tombstones" / name, record)
    return name


def sweep(index: str | Path) -> list[str]:
    """Delete segments and tombstones that the newest generation does not name; returns their names.

    Not while anybody is writing segments that are still to be published, or opens an earlier generation: that
    is what `history.forget` is for. Open readers are not disturbed.
    """
    index = Path(index)
    removed: list[str] = []
    with locked(index):
        now = read_manifest(index)
        shutil.rmtree(index / "generations", ignore_errors=True)
        for path in sorted((index / "segments").iterdir()):
            if path.name not in now.segments:
                shutil.rmtree(path)
                removed.append(path.name)
        for path in sorted((index / "tombstones").glob("*.json")):
            if path.name not in now.tombstones.values():
                path.unlink()
                removed.append(path.name)
    return removed


@contextmanager
def locked(index: Path) -> Iterator[None]:
    """Hold back everybody who would publish; for a moment only."""
    index.mkdir(parents=True, exist_ok=True)
    with (index / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
