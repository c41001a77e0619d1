"""What an answer consists of: sentences, each with the exact spans that it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sixfold.parts.language_model import Usage

__all__ = ["Answer", "AnswerMode", "Citation", "Evidence", "Sentence", "Verdict"]


class AnswerMode(StrEnum):
    """How an answer came about."""

    EXTRACTIVE = "extractive"  # sentences of the passages, word for word
    GENERATED = "generated"  # sentences of a language model, each checked against the passages
    ABSTAINED = "abstained"  # the passages do not answer the question


class Verdict(StrEnum):
    """What the check of a sentence against the spans that it cites came to."""

    QUOTED = "quoted"  # it is the span
    SUPPORTED = "supported"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One passage as the answer numbers it: what `[n]` refers to."""

    number: int  # from 1, in the order of the ranking
    chunk_id: str
    url: str
    title: str
    text: str
    score: float  # of the retrieval, after fusion (or rerank)
    similarity: float | None = None  # inner product with the question, where the vector leg found the passage


@dataclass(frozen=True, slots=True)
class Citation:
    """An exact span of a passage."""

    number: int  # of the `Evidence`
    start: int  # characters into its text
    end: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer, without its `[n]` markers."""

    text: str
    citations: tuple[Citation, ...]
    support: float  # 0 to 1: how much of it the cited spans bear out
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `withheld` are generated sentences that nothing supported, for the record only."""

    mode: AnswerMode
    sentences: tuple[Sentence, ...]
    evidence: tuple[Evidence, ...]
    confidence: float  # 0 to 1, of the evidence for the question: below the threshold it abstains
    reason: str = ""  # why it abstained
    withheld: tuple[Sentence, ...] = ()
    fallback: str = ""  # why the model did not write it, where it was asked for: "late", "withheld", "no model", ...
    usage: Usage | None = None  # of the model, if it was asked and came to its end
