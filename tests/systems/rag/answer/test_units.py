"""A passage in pieces: each lies where it says, and together they have every word."""

from __future__ import annotations

from itertools import pairwise

from answer_evidence import PASSAGES, evidence
from hypothesis import given
from hypothesis import strategies as st

from sixfold.systems.rag.answer.units import UnitKind, split_units

SEEN = ["Functions", "f(a, b=3)", "class A(B)", "A sentence. And one more", "lower end.", ">>> f(1)", "", "- item"]
LINES = st.lists(st.text(max_size=60) | st.sampled_from(SEEN), max_size=12)


@given(LINES)
def test_units_are_exact_spans_in_order_and_lose_no_word(lines: list[str]) -> None:
    text = "\n".join(lines)
    units = split_units(evidence(("t", text))[0])
    for unit in units:
        assert text[unit.start : unit.end] == unit.text
        assert unit.text == unit.text.strip() != ""
    for before, after in pairwise(units):
        assert before.end <= after.start
    assert "".join("".join(unit.text.split()) for unit in units) == "".join(text.split())


def test_sentences_run_over_lines_and_signatures_do_not() -> None:
    texts = [unit.text for unit in split_units(PASSAGES[0])]
    assert "wrap(text, width=70, **kwargs) -> list" in texts
    assert "By\ndefault, tabs are expanded." in texts
    assert "Wrap a single paragraph of text, returning a list of wrapped lines." in texts


def test_a_unit_knows_what_it_stands_below() -> None:
    units = {unit.text: unit for unit in split_units(PASSAGES[0])}
    assert units["Wrap a single paragraph of text, returning a list of wrapped lines."].owner.startswith("wrap(")
    assert units["Collapse and truncate the given text to fit in the given width."].owner.startswith("shorten(")
    assert units["wrap(text, width=70, **kwargs) -> list"].owner == ""
    assert units["Data"].kind is UnitKind.HEADING
    assert units["__all__ = ['wrap', 'shorten']"].owner == ""  # the heading ends what came before
    of_class = {unit.text: unit for unit in split_units(PASSAGES[1])}
    assert of_class["For Go source."].scope == "class GoLexer(pygments.lexer.RegexLexer)"
    assert "GoLexer" in of_class["name = 'Go'"].about


def test_a_line_without_end_is_cut_between_words() -> None:
    text = "word " * 1_000
    units = split_units(evidence(("t", text))[0])
    assert len(units) > 1
    assert all(len(unit.text) <= 1_200 and set(unit.text.split()) == {"word"} for unit in units)
