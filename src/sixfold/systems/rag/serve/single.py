"""The service in one process: the same requests, with replicas that are objects of this process and no engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from sixfold.systems.rag.index.manifest import Manifest
from sixfold.systems.rag.serve.generations import Generations
from sixfold.systems.rag.serve.model_slots import StreamsDeltas
from sixfold.systems.rag.serve.replicas import EmbedReplica, ShardReplica
from sixfold.systems.rag.serve.scatter import Calls, Group
from sixfold.systems.rag.serve.search import FleetSearch
from sixfold.systems.rag.serve.service import Service
from sixfold.systems.rag.serve.settings import ServeSettings

__all__ = ["LocalCopy", "ready", "single_process_service"]


class LocalCopy:
    """A `ShardReplica` of this process as `scatter.Copy`."""

    def __init__(self, name: str, replica: ShardReplica) -> None:
        self.name = name
        self._replica = replica

    async def call(self, generation: int, calls: Calls) -> dict[int, list[Any]]:
        results = await self._replica.call(generation, calls)
        if results is None:
            raise LookupError(f"generation {generation} is not open")
        return results


def single_process_service(settings: ServeSettings, *, model: StreamsDeltas | None = None) -> Service:
    """A service whose shards and encoder live in this process; it has no writer."""
    shards = ShardReplica(str(settings.index), 0, 1)
    encoder = EmbedReplica(texts_at_once=settings.embed_batch)

    async def prepare(manifest: Manifest) -> Mapping[int, tuple[int, int]]:
        return await shards.prepare(manifest)

    service = Service(
        settings,
        FleetSearch(
            [Group([LocalCopy("local", shards)])],
            encoder.embed_query,
            depth=settings.fused_depth,
            probes=settings.probes,
        ),
        Generations(settings.index, prepare),
        encoder.embed,
        model=model,
    )
    return service


async def ready(service: Service) -> Service:
    """The service once it has a generation in use."""
    while not await service.generations.refresh() and service.generations.current is None:
        await asyncio.sleep(0.05)
    return service
