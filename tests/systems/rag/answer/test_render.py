"""The text of an answer and where its markers stand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sixfold.systems.rag.answer.render import coverage_note, render
from sixfold.systems.rag.answer.types import Answer, AnswerMode, Citation, Sentence, Verdict

CITATIONS = st.builds(Citation, st.integers(1, 30), st.integers(0, 9), st.integers(10, 20))
SENTENCES = st.builds(
    Sentence,
    st.text(max_size=30) | st.sampled_from(["see list[1]", "<b>[2]</b>", "a\nb"]),
    st.lists(CITATIONS, max_size=3).map(tuple),
    st.just(1.0),
    st.sampled_from(list(Verdict)),
)


@given(st.lists(SENTENCES, max_size=4), st.sampled_from(["", "Note: half was searched."]))
def test_every_marker_stands_where_it_says(sentences: list[Sentence], note: str) -> None:
    answer = Answer(AnswerMode.GENERATED, tuple(sentences), (), 0.9)
    rendered = render(answer, note)
    for marker in rendered.markers:
        assert rendered.text[marker.start : marker.end] == f"[{marker.citation.number}]"
        assert marker.citation in sentences[marker.sentence].citations
    assert len(rendered.markers) == sum(len(sentence.citations) for sentence in sentences)
    assert rendered.text.endswith(note)


def test_text_stays_text() -> None:
    sentence = Sentence("<script>x</script> **y**\n  z", (Citation(1, 0, 5),), 1.0, Verdict.QUOTED)
    assert render(Answer(AnswerMode.EXTRACTIVE, (sentence,), (), 1.0)).text == "<script>x</script> **y** z [1]"


def test_two_spans_of_a_passage_share_a_marker() -> None:
    cited = (Citation(2, 0, 5), Citation(2, 7, 9), Citation(4, 0, 1))
    rendered = render(Answer(AnswerMode.GENERATED, (Sentence("It is.", cited, 0.9, Verdict.SUPPORTED),), (), 1.0))
    assert rendered.text == "It is. [2][4]"
    assert [(marker.start, marker.citation) for marker in rendered.markers] == [
        (7, cited[0]),
        (7, cited[1]),
        (10, cited[2]),
    ]


def test_what_was_not_searched_is_said() -> None:
    assert coverage_note(100, 100, []) == ""
    note = coverage_note(7_499, 10_000, [(2, "did not answer in time")])
    assert "74.9 %" in note
    assert "7,499 of 10,000" in note
    assert "shard 2: did not answer in time" in note
    assert "99.9 %" in coverage_note(999_999, 1_000_000, [])
    assert "0 %" in coverage_note(0, 0, [(0, "failed")])
