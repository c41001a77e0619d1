"""Models of a few lines for the tests of what is built on a model: they talk, dawdle, break or lie as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from sixfold.parts.language_model import Delta, Message, Usage


class Talker:
    """Says these pieces, then its usage; knows what it was asked and whether it was closed."""

    def __init__(
        self, *pieces: str, pause_s: float = 0.0, error: Exception | None = None, finish_reason: str = "stop"
    ) -> None:
        self.pieces = pieces
        self.pause_s = pause_s
        self.error = error
        self.finish_reason = finish_reason
        self.asked: list[Sequence[Message]] = []
        self.said = 0
        self.closed = False

    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int, deadline_s: float
    ) -> AsyncGenerator[Delta, None]:
        """The pieces, one at a time."""
        self.asked.append(messages)
        try:
            for piece in self.pieces:
                await asyncio.sleep(self.pause_s)
                self.said += 1
                yield Delta(piece)
            if self.error is not None:
                raise self.error
            yield Delta("", self.finish_reason, Usage(60, 12))
        finally:
            self.closed = True
