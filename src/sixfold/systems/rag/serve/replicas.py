"""What runs in the fleet beside the gateway: shards, encoder, language model. `fleet` makes replicas of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError
from sixfold.parts.embedder import DIMENSION
from sixfold.parts.endpoints import EndpointEmbedder
from sixfold.parts.language_model import Delta, LanguageModel, Message
from sixfold.parts.llama_server import LlamaServer
from sixfold.parts.llama_settings import LlamaSettings
from sixfold.parts.rerank import LateInteraction
from sixfold.systems.rag.index.manifest import Manifest, read_manifest
from sixfold.systems.rag.index.shard import Shard
from sixfold.systems.rag.serve.scatter import Calls
from sixfold.systems.rag.serve.settings import Endpoint

__all__ = ["EmbedReplica", "ModelReplica", "ShardReplica"]

_GENERATIONS_KEPT = 3  # questions that began a moment ago end on the generation they began with
_METHODS = {"statistics", "lexical", "vector", "passages"}


class ShardReplica:
    """One replica of the shards n with n modulo `groups` = `group`."""

    def __init__(self, index: str, group: int, groups: int) -> None:
        self._index = Path(index)
        self._group, self._groups = group, groups
        self._shards: dict[int, dict[int, Shard]] = {}  # generation -> shard -> open
        self._opening = asyncio.Lock()
        _one_thread()
        if (self._index / "manifest.json").exists():
            self._open(read_manifest(self._index))

    async def prepare(self, manifest: Manifest) -> dict[int, tuple[int, int]]:
        """Open a generation while the others answer; shard -> passages and documents that are not deleted."""
        async with self._opening:
            if manifest.generation not in self._shards:
                await asyncio.to_thread(self._open, manifest)
        return {number: (shard.chunks, shard.documents) for number, shard in self._shards[manifest.generation].items()}

    async def call(self, generation: int, calls: Calls) -> dict[int, list[Any]] | None:
        """Methods of shards: shard -> results, in order; None if that generation is not open here (`prepare` it)."""
        shards = self._shards.get(generation)
        if shards is None:
            return None
        if missing := calls.keys() - shards.keys():
            raise ConfigError(f"shard {min(missing)} is not in group {self._group} of {self._groups}")
        if unknown := {method for of in calls.values() for method, _ in of} - _METHODS:
            raise ConfigError(f"a shard has no method {min(unknown)!r}")
        # In this thread: one question at a time computes, the others wait their turn.
        return {shard: [getattr(shards[shard], method)(*args) for method, args in of] for shard, of in calls.items()}

    def pid(self) -> int:
        """The process, for those who end it on purpose."""
        return os.getpid()

    def _open(self, manifest: Manifest) -> None:
        before = self._shards.get(max(self._shards, default=-1), {})
        numbers = range(self._group, len(manifest.shards), self._groups)
        opened = {n: Shard.open(self._index, n, manifest, reuse=before.get(n)) for n in numbers}
        for shard in opened.values():  # what is loaded at the first use is not for the first question to wait for
            shard.lexical(["warm"], shard.statistics(["warm"]), 1)
        self._shards = {**self._shards, manifest.generation: opened}
        for old in sorted(self._shards)[:-_GENERATIONS_KEPT]:
            del self._shards[old]


class EmbedReplica:
    """One replica of the encoder: the embedded model, or a client of an endpoint that serves the index's model."""

    def __init__(self, endpoint: Endpoint | None = None, texts_at_once: int = 8) -> None:
        """texts_at_once: before a question that came meanwhile is let in; 8 long ones take a tenth of a second."""
        from sixfold.systems.rag.build_embed import embedder

        self._texts_at_once = texts_at_once
        self._endpoint: EndpointEmbedder | None = None
        if endpoint is not None:
            self._endpoint = EndpointEmbedder(endpoint.url, endpoint.key(), endpoint.model, dimension=DIMENSION)
            return
        _one_thread()
        self._embedder = embedder()
        self._embedder.embed_query("warm up")

    async def embed(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Vectors [n, d], normalised."""
        if self._endpoint is not None:
            return await self._endpoint.embed_async(texts)
        blocks = [np.empty((0, DIMENSION), dtype=np.float32)]
        for at in range(0, len(texts), self._texts_at_once):
            blocks.append(self._embedder.embed(texts[at : at + self._texts_at_once]))
            await asyncio.sleep(0)  # a question that came meanwhile goes first
        return np.concatenate(blocks)

    async def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """The vector [d] of a question."""
        if self._endpoint is not None:
            return await self._endpoint.embed_query_async(text)
        return self._embedder.embed_query(text)

    async def rerank(self, question: str, texts: list[str]) -> list[float]:
        """The likeness of each text's tokens to those of the question (`parts.rerank`)."""
        return LateInteraction(self._embedder).scores(question, texts)

    def pid(self) -> int:
        """The process, for those who end it on purpose."""
        return os.getpid()


class ModelReplica:
    """One replica of the language model: the embedded server as a child of this process, or a client of an endpoint."""

    def __init__(self, endpoint: Endpoint | None, threads: int, slots: int) -> None:
        self._endpoint = endpoint
        self._server: LlamaServer | None = None
        if endpoint is None:
            # Below everything else: what it writes can wait for a core, retrieval cannot.
            self._server = LlamaServer(LlamaSettings(threads=threads, slots=slots)).start()
        self._model: LanguageModel | None = None

    async def stream(
        self, messages: list[Message], max_tokens: int, deadline_s: float, temperature: float, seed: int | None
    ) -> AsyncIterator[Delta]:
        """Pieces of an answer; closing the generator ends the work."""
        deltas = self._client().stream(
            messages, max_tokens=max_tokens, deadline_s=deadline_s, temperature=temperature, seed=seed
        )
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    def check_health(self) -> None:
        """Start the server again if it has ended; Ray Serve calls this every second."""
        if self._server is not None and not self._server.running:
            self._server.start()

    def pid(self) -> int:
        """The process that computes, for those who end it on purpose."""
        return (self._server.pid if self._server is not None else None) or os.getpid()

    def _client(self) -> LanguageModel:
        if self._model is None:  # made in the loop that it is used in
            if self._server is not None:
                self._model = LanguageModel(self._server.base_url, self._server.api_key, "sixfold")
            else:
                assert self._endpoint is not None
                self._model = LanguageModel(self._endpoint.url, self._endpoint.key(), self._endpoint.model)
        return self._model


def _one_thread() -> None:
    import faiss
    from threadpoolctl import threadpool_limits

    faiss.omp_set_num_threads(1)
    threadpool_limits(1)
