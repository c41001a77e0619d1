"""What a gateway does with a request: take it on, retrieve within its deadline, leave out what does not fit.

Engine-free: the replicas are whatever `Group` holds. `fleet` gives it those of Ray Serve, a test or the single-process
baseline gives it objects of its own process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError
from sixfold.parts.admission import Admission
from sixfold.systems.rag.index.filters import Filter
from sixfold.systems.rag.retrieve import Passage
from sixfold.systems.rag.serve.cache import GenerationCache
from sixfold.systems.rag.serve.degrade import Plan, plan
from sixfold.systems.rag.serve.errors import ApiError
from sixfold.systems.rag.serve.gate import Gate, OverloadedError
from sixfold.systems.rag.serve.generations import Generation, Generations
from sixfold.systems.rag.serve.metrics import GatewayMetrics
from sixfold.systems.rag.serve.model_slots import ModelSlots, StreamsDeltas
from sixfold.systems.rag.serve.pace import Pace
from sixfold.systems.rag.serve.search import FleetSearch, Found
from sixfold.systems.rag.serve.settings import ServeSettings

__all__ = ["Retrieved", "Service", "WritesDocuments"]

Embed = Callable[[list[str]], Awaitable[npt.NDArray[np.float32]]]
Rerank = Callable[[str, Sequence[Passage]], Awaitable[Sequence[float]]]  # the higher the better
_RERANKED = 30  # passages that a reranker chooses from


class WritesDocuments(Protocol):
    """Whoever changes the index; receipts are JSON with the `generation` that shows the change."""

    async def upsert(self, documents: list[dict[str, Any]]) -> dict[str, Any]: ...

    async def takedown(self, rule: dict[str, str | None], reason: str) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What was found for a request, and what was left out for want of time."""

    found: Found
    degraded: tuple[str, ...]
    plan: Plan
    cached: bool
    seconds: dict[str, float]


class Service:
    """One gateway's view of the fleet."""

    def __init__(
        self,
        settings: ServeSettings,
        search: FleetSearch,
        generations: Generations,
        embed: Embed,
        *,
        rerank: Rerank | None = None,
        model: StreamsDeltas | None = None,
        writer: WritesDocuments | None = None,
        metrics: GatewayMetrics | None = None,
    ) -> None:
        self.settings = settings
        self.generations = generations
        self.metrics = metrics or GatewayMetrics()
        self.pace = Pace()
        self.embed = embed
        self.search = search
        self.writer = writer
        self._rerank = rerank
        slots = settings.model_slots * settings.replicas.model
        self.model = ModelSlots(model, slots, self.pace) if model is not None else None
        self._cache: GenerationCache[Found] = GenerationCache(settings.cached_questions)
        self.gate = Gate(Admission(settings.concurrency) if settings.admission else None)
        generations.on_change = self._changed

    def generation(self) -> Generation:
        """The one in use. Raises ApiError 503 before the first one is."""
        if self.generations.current is None:
            raise ApiError(503, "the index is being opened", code="not_ready", retry_after_s=1)
        return self.generations.current

    def deadline(self, asked_s: float | None) -> float:
        """When a request that has just arrived has to be answered, by the loop's clock."""
        budget_s = min(asked_s or self.settings.deadline_s, self.settings.most_deadline_s)
        return asyncio.get_running_loop().time() + budget_s

    @asynccontextmanager
    async def admitted(self, kind: str, deadline: float) -> Any:
        """A place among the requests that are retrieved for; OverloadedError if there is none in time."""
        admission = self.gate.admission
        try:
            async with self.gate.pass_through(kind, deadline - asyncio.get_running_loop().time()):
                if admission is not None:
                    self.metrics.waiting.set(admission.waiting)
                    self.metrics.running.set(admission.running)
                yield
        except OverloadedError:
            self.metrics.refused.inc()
            raise

    async def retrieve(
        self,
        question: str,
        k: int,
        where: Filter | None,
        deadline: float,
        *,
        generate: bool = False,
        counted: Sequence[str] = (),
    ) -> Retrieved:
        """The best passages within the deadline; `generate` leaves time for an answer to be written.

        counted: terms whose statistics are wanted beside those of the question.
        """
        if not question.strip():
            raise ConfigError("the question is empty; ask something in words")
        began_s = time.perf_counter()
        left_s = deadline - asyncio.get_running_loop().time()
        model_wait_s = self.model.wait_s() if self.model is not None else 0.0
        chosen = plan(left_s, self.pace.costs(model_wait_s), rerank=self._rerank is not None, generate=generate)
        generation = self.generation()
        key = (" ".join(question.split()), k, where, bool(counted), chosen.rerank)
        found = self._cache.get(generation.number, key)
        cached = found is not None
        self.metrics.cache.labels("hit" if cached else "miss").inc()
        degraded = list(chosen.degraded)
        seconds: dict[str, float] = {}
        if found is None:
            found = await self.search.search(
                question, k, generation, wait_s=chosen.shards_s, where=where, counted=counted
            )
            seconds |= found.seconds
            seconds["retrieve"] = time.perf_counter() - began_s
            if found.coverage.whole:
                self.pace.record("shards", seconds["retrieve"])
            if not found.lexical_only and found.coverage.whole:
                self._cache.put(generation.number, key, found)
        if found.lexical_only:
            degraded.append("vectors")
        for shard in found.coverage.shards:
            if shard.reason is not None:
                self.metrics.shards_lost.labels(str(shard.shard), str(shard.state)).inc()
        if chosen.rerank and self._rerank is not None and found.passages:
            found, reranked = await self._reranked(question, found, deadline)
            if not reranked:
                degraded.append("rerank")
        found = replace(found, passages=found.passages[:k])
        for step in degraded:
            self.metrics.degraded.labels(step).inc()
        for step, took_s in seconds.items():
            self.metrics.steps.labels(step).observe(took_s)
        return Retrieved(found, tuple(degraded), chosen, cached, seconds)

    async def _reranked(self, question: str, found: Found, deadline: float) -> tuple[Found, bool]:
        assert self._rerank is not None
        began_s = time.perf_counter()
        left_s = deadline - asyncio.get_running_loop().time()
        try:
            scores = await asyncio.wait_for(self._rerank(question, found.passages), left_s / 2)
        except Exception:  # late, gone or broken: the order of the retrieval stands
            return found, False
        self.pace.record("rerank", time.perf_counter() - began_s)
        order = sorted(range(len(scores)), key=lambda at: (-scores[at], at))
        passages = [found.passages[at] for at in order]
        return replace(found, passages=passages), True

    def _changed(self, generation: Generation) -> None:
        self._cache.move_to(generation.number)
        self.metrics.generation.set(generation.number)
        self.metrics.lag.set(self.generations.lag_s)
