"""A sharded lexical index answers exactly as one index, and its arithmetic is BM25's."""

from __future__ import annotations

import math
import pickle
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.parts import lexical
from sixfold.parts.analyzer import Analyzer
from sixfold.parts.lexical import Bm25, LexicalIndex, Statistics

WORDS = ["shard", "index", "score", "document", "os.path", "日本語", "naïve", "the", "Zipf"]
texts_st = st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), max_size=25)


def answer(index: LexicalIndex, query: str, k: int) -> tuple[list[int], list[float]]:
    terms = index.analyzer.terms(query)
    positions, scores = index.search(terms, index.statistics(terms), k)
    return positions.tolist(), scores.tolist()


@given(texts_st, st.lists(st.sampled_from(WORDS), max_size=6), st.integers(1, 4), st.integers(0, 30), st.data())
def test_any_partition_answers_as_the_whole(
    texts: list[str], words: list[str], shards: int, k: int, data: st.DataObject
) -> None:
    live = data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    owner = data.draw(st.lists(st.integers(0, shards - 1), min_size=len(texts), max_size=len(texts)))
    analyzer = Analyzer()
    terms = analyzer.terms(" ".join(words))
    mask = np.array(live, dtype=bool)
    whole = LexicalIndex.build(texts, analyzer)
    positions, scores = whole.search(terms, whole.statistics(terms, mask), k, mask)

    held = [[i for i, shard in enumerate(owner) if shard == number] for number in range(shards)]
    indexes = [LexicalIndex.build([texts[i] for i in ids], analyzer) for ids in held]
    masks = [mask[ids] for ids in held]
    statistics = reduce(add, [ix.statistics(terms, m) for ix, m in zip(indexes, masks, strict=True)])
    assert statistics == whole.statistics(terms, mask)
    merged = []
    for ids, index, shard_mask in zip(held, indexes, masks, strict=True):
        found, found_scores = index.search(terms, statistics, k, shard_mask)
        merged += [(-score, ids[at]) for at, score in zip(found.tolist(), found_scores.tolist(), strict=True)]
    merged = sorted(merged)[:k]
    assert [i for _, i in merged] == positions.tolist()
    assert [-score for score, _ in merged] == scores.tolist()  # to the last bit


@given(texts_st, st.integers(1, 20))
def test_blocks_do_not_change_the_index(texts: list[str], block: int) -> None:
    once = LexicalIndex.build(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "BLOCK_TOKENS", block)
        often = LexicalIndex.build(iter(texts))
    for name in lexical._ARRAYS:
        assert np.array_equal(once._arrays[name], often._arrays[name]), name


@given(texts_st, st.lists(st.sampled_from(WORDS), max_size=6))
def test_scores_are_bm25(texts: list[str], words: list[str]) -> None:
    index = LexicalIndex.build(texts, scoring=Bm25(k1=0.9, b=0.4))
    documents = [index.analyzer.terms(text) for text in texts]
    mean = sum(map(len, documents)) / max(1, len(documents))
    expected = {}
    for i, document in enumerate(documents):
        score = 0.0
        for term in index.analyzer.terms(" ".join(words)):
            frequency = sum(term in other for other in documents)
            idf = math.log(1 + (len(documents) - frequency + 0.5) / (frequency + 0.5))
            tf = document.count(term)
            score += idf * tf * 1.9 / (tf + 0.9 * (0.6 + 0.4 * len(document) / mean)) if tf else 0.0
        if score:
            expected[i] = score
    positions, scores = answer(index, " ".join(words), 100)
    assert sorted(positions) == sorted(expected)
    assert scores == pytest.approx([expected[i] for i in positions])
    assert list(zip([-s for s in scores], positions, strict=True)) == sorted(
        zip([-s for s in scores], positions, strict=True)
    )


@given(texts_st)
def test_saved_and_mapped_is_the_same_and_writes_the_same_bytes(texts: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        one, two = Path(name, "one"), Path(name, "two")
        built = LexicalIndex.build(texts, scoring=Bm25(b=0.5))
        built.save(one)
        mapped = LexicalIndex.load(one)
        mapped.save(two)
        assert {p.name: p.read_bytes() for p in one.iterdir()} == {p.name: p.read_bytes() for p in two.iterdir()}
        assert (mapped.documents, mapped.total_length) == (built.documents, built.total_length)
        assert mapped.scoring == built.scoring
        assert mapped.analyzer == built.analyzer
        assert answer(mapped, "shard index os.path", 5) == answer(built, "shard index os.path", 5)


def test_ties_are_cut_by_position() -> None:
    index = LexicalIndex.build(["same words"] * 100)
    assert answer(index, "words", 3)[0] == [0, 1, 2]
    assert answer(index, "nothing", 3) == ([], [])
    assert answer(index, "words", 0) == ([], [])


def test_statistics_must_cover_the_terms() -> None:
    index = LexicalIndex.build(["a shard"])
    with pytest.raises(ConfigError, match="statistics lack the term 'shard'"):
        index.search(["shard"], Statistics(), 1)


@pytest.mark.parametrize("damage", ["missing", "truncated", "swapped", "not json", "format", "other length"])
def test_a_damaged_folder_is_refused(tmp_path: Path, damage: str) -> None:
    LexicalIndex.build(["one text", "two texts of words"]).save(tmp_path)
    postings, meta = tmp_path / "documents_p.npy", tmp_path / "lexical.json"
    if damage == "missing":
        postings.unlink()
    elif damage == "truncated":
        postings.write_bytes(postings.read_bytes()[:-4])
    elif damage == "swapped":
        postings.write_bytes((tmp_path / "lengths_n.npy").read_bytes())
    elif damage == "not json":
        meta.write_text("{")
    elif damage == "format":
        meta.write_text(meta.read_text().replace("sixfold-lexical-1", "sixfold-lexical-0"))
    else:
        meta.write_text(meta.read_text().replace('"documents": 2', '"documents": 3'))
    with pytest.raises(InputError, match="not a whole lexical index"):
        LexicalIndex.load(tmp_path)


@pytest.mark.parametrize(("k1", "b"), [(-1, 0.5), (1, 1.5), (math.nan, 0.5), (1, math.nan)])
def test_parameters_out_of_range_are_refused(k1: float, b: float) -> None:
    with pytest.raises(ConfigError, match="k1 must be"):
        Bm25(k1, b)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The cats' running", ["cat", "run"]),
        ("it's couldn't they're user's", ["user"]),
        ("call os.path.join(x).", ["call", "os.path.join", "os", "path", "join", "x"]),
        ("__init__ snake_case", ["init", "snake_case", "snake", "case"]),
        (
            "HTTPServer2 LexicalIndex",
            ["httpserver2", "http", "server", "2", "lexicalindex", "lexic", "index"],
        ),
        ("Python 3.11", ["python", "3.11", "3", "11"]),
        ("日本語", ["日本", "本語"]),
        ("Pythonの文字", ["python", "の文", "文字"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("ｆｕｌｌ ﬁne", ["full", "fine"]),
        ("Straße ΟΔΟΣ", ["straße", "οδος"]),
        ("", []),
        ("...!?", []),
        ("x" * 100, ["x" * 64]),
    ],
)
def test_terms(text: str, terms: list[str]) -> None:
    assert Analyzer().terms(text) == terms


@given(st.text(st.characters(), max_size=60))
def test_any_text_can_be_analyzed_indexed_and_found(text: str) -> None:
    index = LexicalIndex.build(["other words", text])
    if index.analyzer.terms(text):
        assert 1 in answer(index, text, 2)[0]


def test_analyzers() -> None:
    assert Analyzer("german").terms("die Häuser") == ["die", "haus"]
    assert Analyzer("none", frozenset()).terms("the cats") == ["the", "cats"]
    assert pickle.loads(pickle.dumps(Analyzer("german"))) == Analyzer("german")
    assert Analyzer() != Analyzer("none")
    with pytest.raises(ConfigError, match="no stemmer for language 'klingon'"):
        Analyzer("klingon")
