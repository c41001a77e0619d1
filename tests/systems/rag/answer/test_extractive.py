"""Quotations: exact spans, few of them, unlike each other, and those that the question is about."""

from __future__ import annotations

import numpy as np
import pytest
from answer_evidence import PASSAGES, evidence
from hypothesis import given
from hypothesis import strategies as st

from sixfold.parts.lexical import Statistics
from sixfold.systems.rag.answer.extractive import extract, rank_units, select
from sixfold.systems.rag.answer.question import Question, question_terms, terms_of
from sixfold.systems.rag.answer.types import Verdict

WORDS = st.sampled_from(
    ["wrap", "text", "width", "lexer", "Go.", "f(a=1)", "alarm\n", "seconds,", "The", "default", "class"]
)
TEXTS = st.lists(WORDS, max_size=60).map(" ".join)


def asked(text: str) -> Question:
    return Question.of(text, None, [passage.text for passage in PASSAGES])


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("What is the default of width of textwrap.wrap?", "wrap(text, width=70, **kwargs) -> list"),
        ("What does textwrap.shorten do?", "Collapse and truncate the given text to fit in the given width."),
        ("Which class does pygments.lexers.go.GoLexer inherit from?", "class GoLexer(pygments.lexer.RegexLexer)"),
        ("What type does textwrap.wrap return?", "wrap(text, width=70, **kwargs) -> list"),
        ("What does default_int_handler raise?", "It raises KeyboardInterrupt."),
        ("When does SIGALRM arrive?", "Arrange for SIGALRM to arrive after the given number of seconds."),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_quoted(question: str, quoted: str) -> None:
    assert quoted in [sentence.text for sentence in extract(asked(question), PASSAGES)]


@given(TEXTS, st.lists(st.tuples(TEXTS, TEXTS), max_size=4), st.integers(1, 4))
def test_quotations_are_exact_spans_at_most_as_many_as_wanted(
    question: str, passages: list[tuple[str, str]], most: int
) -> None:
    given_ = evidence(*passages)
    found = extract(Question.of(question, None, [p.text for p in given_]), given_, most=most)
    assert len(found) <= most
    assert len({sentence.text for sentence in found}) == len(found)
    for sentence in found:
        (cited,) = sentence.citations
        assert given_[cited.number - 1].text[cited.start : cited.end] == sentence.text
        assert (sentence.verdict, sentence.support) == (Verdict.QUOTED, 1.0)


def test_a_sentence_brings_the_signature_that_it_stands_below() -> None:
    question = asked("Which function collapses and truncates the given text?")
    assert [sentence.text for sentence in extract(question, PASSAGES)][:2] == [
        "shorten(text, width, **kwargs)",
        "Collapse and truncate the given text to fit in the given width.",
    ]


def test_only_a_shortlist_is_embedded_and_the_nearest_moves_up() -> None:
    texts_seen: list[str] = []

    def embed(texts: object) -> np.ndarray:
        texts_seen.extend(texts)  # type: ignore[call-overload]
        return np.array([[1.0, 0.0]] + [[float("expanded" in t), 1.0] for t in texts_seen[1:]], dtype=np.float32)

    ranked = rank_units(asked("tabs of the text by default"), PASSAGES, embed=embed)
    assert 1 < len(texts_seen) <= 7
    assert "expanded" in ranked[0].unit.text


def test_nothing_in_common_is_nothing_to_quote() -> None:
    assert extract(asked("zebra giraffe"), evidence(("x", "Some other words here."))) == ()
    assert extract(asked(""), PASSAGES) == ()
    assert extract(asked("wrap"), []) == ()
    assert select([], 3) == []


def test_weights_come_from_the_index_where_it_is_known() -> None:
    text = "the lexer of json.dumps"
    terms = question_terms(text)
    assert {"json.dumps", "json", "dump", "lexer"} <= set(terms)
    question = Question.of(text, Statistics(1_000, 5_000, {"lexer": 900, "dump": 2, "json": 40}))
    assert question.weights["dump"] > question.weights["json"] > question.weights["lexer"] > 0
    assert question.names == (("json", "dumps"),)
    assert question.share(terms_of("all of json.dumps and its lexer")) == pytest.approx(1.0)
    assert question.share(frozenset()) == 0.0


def test_a_part_of_a_joined_name_counts_less_than_the_name() -> None:
    question = Question.of("do_wrap", Statistics(100, 100, {"do_wrap": 5, "do": 5, "wrap": 5}))
    assert question.weights["wrap"] < question.weights["do_wrap"]
