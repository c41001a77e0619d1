"""How good answers are: right, borne out, and withheld when there is none; with intervals, and without a judge.

Everything is a comparison of text with what the documents state. No language model judges another: whether that could
be trusted would have to be measured first, and what is asked here can be decided without.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sixfold.errors import ConfigError
from sixfold.parts.grounding import SUPPORTED_FROM, best_spans
from sixfold.parts.lexical import Statistics
from sixfold.parts.ranking import Estimate, bootstrap
from sixfold.systems.rag.answer.compose import answer
from sixfold.systems.rag.answer.types import Answer, AnswerMode, Evidence, Sentence, Verdict
from sixfold.systems.rag.labelled_claims import Claim
from sixfold.systems.rag.qa_items import QaItem

__all__ = [
    "Agreement",
    "AnswerRow",
    "Answered",
    "Retrieve",
    "answer_items",
    "borne_out",
    "evaluate_answers",
    "evaluate_checker",
    "is_correct",
]

RECALL_OF_SENTENCE = 0.7  # of a known answer that is a sentence, this share of its words has to be there
NEW_WORDS = 0.2  # of a faithful sentence, at most this share may be neither in its span nor in the question

Retrieve = Callable[[str], tuple[Sequence[Evidence], Statistics | None]]

_TOKEN = re.compile(r"\w+")
_HARD = re.compile(r"\b\w*(?:\d|_)\w*\b|\b[a-z]+[A-Z]\w*\b|\b[A-Z]\w*[a-z]\w*[A-Z]\w*\b|\b(?:None|True|False)\b")
_LINKING_WORDS = """
a an and are as at be by can does for from has have if in is it its of on or that the their then this to used
uses when which will with function method class module parameter value called named returns return type default
set base subclass inherits annotation
"""
_LINKING = frozenset(_LINKING_WORDS.split())


@dataclass(frozen=True, slots=True)
class Answered:
    """One question, what came of it, and what that took."""

    item: QaItem
    answer: Answer
    seconds: float


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One measure of one way to answer: a mean over n and its 95 % bootstrap interval."""

    mode: str
    metric: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """The checker's verdicts against the labels: the counts, and what follows from them."""

    supported: int  # rightly called supported
    missed: int  # supported, but refused
    accepted: int  # unsupported, but called supported
    refused: int  # rightly refused

    @property
    def n(self) -> int:
        """All claims."""
        return self.supported + self.missed + self.accepted + self.refused

    @property
    def precision(self) -> float:
        """Of what was called supported, the share that is; 1 if nothing was."""
        called = self.supported + self.accepted
        return self.supported / called if called else 1.0

    @property
    def recall(self) -> float:
        """Of what is supported, the share that was called so; 1 if nothing is."""
        there = self.supported + self.missed
        return self.supported / there if there else 1.0

    @property
    def kappa(self) -> float:
        """Cohen's kappa: agreement beyond chance (Educational and Psychological Measurement 20, 1960)."""
        n = self.n
        observed = (self.supported + self.refused) / n
        called, there = self.supported + self.accepted, self.supported + self.missed
        chance = (called * there + (n - called) * (n - there)) / (n * n)
        return (observed - chance) / (1.0 - chance) if chance < 1.0 else 1.0


async def answer_items(items: Iterable[QaItem], retrieve: Retrieve, **options: Any) -> list[Answered]:
    """Ask every question in turn and keep the whole answers; `options` go to `compose.answer`.

    The seconds are those of the answer alone: what retrieval takes is measured elsewhere.
    """
    answered = []
    for item in items:
        evidence, statistics = retrieve(item.question)
        start = time.perf_counter()
        events = [event async for event in answer(item.question, evidence, statistics=statistics, **options)]
        seconds = time.perf_counter() - start
        answered += [Answered(item, event, seconds) for event in events if isinstance(event, Answer)]
    return answered


def evaluate_answers(answered: Sequence[Answered], mode: str, seed: int = 0) -> list[AnswerRow]:
    """Correctness, faithfulness, abstention and cost; a measure with nothing to average is left out.

    correctness: of the questions with an answer, those answered rightly; abstaining is wrong here.
    faithfulness: of the sentences shown, those that their cited spans bear out (`borne_out`).
    abstention precision and recall: of the abstentions, those without an answer to give; and the reverse.
    generated: of the answers given, those that the model wrote.
    """
    with_answer = [one for one in answered if one.item.answerable]
    given = [one for one in answered if one.answer.mode is not AnswerMode.ABSTAINED]
    abstained = [one for one in answered if one.answer.mode is AnswerMode.ABSTAINED]
    usages = [one.answer.usage for one in answered if one.answer.usage is not None]
    values: dict[str, list[float]] = {
        "correctness": [float(is_correct(one.item, one.answer)) for one in with_answer],
        "correctness of answers given": [
            float(is_correct(one.item, one.answer)) for one in given if one.item.answerable
        ],
        "faithfulness": [
            float(borne_out(sentence, one.answer.evidence, one.item.question))
            for one in given
            for sentence in one.answer.sentences
        ],
        "abstention precision": [float(not one.item.answerable) for one in abstained],
        "abstention recall": [
            float(one.answer.mode is AnswerMode.ABSTAINED) for one in answered if not one.item.answerable
        ],
        "generated": [float(one.answer.mode is AnswerMode.GENERATED) for one in given],
        "words": [float(sum(len(s.text.split()) for s in one.answer.sentences)) for one in given],
        "prompt tokens": [float(usage.prompt_tokens) for usage in usages],
        "completion tokens": [float(usage.completion_tokens) for usage in usages],
        "seconds": [one.seconds for one in given],
    }
    return [_row(mode, metric, bootstrap(sample, seed)) for metric, sample in values.items() if sample]


def is_correct(item: QaItem, given: Answer) -> bool:
    """Whether the answer has the known one: its words in a row, or most of them if it is a sentence.

    An unanswerable question is answered rightly by abstaining.
    """
    if not item.answerable:
        return given.mode is AnswerMode.ABSTAINED
    said = _tokens("\n".join(sentence.text for sentence in given.sentences))
    known = _tokens(item.answer)
    if item.kind == "purpose":
        there = set(said)
        return sum(word in there for word in known) >= RECALL_OF_SENTENCE * len(known)
    return any(said[at : at + len(known)] == known for at in range(len(said) - len(known) + 1))


def borne_out(sentence: Sentence, evidence: Sequence[Evidence], question: str) -> bool:
    """Whether the cited spans bear a sentence out, decided anew and more simply than by what made it.

    A quotation has to be its span, character by character. Of any other sentence every number, constant and joined
    name has to stand in the spans or in their titles, and of the other words at most a fifth may be new.
    """
    by_number = {passage.number: passage for passage in evidence}
    if not sentence.citations or any(cited.number not in by_number for cited in sentence.citations):
        return False
    spans = [by_number[cited.number].text[cited.start : cited.end] for cited in sentence.citations]
    if sentence.verdict is Verdict.QUOTED:
        return spans == [sentence.text]
    titles = [by_number[cited.number].title for cited in sentence.citations]
    there = {token for text in [*spans, *titles] for token in _tokens(text)}
    if any(token not in there for name in _HARD.findall(sentence.text) for token in _tokens(name)):
        return False
    known = {_root(token) for token in there | set(_tokens(question))}
    words = [token for token in _tokens(sentence.text) if token not in _LINKING]
    return sum(_root(word) not in known for word in words) <= NEW_WORDS * len(words)


def evaluate_checker(claims: Iterable[Claim], supported_from: float = SUPPORTED_FROM) -> Agreement:
    """The checker of sentences against labelled claims. Raises ConfigError if there are none."""
    counts = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
    for claim in claims:
        _, found = best_spans(claim.text, claim.spans, [claim.about] * len(claim.spans))
        counts[claim.supported, found.score >= supported_from] += 1
    if not any(counts.values()):
        raise ConfigError("got no claims, expected some to check")
    return Agreement(counts[True, True], counts[True, False], counts[False, True], counts[False, False])


def _row(mode: str, metric: str, estimate: Estimate) -> AnswerRow:
    return AnswerRow(mode, metric, estimate.value, estimate.low, estimate.high, estimate.n)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.lower())


def _root(word: str) -> str:
    """A word without its ending, roughly: enough to see `returns` in `returning`."""
    return re.sub(r"(?:ing|ed|es|s|e)$", "", word) if len(word) > 4 else word
