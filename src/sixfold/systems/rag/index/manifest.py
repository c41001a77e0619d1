"""Which segments and tombstones an index consists of: one file, swapped atomically.

    INDEX/manifest.json                              the newest generation
    INDEX/segments/NAME/                             immutable, see segment.py
    INDEX/tombstones/NAME.GENERATION.json            immutable: what was deleted from a segment up to then

A reader that has read a manifest sees that generation for as long as it likes; `sweep` deletes what the
newest one does not name.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sixfold.errors import ConfigError, InputError
from sixfold.files import read_json, replace_json

__all__ = ["Manifest", "Tombstones", "delete", "publish", "read_manifest", "read_tombstones", "sweep"]

FORMAT = "sixfold-index-1"


@dataclass(frozen=True, slots=True)
class Tombstones:
    """What is deleted from one segment: whole documents, and single chunks."""

    documents: frozenset[str] = frozenset()
    chunks: frozenset[str] = frozenset()


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


def read_manifest(index: str | Path) -> Manifest:
    """The newest generation. Raises InputError if there is no index or its manifest is damaged."""
    path = Path(index) / "manifest.json"
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
    index.mkdir(parents=True, exist_ok=True)
    for name in (name for shard in manifest.shards for name in shard):
        if not (index / "segments" / name / "segment.json").is_file():
            raise InputError("no such segment; write it before publishing", path=index / "segments" / name)
    for name in manifest.tombstones.values():
        if not (index / "tombstones" / name).is_file():
            raise InputError("no such tombstones; write them before publishing", path=index / "tombstones" / name)
    with _locked(index):
        newest = read_manifest(index).generation if (index / "manifest.json").exists() else 0
        if manifest.generation != newest + 1:
            raise ConfigError(f"got generation {manifest.generation}, expected {newest + 1}: the index has changed")
        record = {
            "format": FORMAT,
            "generation": manifest.generation,
            "shards": [list(shard) for shard in manifest.shards],
            "tombstones": dict(sorted(manifest.tombstones.items())),
            "settings": dict(manifest.settings),
        }
        replace_json(index / "manifest.json", record)


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
    index = Path(index)
    now = read_manifest(index)
    known = [name for shard in now.shards for name in shard]
    chosen = known if segments is None else list(segments)
    if unknown := sorted(set(chosen) - set(known)):
        raise ConfigError(f"segment {unknown[0]!r} is not in the index")
    gone = Tombstones(frozenset(documents), frozenset(chunks))
    files = dict(now.tombstones)
    for segment in chosen:
        before = read_tombstones(index, now, segment)
        merged = Tombstones(before.documents | gone.documents, before.chunks | gone.chunks)
        if merged != before:
            files[segment] = write_tombstones(index, segment, now.generation + 1, merged)
    following = Manifest(now.generation + 1, now.shards, files, now.settings)
    publish(index, following)
    return following


def write_tombstones(index: str | Path, segment: str, generation: int, tombstones: Tombstones) -> str:
    """Write what is deleted from a segment as of a generation; returns the name for `Manifest.tombstones`."""
    name = f"{segment}.{generation:08d}.json"
    record = {"documents": sorted(tombstones.documents), "chunks": sorted(tombstones.chunks)}
    replace_json(Path(index) / "tombstones" / name, record)
    return name


def sweep(index: str | Path) -> list[str]:
    """Delete segments and tombstones that the newest generation does not name; returns their names.

    Not while a build is writing segments that are still to be published. Open readers are not disturbed.
    """
    index = Path(index)
    removed: list[str] = []
    with _locked(index):
        now = read_manifest(index)
        named = {name for shard in now.shards for name in shard}
        for path in sorted((index / "segments").iterdir()):
            if path.name not in named:
                shutil.rmtree(path)
                removed.append(path.name)
        for path in sorted((index / "tombstones").glob("*.json")):
            if path.name not in now.tombstones.values():
                path.unlink()
                removed.append(path.name)
    return removed


@contextmanager
def _locked(index: Path) -> Iterator[None]:
    with (index / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
