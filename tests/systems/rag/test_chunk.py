"""Passages: exact offsets, complete cover, bounds, whole words, headings with their text."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.systems.rag.chunk import ChunkConfig, chunk_document
from sixfold.systems.rag.records import Document, Source


def document(text: str, language: str = "en") -> Document:
    return Document("d" * 32, "http://h/", "", text, language, Source("", 0, ""), b"")


PIECES = st.sampled_from(
    [
        "One sentence here. ",
        "Is it? ",
        "Heading\n",
        "# Mark\n",
        "\n\n",
        "def f(x) -> int\n    Returns x.\n",
        "日本語。",
        "x" * 90,
        " ",
        "e.g. this, ",
    ]
)
TEXTS = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=60).map("".join))


@settings(max_examples=200, deadline=None)
@given(text=TEXTS, target=st.integers(1, 60), bound=st.integers(1, 400), overlap=st.integers(0, 1))
def test_offsets_cover_and_bounds(text, target, bound, overlap):
    chunks = chunk_document(document(text), ChunkConfig(target, bound, overlap))
    covered = [False] * len(text)
    for i, c in enumerate(chunks):
        assert (c.ordinal, c.doc_id, c.text) == (i, "d" * 32, text[c.start : c.end])
        assert c.text == c.text.strip()
        assert 0 < len(c.text) <= bound
        assert len(c.text.split()) <= target
        covered[c.start : c.end] = [True] * (c.end - c.start)
        for edge in (c.start, c.end):
            inside = 0 < edge < len(text) and not text[edge - 1].isspace() and not text[edge].isspace()
            longest = max(map(len, text.split()))
            # Only a word beyond the bound is cut, or a script without spaces between its sentences.
            assert not inside or longest > bound or text[edge - 1] in "。！？｡．"
    assert all(c or ch.isspace() for c, ch in zip(covered, text, strict=True))
    assert [c.start for c in chunks] == sorted({c.start for c in chunks})
    assert len({c.chunk_id for c in chunks}) == len(chunks)
    if not overlap:
        assert all(a.end <= b.start for a, b in pairwise(chunks))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.from_regex(r"[a-zA-Z.,!?]{1,12}", fullmatch=True), min_size=1, max_size=80),
    st.integers(12, 80),
)
def test_no_word_is_cut_that_fits(words, bound):
    chunks = chunk_document(document(" ".join(words)), ChunkConfig(10, bound))
    assert [w for c in chunks for w in c.text.split()] == words


def test_passages_end_with_sentences():
    text = " ".join(f"Dr. Smith wrote sentence {i}, which is about as long as usual." for i in range(40))
    chunks = chunk_document(document(text), ChunkConfig(target_words=50))
    assert len(chunks) > 5
    assert all(c.text.endswith("usual.") and c.text.startswith("Dr.") for c in chunks)
    assert all(40 <= len(c.text.split()) <= 50 for c in chunks[:-1])


def test_headings_stay_with_what_follows():
    body = "This sentence is the body of the section it stands in. " * 3
    text = "\n".join(f"## Section {i}\nSubtitle {i}\n{body}" for i in range(12))
    for c in chunk_document(document(text), ChunkConfig(target_words=45)):
        assert c.text.endswith(".")
        assert c.text.startswith(("## Section", "This sentence"))


def test_overlap_repeats_one_sentence():
    text = " ".join(f"This is sentence number {i} of it." for i in range(20))
    chunks = chunk_document(document(text), ChunkConfig(target_words=28, overlap_sentences=1))
    for a, b in pairwise(chunks):
        assert a.text.rsplit("This", 1)[1] == b.text.split("This", 2)[1].rstrip()


def test_a_table_of_contents_and_code_are_cut_by_lines():
    listing = "\n".join(f"chapter_{i}(x, y)" for i in range(300))
    chunks = chunk_document(document(listing), ChunkConfig(target_words=40))
    assert len(chunks) > 10
    assert all(line.startswith("chapter_") and line.endswith("y)") for c in chunks for line in c.text.split("\n"))


def test_the_cut_is_stable():
    text = "Heading\nOne sentence. Another one.\n\nAnd a last one."
    chunks = chunk_document(document(text), ChunkConfig(target_words=4))
    assert [c.text for c in chunks] == ["Heading\nOne sentence.", "Another one.", "And a last one."]
    assert chunks[0].chunk_id == chunk_document(document(text), ChunkConfig(target_words=4))[0].chunk_id
    assert chunks[0].chunk_id == "76d76b6a65695a982bb9dc791526b596"


def test_nothing_gives_nothing_and_megabytes_do_not_hurt():
    assert chunk_document(document("")) == []
    assert chunk_document(document(" \n ")) == []
    assert sum(c.end - c.start for c in chunk_document(document("x" * 1_000_000))) == 1_000_000
    assert len(chunk_document(document("word " * 200_000))) > 500


def test_other_languages_end_sentences_their_own_way():
    chunks = chunk_document(document("これは最初の文です。これは二番目の文です。" * 5, "ja"), ChunkConfig(max_chars=25))
    assert all(c.text.endswith("。") for c in chunks)


@pytest.mark.parametrize("bad", [{"target_words": 0}, {"max_chars": 0}, {"overlap_sentences": 2}])
def test_bad_configurations_are_refused(bad):
    with pytest.raises(ConfigError):
        ChunkConfig(**bad)
