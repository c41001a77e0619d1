"""What a line of documentation states by its form: a signature, a class and its bases, a value.

`wrap(text, width=70) -> list` says that 70 is a default and list what is returned without either word, so
whoever compares it with a sentence that has those words has to know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

__all__ = ["FRAME_STEMS", "KIND_STEMS", "Form", "form_of", "split_parameters", "values_of"]

_CALL = re.compile(r"(?:(?:async )?def )?([A-Za-z_][\w.]*)\((.*)\)\s*(?:->\s*(.+?))?:?")
_CLASS = re.compile(r"class ([A-Za-z_]\w*)(?:\(([^()]*)\))?:?")
_VALUE = r"""(-?\d[\d_.]*(?:[eE][+-]?\d+)?|'[^'\n]*'|"[^"\n]*"|[A-Za-z_][\w.]*|\[[^\]\n]*\]|\(\)|\{\})"""
_ASSIGNED = re.compile(rf"([A-Za-z_][\w.]*) = {_VALUE}(?![\w.(]).*")
_ALIAS = re.compile(r"([A-Za-z_][\w.]*) = (?=[A-Za-z_][\w.]*\()")  # `today = now(tz=None)`: another name of a function
# `width (default: 70)`, `width defaults to 70`; the name is the nearest word before it
_SAID = re.compile(
    rf"(?<!\w)([A-Za-z_]\w*)[`'\"]*\s*(?:\(default:?|,? defaults to|: default|\(defaults to)\s*{_VALUE}", re.I
)
LONGEST_FORM = 2_000  # characters: a longer line is data


def _stems(words: str) -> frozenset[str]:
    return frozenset(words.split())


# What a form says without the word (stems of English, as the analyzer makes them).
_OF_CALL = _stems("function method call signatur")
_OF_PARAMETERS = _stems("paramet argument keyword")
_OF_DEFAULTS = _stems("default valu set use option")
_OF_RETURNED = _stems("return type annot give back")
_OF_CLASS = _stems("class inherit base subclass parent deriv extend")
_OF_VALUE = _stems("valu set constant equal attribut defin default variabl")
# Words that say what kind of thing a name is of, not what is said of it.
KIND_STEMS = _stems("function method class modul packag librari python call name paramet argument answer question")
# The vocabulary in which one asks about documentation: it says what is wanted, not of what.
FRAME_STEMS = frozenset().union(
    _OF_CALL, _OF_PARAMETERS, _OF_DEFAULTS, _OF_RETURNED, _OF_CLASS, _OF_VALUE,
    _stems("modul packag librari python name describ explain mean purpos sentenc call document exampl"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """What a text states by its form; empty where it has none."""

    name: str = ""  # of the function, class or constant
    bindings: dict[str, str] = field(default_factory=dict)  # name -> value without quotes
    parameters: str = ""  # between the brackets
    returned: str = ""
    bases: tuple[str, ...] = ()  # last parts of their names
    implied: frozenset[str] = frozenset()  # stems that the form stands for

    def __bool__(self) -> bool:
        return bool(self.name)


@lru_cache(maxsize=8_192)
def form_of(text: str) -> Form:
    """The form of a line; of prose only the defaults that it names. Everything is spelt as in the line."""
    line = " ".join(text.split())
    if len(line) > LONGEST_FORM:
        return Form()
    said = {name: _plain(value) for name, value in _SAID.findall(line)}
    if found := _CLASS.fullmatch(line):
        bases = tuple(base.strip().rpartition(".")[2] for base in (found[2] or "").split(",") if base.strip())
        return Form(name=found[1], bases=bases, implied=_OF_CLASS)
    if found := _ASSIGNED.fullmatch(line):
        return Form(name=found[1], bindings={found[1]: _plain(found[2])}, implied=_OF_VALUE)
    alias = _ALIAS.match(line)
    if found := _CALL.fullmatch(line[alias.end() :] if alias else line):
        bound = {name: _plain(value) for name, value in split_parameters(found[2]) if value}
        implied = _OF_CALL | (_OF_PARAMETERS if found[2] else set()) | (_OF_DEFAULTS if bound else set())
        implied |= _OF_RETURNED if found[3] else set()
        returned = (found[3] or "").strip("'\"")
        return Form(alias[1] if alias else found[1], bound, found[2], returned, (), frozenset(implied))
    return Form(bindings=said, implied=_OF_DEFAULTS if said else frozenset())


def split_parameters(parameters: str) -> list[tuple[str, str]]:
    """(name, default as written) of what stands between the brackets of a signature; no default is "".

    In one pass: a page may hold whatever makes a regular expression slow. Stars and annotations are left out.
    """
    found: list[tuple[str, str]] = []
    depth = start = 0
    equals = -1  # of the parameter at hand, outside all brackets
    quote = ""
    for at, char in enumerate(f"{parameters},"):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "=" and equals < 0 and depth <= 0:
            equals = at
        if char == "," and ((depth <= 0 and not quote) or at == len(parameters)):
            head = parameters[start : equals if equals >= 0 else at]
            name = head.partition(":")[0].strip().lstrip("*").strip()
            if name.isidentifier():
                found.append((name, parameters[equals + 1 : at].strip() if equals >= 0 else ""))
            start, equals = at + 1, -1
    return found


def values_of(text: str) -> set[str]:
    """The values that a sentence names, without quotes, lower case: numbers, constants, what is in quotes."""
    quoted = re.findall(r"""(?<!\w)(['"])([^'"\n]{1,60})\1(?!\w)""", text)
    bare = re.findall(r"(?<![\w.])-?\d[\d_]*(?:\.\d+)*(?!\w)|\b(?:None|True|False|true|false)\b", text)
    return {_plain(value).lower() for value in [*(value for _, value in quoted), *bare]}


def _plain(value: str) -> str:
    return value.strip("'\"` ")
