"""Which generation of the index questions are answered from: the newest that the shards have opened.

A question is answered from one generation throughout. A new one is announced to the shards first and taken into use
when all that are alive have opened it, so that nobody waits for files to be opened.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sixfold.errors import SixfoldError
from sixfold.systems.rag.index.manifest import Manifest, read_manifest
from sixfold.systems.rag.index.segment_reader import segment_info

__all__ = ["Generation", "Generations", "sizes_on_disk"]

Sizes = dict[int, tuple[int, int]]  # shard -> (passages, documents)
Prepare = Callable[[Manifest], Awaitable[Mapping[int, tuple[int, int]]]]
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation in use."""

    manifest: Manifest
    sizes: Sizes

    @property
    def number(self) -> int:
        return self.manifest.generation

    @property
    def probes(self) -> int | None:
        """Lists of the inverted file to look into; None scans exactly."""
        return int(self.manifest.settings.get("probes") or 0) or None


@dataclass
class Generations:
    """Follows the manifest of an index. prepare: opens a generation on every shard that is alive -> their sizes."""

    index: Path
    prepare: Prepare
    on_change: Callable[[Generation], None] = lambda generation: None
    current: Generation | None = None
    lag_s: float = 0.0  # from the newest manifest's publication until it was in use
    _stamp: tuple[int, int] = field(default=(0, 0), init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def refresh(self) -> bool:
        """Take the newest generation into use, if there is a newer one; whether there was."""
        async with self._turn:
            return await self._refresh()

    async def _refresh(self) -> bool:
        path = self.index / "manifest.json"
        try:
            stat = os.stat(path)
        except FileNotFoundError:
            return False
        stamp = (stat.st_ino, stat.st_mtime_ns)
        if stamp == self._stamp:
            return False
        manifest = await asyncio.to_thread(read_manifest, self.index)
        sizes = await asyncio.to_thread(sizes_on_disk, self.index, manifest)
        sizes.update(await self.prepare(manifest))
        self.current = Generation(manifest, sizes)
        self.lag_s = max(0.0, time.time() - stat.st_mtime)
        self._stamp = stamp
        self.on_change(self.current)
        return True

    async def follow(self) -> None:
        """Refresh for ever. What cannot be read now (a damaged or vanished index) is tried again later."""
        while True:
            try:
                await self.refresh()
            except (SixfoldError, OSError):
                await asyncio.sleep(10 * POLL_S)
            await asyncio.sleep(POLL_S)


def sizes_on_disk(index: Path, manifest: Manifest) -> Sizes:
    """Passages and documents of every shard by its files, what is deleted included; for shards that cannot be asked."""
    sizes: Sizes = {}
    for number, names in enumerate(manifest.shards):
        infos = []
        for name in names:
            try:
                infos.append(segment_info(index / "segments" / name))
            except (SixfoldError, OSError):  # its shard will be missing, and say why
                continue
        sizes[number] = (sum(info.chunks for info in infos), sum(info.documents for info in infos))
    return sizes
