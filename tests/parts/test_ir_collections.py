"""Test collections are read in every published shape, and what is wrong in one is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from sixfold.errors import InputError
from sixfold.parts.ir_collections import load_collection

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "ir"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def jsonl(*rows: dict[str, str]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


BEIR = {
    "corpus.jsonl": jsonl({"_id": "d1", "title": "T", "text": "one"}, {"_id": "d2", "text": "zwei ü"}),
    "queries.jsonl": jsonl({"_id": "q1", "text": "first"}, {"_id": "q2", "text": "unjudged"}),
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n",
    "qrels/train.tsv": "query-id\tcorpus-id\tscore\nq2\td1\t1\n",
}
TREC = {
    "docs.trec": "<DOC>\n<DOCNO> A-1 </DOCNO>\n<TITLE>Head &amp; tail</TITLE>\n"
    "<TEXT>\nbody <b>bold</b>\n</TEXT>\n</DOC>\n"
    "<DOC>\n<DOCNO>A-2</DOCNO>\nbare text\n</DOC>\n",
    "topics": "<top>\n<num> Number: 007\n<title> spies\n\n<desc> Description:\nabout spies\n</top>\n"
    "<top><num>8</num><title></title><desc>only described</desc></top>\n",
    "qrels.txt": "7 0 A-1 1\n7 0 A-2 0\n008 0 A-2 2\n",
    "README": "words about it\n",
}
SMART = {
    "X.ALL": ".I 1\n.T\nFirst\ntitle\n.A\nNobody\n.W\nfirst text\n.X\n1 1 1\n"
    ".I 2\n.T\nSecond\n.W\nsecond text\n.I 3\n.W\n",
    "X.QRY": ".I 1\n.W\nwhat is\nfirst?\n.I 2\n.W\nunjudged\n",
    "X.REL": "     1      1\t0\t0.000000\r\n     1      2\t0\t0.000000\r\n",
}
CRANFIELD = {
    "cran.all.1400": "".join(f".I {i}\n.T\ntitle {i}\n.A\na\n.B\nb\n.W\ntext {i}\n" for i in range(1, 8)),
    "cran.qry": ".I 001\n.W\nquery a\n.I 002\n.W\nquery b\n.I 004\n.W\nquery c\n",
    "cranqrel": "1 5 2\n1 6 -1\n2 7 4\n3 1 3 \n",
    "cranqrel.readme": "three columns: the first is the query number ...\n",
}


def test_beir(tmp_path: Path) -> None:
    collection = load_collection(write(tmp_path / "tiny", BEIR))
    assert collection.name == "tiny"
    assert collection.documents == {"d1": ("T", "one"), "d2": ("", "zwei ü")}
    assert collection.queries == {"q1": "first"}
    assert collection.qrels == {"q1": {"d1": 2, "d2": 0}}
    assert load_collection(tmp_path / "tiny", split="train").qrels == {"q2": {"d1": 1}}


def test_beir_gzipped_in_a_subfolder(tmp_path: Path) -> None:
    folder = write(tmp_path / "a" / "b", BEIR)
    plain = load_collection(folder)
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    assert load_collection(tmp_path).documents == plain.documents


def test_trec(tmp_path: Path) -> None:
    collection = load_collection(write(tmp_path, TREC))
    assert collection.documents == {"A-1": ("Head & tail", "body bold"), "A-2": ("", "bare text")}
    assert collection.queries == {"7": "spies", "8": "only described"}
    assert collection.qrels == {"7": {"A-1": 1, "A-2": 0}, "8": {"A-2": 2}}


def test_trec_with_attributes_and_a_root(tmp_path: Path) -> None:
    topic = '<?xml version="1.0"?>\n<all>\n<topic number="7" type="x"><query>spies</query></topic>\n</all>\n'
    collection = load_collection(write(tmp_path, TREC | {"topics": topic, "docs.trec": f"<x>{TREC['docs.trec']}</x>"}))
    assert collection.queries == {"7": "spies"}
    assert len(collection.documents) == 2


def test_smart(tmp_path: Path) -> None:
    collection = load_collection(write(tmp_path, SMART))
    assert collection.documents == {
        "1": ("First title", "first text"),
        "2": ("Second", "second text"),
        "3": ("", ""),
    }
    assert collection.queries == {"1": "what is first?"}
    assert collection.qrels == {"1": {"1": 1, "2": 1}}


def test_smart_with_judgements_of_trec(tmp_path: Path) -> None:
    collection = load_collection(write(tmp_path, SMART | {"X.REL": "1 0 2 1\n1 0 3 1\n"}))
    assert collection.qrels == {"1": {"2": 1, "3": 1}}


def test_cranfield_queries_are_numbered_in_order(tmp_path: Path) -> None:
    collection = load_collection(write(tmp_path, CRANFIELD))
    assert collection.queries == {"1": "query a", "2": "query b", "3": "query c"}
    assert collection.qrels == {"1": {"5": 1, "6": 0}, "2": {"7": 1}, "3": {"1": 1}}
    assert collection.documents["7"] == ("title 7", "text 7")


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        (BEIR, {"corpus.jsonl": '{"_id": "d1"}\n{"_id": \n'}, r"corpus\.jsonl:2: not JSON"),
        (
            BEIR,
            {"corpus.jsonl": '{"text": "no id"}\n'},
            r"corpus\.jsonl:1: expected an object with the field _id",
        ),
        (
            BEIR,
            {"corpus.jsonl": '{"_id": 1}\n\n{"_id": 1}\n'},
            r"corpus\.jsonl:3: the identifier '1' is there twice",
        ),
        (BEIR, {"qrels/test.tsv": "a\tb\tc\nq1\td1\n"}, r"test\.tsv:2: expected query, document and grade"),
        (BEIR, {"qrels/test.tsv": "q1\td1\tgood\n"}, "no judged query"),
        (
            BEIR,
            {"qrels/test.tsv": "q1\td1\t1\nq1\td2\tgood\n"},
            r"test\.tsv:2: expected a whole number .* 'good'",
        ),
        (BEIR, {"qrels/test.tsv": "q9\td1\t1\n"}, "no judged query"),
        (BEIR, {"corpus.jsonl": ""}, "no documents"),
        (
            TREC,
            {"docs.trec": "<DOC><DOCNO>1</DOCNO>x</DOC>\n<DOC>\nno number</DOC>"},
            r"docs\.trec:2: .* no <DOCNO>",
        ),
        (
            TREC,
            {"docs.trec": "<DOC><DOCNO>1</DOCNO>x</DOC>\n\n<DOC><DOCNO>2"},
            r"docs\.trec:3: <DOC> without its end",
        ),
        (TREC, {"topics": "<top><title>x</title></top>"}, r"topics:1: this topic has no <num>"),
        (TREC, {"qrels.txt": "7 0 A-1 1\n7 0\n"}, r"qrels\.txt:2: expected 3 or 4 fields, got 2"),
        (TREC, {"qrels.txt": "7 0 A-1 1\n7 0 A-2 x\n"}, r"qrels\.txt:2: expected a whole number"),
        (TREC, {"qrels.txt": "none\n"}, "no file of judgements"),
        (SMART, {"X.QRY": ".I 1\n.W\nx\n.I x\n"}, r"X\.QRY:4: expected a number after \.I, got 'x'"),
        (SMART, {"X.QRY": "nothing of the kind\n"}, "unknown collection format"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, base: dict[str, str], change: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_collection(write(tmp_path, base | change))


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder; expected BEIR"):
        load_collection(tmp_path / "absent")
    with pytest.raises(InputError, match=r"unknown collection format \(found no files\); expected BEIR"):
        load_collection(tmp_path)
    write(tmp_path, {"a/corpus.jsonl": "", "b/corpus.jsonl": ""})
    with pytest.raises(InputError, match="holds 2 BEIR collections"):
        load_collection(tmp_path)


def test_a_truncated_gzip_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, BEIR)
    (folder / "queries.jsonl").write_bytes(gzip.compress(BEIR["queries.jsonl"].encode())[:-12])
    with pytest.raises(InputError, match=r"queries\.jsonl: cannot be read"):
        load_collection(folder)


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared test collections are not here")
@pytest.mark.parametrize(
    ("name", "documents", "queries", "judgements"), [("cisi", 1460, 76, 3114), ("npl", 11429, 93, 2083)]
)
def test_published_counts(name: str, documents: int, queries: int, judgements: int) -> None:
    collection = load_collection(DATA / name)
    assert len(collection.documents) == documents
    assert len(collection.queries) == len(collection.qrels) == queries
    assert sum(map(len, collection.qrels.values())) == judgements
    assert all(text for text in collection.queries.values())
