"""A sentence is supported by a span that says it, and by none that says otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.parts.grounding import SUPPORTED_FROM, best_spans, support

READ = Path(__file__).parents[1] / "systems" / "rag" / "answer" / "read_claims.json"
WRAP = "wrap(text, width=70, tabsize=8, **kwargs) -> list"


@pytest.mark.parametrize(
    ("claim", "span", "about"),
    [
        ("The default value of width of textwrap.wrap is 70.", WRAP, "Python: textwrap"),
        ("`wrap` returns a list.", WRAP, ""),
        ("The return type of wrap is list.", WRAP, ""),
        ("GoLexer inherits from RegexLexer.", "class GoLexer(pygments.lexer.RegexLexer)", ""),
        ("Blank lines are not indented.", "Blank lines are not indented by default.", ""),
        ("It wraps a single paragraph of text.", "Wrap a single paragraph of text, returning a list of lines.", ""),
        ("The value of DAILY is 3.", "DAILY = 3", ""),
        ("There are two kinds of contours.", "There are 2 kinds of contours.", ""),
    ],
)
def test_supported(claim: str, span: str, about: str) -> None:
    found = support(claim, span, about)
    assert found.score >= SUPPORTED_FROM, found


@pytest.mark.parametrize(
    ("claim", "span"),
    [
        ("The default value of width is 72.", WRAP),  # a number that is not there
        ("The default value of width is 8.", WRAP),  # the number of another parameter
        ("The default value of width is None.", WRAP),
        ("The return type of wrap is text.", WRAP),
        ("The return type of wrap is str.", WRAP),
        ("RegexLexer inherits from GoLexer.", "class GoLexer(pygments.lexer.RegexLexer)"),
        ("The base class of GoLexer is GoLexer.", "class GoLexer(pygments.lexer.RegexLexer)"),
        ("Blank lines are indented.", "Blank lines are not indented by default."),
        ("Blank lines are not indented.", "Blank lines are indented by default."),
        ("It cannot be called before start.", "It can be called before start."),
        ("It has to be called after start.", "It has to be called before start."),
        ("It raises ValueError if x is empty.", "It raises KeyError if x is empty."),
        ("The parser uses parse_args to read it.", "The parser uses parse_known to read it."),
        ("The mode is 'w' by default.", "The mode is 'r' by default."),
        ("The function is fast.", "Wrap a single paragraph of text."),
        ("The function is called wrap.", "Wrap."),  # nothing is said of it
        ("", "Wrap a single paragraph of text."),
        ("Something.", ""),
    ],
)
def test_unsupported(claim: str, span: str) -> None:
    found = support(claim, span)
    assert found.score < SUPPORTED_FROM, found


WORDS = st.lists(st.sampled_from(["parse", "the", "input", "line", "token", "encode", "buffer", "format", "reader"]),
                 min_size=5, max_size=14)  # fmt: skip


@given(WORDS, st.integers(10, 99), st.integers(10, 99))
def test_a_changed_number_is_never_supported(words: list[str], number: int, other: int) -> None:
    span = f"{' '.join(words)} with {number} items."
    assert support(span, span).score == 1.0
    if number != other:
        assert support(span.replace(str(number), str(other)), span).score == 0.0


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=20))
def test_any_text_gets_a_score(claim: str, span: str, about: str) -> None:
    found = support(claim, span, about)
    assert 0.0 <= found.score <= 1.0
    assert not found.conflict or found.score == 0.0


def test_two_spans_of_a_page_may_bear_a_sentence_out_together() -> None:
    spans = ["The reader takes a buffer of bytes.", "Blank lines stay.", "It gives tokens one by one."]
    chosen, found = best_spans("The reader takes a buffer and gives tokens one by one.", spans, ["page"] * 3)
    assert (chosen, found.score) == ([0, 2], 1.0)
    # ... but not two spans of two pages.
    chosen, _ = best_spans("The reader takes a buffer and gives tokens one by one.", spans, ["a", "b", "c"])
    assert len(chosen) == 1


def test_the_definition_denies_what_another_span_would_bear_out() -> None:
    spans = ["class GoLexer(RegexLexer)", "GoLexer and Lexer are a subclass of something."]
    _, found = best_spans("GoLexer is a subclass of Lexer.", spans, ["page"] * 2)
    assert found.score == 0.0
    assert "RegexLexer" in found.conflict


def test_nothing_to_rest_on() -> None:
    assert best_spans("A sentence.", [], [])[1].score == 0.0


@pytest.mark.parametrize(("batch", "least_kappa", "least_precision"), [(1, 0.8, 0.8), (2, 0.75, 0.9)])
def test_sentences_of_the_model_that_were_read_and_labelled(
    batch: int, least_kappa: float, least_precision: float
) -> None:
    """Batch 1 was looked at while the checker was written; batch 2 was labelled afterwards."""
    claims = [claim for claim in json.loads(READ.read_text()) if claim["batch"] == batch]
    verdicts = [
        best_spans(claim["claim"], claim["spans"], [claim["about"]] * len(claim["spans"]))[1].score >= SUPPORTED_FROM
        for claim in claims
    ]
    labels = [claim["supported"] for claim in claims]
    n, called, there = len(labels), sum(verdicts), sum(labels)
    both = sum(verdict and label for verdict, label in zip(verdicts, labels, strict=True))
    observed = sum(verdict == label for verdict, label in zip(verdicts, labels, strict=True)) / n
    chance = (called * there + (n - called) * (n - there)) / n**2
    assert (observed - chance) / (1 - chance) >= least_kappa
    assert both / called >= least_precision
