"""A conversation's last question becomes an answer: retrieve, then compose within what is left of the deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field

from sixfold.systems.rag.answer.compose import Mode, answer
from sixfold.systems.rag.answer.generate import Budget
from sixfold.systems.rag.answer.question import question_terms
from sixfold.systems.rag.answer.render import coverage_note
from sixfold.systems.rag.answer.types import Answer, Evidence, Sentence
from sixfold.systems.rag.serve.coverage import ShardState
from sixfold.systems.rag.serve.errors import ApiError
from sixfold.systems.rag.serve.schema import LONGEST_QUESTION, ChatRequest
from sixfold.systems.rag.serve.service import Retrieved, Service

__all__ = ["Chat", "chat", "question_of"]

_LAST_S = 0.05  # before the deadline, for the quotations that stand in for a model that is late


@dataclass
class Chat:
    """What is known of an answer while it is made: `answer` is there once it is whole."""

    question: str
    retrieved: Retrieved
    evidence: tuple[Evidence, ...]
    note: str  # what was not searched; empty if everything was
    degraded: list[str]
    answer: Answer | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def question_of(request: ChatRequest) -> str:
    """The last message of the user. Raises ApiError 400 if there is none or it is too long."""
    text = next((turn.text for turn in reversed(request.messages) if turn.role == "user"), "").strip()
    if not text:
        raise ApiError(400, "messages: there is no question from the user", param="messages", code="invalid_value")
    if len(text) > LONGEST_QUESTION:
        raise ApiError(
            400, f"messages: the question has {len(text)} characters, at most {LONGEST_QUESTION} are read",
            param="messages", code="invalid_value",
        )  # fmt: skip
    return text


async def chat(service: Service, request: ChatRequest) -> AsyncGenerator[Chat | Sentence, None]:
    """First the `Chat` with its passages, then sentences as they become certain; the `Chat` is whole at the end.

    The place among the requests that are retrieved for is given up when the language model begins: it has a line of
    its own.
    """
    question = question_of(request)
    deadline = service.deadline(request.deadline_s)
    loop = asyncio.get_running_loop()
    mode: Mode = request.mode
    async with AsyncExitStack() as place:
        await place.enter_async_context(service.admitted("chat", deadline))
        retrieved = await service.retrieve(
            question,
            request.k or service.settings.passages,
            request.filters.to_filter(),
            deadline,
            generate=mode != "extractive" and service.model is not None,
            counted=question_terms(question),
        )
        degraded = list(retrieved.degraded)
        if "generation" in degraded:
            mode = "extractive"
        state = Chat(question, retrieved, _evidence(retrieved), _note(retrieved), degraded)
        yield state
        began_s = time.perf_counter()

        async def extracted() -> None:
            state.seconds["extract"] = time.perf_counter() - began_s
            service.pace.record("extract", state.seconds["extract"])
            await place.aclose()

        settings = service.settings
        model = service.model.answer(request.temperature or 0.0, request.seed, extracted) if service.model else None
        asked_tokens = request.max_completion_tokens or request.max_tokens or settings.answer_tokens
        budget = Budget(
            prompt_tokens=max(80, round(settings.context_tokens * (retrieved.plan.context_share or 1.0))),
            answer_tokens=min(asked_tokens, settings.answer_tokens),
            deadline_s=max(0.0, deadline - loop.time() - _LAST_S),
        )
        composed = answer(
            question,
            state.evidence,
            model=model,
            mode=mode if service.model is not None else "extractive",
            budget=budget,
            statistics=retrieved.found.statistics,
            language=request.filters.language or "en",
        )
        async with aclosing(composed):
            async for event in composed:
                if isinstance(event, Sentence):
                    yield event
                else:
                    state.answer = event
        if "extract" not in state.seconds:
            await extracted()
        state.seconds["answer"] = time.perf_counter() - began_s
        if state.answer is not None:
            service.metrics.answers.labels(str(state.answer.mode)).inc()
            kept_out = state.answer.fallback.startswith(("late", "failed", "prompt too long"))
            if kept_out and "generation" not in degraded:
                degraded.append("generation")
                service.metrics.degraded.labels("generation").inc()
        for step, took_s in state.seconds.items():
            service.metrics.steps.labels(step).observe(took_s)


def _evidence(retrieved: Retrieved) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(number, p.chunk_id, p.url, p.title, p.text, p.score, p.vector_score)
        for number, p in enumerate(retrieved.found.passages, start=1)
    )


def _note(retrieved: Retrieved) -> str:
    coverage = retrieved.found.coverage
    missing = [(at.shard, at.reason or "") for at in coverage.shards if at.state is not ShardState.ANSWERED]
    return coverage_note(coverage.passages, coverage.passages_total, missing)
