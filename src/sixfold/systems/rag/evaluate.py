"""Retrieval quality on a test collection: each leg and their fusion, with intervals.

A document is one passage, title and text; the encoder reads its first 256 tokens (so BEIR scores encoders of
single vectors), the lexical index all of it. Both legs search exactly; analysis, scoring and fusion are those
of `sixfold rag ask`. Each leg gives its first 100 documents, to the fusion as to the measures.
"""

from __future__ import annotations

import json as json_module
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sixfold.parts.fusion import DEPTH, Run, standard
from sixfold.parts.ir_collections import Collection, load_collection
from sixfold.parts.lexical import Analyzer, LexicalIndex
from sixfold.parts.ranking import MEASURES, Estimate, compare, evaluate

__all__ = [
    "LegRow",
    "collection_legs",
    "embed_with_progress",
    "evaluate_collection",
    "evaluate_legs",
    "lexical_runs",
    "passages",
    "run_eval",
    "vector_runs",
]

Vectors = npt.NDArray[np.float32]
Runs = dict[str, Run]
Embed = Callable[[list[str]], Vectors]

_BLOCK = 65_536  # documents scored at once


@dataclass(frozen=True, slots=True)
class LegRow:
    """One measure of one leg: mean over n queries and its 95 % bootstrap interval."""

    leg: str  # lexical, vector, fused
    metric: str
    value: float
    low: float
    high: float
    n: int


def passages(collection: Collection) -> dict[str, str]:
    """document -> its title and text as one passage."""
    return {key: f"{title} {text}".strip() for key, (title, text) in collection.documents.items()}


def lexical_runs(
    texts: Mapping[str, str], queries: Mapping[str, str], analyzer: Analyzer | None = None, k: int = DEPTH
) -> Runs:
    """Each query's k best documents by BM25."""
    names = list(texts)
    index = LexicalIndex.build(texts.values(), analyzer)
    runs: Runs = {}
    for query, text in queries.items():
        terms = index.analyzer.terms(text)
        positions, scores = index.search(terms, index.statistics(terms), k)
        runs[query] = [(names[at], score) for at, score in zip(positions.tolist(), scores.tolist(), strict=True)]
    return runs


def vector_runs(
    names: Sequence[str], vectors_nd: Vectors, queries: Sequence[str], queries_qd: Vectors, k: int = DEPTH
) -> Runs:
    """Each query's k nearest documents by inner product, exactly, ties by position.

    vectors_nd, queries_qd: [n, d] and [q, d], normalised.
    """
    runs: Runs = {}
    for query, vector_d in zip(queries, queries_qd, strict=True):
        scores_n = np.concatenate(
            [vectors_nd[at : at + _BLOCK] @ vector_d for at in range(0, len(vectors_nd), _BLOCK)] or [np.zeros(0)]
        )
        found = np.arange(len(scores_n))
        if len(found) > k:
            found = np.flatnonzero(scores_n >= np.partition(scores_n, -k)[-k])
        best = found[np.lexsort((found, -scores_n[found]))][:k]
        runs[query] = [(names[at], float(scores_n[at])) for at in best.tolist()]
    return runs


def evaluate_legs(
    qrels: Mapping[str, Mapping[str, int]],
    legs: Mapping[str, Mapping[str, Run]],
    measures: Sequence[str] = MEASURES,
    seed: int = 0,
) -> list[LegRow]:
    """The rows of any set of rankings, whoever made them: leg -> query -> run."""
    return [
        LegRow(leg, metric, estimate.value, estimate.low, estimate.high, estimate.n)
        for leg, runs in legs.items()
        for metric, estimate in evaluate(qrels, runs, measures, seed).items()
    ]


def collection_legs(collection: Collection, embed: Embed, analyzer: Analyzer | None = None) -> dict[str, Runs]:
    """The rankings of the three legs: lexical, vector, fused."""
    texts = passages(collection)
    lexical = lexical_runs(texts, collection.queries, analyzer)
    names, queries = list(texts), list(collection.queries)
    vectors_nd = embed([texts[name] for name in names])
    vector = vector_runs(names, vectors_nd, queries, embed([collection.queries[query] for query in queries]))
    fused = {query: standard([lexical[query], vector[query]], depth=DEPTH) for query in queries}
    return {"lexical": lexical, "vector": vector, "fused": fused}


def evaluate_collection(
    collection: Collection, embed: Embed, measures: Sequence[str] = MEASURES, seed: int = 0
) -> list[LegRow]:
    """Index, embed, search and judge a collection in this process.

    embed: list of texts -> [n, d] float32, normalised.
    """
    return evaluate_legs(collection.qrels, collection_legs(collection, embed), measures, seed)


def run_eval(folder: Path, *, json: bool = False, seed: int = 0) -> dict[str, Any]:
    """`sixfold rag eval`: load, score and print a collection; the printed object is also returned.

    Raises InputError if the folder is not a collection that can be read.
    """
    from sixfold.parts.embedder import Embedder

    collection = load_collection(folder)
    embedder = Embedder.load(threads=len(os.sched_getaffinity(0)))
    legs = collection_legs(collection, lambda texts: embed_with_progress(embedder.embed, texts))
    rows = evaluate_legs(collection.qrels, legs, seed=seed)
    gains = {
        f"fused - {leg}": asdict(compare(collection.qrels, legs["fused"], legs[leg], seed=seed))
        for leg in ("lexical", "vector")
    }
    answer = {
        "collection": collection.name,
        "documents": len(collection.documents),
        "queries": len(collection.queries),
        "seed": seed,
        "rows": [asdict(row) for row in rows],
        "paired_difference": {"metric": MEASURES[0], **gains},
    }
    if json:
        print(json_module.dumps(answer))
    else:
        _print(answer, rows, {name: Estimate(**gain) for name, gain in gains.items()})
    return answer


def embed_with_progress(embed: Embed, texts: list[str], step: int = 512) -> Vectors:
    """Embed in steps of texts of like length, which wastes the least on padding, and show how far it is."""
    from rich.console import Console
    from rich.progress import track

    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    steps = [order[at : at + step] for at in range(0, len(order), step)]
    blocks = [
        embed([texts[at] for at in chosen])
        for chosen in track(steps, "embedding", console=Console(stderr=True), transient=True)
    ]
    joined = np.concatenate(blocks)
    vectors_nd = np.empty_like(joined)
    vectors_nd[order] = joined
    return vectors_nd


def _print(answer: Mapping[str, Any], rows: Sequence[LegRow], gains: Mapping[str, Estimate]) -> None:
    from rich.console import Console
    from rich.table import Table

    caption = f"{answer['documents']:,} documents, {answer['queries']} judged queries, 95 % bootstrap intervals"
    table = Table(title=answer["collection"], caption=caption)
    legs = list(dict.fromkeys(row.leg for row in rows))
    table.add_column("")
    for leg in legs:
        table.add_column(leg, justify="right")
    for metric in dict.fromkeys(row.metric for row in rows):
        of_metric = [row for row in rows if row.metric == metric]
        cells = {row.leg: f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]" for row in of_metric}
        table.add_row(metric, *(cells[leg] for leg in legs))
    console = Console(highlight=False)
    console.print(table)
    for name, gain in gains.items():
        line = f"{name}: {MEASURES[0]} {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
        console.print(line, markup=False)
