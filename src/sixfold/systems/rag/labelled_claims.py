"""Pairs of a sentence and the text that it is held against, with the right verdict known by how they were made.

They measure the checker of sentences. Supported ones are sentences of the page, cut or put differently; the others
are such sentences with one thing changed, or sentences from elsewhere on the same page. The words that are changed
are chosen here, without a look at the lists that the checker has.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sixfold.systems.rag.answer.types import Evidence
from sixfold.systems.rag.answer.units import UnitKind, split_units
from sixfold.systems.rag.chunk import chunk_document
from sixfold.systems.rag.page_facts import Fact, FactKind, page_facts
from sixfold.systems.rag.records import Document

__all__ = ["Claim", "labelled_claims"]

_CHANGED_WORDS = """
first/last before/after always/never all/none minimum/maximum left/right start/end read/written empty/full
optional/required same/different true/false True/False None/True string/integer list/dictionary raised/ignored
enabled/disabled more/less ascending/descending lowercase/uppercase smaller/larger
"""
_CHANGED = tuple(tuple(pair.split("/")) for pair in _CHANGED_WORDS.split())
_NEGATABLE = re.compile(r"\b(is|are|can|will|should|must|does|was|has been|may)\b(?! not)")
_NEGATED = re.compile(r"\b(is|are|can|will|should|must|does|was|may) not\b|\b(can)not\b")
_VERB = re.compile(
    r"^(Return|Create|Set|Remove|Send|Check|Convert|Parse|Print|Read|Write|Get|Add|Apply|Load|Find)(s?) "
)
_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")
_NAME = re.compile(r"\b(?:[a-z]+_[a-z_]+|[a-z]+[A-Z]\w+|[A-Z][a-z]+[A-Z]\w+)\b")
_WORDS = (6, 32)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence, the lines that it is held against, and whether they bear it out."""

    text: str
    spans: tuple[str, ...]
    about: str  # the title of the page
    supported: bool
    how: str  # it was made


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    spans: tuple[str, ...]  # all of its passage
    about: str


def labelled_claims(documents: Iterable[Document], seed: int, n: int) -> list[Claim]:
    """At most n claims, half of them supported as far as the documents allow, the ways of making them in turn."""
    rng = random.Random(seed)
    kept = sorted(documents, key=lambda document: document.url)
    # Pages inherit each other's sentences: each is taken once.
    sentences = list({one.text: one for document in kept for one in _sentences(document)}.values())
    rng.shuffle(sentences)
    facts = [(fact, document) for document in kept for fact in page_facts(document)]
    rng.shuffle(facts)
    names = sorted({name for sentence in sentences for name in _NAME.findall(sentence.text)})
    right: list[list[Claim]] = [
        [_claim(one, one.text, "verbatim") for one in sentences],
        _made(sentences, _cut, "cut"),
        _made(sentences, _reworded, "reworded"),
        [claim for fact, page in facts if (claim := _stated(fact, page, facts, rng, wrong=False))],
    ]
    wrong: list[list[Claim]] = [
        _made(sentences, lambda text: _renumbered(text, rng), "number", supported=False),
        _made(sentences, lambda text: _renamed(text, names, rng), "name", supported=False),
        _made(sentences, _negated, "negation", supported=False),
        _made(sentences, _opposed, "opposite", supported=False),
        _elsewhere(sentences),
        [claim for fact, page in facts if (claim := _stated(fact, page, facts, rng, wrong=True))],
    ]
    return _in_turn(right, n // 2) + _in_turn(wrong, n - n // 2)


def _in_turn(ways: Sequence[Sequence[Claim]], n: int) -> list[Claim]:
    turns = max(map(len, ways), default=0)
    return list(dict.fromkeys(way[turn] for turn in range(turns) for way in ways if turn < len(way)))[:n]


def _sentences(document: Document) -> Iterable[_Sentence]:
    for number, chunk in enumerate(chunk_document(document), start=1):
        evidence = Evidence(number, chunk.chunk_id, document.url, document.title, chunk.text, 1.0)
        units = split_units(evidence, document.language)
        spans = tuple(unit.text for unit in units if unit.kind is not UnitKind.HEADING)
        for unit in units:
            text = " ".join(unit.text.split())
            whole = text[:1].isupper() and text.endswith(".") and _WORDS[0] <= len(text.split()) <= _WORDS[1]
            if unit.kind is UnitKind.PROSE and whole:
                yield _Sentence(text, spans, document.title)


def _claim(sentence: _Sentence, text: str, how: str, *, supported: bool = True) -> Claim:
    return Claim(text, sentence.spans, sentence.about, supported, how)


def _made(
    sentences: Iterable[_Sentence], change: Callable[[str], str | None], how: str, *, supported: bool = True
) -> list[Claim]:
    made = ((sentence, change(sentence.text)) for sentence in sentences)
    return [
        _claim(sentence, text, how, supported=supported) for sentence, text in made if text and text != sentence.text
    ]


def _cut(text: str) -> str | None:
    """Without the clause behind the last comma."""
    head, comma, _ = text.rpartition(",")
    return f"{head}." if comma and len(head.split()) >= _WORDS[0] else None


def _reworded(text: str) -> str | None:
    """An imperative as a statement."""
    found = _VERB.match(text)
    return f"The function {found[1].lower()}{found[2] or 's'} {text[found.end() :]}" if found else None


def _renumbered(text: str, rng: random.Random) -> str | None:
    found = _NUMBER.search(text)
    return f"{text[: found.start()]}{int(found[0]) + rng.randint(1, 9)}{text[found.end() :]}" if found else None


def _renamed(text: str, names: Sequence[str], rng: random.Random) -> str | None:
    found = _NAME.search(text)
    others = [name for name in names if name not in text]
    return f"{text[: found.start()]}{rng.choice(others)}{text[found.end() :]}" if found and others else None


def _negated(text: str) -> str | None:
    if found := _NEGATED.search(text):
        return f"{text[: found.start()]}{found[1] or found[2]}{text[found.end() :]}"
    return _NEGATABLE.sub(r"\1 not", text, count=1) if _NEGATABLE.search(text) else None


def _opposed(text: str) -> str | None:
    for one, other in _CHANGED:
        for here, there in ((one, other), (other, one)):
            if re.search(rf"\b{here}\b", text) and not re.search(rf"\b{there}\b", text):
                return re.sub(rf"\b{here}\b", there, text)
    return None


def _elsewhere(sentences: Sequence[_Sentence]) -> list[Claim]:
    """A sentence held against another passage of its page, in which its words do not stand."""
    by_page: dict[str, list[_Sentence]] = {}
    for sentence in sentences:
        by_page.setdefault(sentence.about, []).append(sentence)
    claims = []
    for sentence in sentences:
        for other in by_page[sentence.about]:
            joined = " ".join(" ".join(other.spans).split())
            if other.spans != sentence.spans and sentence.text.rstrip(".") not in joined:
                claims.append(Claim(sentence.text, other.spans, other.about, False, "elsewhere"))
                break
    return claims


def _stated(
    fact: Fact, page: Document, facts: Sequence[tuple[Fact, Document]], rng: random.Random, *, wrong: bool
) -> Claim | None:
    """What a signature states, in words; if wrong, with the answer of another fact of its kind."""
    answer = fact.answer
    if wrong:
        others = sorted({one.answer for one, _ in facts if one.kind is fact.kind} - {answer, fact.name})
        # An answer that is also part of the right one would be half right.
        others = [one for one in others if one.lower() not in answer.lower() and answer.lower() not in one.lower()]
        if not others:
            return None
        answer = rng.choice(others)
    sentences = {
        FactKind.DEFAULT: f"The default value of {fact.parameter} is {answer}.",
        FactKind.RETURNS: f"The return type of {fact.name} is {answer}.",
        FactKind.BASE: f"{fact.name} is a subclass of {answer}.",
        FactKind.VALUE: f"The value of {fact.name} is {answer}.",
    }
    if fact.kind not in sentences:
        return None
    around = page.text[max(0, fact.start - 300) : fact.end + 300].split("\n")[1:-1]
    spans = tuple(dict.fromkeys([page.text[fact.start : fact.end], *(line for line in around if line.strip())]))
    return Claim(sentences[fact.kind], spans, page.title, not wrong, "wrong value" if wrong else "stated")
