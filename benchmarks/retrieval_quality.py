"""nDCG@10 of each retrieval leg and of their fusion on CISI and NPL, beside that of bm25s.

    python benchmarks/retrieval_quality.py [--data DIR] [--json] [--quick]

DIR holds collections in folders of their own (default ../shared/data/ir). Nothing is fitted here: BM25 has
published defaults and both legs count the same. --quick leaves out the vectors, and with them the fusion.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import bm25s
import Stemmer

from common import DATA, Row, machine, show
from sixfold.parts.fusion import standard
from sixfold.parts.ir_collections import Collection, load_collection
from sixfold.parts.ranking import compare, evaluate
from sixfold.systems.rag.evaluate import Runs, embed_with_progress, lexical_runs, passages, vector_runs

TARGETS = {
    ("cisi", "lexical"): 0.395,
    ("npl", "lexical"): 0.436,
    ("cisi", "fused"): 0.450,
    ("npl", "fused"): 0.490,
}
MEASURE = "nDCG@10"


def bm25s_runs(texts: dict[str, str], queries: dict[str, str], k: int = 100) -> Runs:
    """The same texts and stemmer, its own tokens, stop words and defaults."""
    names, stemmer = list(texts), Stemmer.Stemmer("english")
    retriever = bm25s.BM25()
    retriever.index(
        bm25s.tokenize(list(texts.values()), stopwords="en", stemmer=stemmer, show_progress=False),
        show_progress=False,
    )
    asked = bm25s.tokenize(list(queries.values()), stopwords="en", stemmer=stemmer, show_progress=False)
    found, scores = retriever.retrieve(asked, k=min(k, len(names)), show_progress=False)
    return {
        query: [(names[at], float(score)) for at, score in zip(row, row_scores, strict=True)]
        for query, row, row_scores in zip(queries, found.tolist(), scores.tolist(), strict=True)
    }


def measure(collection: Collection, vectors: bool) -> list[Row]:
    texts = passages(collection)
    legs = {"lexical": lexical_runs(texts, collection.queries)}
    if vectors:
        from sixfold.parts.embedder import Embedder

        embedder = Embedder.load(threads=1)
        names, queries = list(texts), list(collection.queries)
        vectors_nd = embed_with_progress(embedder.embed, list(texts.values()))
        queries_qd = embed_with_progress(embedder.embed, list(collection.queries.values()))
        legs["vector"] = vector_runs(names, vectors_nd, queries, queries_qd)
        legs["fused"] = {query: standard([legs["lexical"][query], legs["vector"][query]]) for query in queries}
    peer = bm25s_runs(texts, collection.queries)
    peer_value = evaluate(collection.qrels, peer, [MEASURE])[MEASURE].value
    rows = []
    for leg, runs in legs.items():
        estimate = evaluate(collection.qrels, runs, [MEASURE])[MEASURE]
        target = TARGETS.get((collection.name, leg))
        note = f"95 % [{estimate.low:.3f}, {estimate.high:.3f}], n {estimate.n}"
        if leg != "lexical":
            gain = compare(collection.qrels, runs, legs["lexical"], MEASURE)
            note += f"; over lexical {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
        rows.append(
            Row(
                f"{collection.name} {leg} {MEASURE}",
                estimate.value,
                "",
                peer=peer_value,
                ratio=estimate.value / peer_value,
                target=target,
                passed=None if target is None else estimate.value >= target,
                note=note,
            )
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA / "ir", help="a folder of collections")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="lexical only")
    options = parser.parse_args()
    folders = sorted(path for path in options.data.glob("*") if path.is_dir())
    if not folders:
        print(f"{options.data}: no collections here; name a folder with --data", file=sys.stderr)
        return 2
    rows = [row for folder in folders for row in measure(load_collection(folder), vectors=not options.quick)]
    about = machine("numpy", "bm25s", "PyStemmer", "ir_measures", "torch")
    show(
        "retrieval_quality",
        about | {"peer": "bm25s, method lucene, k1 1.5, b 0.75"},
        rows,
        as_json=options.json,
    )
    return 0 if all(row.passed is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
