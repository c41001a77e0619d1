"""A shard in a Ray actor: one thread, and if asked for a cap on the memory it may take."""

from __future__ import annotations

import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray

from sixfold.axes import Axis
from sixfold.errors import ConfigError, SixfoldError
from sixfold.study.meter import Meter, Part, Reading
from sixfold.systems.rag.index.manifest import Manifest, read_manifest
from sixfold.systems.rag.index.scatter import wait_all
from sixfold.systems.rag.index.shard import Shard

__all__ = ["RayShard", "ShardActor", "cap_memory", "start_shards"]


class ShardActor:
    """What runs in the actor's process; `start_shards` makes the actor."""

    def __init__(self) -> None:
        self._shard: Shard | None = None
        self._meter = Meter(Axis.INFERENCE)

    def open(
        self,
        index: str,
        number: int,
        manifest: Manifest,
        capacity_bytes: int | None,
        memory_cap_bytes: int | None,
        in_memory: bool,
    ) -> None:
        """Open the shard: a method, since what a constructor raises reaches the caller as text only."""
        import faiss
        from threadpoolctl import threadpool_limits

        faiss.omp_set_num_threads(1)
        self._limits = threadpool_limits(1)
        if memory_cap_bytes is not None:
            # The linear algebra takes its work space at its first product, and ends the process if it cannot.
            square = np.ones((256, 256), dtype=np.float32)
            np.matmul(square, square)
            cap_memory(memory_cap_bytes)
        self._shard = Shard.open(index, number, manifest, capacity_bytes=capacity_bytes, in_memory=in_memory)

    def call(self, method: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """One of the public methods of `Shard`."""
        if self._shard is None or method not in ("facts", "statistics", "lexical", "vector", "passages"):
            raise ConfigError(f"a shard has no method {method!r}")
        with self._meter.span(Part.COMPUTE):
            return getattr(self._shard, method)(*args, **options)

    def reading(self) -> Reading:
        """What its meter saw since the actor began: compute while it was called, idle otherwise."""
        return self._meter.reading()


class RayShard:
    """The driver's handle of a shard in an actor."""

    def __init__(self, number: int, actor: Any) -> None:
        self.number = number
        self.actor = actor

    def begin(self, method: str, /, *args: Any, **options: Any) -> Callable[[], Any]:
        """Send the call; the returned function waits for its result."""
        pending = self.actor.call.remote(method, args, options)
        return lambda: _result(pending)

    def reading(self) -> Reading:
        """The meter of the actor, since it began."""
        reading: Reading = ray.get(self.actor.reading.remote())
        return reading

    def stop(self) -> None:
        """End the actor's process."""
        ray.kill(self.actor)


def start_shards(
    index: str | Path,
    manifest: Manifest | None = None,
    *,
    capacity_bytes: int | None = None,
    memory_cap_bytes: int | None = None,
    in_memory: bool = False,
    cpus: float = 1.0,
) -> list[RayShard]:
    """One actor a shard of a generation, on the Ray that is running; returns when all of them are open.

    capacity_bytes: the most a shard's files may take. memory_cap_bytes: the most memory its process may
    take beyond what it needs empty. Raises what `Shard.open` raises, MemoryError included, after stopping
    the actors.
    """
    manifest = manifest or read_manifest(index)
    actor_class = ray.remote(num_cpus=cpus, max_restarts=0)(ShardActor)
    place = str(Path(index).resolve())
    shards = [RayShard(number, actor_class.remote()) for number in range(len(manifest.shards))]
    try:
        opening = [
            shard.actor.open.remote(place, shard.number, manifest, capacity_bytes, memory_cap_bytes, in_memory)
            for shard in shards
        ]
        wait_all([partial(_result, pending) for pending in opening])
    except BaseException:
        for shard in shards:
            shard.stop()
        raise
    return shards


def _result(pending: Any) -> Any:
    try:
        return ray.get(pending)
    except ray.exceptions.RayTaskError as error:
        # Ray's text carries the actor's traceback; these two are for the caller to read.
        if isinstance(error.cause, SixfoldError | MemoryError):
            raise error.cause from None
        raise


def cap_memory(extra_bytes: int) -> None:
    """Let this process allocate `extra_bytes` more private memory than it has now, and no more.

    Mapped files are not counted (RLIMIT_DATA, Linux 4.7 and later): the kernel can always drop them.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    now = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (now + extra_bytes, resource.getrlimit(resource.RLIMIT_DATA)[1]))
