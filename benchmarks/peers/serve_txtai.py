"""A peer of benchmarks/serve_latency.py: txtai on a collection, MiniLM weights from the disk, hybrid search.

    python serve_txtai.py FOLDER [INDEX]

FOLDER has texts.json ({"ids", "texts"}), questions.json ({id: text}) and the path of the weights in weights.txt. Prints
one JSON object: seconds of every question, the ten best of each, the version. INDEX keeps what was indexed.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from txtai import Embeddings

K, WARM_UP, PASSES = 10, 5, 3


def main(folder: Path, index: Path | None) -> None:
    """Index the texts, or load the index of an earlier call, and ask every question one by one."""
    torch.set_num_threads(1)
    corpus = json.loads((folder / "texts.json").read_text())
    questions = json.loads((folder / "questions.json").read_text())
    weights = (folder / "weights.txt").read_text().strip()
    embeddings = Embeddings(path=weights, hybrid=True, content=True)
    began_s = time.perf_counter()
    if index is not None and index.exists():
        embeddings.load(str(index))
    else:
        embeddings.index(zip(corpus["ids"], corpus["texts"], strict=True))
        if index is not None:
            embeddings.save(str(index))
    index_s = time.perf_counter() - began_s
    for question in list(questions.values())[:WARM_UP]:
        embeddings.search(question, K)
    seconds, runs = [], {}
    for _ in range(PASSES):
        for key, question in questions.items():
            began_s = time.perf_counter()
            found = embeddings.search(question, K)  # with content: id, text and score of each
            seconds.append(time.perf_counter() - began_s)
            runs[key] = [(hit["id"], hit["score"]) for hit in found]
    print(json.dumps({"seconds": seconds, "runs": runs, "index_s": index_s, "version": version("txtai")}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
