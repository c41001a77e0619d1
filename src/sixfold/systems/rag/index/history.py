"""Forgetting generations: what only old ones name is deleted, when nobody is likely to open them any more.

Publishing keeps the manifest that it replaces. A reader that has read one may open its files a little later, so
they stay for a grace after a newer generation took its place; files that are open already outlive their names.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sixfold.errors import InputError
from sixfold.systems.rag.index.manifest import Manifest, locked, manifest_at, read_manifest

__all__ = ["GRACE_S", "forget", "named_segments"]

GRACE_S = 30.0  # a shard opens a generation within milliseconds, a replica that starts anew within seconds


def named_segments(index: Path) -> set[str]:
    """The segments of the newest generation and of all that are not forgotten."""
    with locked(index):
        manifests = [manifest for _, manifest in _earlier(index)]
        if (index / "manifest.json").exists():
            manifests.append(read_manifest(index))
    return {name for manifest in manifests for name in manifest.segments}


def forget(index: str | Path, now_s: float, grace_s: float = GRACE_S) -> list[str]:
    """Delete what only generations name that were replaced more than `grace_s` before `now_s`; returns the names.

    now_s: seconds since the epoch. Segments that were never published are left alone: they are still being written,
    or their writer's successor clears them away. Killed half-way, the next call goes on.
    """
    index = Path(index)
    removed: list[str] = []
    with locked(index):
        newest = read_manifest(index)
        earlier = _earlier(index)
        # A generation was replaced when its successor was published, which is the time of the successor's file.
        times = [path.stat().st_mtime for path, _ in earlier] + [(index / "manifest.json").stat().st_mtime]
        expired = [at for at in range(len(earlier)) if times[at + 1] + grace_s <= now_s]
        kept = [newest, *(manifest for at, (_, manifest) in enumerate(earlier) if at not in expired)]
        segments = {name for manifest in kept for name in manifest.segments}
        tombstones = {name for manifest in kept for name in manifest.tombstones.values()}
        for at in expired:
            path, manifest = earlier[at]
            for name in manifest.segments:
                if name not in segments and (folder := index / "segments" / name).exists():
                    shutil.rmtree(folder)
                    removed.append(name)
            path.unlink()
        # Tombstones are published within moments of being written; an old one without a generation is a torn end.
        for file in sorted((index / "tombstones").glob("*")):
            if file.name not in tombstones and file.stat().st_mtime + grace_s <= now_s:
                file.unlink()
                removed.append(file.name)
    return removed


def _earlier(index: Path) -> list[tuple[Path, Manifest]]:
    """The generations that are kept beside the newest one, in order; what a power cut left of one is deleted."""
    found = []
    for path in sorted((index / "generations").glob("*.json")):
        try:
            found.append((path, manifest_at(path)))
        except InputError:
            path.unlink()
    return found
