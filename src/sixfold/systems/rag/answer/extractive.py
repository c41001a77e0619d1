"""An answer in the words of the passages: the few units that fit the question best, each with its exact span."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sixfold.parts.signatures import Form
from sixfold.systems.rag.answer.question import Question, terms_of
from sixfold.systems.rag.answer.types import Citation, Evidence, Sentence, Verdict
from sixfold.systems.rag.answer.units import Unit, UnitKind, split_units

__all__ = ["Embed", "Ranked", "Weights", "extract", "quotations", "rank_units", "select", "states_what_is_wanted"]

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]  # n texts -> [n, d], normalised

# What a question may want that a form states; stems.
_DEFAULT = frozenset(("default", "valu", "set", "use"))
_TYPE = frozenset(("return", "type", "annot", "give"))
_BASE = frozenset(("inherit", "base", "subclass", "deriv", "extend", "parent"))


@dataclass(frozen=True, slots=True)
class Weights:
    """What counts how much; chosen on development questions (docs/decisions/0017)."""

    owner: float = 0.75  # of a term that only the signature or class above has
    title: float = 0.5  # of a term that only the page's title has
    wanted: float = 0.2  # a form that states what is asked for
    defined: float = 0.4  # the signature of the name that is asked about
    first: float = 0.45  # the first sentence below it
    passage: float = 0.1  # the passage's score, as a part of the best one's
    similarity: float = 0.3  # inner product with the question
    diversity: float = 0.3  # against terms that were already quoted
    floor: float = 0.75  # of the best score: what is below is not quoted
    shortlist: int = 6  # units that are embedded


@dataclass(frozen=True, slots=True)
class Ranked:
    """A unit with its score and the terms that it was found by."""

    unit: Unit
    score: float
    terms: frozenset[str]
    fits: bool = True  # False: it is only here in case that a sentence below it is quoted


def extract(
    question: Question,
    evidence: Sequence[Evidence],
    *,
    embed: Embed | None = None,
    most: int = 3,
    language: str = "en",
    weights: Weights | None = None,
) -> tuple[Sentence, ...]:
    """At most `most` units as sentences, in reading order, the best passage first; empty if no unit fits.

    embed: None leaves out the similarity, which is what takes time.
    """
    return quotations(select(rank_units(question, evidence, embed=embed, language=language, weights=weights), most))


def quotations(chosen: Sequence[Ranked]) -> tuple[Sentence, ...]:
    """The chosen units as sentences, in reading order, the passage with the best one first."""
    best: dict[int, float] = {}
    for ranked in chosen:
        best[ranked.unit.number] = max(ranked.score, best.get(ranked.unit.number, 0.0))
    ordered = sorted(chosen, key=lambda ranked: (-best[ranked.unit.number], ranked.unit.number, ranked.unit.start))
    return tuple(
        Sentence(unit.text, (Citation(unit.number, unit.start, unit.end),), 1.0, Verdict.QUOTED)
        for unit in (ranked.unit for ranked in ordered)
    )


def rank_units(
    question: Question,
    evidence: Sequence[Evidence],
    *,
    embed: Embed | None = None,
    language: str = "en",
    weights: Weights | None = None,
) -> list[Ranked]:
    """Every unit that shares a term with the question, and every form; best first, ties as in the passages."""
    weights = weights or Weights()
    words = question.words
    highest = max((passage.score for passage in evidence), default=0.0)
    found: list[Ranked] = []
    for passage in evidence:
        title = terms_of(passage.title)
        prior = weights.passage * max(0.0, passage.score / highest) if highest > 0 else 0.0
        units = split_units(passage, language)
        for at, unit in enumerate(units):
            if unit.kind is UnitKind.HEADING:
                continue
            terms = terms_of(unit.text)
            bonus = _bonus(question, words, unit, units[at - 1] if at else None, weights)
            overlaps = bool((terms | unit.form.implied) & question.weights.keys())
            if not bonus and not overlaps and unit.kind is not UnitKind.FORM:
                continue  # forms stay: a sentence below one brings it with it
            lexical = _lexical(question, terms | unit.form.implied, terms_of(unit.about), title, weights)
            score = lexical + prior + bonus
            found.append(Ranked(unit, score, terms, fits=overlaps or bonus > 0))
    found.sort(key=lambda ranked: (-ranked.score, ranked.unit.number, ranked.unit.start))
    return _with_similarity(question, found, embed, weights) if embed else found


def select(ranked: Sequence[Ranked], most: int, weights: Weights | None = None) -> list[Ranked]:
    """At most `most` of them, each unlike those before it (Carbonell & Goldstein, "The use of MMR", SIGIR 1998).

    A sentence below a signature brings the signature with it: without it nobody knows what it is about.
    """
    weights = weights or Weights()
    chosen: list[Ranked] = []
    left = [one for one in ranked if one.fits][: 8 * most]
    by_text = {(at.unit.number, at.unit.text): at for at in ranked}
    while left and len(chosen) < most:
        score, at = max((one.score - weights.diversity * _overlap(one, chosen), -at) for at, one in enumerate(left))
        if chosen and score < weights.floor * ranked[0].score:
            break
        best = left.pop(-at)
        if any(best.unit.text == one.unit.text for one in chosen):
            continue  # the same line on another page says nothing more
        chosen.append(best)
        owner = by_text.get((best.unit.number, best.unit.owner))
        if owner is not None and owner not in chosen and len(chosen) < most:
            chosen.append(owner)
            left = [one for one in left if one is not owner]
    return chosen


def _lexical(
    question: Question, own: frozenset[str], about: frozenset[str], title: frozenset[str], weights: Weights
) -> float:
    total = question.total
    if not total:
        return 0.0
    found = 0.0
    for term, weight in question.weights.items():
        if term in own:
            found += weight
        elif term in about:
            found += weight * weights.owner
        elif term in title:
            found += weight * weights.title
    return found / total


def states_what_is_wanted(form: Form, question: Question, words: frozenset[str]) -> bool:
    """Whether a form is the statement that is asked for: a default of that parameter, a type, a base class.

    words: `question.words`.
    """
    if question.wants & _DEFAULT and words & set(map(str.lower, form.bindings)):
        return True
    if not _defines(form, words):
        return False
    return bool((question.wants & _TYPE and form.returned) or (question.wants & _BASE and form.bases))


def _bonus(question: Question, words: frozenset[str], unit: Unit, before: Unit | None, weights: Weights) -> float:
    """What a form states that is asked for: words alone do not see it."""
    form = unit.form
    if not form.name:
        below = before is not None and before.text == unit.owner and _defines(before.form, words)
        return weights.first if below and not question.wants & (_DEFAULT | _TYPE | _BASE) else 0.0
    wanted = states_what_is_wanted(form, question, words)
    return weights.defined * _defines(form, words) + weights.wanted * wanted


def _defines(form: Form, words: frozenset[str]) -> bool:
    return form.name.lower().rpartition(".")[2] in words


def _with_similarity(question: Question, found: list[Ranked], embed: Embed, weights: Weights) -> list[Ranked]:
    short = found[: weights.shortlist]
    if not short:
        return found
    vectors = embed([question.text, *(f"{one.unit.owner}\n{one.unit.text}".strip() for one in short)])
    near = vectors[1:] @ vectors[0]
    scored = [
        replace(one, score=one.score + weights.similarity * max(0.0, float(cosine)))
        for one, cosine in zip(short, near, strict=True)
    ]
    # What was not embedded is taken to be as near as the least near one that was.
    least = weights.similarity * max(0.0, float(near.min()))
    rest = [replace(one, score=one.score + least) for one in found[weights.shortlist :]]
    return sorted([*scored, *rest], key=lambda one: (-one.score, one.unit.number, one.unit.start))


def _overlap(one: Ranked, chosen: Sequence[Ranked]) -> float:
    return max((len(one.terms & other.terms) / max(1, len(one.terms | other.terms)) for other in chosen), default=0.0)
