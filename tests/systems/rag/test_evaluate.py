"""A collection is scored leg by leg; both legs are exact and the fusion is made of them."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from sixfold.errors import InputError
from sixfold.parts.ir_collections import Collection
from sixfold.systems.rag.evaluate import (
    LegRow,
    collection_legs,
    evaluate_collection,
    evaluate_legs,
    run_eval,
    vector_runs,
)

COLLECTION = Collection(
    "tiny",
    {
        "1": ("Sorting", "quicksort and heapsort order a list"),
        "2": ("", "a heap is a tree"),
        "3": ("Cooking", "soup with lentils"),
        "4": ("", ""),
    },
    {"q1": "sorting lists", "q2": "lentil soup", "q3": "zzz"},
    {"q1": {"1": 2, "2": 1}, "q2": {"3": 1}, "q3": {"4": 1}},
)


def hashed(texts: list[str]) -> np.ndarray:
    """A small but real encoder: signed counts of hashed letter trigrams, normalised."""
    vectors = np.zeros((len(texts), 64), np.float32)
    for row, text in enumerate(texts):
        for at in range(len(text) - 2):
            code = zlib.crc32(text[at : at + 3].lower().encode())
            vectors[row, code % 64] += 1 if code & 64 else -1
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def test_every_leg_and_measure_has_a_row() -> None:
    rows = evaluate_collection(COLLECTION, hashed)
    assert [(row.leg, row.metric) for row in rows] == [
        (leg, metric) for leg in ("lexical", "vector", "fused") for metric in ("nDCG@10", "R@100", "RR@10", "AP@100")
    ]
    assert all(row.n == 3 and 0 <= row.low <= row.value <= row.high <= 1 for row in rows)
    lexical = {row.metric: row.value for row in rows if row.leg == "lexical"}
    assert lexical["RR@10"] == pytest.approx(2 / 3)  # the query without an answer counts
    assert rows == evaluate_collection(COLLECTION, hashed)


def test_fused_holds_what_the_legs_hold() -> None:
    legs = collection_legs(COLLECTION, hashed)
    assert legs["lexical"]["q3"] == []
    for query in COLLECTION.queries:
        fused = [name for name, _ in legs["fused"][query]]
        assert sorted(fused) == sorted({name for leg in ("lexical", "vector") for name, _ in legs[leg][query]})
    assert legs["fused"]["q2"][0][0] == "3"


def test_vector_search_is_exact_with_ties_by_position() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.integers(-2, 3, (300, 4)).astype(np.float32)
    queries = rng.integers(-2, 3, (5, 4)).astype(np.float32)
    names = [f"d{at}" for at in range(300)]
    runs = vector_runs(names, vectors, ["a", "b", "c", "d", "e"], queries, k=17)
    for query, vector in zip("abcde", queries, strict=True):
        scores = (vectors @ vector).tolist()
        expected = sorted(range(300), key=lambda at: (-scores[at], at))[:17]
        assert runs[query] == [(names[at], scores[at]) for at in expected]
    assert vector_runs([], np.zeros((0, 4), np.float32), ["a"], queries[:1]) == {"a": []}


def test_legs_made_by_others_are_judged_alike() -> None:
    rows = evaluate_legs({"q": {"url": 1}}, {"asked": {"q": [("other", 2.0), ("url", 1.0)]}}, ["RR@10"])
    assert rows == [LegRow("asked", "RR@10", 0.5, 0.5, 0.5, 1)]


def test_run_eval_prints_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sixfold.parts.embedder")
    lines = [{"_id": key, "title": t, "text": text} for key, (t, text) in COLLECTION.documents.items()]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = [{"_id": key, "text": text} for key, text in COLLECTION.queries.items()]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked))
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\t1\t2\nq2\t3\t1\n")
    answer = run_eval(tmp_path, json=True)
    assert json.loads(capsys.readouterr().out) == answer
    assert (answer["documents"], answer["queries"]) == (4, 2)
    vector = next(row for row in answer["rows"] if row["leg"] == "vector" and row["metric"] == "RR@10")
    assert vector["value"] == 1.0
    run_eval(tmp_path)
    assert "fused - lexical" in capsys.readouterr().out


def test_an_unknown_folder_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    pytest.importorskip("sixfold.parts.embedder")
    with pytest.raises(InputError, match="unknown collection format"):
        run_eval(tmp_path)
