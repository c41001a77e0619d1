"""The inverse of what /v1/chat/completions answers: for whoever evaluates a fleet from outside."""

from __future__ import annotations

from typing import Any

from sixfold.parts.language_model import Usage
from sixfold.systems.rag.answer.types import Answer, AnswerMode, Citation, Evidence, Sentence, Verdict

__all__ = ["answer_of"]


def answer_of(body: dict[str, Any]) -> Answer:
    """The answer in a response. Raises KeyError or ValueError for one that is not ours."""
    told, usage = body["sixfold"], body["usage"]
    evidence = tuple(
        Evidence(p["number"], p["chunk_id"], p["url"], p["title"], p["text"], p["score"]) for p in told["passages"]
    )
    counted = Usage(usage["prompt_tokens"], usage["completion_tokens"]) if usage["prompt_tokens"] else None
    return Answer(
        mode=AnswerMode(told["mode"]),
        sentences=tuple(map(_sentence, told["sentences"])),
        evidence=evidence,
        confidence=told["confidence"],
        reason=told["reason"] or "",
        withheld=tuple(map(_sentence, told["withheld"])),
        fallback=told["fallback"] or "",
        usage=counted,
    )


def _sentence(told: dict[str, Any]) -> Sentence:
    spans = tuple(Citation(span["number"], span["start"], span["end"]) for span in told["spans"])
    return Sentence(told["text"], spans, told["support"], Verdict(told["verdict"]))
