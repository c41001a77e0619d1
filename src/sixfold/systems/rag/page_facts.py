"""Facts that a page of Python documentation states in a form that a program can read: signatures, bases, values.

They are read from the clean text, as it was indexed, rather than by importing the module: importing runs code,
and what the page does not say, no answer can be held against. Whatever is ambiguous is left out.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sixfold.systems.rag.records import Document

__all__ = ["Fact", "FactKind", "module_of", "page_facts"]

_MODULE = re.compile(r"^Python: (?:module |package )?([A-Za-z_][\w.]*)$")
_SIGNATURE = re.compile(r"([A-Za-z]\w*)\((.*)\)(?: -> (.+))?")
_CLASS = re.compile(r"class ([A-Za-z]\w*)\(([\w.]+)\)")
_CONSTANT = re.compile(r"([A-Z][A-Z0-9_]{2,}) = (-?[\w.]{1,20}|'[\w .:/-]{1,30}')")
_PROSE = re.compile(r"[A-Z][^.!?<>{}\[\]|\\@#$~^*=]{20,200}\.(?=\s|$)")
_WORD = re.compile(r"\w+")
_DEFAULT_CHARS = 30
_SENTENCE_LINES = 3


class FactKind(StrEnum):
    """What a fact is about."""

    DEFAULT = "default"  # of a parameter
    RETURNS = "returns"  # the annotation
    BASE = "base"  # the one class that a class inherits from
    VALUE = "value"  # of a constant of the module
    PURPOSE = "purpose"  # the first sentence below a signature


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement of one page: `document.text[start:end]` is the line or sentence that states it."""

    kind: FactKind
    module: str
    name: str  # of the function, class or constant
    parameter: str  # of a default; otherwise empty
    answer: str
    url: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    text: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def module_of(document: Document) -> str | None:
    """The module that a page documents, by its title; None for any other page."""
    found = _MODULE.match(document.title.strip())
    return found[1] if found else None


def page_facts(document: Document) -> list[Fact]:
    """What the page says of its own functions, classes and constants, each name stated once only."""
    module = module_of(document)
    if module is None:
        return []
    lines = [_Line(found.start(), found[0]) for found in re.finditer(r"[^\n]+", document.text)]
    functions, data = _section(lines, "Functions", "Data"), _section(lines, "Data", None)
    facts = [*_of_functions(functions, document, module), *_of_classes(lines, document, module)]
    facts += [
        Fact(FactKind.VALUE, module, found[1], "", found[2].strip("'"), document.url, line.start, line.end)
        for line in data
        if (found := _CONSTANT.fullmatch(line.text))
    ]
    times = Counter((fact.kind, fact.name, fact.parameter) for fact in facts)
    return [fact for fact in facts if times[fact.kind, fact.name, fact.parameter] == 1 and _WORD.search(fact.answer)]


def _section(lines: list[_Line], heading: str, until: str | None) -> list[_Line]:
    """The lines below the last such heading: an earlier one is a word in somebody's docstring."""
    at = max((i for i, line in enumerate(lines) if line.text == heading), default=-1)
    if at < 0:
        return []
    end = next((i for i in range(at + 1, len(lines)) if lines[i].text == until), len(lines))
    return lines[at + 1 : end]


def _of_functions(lines: list[_Line], document: Document, module: str) -> Iterator[Fact]:
    for at, line in enumerate(lines):
        found = _SIGNATURE.fullmatch(line.text)
        if found is None or (node := _parsed(line.text)) is None:
            continue
        place = (document.url, line.start, line.end)
        for parameter, default in _defaults(node, line.text):
            if len(default) <= _DEFAULT_CHARS:
                yield Fact(FactKind.DEFAULT, module, node.name, parameter, default, *place)
        returned = (found[3] or "").strip("'\"")
        if returned and returned != "None":
            yield Fact(FactKind.RETURNS, module, node.name, "", returned, *place)
        if sentence := _sentence_at(document.text, lines[at + 1 : at + 1 + _SENTENCE_LINES]):
            start, end = sentence
            purpose = " ".join(document.text[start:end].split())
            yield Fact(FactKind.PURPOSE, module, node.name, "", purpose, document.url, start, end)


def _of_classes(lines: Iterable[_Line], document: Document, module: str) -> Iterator[Fact]:
    for line in lines:
        found = _CLASS.fullmatch(line.text)
        if found and found[2] not in ("builtins.object", "object"):
            base = found[2].rpartition(".")[2]
            yield Fact(FactKind.BASE, module, found[1], "", base, document.url, line.start, line.end)


def _parsed(signature: str) -> ast.FunctionDef | None:
    """The signature as Python reads it; None if it has something that only a person reads."""
    try:
        node = ast.parse(f"def {signature}: pass").body[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return node if isinstance(node, ast.FunctionDef) else None


def _defaults(node: ast.FunctionDef, signature: str) -> Iterator[tuple[str, str]]:
    positional = [*node.args.posonlyargs, *node.args.args]
    pairs = [*zip(positional[len(positional) - len(node.args.defaults) :], node.args.defaults, strict=True)]
    pairs += [(arg, value) for arg, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if value]
    for arg, value in pairs:
        if isinstance(value, ast.Constant) or (isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub)):
            default = ast.get_source_segment(f"def {signature}: pass", value) or ""
            yield arg.arg, default.strip("'\"").strip()


def _sentence_at(text: str, lines: list[_Line]) -> tuple[int, int] | None:
    """The sentence of plain prose that begins the first of these lines and ends within them."""
    if not lines or _SIGNATURE.fullmatch(lines[0].text):
        return None
    found = _PROSE.match(text, lines[0].start, lines[-1].end)
    if found is None or "\n:" in found[0] or len(_WORD.findall(found[0])) < 5:
        return None
    return found.start(), found.end()
