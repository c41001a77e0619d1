"""POST /v1/chat/completions and GET /v1/models: OpenAI's shapes, with citations as annotations of the message."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, StreamingResponse

from sixfold.systems.rag.answer.render import opening, render, rendered_sentence
from sixfold.systems.rag.answer.types import Sentence
from sixfold.systems.rag.serve.chat import Chat, chat, question_of
from sixfold.systems.rag.serve.errors import to_api_error
from sixfold.systems.rag.serve.schema import ChatRequest
from sixfold.systems.rag.serve.service import Service

__all__ = ["add_chat_routes"]

MODEL = "sixfold-rag"


def add_chat_routes(app: FastAPI, service: Service) -> None:
    """The routes of answers."""

    @app.get("/v1/models", tags=["models"])
    async def models() -> dict[str, Any]:
        """What can be asked for as `model`."""
        names = (MODEL, "sixfold-embedding")
        return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "sixfold"} for name in names]}

    @app.post("/v1/chat/completions", tags=["answers"])
    async def completions(request: ChatRequest) -> Response:
        """An answer to the user's last message, each sentence with the spans that bear it out."""
        question_of(request)  # what is wrong with the request is said before a stream begins
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": request.model}
        events = chat(service, request)
        if request.stream:
            first = await anext(events)  # so is that there is no place for it
            assert isinstance(first, Chat)
            chunks = _chunks(first, events, request, head)
            return StreamingResponse(chunks, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        async with aclosing(events):
            state: Chat | None = None
            async for event in events:
                state = event if isinstance(event, Chat) else state
        assert state is not None
        return JSONResponse(_completion(state, head))


async def _chunks(
    state: Chat, events: AsyncGenerator[Chat | Sentence, None], request: ChatRequest, head: dict[str, Any]
) -> AsyncIterator[str]:
    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**head, "object": "chat.completion.chunk", "choices": [choice], **more})

    found = state.retrieved.found
    yield chunk({"role": "assistant", "content": ""})
    yield chunk({}, sixfold={"passages": _passages(state), "coverage": found.coverage.to_json()})
    first = True
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Sentence):
                    yield chunk({"content": rendered_sentence(event, first=first)})
                    first = False
        assert state.answer is not None
        rest = opening(state.answer) if first else ""
        if state.note:
            rest += f"\n\n{state.note}" if rest or not first else state.note
        if rest:
            yield chunk({"content": rest})
        whole = _completion(state, head)
        message = whole["choices"][0]["message"]
        yield chunk({"annotations": message["annotations"]}, "stop", sixfold=whole["sixfold"])
        if request.stream_options is not None and request.stream_options.include_usage:
            yield _event({**head, "object": "chat.completion.chunk", "choices": [], "usage": whole["usage"]})
    except asyncio.CancelledError:
        raise
    except Exception as error:  # the status has been sent: what went wrong is the last event
        yield _event(to_api_error(error).to_json())
    yield "data: [DONE]\n\n"


def _completion(state: Chat, head: dict[str, Any]) -> dict[str, Any]:
    answer, found = state.answer, state.retrieved.found
    assert answer is not None
    rendered = render(answer, state.note)
    by_number = {evidence.number: evidence for evidence in answer.evidence}
    annotations = []
    for marker in rendered.markers:
        of, cited = by_number[marker.citation.number], marker.citation
        annotations.append(
            {
                "type": "url_citation",
                "url_citation": {
                    "url": of.url,
                    "title": of.title,
                    "start_index": marker.start,
                    "end_index": marker.end,
                },
                "number": of.number,
                "chunk_id": of.chunk_id,
                "passage_start": cited.start,
                "passage_end": cited.end,
                "quote": of.text[cited.start : cited.end],
            }
        )
    message = {"role": "assistant", "content": rendered.text, "refusal": None, "annotations": annotations}
    prompt, completion = (answer.usage.prompt_tokens, answer.usage.completion_tokens) if answer.usage else (0, 0)
    return {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        "sixfold": {
            "mode": str(answer.mode),
            "reason": answer.reason or None,
            "fallback": answer.fallback or None,
            "confidence": round(answer.confidence, 4),
            "coverage": found.coverage.to_json(),
            "degraded": state.degraded,
            "generation": found.generation,
            "cached": state.retrieved.cached,
            "sentences": [_sentence(sentence) for sentence in answer.sentences],
            "withheld": [_sentence(sentence) for sentence in answer.withheld],
            "passages": _passages(state),
            "timings_s": state.retrieved.seconds | state.seconds,
        },
    }


def _sentence(sentence: Sentence) -> dict[str, Any]:
    return {
        "text": sentence.text,
        "citations": list(dict.fromkeys(citation.number for citation in sentence.citations)),
        "spans": [asdict(citation) for citation in sentence.citations],
        "support": round(sentence.support, 4),
        "verdict": str(sentence.verdict),
    }


def _passages(state: Chat) -> list[dict[str, Any]]:
    return [
        {
            "number": number,
            "chunk_id": p.chunk_id,
            "doc_id": p.doc_id,
            "url": p.url,
            "title": p.title,
            "language": p.language,
            "text": p.text,
            "start": p.start,
            "end": p.end,
            "score": p.score,
        }
        for number, p in enumerate(state.retrieved.found.passages, start=1)
    ]


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content)}\n\n"
