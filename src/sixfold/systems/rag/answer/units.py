"""Passages in the pieces that an answer can quote: sentences of prose, lines of code, signatures.

Documentation is wrapped by hand, so a sentence runs over lines, while a signature or a heading is a line of
its own. Every unit knows where it lies, and to which signature and class it belongs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sixfold.parts.signatures import Form, form_of
from sixfold.systems.rag.answer.types import Evidence
from sixfold.systems.rag.clean.sentences import sentence_spans

__all__ = ["Unit", "UnitKind", "split_units"]

_LIST_ITEM = re.compile(r"(?:[-*•+]|\d+[.)]|:\w[\w ]*:|\.\. |@\w+)(?=\s|$|\w)")
_CODE = re.compile(r">>>|\.\.\. |\$ |(?:from \S+ )?import \w|(?:for|while|if|with|return|def|try|else)\b.*:$|@\w+$")
_ENDS = (".", "!", "?", ":", ";", "。", "！", "？")
_HEADING_WORDS = 6
_LONGEST = 1_200  # characters of one unit: what is longer is cut between words


class UnitKind(StrEnum):
    """What a unit is."""

    PROSE = "prose"
    FORM = "form"  # a signature, a class line, a value
    CODE = "code"
    HEADING = "heading"


@dataclass(frozen=True, slots=True)
class Unit:
    """`evidence.text[start:end] == text`, without white space at either end."""

    number: int  # of the evidence
    start: int
    end: int
    text: str
    kind: UnitKind
    form: Form
    owner: str = ""  # the signature or class line that it stands below
    scope: str = ""  # the class in which that is

    @property
    def about(self) -> str:
        """What it is about, apart from its own words."""
        return f"{self.scope}\n{self.owner}" if self.scope else self.owner


def split_units(evidence: Evidence, language: str = "en") -> list[Unit]:
    """The units of a passage in order; together they have every word of it."""
    units: list[Unit] = []
    owner = scope = ""
    text = evidence.text
    for start, end, kind in _blocks(text):
        spans = [(start, end)] if kind is not UnitKind.PROSE else _sentences(text, start, end, language)
        for a, b in (piece for span in spans for piece in _bounded(text, *span)):
            form = form_of(text[a:b])
            is_class = form.name != "" and text.startswith("class ", a)
            if kind is UnitKind.HEADING:
                owner = ""
            elif is_class:
                owner = ""
                scope = text[a:b]
            above = "" if kind is UnitKind.FORM else owner  # a signature belongs to no other signature
            unit = Unit(evidence.number, a, b, text[a:b], kind, form, above, "" if is_class else scope)
            units.append(unit)
            if kind is UnitKind.FORM and not is_class:
                owner = text[a:b]
    return units


def _blocks(text: str) -> Iterator[tuple[int, int, UnitKind]]:
    """Lines, and runs of lines of prose."""
    lines = [(found.start(), found.end()) for found in re.finditer(r"[^\n]*\S[^\n]*", text)]
    first = last = -1
    for at, (start, end) in enumerate(lines):
        line = text[start:end].strip()
        kind = _kind(line, text, lines, at)
        # A blank line ends a paragraph, and so does whatever is no prose.
        gap = last >= 0 and text.count("\n", last, start) > 1
        if first >= 0 and (kind is not UnitKind.PROSE or gap or _LIST_ITEM.match(line)):
            yield first, last, UnitKind.PROSE
            first = -1
        if kind is UnitKind.PROSE:
            first = start if first < 0 else first
            last = end
        else:
            yield start, end, kind
            last = -1
    if first >= 0:
        yield first, last, UnitKind.PROSE


def _kind(line: str, text: str, lines: list[tuple[int, int]], at: int) -> UnitKind:
    if form_of(line).name:
        return UnitKind.FORM
    if _CODE.match(line):
        return UnitKind.CODE
    if line.startswith("#"):
        return UnitKind.HEADING
    if len(line.split()) <= _HEADING_WORDS and line[0].isupper() and not line.endswith((".", "!", "?", ",", ";")):
        before = text[slice(*lines[at - 1])].strip() if at else "."
        after = text[slice(*lines[at + 1])].strip() if at + 1 < len(lines) else ""
        # The last line of a paragraph is short as well, but what precedes it has not come to an end.
        if before.endswith(_ENDS) and after and not after[0].islower():
            return UnitKind.HEADING
        if form_of(before).name and after and not after[0].islower():
            return UnitKind.HEADING
    return UnitKind.PROSE


def _sentences(text: str, start: int, end: int, language: str) -> list[tuple[int, int]]:
    return [(start + a, start + b) for a, b in sentence_spans(text[start:end], language)]


def _bounded(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The span without white space at its ends, in pieces that are not too long."""
    while start < end:
        while start < end and text[start].isspace():
            start += 1
        cut = end
        if end - start > _LONGEST:
            cut = text.rfind(" ", start + 1, start + _LONGEST)
            cut = cut if cut > start else start + _LONGEST
        stop = cut
        while stop > start and text[stop - 1].isspace():
            stop -= 1
        if stop > start:
            yield start, stop
        start = cut
