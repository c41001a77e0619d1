"""Sentences out of a stream: the same however it is cut, and none before it is certain to be whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.systems.rag.answer.sentence_stream import Piece, SentenceStream, parse_markers


def sentences(*deltas: str) -> list[Piece]:
    stream = SentenceStream()
    return [*(piece for delta in deltas for piece in stream.feed(delta)), *stream.finish()]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("It is 70. [1] It wraps. [2]", [("It is 70.", (1,)), ("It wraps.", (2,))]),
        ("It is 70 [1]. It wraps [1][3].", [("It is 70.", (1,)), ("It wraps.", (1, 3))]),
        ("One [1, 2] more", [("One more", (1, 2))]),
        ("Python 3.11 has os.path.join. Yes.", [("Python 3.11 has os.path.join.", ()), ("Yes.", ())]),
        ("Use e.g. This one. Or that.", [("Use e.g. This one.", ()), ("Or that.", ())]),
        ("A list\nof lines\n", [("A list", ()), ("of lines", ())]),
        ("x = list[1] here.", [("x = list[1] here.", ())]),
        ("完了。次。", [("完了。", ()), ("次。", ())]),
        ("  \n ... [1] ", []),
        ("", []),
    ],
)
def test_sentences_and_markers(text: str, pieces: list[Piece]) -> None:
    assert sentences(text) == pieces


PARTS = [
    "It is",
    " ",
    ".",
    "\n",
    "[1]",
    "[",
    "1",
    "]",
    " [2, 3]",
    "!",
    "e.g.",
    "So",
    "no",
    "?",
    "。",
    "[x",
    "3.11",
    ")",
]
TEXT = st.lists(st.sampled_from(PARTS), max_size=30).map("".join)


@given(TEXT, st.lists(st.integers(0, 60), max_size=8))
def test_the_cuts_of_the_stream_do_not_matter(text: str, cuts: list[int]) -> None:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    deltas = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert sentences(*deltas) == sentences(text)
    assert sentences(*text) == sentences(text)


@given(TEXT)
def test_no_word_is_lost(text: str) -> None:
    told = "".join(piece for piece, _ in sentences(text))
    assert [c for c in told if c.isalpha()] == [c for c in text if c.isalpha()]


def test_a_sentence_is_given_as_soon_as_the_next_one_begins() -> None:
    stream = SentenceStream()
    assert list(stream.feed("It is 70.")) == []
    assert list(stream.feed(" ")) == []
    assert list(stream.feed("[1]")) == []  # more markers may come
    assert list(stream.feed(" A")) == [("It is 70.", (1,))]


def test_a_sentence_without_end_is_cut() -> None:
    assert all(len(piece) <= 600 for piece, _ in sentences("word " * 1_000))


def test_markers() -> None:
    assert parse_markers("a [2] b [1;2]") == ("a b", (2, 1))
