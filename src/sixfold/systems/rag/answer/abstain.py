"""Whether the passages can answer a question at all, and in words why not.

The confidence is made of quantities that mean the same for every question and every index: shares of the
question's own weight, and a cosine. Scores after fusion do not: they are relative to the other results.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sixfold.systems.rag.answer.question import Question, terms_of
from sixfold.systems.rag.answer.types import Evidence

__all__ = ["THRESHOLD", "Assessment", "Confidence", "Features", "assess", "features_of"]

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Features:
    """What the confidence is made of, each 0 to 1."""

    coverage: float  # the share of the question's idf weight that one passage has, with its title; of the best one
    names: float  # of the identifier that is found least, the share of its dotted parts there
    similarity: float  # the best inner product of a passage with the question; 0.5 where none is known


@dataclass(frozen=True, slots=True)
class Confidence:
    """A logistic function of the features, fitted on development questions (docs/decisions/0017)."""

    intercept: float = -19.88
    coverage: float = 5.20
    names: float = 13.15
    similarity: float = 8.11

    def of(self, features: Features) -> float:
        """0 to 1."""
        logit = self.intercept + self.coverage * features.coverage + self.names * features.names
        return 1.0 / (1.0 + math.exp(-(logit + self.similarity * features.similarity)))


THRESHOLD = 0.45  # the sum of false answers and false abstentions was least there, on development questions
_USUAL_SIMILARITY = 0.5  # of a passage that answers; stands in where the vector leg was dropped


@dataclass(frozen=True, slots=True)
class Assessment:
    """How well the passages fit the question; `reason` is empty if it is worth answering."""

    confidence: float
    features: Features
    reason: str


def assess(
    question: Question,
    evidence: Sequence[Evidence],
    *,
    threshold: float = THRESHOLD,
    confidence: Confidence | None = None,
) -> Assessment:
    """The confidence in an answer from these passages; below the threshold, why there should be none."""
    if not evidence:
        return Assessment(0.0, Features(0.0, 0.0, 0.0), "no passage was found")
    if not question.weights:
        return Assessment(0.0, Features(0.0, 0.0, 0.0), "the question has no word that one could search for")
    features = features_of(question, evidence)
    value = (confidence or Confidence()).of(features)
    return Assessment(value, features, "" if value >= threshold else _reason(question, evidence))


def features_of(question: Question, evidence: Sequence[Evidence]) -> Features:
    """The features of the passages for the question; of no passages, all 0."""
    coverage = names = 0.0
    for passage in evidence:
        coverage = max(coverage, question.share(_terms(passage)))
        if question.names:
            words = _words(passage.text) | _words(passage.title)
            found = min(sum(part in words for part in name) / len(name) for name in question.names)
            names = max(names, found)
    known = [passage.similarity for passage in evidence if passage.similarity is not None]
    similarity = max(0.0, min(1.0, max(known, default=_USUAL_SIMILARITY)))
    return Features(coverage, names if question.names or not evidence else 1.0, similarity)


def _reason(question: Question, evidence: Sequence[Evidence]) -> str:
    """What the question asks about and no passage has, or that no passage has it together."""
    there = frozenset().union(*(_terms(passage) for passage in evidence))
    words = frozenset().union(*(_words(passage.text) | _words(passage.title) for passage in evidence))
    lost = [part for name in question.names for part in name if part not in words]
    if not lost:
        heaviest = sorted(question.weights.items(), key=lambda item: (-item[1], item[0]))
        stems = {term for term, _ in heaviest[:4]} - there
        lost = [word for word in _WORD.findall(question.text) if terms_of(word) & stems]
    if lost:
        named = ", ".join(f"“{word}”" for word in list(dict.fromkeys(lost))[:3])
        return f"the passages found say nothing about {named}"
    return "no passage found has what the question asks about together"


def _terms(passage: Evidence) -> frozenset[str]:
    return terms_of(passage.text) | terms_of(passage.title)


@lru_cache(maxsize=4_096)
def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))
