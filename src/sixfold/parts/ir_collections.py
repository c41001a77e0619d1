"""Test collections: documents, queries and relevance judgements, in the formats they are published in.

| format | documents | queries | judgements |
| --- | --- | --- | --- |
| BEIR | corpus.jsonl: _id, title, text | queries.jsonl: _id, text | qrels/test.tsv: query, document, grade |
| TREC | <DOC> records with <DOCNO> | <top> records | query, iteration, document, grade |
| SMART | .I .T .A .W records | fewer .I .W records | query, document, then a code or zeros |

TREC and SMART files are told by what is in them, not by their names; any file may be gzipped. Two traps:

- Only judged queries are kept: CISI judges 76 of its 112.
- Cranfield's query file numbers its 225 queries 1, 2, 4, 8 ... 365 while its judgements number the same
  queries 1 to 225 in order. Where judgements name queries that are not there and order explains them, order
  counts. Its codes 1 to 4 have been published both as "1 is best" and as "4 is best": here all are grade 1,
  and -1 (of no interest) is grade 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sixfold.errors import InputError
from sixfold.parts.ir_formats import (
    head,
    json_lines,
    plain_number,
    rows,
    smart_records,
    trec_documents,
    trec_topics,
)

__all__ = ["Collection", "load_collection"]

_T = TypeVar("_T")

Documents = dict[str, tuple[str, str]]
Queries = dict[str, str]
Judgements = dict[str, dict[str, int]]

_EXPECTED = (
    "expected BEIR (corpus.jsonl, queries.jsonl, qrels/*.tsv), TREC (files of <DOC> records, of <top> records"
    " and of judgements) or SMART (two files of .I records and one of judgements)"
)
_MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents as (title, text), the judged queries, and each query's judged documents with their grades."""

    name: str
    documents: Documents
    queries: Queries
    qrels: Judgements


def load_collection(folder: str | Path, split: str = "test") -> Collection:
    """Read a test collection, finding out its format; `split` is the BEIR file of judgements to prefer.

    Raises InputError with the file and line that is wrong, or naming the folder if its format is unknown.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"not a folder; {_EXPECTED}", path=folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())[:_MOST_FILES]
    corpus = [path for path in files if re.fullmatch(r"corpus\.jsonl(\.gz)?", path.name)]
    if len(corpus) > 1:
        raise InputError(f"holds {len(corpus)} BEIR collections; name the folder of one", path=folder)
    if corpus:
        documents, queries, judged = _beir(corpus[0], split)
    else:
        documents, queries, judged = _trec_or_smart(folder, files)
    queries = _in_order_if_judged_so(queries, judged)
    qrels = {query: grades for query, grades in judged.items() if query in queries}
    if not documents or not qrels:
        what = "no documents" if not documents else "no judged query that is among its queries"
        raise InputError(f"this collection has {what}; {_EXPECTED}", path=folder)
    return Collection(folder.resolve().name, documents, {query: queries[query] for query in qrels}, qrels)


def _beir(corpus: Path, split: str) -> tuple[Documents, Queries, Judgements]:
    folder = corpus.parent
    documents: Documents = {}
    for line, row in json_lines(corpus):
        _add(documents, str(row["_id"]), (_text(row, "title"), _text(row, "text")), corpus, line)
    asked = next(iter(sorted(folder.glob("queries.jsonl*"))), None)
    if asked is None:
        raise InputError("no queries.jsonl beside corpus.jsonl", path=folder)
    queries: Queries = {}
    for line, row in json_lines(asked):
        _add(queries, str(row["_id"]), _text(row, "text"), asked, line)
    splits = {path.name.split(".")[0]: path for path in sorted((folder / "qrels").glob("*.tsv*"))}
    chosen = next((splits[name] for name in (split, "test", "dev", "train") if name in splits), None)
    if chosen is None:
        raise InputError(f"no judgements qrels/{split}.tsv beside corpus.jsonl", path=folder)
    judged: Judgements = {}
    for line, fields in rows(chosen, "\t"):
        if line == 1 and not _is_number(fields[-1]):
            continue  # the header
        if len(fields) != 3:
            message = f"expected query, document and grade between tabs, got {len(fields)} fields"
            raise InputError(message, path=chosen, line=line)
        judged.setdefault(fields[0], {})[fields[1]] = _grade(fields[2], chosen, line)
    return documents, queries, judged


def _trec_or_smart(folder: Path, files: list[Path]) -> tuple[Documents, Queries, Judgements]:
    kinds: dict[str, list[Path]] = {}
    for path in files:
        if path.suffix.lower() not in (".old", ".bak"):
            kinds.setdefault(_kind(path), []).append(path)
    documents: Documents = {}
    queries: Queries = {}
    smart = len(kinds.get("smart", [])) >= 2
    if smart:
        read = sorted((list(smart_records(path)) for path in kinds["smart"]), key=len)
        # A collection has fewer queries than documents, whatever its files are called.
        queries = {key: f"{title} {text}".strip() for key, title, text in read[0]}
        documents = {key: (title, text) for records in read[1:] for key, title, text in records}
    elif "documents" in kinds and "topics" in kinds:
        for path in kinds["documents"]:
            for line, key, title, text in trec_documents(path):
                _add(documents, key, (title, text), path, line)
        for path in kinds["topics"]:
            for line, key, text in trec_topics(path):
                _add(queries, key, text, path, line)
    else:
        found = ", ".join(f"{len(paths)} of {kind}" for kind, paths in sorted(kinds.items())) or "no files"
        raise InputError(f"unknown collection format (found {found}); {_EXPECTED}", path=folder)
    if "judgements" not in kinds:
        raise InputError(f"no file of judgements; {_EXPECTED}", path=folder)
    judged: Judgements = {}
    for path in kinds["judgements"]:
        for query, key, grade in _judgements(path, documents, smart):
            judged.setdefault(query, {})[key] = grade
    return documents, queries, judged


def _kind(path: Path) -> str:
    """What a file of a TREC or SMART collection holds, by how it begins."""
    text = head(path)
    if re.match(r"\s*\.I\s+\d", text):
        return "smart"
    if re.search(r"<doc>\s*<docno>", text, re.IGNORECASE):
        return "documents"
    if re.search(r"<top>|<topic\s+number", text, re.IGNORECASE):
        return "topics"
    first = next((line.split() for line in text.splitlines() if line.strip()), [])
    if len(first) in (3, 4) and _is_number(first[-1]):
        return "judgements"
    return "other"


def _judgements(path: Path, documents: Documents, smart: bool) -> Iterator[tuple[str, str, int]]:
    """(query, document, grade): the document is the second or third field, whichever names documents."""
    lines = list(rows(path))
    for line, fields in lines:
        if len(fields) not in (3, 4):
            raise InputError(f"expected 3 or 4 fields, got {len(fields)}", path=path, line=line)
    normal: Callable[[str], str] = plain_number if smart else str
    second = sum(normal(fields[1]) in documents for _, fields in lines)
    third = sum(len(fields) == 4 and normal(fields[2]) in documents for _, fields in lines)
    trec = third >= second and (third > 0 or not smart)
    for line, fields in lines:
        query = plain_number(fields[0])
        if len(fields) == 4 and trec:
            yield query, normal(fields[2]), _grade(fields[3], path, line)
        elif len(fields) == 4:
            yield query, normal(fields[1]), 1  # SMART lists what is relevant and follows it with zeros
        else:
            grade = _grade(fields[2], path, line)
            yield query, normal(fields[1]), int(grade > 0) if smart else grade


def _in_order_if_judged_so(queries: Queries, judged: Judgements) -> Queries:
    """Number queries 1, 2, 3 ... if the judgements use that and not their own numbers (Cranfield)."""
    if not all(key.isdecimal() for key in [*queries, *judged]) or not judged.keys() - queries.keys():
        return queries
    own = [int(key) for key in queries]
    in_order = own == sorted(own) and own[:1] == [1] and own[-1] > len(own)
    if in_order and all(1 <= int(key) <= len(own) for key in judged):
        return {str(number): text for number, text in enumerate(queries.values(), 1)}
    return queries


def _add(items: dict[str, _T], key: str, value: _T, path: Path, line: int) -> None:
    if key in items:
        raise InputError(f"the identifier {key!r} is there twice", path=path, line=line)
    items[key] = value


def _text(row: dict[str, object], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def _grade(text: str, path: Path, line: int) -> int:
    if not _is_number(text) or float(text) != int(float(text)):
        raise InputError(f"expected a whole number as the grade, got {text!r}", path=path, line=line)
    return int(float(text))
