"""The sentences of a model against the passages: each one gets the spans that bear it out, or a bad mark."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sixfold.parts.grounding import SUPPORTED_FROM, best_spans
from sixfold.parts.signatures import FRAME_STEMS, values_of
from sixfold.systems.rag.answer.question import terms_of
from sixfold.systems.rag.answer.types import Citation, Evidence, Sentence, Verdict
from sixfold.systems.rag.answer.units import Unit

__all__ = ["Checker", "says_something"]

_WORD = re.compile(r"\w+")
NEAREST_UNITS = 12  # that share most terms with a sentence: only these are compared closely


@dataclass(frozen=True, slots=True)
class _Candidate:
    unit: Unit
    about: str
    terms: frozenset[str]


class Checker:
    """Checks sentences against one set of units: those that the model was shown, with what they stand below.

    A sentence that only some other passage bears out is a coincidence: the model did not have it from there.
    """

    def __init__(
        self, evidence: Sequence[Evidence], units: Sequence[Unit], *, supported_from: float = SUPPORTED_FROM
    ) -> None:
        self._supported_from = supported_from
        titles = {passage.number: passage.title for passage in evidence}
        self._candidates = [
            _Candidate(unit, f"{titles.get(unit.number, '')}\n{unit.about}", terms_of(unit.text)) for unit in units
        ]

    def check(self, text: str, cited: Iterable[int] = ()) -> Sentence:
        """The sentence with the one or two spans that bear it out best, and the verdict.

        cited: the passages that the model named. They are looked at first; if they do not bear the sentence out, the
        others are, since a small model cites at random. An unsupported sentence keeps no citation.
        """
        named = set(cited)
        pools = [[one for one in self._candidates if one.unit.number in named]] if named else []
        best: Sentence | None = None
        for pool in [*pools, self._candidates]:
            sentence = self._check_against(text, pool)
            if sentence.verdict is not Verdict.UNSUPPORTED:
                return sentence
            best = sentence if best is None or sentence.support > best.support else best
        return best or Sentence(text, (), 0.0, Verdict.UNSUPPORTED)

    def _check_against(self, text: str, pool: Sequence[_Candidate]) -> Sentence:
        terms = terms_of(text)
        shared = sorted(range(len(pool)), key=lambda at: (-len(terms & pool[at].terms), at))
        near = [pool[at] for at in sorted(shared[:NEAREST_UNITS])]
        for one in near:
            if " ".join(one.unit.text.split()) == text:
                return Sentence(one.unit.text, (_cite(one.unit),), 1.0, Verdict.QUOTED)
        chosen, found = best_spans(text, [one.unit.text for one in near], [one.about for one in near])
        if found.score < self._supported_from:
            return Sentence(text, (), found.score, Verdict.UNSUPPORTED)
        citations = tuple(_cite(near[at].unit) for at in chosen)
        return Sentence(text, citations, found.score, Verdict.SUPPORTED)


def says_something(text: str, question: str) -> bool:
    """Whether a sentence has a word or value that the question has not: a small model likes to repeat the question."""
    asked = {word.lower() for word in _WORD.findall(question)}
    new = " ".join(word for word in _WORD.findall(text) if word.lower() not in asked)
    return bool(values_of(text) - values_of(question) or terms_of(new) - FRAME_STEMS - terms_of(_prose(question)))


def _prose(question: str) -> str:
    """Without the joined names: `alias` is news where the question has `VAR_LOAD_ALIAS` only."""
    return " ".join(word for word in question.split() if word.islower() and "_" not in word and "." not in word[:-1])


def _cite(unit: Unit) -> Citation:
    return Citation(unit.number, unit.start, unit.end)
