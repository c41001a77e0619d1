"""What a language model gets to read: a few notes made of the best units, within a budget of tokens.

A small model reads sentences well and signatures badly, so a signature is put into words, those of the question
where there is a choice: `wrap(text, width=70)` becomes "The default value of width is 70." A note is for the
model alone: what it writes is checked against the unit, not against the note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sixfold.parts.signatures import Form, form_of, split_parameters
from sixfold.systems.rag.answer.extractive import Ranked, states_what_is_wanted
from sixfold.systems.rag.answer.question import Question
from sixfold.systems.rag.answer.units import Unit

__all__ = ["Context", "Note", "in_words", "pack", "parameter_names"]

LONGEST_NOTE = 300  # characters
FEWEST_CHARS = 60  # of a note that is cut to fit: what is shorter is no use


@dataclass(frozen=True, slots=True)
class Note:
    """One line for the model; `unit` is where it comes from."""

    text: str
    unit: Unit


@dataclass(frozen=True, slots=True)
class Context:
    """The notes that fit, most useful first, and what they cost."""

    notes: tuple[Note, ...]
    tokens: int
    left_out: int  # notes that did not fit


def pack(
    question: Question,
    chosen: Sequence[Ranked],
    max_tokens: int,
    count_tokens: Callable[[str], int],
) -> Context:
    """The notes of these units that fit into `max_tokens`, in the order of the units.

    A smaller budget gives a beginning of the same notes: the last ones go first, and the last one that fits in part
    is cut between words. Nothing is put in the place of what was left out.
    """
    notes = list(_notes(question, chosen))
    packed: list[Note] = []
    used = 0
    for note in notes:
        cost = count_tokens(note.text)
        if used + cost > max_tokens:
            cut = _cut(note.text, max_tokens - used, count_tokens)
            if cut:
                packed.append(Note(cut, note.unit))
                used += count_tokens(cut)
            break
        packed.append(note)
        used += cost
    return Context(tuple(packed), used, len(notes) - len(packed))


def in_words(form: Form, question: Question) -> str:
    """What a form states, as a sentence in the words of the question; empty if it has no form."""
    if not form.name:
        return ""
    words = question.words
    if form.bases:
        return _base_in_words(form, words)
    names = parameter_names(form)
    if not form.parameters and not form.returned and form.bindings:
        return f"The value of {form.name} is {next(iter(form.bindings.values())) or 'empty'}."
    said = [
        f"The default value of {name} is {value or 'empty'}."
        for name, value in form.bindings.items()
        if name.lower() in words and name != form.name
    ]
    if form.returned and question.wants & {"return", "type", "annot", "give"}:
        noun = "annotation" if "annotation" in words else "type"
        said.append(f"The return {noun} of {form.name} is {form.returned}.")
    if said:
        return " ".join(said)
    listed = [f"{name} ({form.bindings[name]})" if form.bindings.get(name) else name for name in names]
    return f"The function {form.name} takes {', '.join(listed)}." if listed else f"{form.name} is a function."


def parameter_names(form: Form) -> list[str]:
    """The names between the brackets of a signature, in order, without stars and without `self`."""
    return [name for name, _ in split_parameters(form.parameters) if name not in ("self", "cls")]


def _base_in_words(form: Form, words: frozenset[str]) -> str:
    bases = " and ".join(form.bases)
    if "subclass" in words:
        return f"{form.name} is a subclass of {bases}."
    if words & {"inherit", "inherits", "derive", "derives"}:
        return f"{form.name} inherits from {bases}."
    return f"The base class of {form.name} is {bases}."


def _notes(question: Question, chosen: Sequence[Ranked]) -> Iterable[Note]:
    """One note a unit, best first; a sentence below a signature begins with the signature's name.

    Where a form states what is asked for, other forms only lead a small model astray; where none does, a signature
    whose sentence is there says nothing more.
    """
    words = question.words
    units = [ranked.unit for ranked in chosen]
    stated = any(states_what_is_wanted(unit.form, question, words) for unit in units)
    owners = {(unit.number, unit.owner): unit for unit in units}
    told: set[str] = set()
    for unit in units:
        if unit.form.name:
            if stated and not states_what_is_wanted(unit.form, question, words):
                continue
            if not stated and (unit.number, unit.text) in owners:
                continue
        text = in_words(unit.form, question) or " ".join(unit.text.split())
        name = form_of(unit.owner).name if unit.owner else ""
        text = f"{name}: {text}" if name else text
        text = text if len(text) <= LONGEST_NOTE else text[: text.rfind(" ", 0, LONGEST_NOTE)]
        if text not in told:
            told.add(text)
            yield Note(text, unit)


def _cut(text: str, max_tokens: int, count_tokens: Callable[[str], int]) -> str:
    """The longest beginning of whole words that fits; empty if it would be too short."""
    ends = [found.end() for found in re.finditer(r"\S+", text)]
    low, high = 0, len(ends)
    while low < high:  # the first count of words that does not fit
        middle = (low + high) // 2
        if count_tokens(text[: ends[middle]]) <= max_tokens:
            low = middle + 1
        else:
            high = middle
    cut = text[: ends[low - 1]] if low else ""
    return cut if len(cut) >= FEWEST_CHARS else ""
