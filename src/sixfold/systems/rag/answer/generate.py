"""A language model at work under a deadline: its text is taken apart into sentences, and each is checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sixfold.errors import ConfigError, first_line
from sixfold.parts.language_model import Delta, Message, Usage
from sixfold.parts.model_errors import ModelTimeoutError
from sixfold.systems.rag.answer.citations import Checker, says_something
from sixfold.systems.rag.answer.sentence_stream import Piece, SentenceStream
from sixfold.systems.rag.answer.types import Sentence, Verdict

__all__ = ["Budget", "LanguageModelLike", "Unsupported", "Writer"]


class LanguageModelLike(Protocol):
    """What writes: `parts.language_model`, or anything that streams like it."""

    def stream(self, messages: Sequence[Message], *, max_tokens: int, deadline_s: float) -> AsyncGenerator[Delta, None]:
        """Pieces of text as they are made; may raise anything, and is closed when no more is wanted."""
        ...


class Unsupported(StrEnum):
    """What happens to a sentence of the model that the passages do not bear out."""

    WITHHOLD = "withhold"
    MARK = "mark"  # shown, with a mark


@dataclass(frozen=True, slots=True)
class Budget:
    """How long the prompt and the answer may be, and how long the model may take."""

    prompt_tokens: int = 240
    answer_tokens: int = 64
    sentences: int = 3
    deadline_s: float = 30.0  # for the model, from when it is asked
    least_s: float = 0.1  # with less than this left the model is not asked
    refused: int = 2  # sentences in a row that are not borne out, after which the model is stopped

    def __post_init__(self) -> None:
        if min(self.prompt_tokens, self.answer_tokens, self.sentences, self.refused) < 1:
            raise ConfigError(f"got {self}, expected tokens, sentences and refused to be at least 1")


class Writer:
    """One answer of a model; afterwards it knows what was shown, what was withheld, and what went wrong."""

    def __init__(
        self, checker: Checker, question: str, budget: Budget, unsupported: Unsupported = Unsupported.WITHHOLD
    ) -> None:
        self._checker = checker
        self._question = question
        self._budget = budget
        self._unsupported = unsupported
        self._in_a_row = 0
        self.shown: list[Sentence] = []
        self.withheld: list[Sentence] = []
        self.failure = ""  # "late", "failed: ..."; empty if the model came to an end or was stopped
        self.usage: Usage | None = None  # as the model counts; None if it was stopped before it said

    @property
    def supported(self) -> bool:
        """Whether anything was shown that the passages bear out."""
        return any(sentence.verdict is not Verdict.UNSUPPORTED for sentence in self.shown)

    async def write(self, model: LanguageModelLike, messages: Sequence[Message]) -> AsyncGenerator[Sentence, None]:
        """The sentences to show, each as soon as it is whole and checked; the model is closed in any case."""
        source = model.stream(messages, max_tokens=self._budget.answer_tokens, deadline_s=self._budget.deadline_s)
        pieces = self._pieces(source)
        try:
            async for piece in pieces:
                if (sentence := self._take(piece)) is not None:
                    yield sentence
                if len(self.shown) >= self._budget.sentences or self._in_a_row >= self._budget.refused:
                    return
        finally:
            await pieces.aclose()
            with suppress(Exception):  # what a model's library says at its end changes nothing
                await source.aclose()

    async def _pieces(self, source: AsyncGenerator[Delta, None]) -> AsyncGenerator[Piece, None]:
        ends = asyncio.get_running_loop().time() + self._budget.deadline_s
        stream = SentenceStream()
        said = cut = False
        while True:
            try:
                # The scope of the timeout holds no yield: it belongs to the task that waits.
                async with asyncio.timeout_at(ends):
                    delta = await anext(source)
            except StopAsyncIteration:
                break
            except (TimeoutError, ModelTimeoutError):
                self.failure = "late"
                return  # half a sentence is not checked
            except Exception as error:  # whatever the model's library raises, the passages can still be quoted
                self.failure = f"failed: {first_line(error)}"
                return
            self.usage = delta.usage or self.usage
            cut = cut or delta.finish_reason == "length"
            for piece in stream.feed(delta.text):
                said = True
                yield piece
        for piece in stream.finish():
            # A sentence that the bound on tokens cut off is shown only if there is no other.
            if not (said and cut):
                yield piece

    def _take(self, piece: Piece) -> Sentence | None:
        """Check one sentence; returned if it is to be shown."""
        text, cited = piece
        if any(text == before.text for before in [*self.shown, *self.withheld]):
            self._in_a_row += 1  # a small model that repeats itself does not stop by itself
            return None
        sentence = self._checker.check(text, cited)
        says = says_something(text, self._question)
        if says and sentence.verdict is not Verdict.UNSUPPORTED:
            self._in_a_row = 0
            self.shown.append(sentence)
            return sentence
        self._in_a_row += 1
        if says and self._unsupported is Unsupported.MARK:
            self.shown.append(sentence)
            return sentence
        self.withheld.append(sentence)
        return None
