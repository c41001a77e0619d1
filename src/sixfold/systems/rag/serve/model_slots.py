"""Who may have the language model: as many answers at once as it has slots, and what the next one would wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from sixfold.parts.language_model import Delta
from sixfold.systems.rag.serve.pace import Pace

__all__ = ["ModelSlots", "OneAnswer", "StreamsDeltas"]


class StreamsDeltas(Protocol):
    """A language model, wherever it runs."""

    def stream(
        self, messages: Sequence[Any], *, max_tokens: int, deadline_s: float, temperature: float, seed: int | None
    ) -> AsyncGenerator[Delta, None]:
        """Pieces of an answer; closing the generator ends the work."""
        ...


class ModelSlots:
    """Bounds how many answers one gateway has written at once; the model of a gateway's own share of the fleet."""

    def __init__(self, model: StreamsDeltas, slots: int, pace: Pace) -> None:
        self.model = model
        self.pace = pace
        self._slots = slots
        self._asked = 0
        self._free = asyncio.Semaphore(slots)

    def wait_s(self) -> float:
        """How long the next answer would wait for a slot."""
        ahead = self._asked - self._slots + 1
        return max(0, ahead) * self.pace.quantile_s("generation", 0.5) / self._slots

    def answer(self, temperature: float, seed: int | None, before: Callable[[], Awaitable[None]]) -> OneAnswer:
        """The model for one answer; `before` is awaited when the answer's own work is done and the model's begins."""
        return OneAnswer(self, temperature, seed, before)

    async def stream(
        self, answer: OneAnswer, messages: Sequence[Any], max_tokens: int, deadline_s: float
    ) -> AsyncGenerator[Delta, None]:
        """Pieces of one answer, once there is a slot; TimeoutError if there is none in time."""
        began_s = time.perf_counter()
        self._asked += 1
        try:
            async with asyncio.timeout(deadline_s):
                await self._free.acquire()
        except BaseException:
            self._asked -= 1
            raise
        try:
            left_s = max(0.05, deadline_s - (time.perf_counter() - began_s))
            deltas = self.model.stream(
                messages, max_tokens=max_tokens, deadline_s=left_s, temperature=answer.temperature, seed=answer.seed
            )
            writing_s = time.perf_counter()
            try:
                async for delta in deltas:
                    yield delta
            except GeneratorExit:  # enough was written
                self.pace.record("generation", time.perf_counter() - writing_s)
                raise
            else:  # what failed or was late says nothing of how long an answer takes
                self.pace.record("generation", time.perf_counter() - writing_s)
            finally:
                await deltas.aclose()
        finally:
            self._asked -= 1
            self._free.release()


class OneAnswer:
    """The model as `answer.compose` asks for it."""

    def __init__(
        self, slots: ModelSlots, temperature: float, seed: int | None, before: Callable[[], Awaitable[None]]
    ) -> None:
        self.temperature, self.seed = temperature, seed
        self._slots, self._before = slots, before

    async def stream(
        self, messages: Sequence[Any], *, max_tokens: int, deadline_s: float
    ) -> AsyncGenerator[Delta, None]:
        """Pieces of text."""
        await self._before()
        deltas = self._slots.stream(self, messages, max_tokens, deadline_s)
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta
