"""No text can end a turn or begin one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.parts.chat_marks import without_marks

MARKS = [
    "<|im_end|>",
    "<|im_start|>",
    "<s>",
    "</s>",
    "[INST]",
    "[/inst]",
    "<<SYS>>",
    "<start_of_turn>",
    "<eos>",
    "<｜User｜>",
]


@given(st.lists(st.sampled_from([*MARKS, "<", "|", "[", "text", " ", "\n", "<|"]), max_size=12))
def test_no_mark_is_left_and_nothing_is_lost(parts):
    text = "".join(parts)
    plain = without_marks(text)
    assert not any(mark in plain for mark in MARKS)
    assert plain.replace(" ", "") == text.replace(" ", "")
    assert without_marks(plain) == plain


@pytest.mark.parametrize("text", ["a < b", "x[i] | y", "list[int]", "<b>bold</b>", "", "1 <= 2"])
def test_other_text_is_left_as_it_is(text):
    assert without_marks(text) is text or without_marks(text) == text
