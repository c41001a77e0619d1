"""What a question asks for: its informative terms, their weights, and the names among them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from sixfold.parts.analyzer import Analyzer
from sixfold.parts.lexical import Statistics
from sixfold.parts.signatures import FRAME_STEMS

__all__ = ["Question", "question_terms", "terms_of"]

_ANALYZER = Analyzer()
FRAME_WEIGHT = 0.15  # "default", "return", "class": they say what is wanted, and forms have them unsaid
PART_WEIGHT = 0.25  # of `wrap` in `do_wrap`: every other name with that part has it

_WORD = re.compile(r"\w+")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_LOOKS_LIKE_A_NAME = re.compile(r"_|\.|[a-z][A-Z]|[A-Z]{2}|[A-Za-z]\d")


@dataclass(frozen=True, slots=True)
class Question:
    """A question taken apart once, for everything that compares it with text."""

    text: str
    weights: dict[str, float]  # stem or joined name -> weight above 0
    names: tuple[tuple[str, ...], ...]  # the identifiers, each in its dotted parts, lower case
    wants: frozenset[str]  # the frame stems in it

    @classmethod
    def of(cls, text: str, statistics: Statistics | None = None, passages: Iterable[str] = ()) -> Question:
        """Weights are the idf of BM25: from the index's statistics, or from the passages themselves.

        statistics: of `question_terms(text)`, summed over the shards; terms that it lacks count as absent.
        """
        if statistics is None or not statistics.documents:
            texts = [terms_of(passage) for passage in passages]
            documents = len(texts)
            frequencies = {term: sum(term in there for there in texts) for term in question_terms(text)}
        else:
            documents, frequencies = statistics.documents, statistics.frequencies
        parts = _parts_of_joined(text)
        weights = {}
        for term in question_terms(text):
            if "." in term:
                continue  # found by its parts, which stand in different places: the module in the title
            n = frequencies.get(term, 0)
            idf = math.log1p((max(documents, 1) - n + 0.5) / (n + 0.5)) if n <= documents else 0.0
            weights[term] = idf * (FRAME_WEIGHT if term in FRAME_STEMS else PART_WEIGHT if term in parts else 1.0)
        return cls(text, weights, _names(text), frozenset(weights) & FRAME_STEMS)

    @property
    def words(self) -> frozenset[str]:
        """Its words, lower case; of a dotted name only the last part, which is what is asked about."""
        prefixes = {part for name in self.names for part in name[:-1]}
        return frozenset(_WORD.findall(self.text.lower())) - (prefixes - {name[-1] for name in self.names})

    @property
    def total(self) -> float:
        """The weight of all terms."""
        return math.fsum(self.weights.values())

    def share(self, terms: frozenset[str]) -> float:
        """The part of the weight that these terms have, 0 to 1; 0 if the question has no informative term."""
        total = self.total
        return math.fsum(weight for term, weight in self.weights.items() if term in terms) / total if total else 0.0


def question_terms(text: str) -> list[str]:
    """The terms whose statistics a question needs: those of the analyzer, and the parts of dotted names."""
    terms = _ANALYZER.terms(text)
    for name in _NAME.findall(text):
        if "." in name:
            terms += [term for part in name.split(".") for term in _ANALYZER.terms(part)]
    return list(dict.fromkeys(terms))


@lru_cache(maxsize=8_192)
def terms_of(text: str) -> frozenset[str]:
    """The terms of a passage, a title or a unit, to be compared with `Question.weights`."""
    return frozenset(question_terms(text))


def _parts_of_joined(text: str) -> set[str]:
    """The stems that occur in joined names only: `wrap` of `do_wrap`, if nothing else says wrap."""
    joined = [part for name in _NAME.findall(text) for part in name.split(".") if "_" in part.strip("_")]
    alone = _ANALYZER.terms(re.sub("|".join(map(re.escape, joined)), " ", text)) if joined else []
    return {term for part in joined for term in _ANALYZER.terms(part) if "_" not in term} - set(alone)


def _names(text: str) -> tuple[tuple[str, ...], ...]:
    found = [name for name in _NAME.findall(text) if _LOOKS_LIKE_A_NAME.search(name)]
    return tuple(dict.fromkeys(tuple(part.lower() for part in name.split(".")) for name in found))
