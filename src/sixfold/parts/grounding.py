"""Whether a span of text bears out a sentence: by the words they share, and by what must not differ.

A sentence is supported if most of its content words are in the span and nothing contradicts: every number,
identifier, quoted value and name has to be there; what is negated in the one may not be affirmed in the other; a
value has to be the one that a signature gives to that very parameter. This is a comparison of text, no
inference: a free paraphrase is refused, and that is the side on which it is meant to err.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sixfold.parts.analyzer import Analyzer
from sixfold.parts.signatures import KIND_STEMS, Form, form_of, values_of

__all__ = ["SUPPORTED_FROM", "Support", "best_spans", "support"]

SUPPORTED_FROM = 0.8  # the score from which a sentence counts as supported; docs/decisions/0017
FEWEST_WORDS = 2  # words, names and numbers that a sentence and its span have to share
SECOND_TRIES = 4  # spans that are tried beside the best one
SECOND_GAINS = 0.1  # of the score, for a second span to be worth a citation
NEGATION_REACH = 3  # words after a negation that can be what it negates

_WORD = re.compile(r"[^\W_]+(?:[._'’-][^\W_]+)*|_+\w+")
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d_]*(?:[.,:/]\d+)*%?(?!\w)")
# a.b, a_b, aB, AbC, a()
_IDENTIFIER = re.compile(
    r"\b(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*|\b[A-Za-z]*_\w+|\b[a-z]+[A-Z]\w*"
    r"|\b[A-Z]\w*[a-z]\w*[A-Z]\w*|\b[A-Za-z_]\w*(?=\(\))"
)
_NEGATION = frozenset(("not", "no", "never", "cannot", "neither", "nor", "without", "unless", "except"))
_NUMBER_WORDS = {
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
_NAMED = r"[`'\"]?([\w.]*\w)"
_RETURNS = re.compile(
    r"(?:\breturns?|\breturn \w+[^.]* is|\bannotated .*(?:as|return))\s+(?:an?\s|the\s|type\s)*"
    + _NAMED + r"[\[\]\w, ]*[`'\"]?\.?$"
)  # fmt: skip
_INHERITS = re.compile(
    r"(?:inherits? from|subclass of|derive[sd]? from|extends|(?:base|parent) class (?:of .*)?is)"
    r"\s+(?:the\s|class\s|a\s)*" + _NAMED
)
_OPPOSITES = (
    "before after", "first last", "always never", "minimum maximum", "min max", "smallest largest", "left right",
    "upper lower", "uppercase lowercase", "above below", "more less", "more fewer", "greater less", "increase decrease",
    "include exclude", "enable disable", "allow forbid", "add remove", "open close", "begin end", "start stop",
    "leading trailing", "encode decode", "ascending descending", "older newer", "positive negative", "all none",
    "horizontal vertical", "input output", "required optional", "mutable immutable", "success failure", "pass fail",
    "same different", "prefix suffix", "append prepend", "read write",
)  # fmt: skip
# Stems by which a sentence speaks of what a form states.
_DEFAULT = frozenset(("default",))
_RETURN = frozenset(("return",))
_TYPE = frozenset(("type", "annot"))
_BASE = frozenset(("base", "subclass", "inherit", "deriv", "parent", "superclass"))
_ANALYZER = Analyzer()
_EVERY_WORD = Analyzer(stop_words=frozenset())  # before, after, more and all are stop words to the other one


@dataclass(frozen=True, slots=True)
class Support:
    """How much of a sentence a span bears out, and what is against it."""

    score: float  # 0 to 1: the share of its words, names and numbers that are there; 0 if there is a conflict
    missing: tuple[str, ...] = ()  # words of the sentence that are not there
    conflict: str = ""  # in words; empty if nothing contradicts
    denied: bool = False  # the span defines what the sentence is about, and says otherwise


@dataclass(frozen=True, slots=True)
class _Read:
    """What there is to compare in a text."""

    terms: frozenset[str]  # without those of identifiers
    every_term: frozenset[str]
    stems: frozenset[str]  # of every word, the function words too
    words: frozenset[str]  # lower case, identifiers whole and in their parts
    numbers: frozenset[str]
    identifiers: tuple[str, ...]
    names: tuple[str, ...]  # capitalised inside a sentence
    plain: str  # lower case, one space between words
    lines: tuple[str, ...]  # likewise
    negated: frozenset[str]
    affirmed: frozenset[str]


def support(claim: str, span: str, about: str = "") -> Support:
    """How far `span` bears out `claim`; the subject may be named in `about` (a title, a heading) instead.

    span: one or more lines; each is also read for its form (`parts.signatures`). Words that only a form or
    `about` supplies count neither for the sentence nor against it.
    """
    said, there, subject = _read(claim), _read(span), _read(about)
    forms = _forms(span)
    if conflict := _conflict(claim, said, there, subject, forms):
        return conflict
    given = frozenset().union(subject.every_term, *(form.implied for form in forms))
    found = said.terms & there.every_term
    missing = said.terms - there.every_term - given - KIND_STEMS
    exact = sum(_last(name) in there.words for name in said.identifiers)
    bound = {name.lower() for form in forms for name in form.bindings if name.lower() in _ANALYZER.stop_words}
    weight = len(found) + exact + len(said.numbers) + len(bound & said.words)
    # A statement has a subject and says something of it: one word or name alone is borne out by any text with it.
    share = weight / max(weight + len(missing), 1)
    return Support(share if weight >= FEWEST_WORDS else share / 2, tuple(sorted(missing)))


def best_spans(claim: str, spans: Sequence[str], abouts: Sequence[str], most: int = 2) -> tuple[list[int], Support]:
    """The positions of the one or two spans that bear a sentence out best, and how far they do together.

    abouts: one for each span, its first line the page. A second span is taken only for what the first one lacks.
    Ties go to the first. A span that defines what the sentence is about and says otherwise denies it, unless
    another one defines it so.
    """
    if not spans:
        return [], Support(0.0, (), "there is nothing to rest on")
    each = [support(claim, span, about) for span, about in zip(spans, abouts, strict=True)]
    order = sorted(range(len(spans)), key=lambda at: (-each[at].score, at))
    denied = next((at for at in order if each[at].denied), None)
    if denied is not None:
        words = _read(claim).words
        defined = any(
            each[at].score >= SUPPORTED_FROM and any(form.name.lower() in words for form in _forms(spans[at]))
            for at in order
        )
        if not defined:
            return [denied], each[denied]
    chosen, found = [order[0]], each[order[0]]
    for at in order[1 : 1 + SECOND_TRIES]:
        if len(chosen) >= most or not found.missing:
            break
        # Two signatures have nothing to say together, and neither have two pages.
        both_forms = form_of(spans[at]).name and form_of(spans[order[0]]).name
        if both_forms or abouts[at].split("\n")[0] != abouts[order[0]].split("\n")[0]:
            continue
        joined = support(claim, "\n".join(spans[i] for i in [*chosen, at]), abouts[chosen[0]])
        if joined.score > found.score + SECOND_GAINS:
            chosen, found = [*chosen, at], joined
    return sorted(chosen), found


def _forms(span: str) -> list[Form]:
    lines = dict.fromkeys([span, *span.split("\n")])
    return [form for line in lines if (form := form_of(line)).implied]


def _conflict(claim: str, said: _Read, there: _Read, subject: _Read, forms: Sequence[Form]) -> Support | None:
    """The first thing in which the two contradict."""
    words = _words_conflict(said, there, subject, forms)
    if words:
        return Support(0.0, (), words)
    for form in forms:
        if conflict := _form_conflict(claim, said, form):
            return Support(0.0, (), conflict, denied=form.name.lower() in said.words)
    values = values_of(claim)
    literal = there.plain
    for value in sorted(values):
        if value not in literal:
            return Support(0.0, (), f"{value!r} is not there")
        holders = [form for form in forms if _holds(form, value)]
        if not holders or value in _outside_forms(there, forms):
            continue
        if not any(form.name.lower() in said.words or _holds(form, value) & said.words for form in holders):
            return Support(0.0, (), f"{value!r} is the value of something else")
    return None


def _holds(form: Form, value: str) -> set[str]:
    return {name.lower() for name, bound in form.bindings.items() if bound.lower() == value}


def _outside_forms(there: _Read, forms: Sequence[Form]) -> str:
    """The text without the lines that are signatures or assignments."""
    return " ".join(line for line in there.lines if not form_of(line).name)


def _words_conflict(said: _Read, there: _Read, subject: _Read, forms: Sequence[Form]) -> str:
    """A number, a name, a negation or an opposite that differs, in words."""
    if lost := sorted(said.numbers - there.numbers):
        return f"the number {lost[0]} is not there"
    known = there.words | subject.words
    for name in said.identifiers:
        if not all(part in known for part in _parts(name)):
            return f"the name {name} is not there"
    implied = frozenset().union(*(form.implied for form in forms))
    for name in said.names:
        if (
            name.lower() not in known
            and not set(_ANALYZER.terms(name)) <= there.every_term | subject.every_term | implied
        ):
            return f"the name {name} is not there"
    for term in sorted(said.negated & there.every_term):
        if term not in there.negated:
            return f"{term!r} is negated only in the sentence"
    for term in sorted(said.affirmed & there.negated - said.negated):
        if term not in there.affirmed:
            return f"{term!r} is negated only in the span"
    for one, other in _opposites():
        for here, opposite in ((one, other), (other, one)):
            if here in said.stems and here not in there.stems and opposite in there.stems - said.stems:
                return f"it says {here!r} where the span says {opposite!r}"
    return ""


def _form_conflict(claim: str, said: _Read, form: Form) -> str:
    """What a signature says otherwise: another default, another returned type, another base."""
    bindings = {name.lower(): value.lower() for name, value in form.bindings.items()}
    values = values_of(claim) - {form.name.lower(), *bindings}
    bound = {name: value for name, value in bindings.items() if name in said.words}
    if len(bound) > 1:  # `default` and `value` are names of parameters, too, but rarely the one that is meant
        bound = {name: value for name, value in bound.items() if name not in ("default", "value", "name")} or bound
    states_default = values or said.stems & _DEFAULT
    if bound and states_default and not values & set(bound.values()) and not _words_of(bound.values()) & said.words:
        name, value = next(iter(bound.items()))
        return f"{name} is {value} in the span"
    named = said.words - {form.name.lower()}
    of_form = form.name.lower() in said.words
    if form.returned and of_form and said.stems & _RETURN and said.stems & _TYPE:
        if not _words_of([form.returned]) & named:
            return f"{form.returned} is what is returned in the span"
    elif form.returned and (found := _RETURNS.search(claim.strip())):
        last = _last(found[1])
        if last not in _words_of([form.returned]) and last in _words_of([form.parameters]):
            return f"{form.returned} is what is returned in the span"
    bases = {base.lower() for base in form.bases}
    if bases and of_form and said.stems & _BASE and not bases & named:
        return f"{', '.join(form.bases)} is the base in the span"
    if bases and (found := _INHERITS.search(claim)) and _last(found[1]) not in bases:
        return f"{', '.join(form.bases)} is the base in the span"
    return ""


@lru_cache(maxsize=8_192)
def _read(text: str) -> _Read:
    words = _WORD.findall(text)
    lower = [word.lower().replace("’", "'") for word in words]
    parts = {part for word in lower for part in re.split(r"[._]", word) if part}
    numbers = {found.strip("%").replace("_", "") for found in _NUMBER.findall(text)}
    numbers |= {_NUMBER_WORDS[word] for word in lower if word in _NUMBER_WORDS}
    identifiers = tuple(dict.fromkeys(_IDENTIFIER.findall(text)))
    negated, affirmed = _polarity(lower)
    # A name counts once, as a name, and not for each word in it.
    plain = _IDENTIFIER.sub(" ", text)
    return _Read(
        terms=frozenset(_ANALYZER.stream(plain)) - numbers - _NUMBER_WORDS.keys(),
        every_term=frozenset(_ANALYZER.stream(text)),
        stems=frozenset(_EVERY_WORD.stream(text)),
        words=frozenset(lower) | frozenset(parts) | {_last(name) for name in identifiers},
        numbers=frozenset(numbers),
        identifiers=identifiers,
        names=_names(text),
        plain=" ".join(text.lower().split()),
        lines=tuple(" ".join(line.lower().split()) for line in text.split("\n")),
        negated=frozenset(negated),
        affirmed=frozenset(affirmed),
    )


def _names(text: str) -> tuple[str, ...]:
    """Capitalised words that do not begin a sentence, a line or a quotation."""
    found = re.findall(r"(?<=[a-z0-9,;)] )[A-Z][\w]+", text)
    return tuple(dict.fromkeys(name for name in found if name.lower() not in _ANALYZER.stop_words))


def _polarity(words: Sequence[str]) -> tuple[set[str], set[str]]:
    """The stems that a negation precedes closely, and those that stand without one."""
    negated: set[str] = set()
    affirmed: set[str] = set()
    reach = 0
    for word in words:
        if word in _NEGATION or word.endswith("n't"):
            reach = NEGATION_REACH
            continue
        if terms := _ANALYZER.terms(word):
            # Only the first content word is what is negated: "not change the input" says nothing of the input.
            (negated if reach else affirmed).update(terms)
            reach = 0
        else:
            reach = max(0, reach - 1)
    return negated, affirmed


@lru_cache(maxsize=1)
def _opposites() -> tuple[tuple[str, str], ...]:
    pairs = [_EVERY_WORD.terms(pair) for pair in _OPPOSITES]
    return tuple((one, other) for one, other in pairs)


def _parts(name: str) -> list[str]:
    """An identifier as it may be split over a title and a line: at its dots only."""
    return [part.lower() for part in name.split(".") if part]


def _last(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _words_of(texts: object) -> set[str]:
    return {word.lower() for text in texts for word in re.findall(r"\w+", str(text))}  # type: ignore[attr-defined]
