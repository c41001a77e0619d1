"""A peer of benchmarks/serve_latency.py: qdrant-client in local mode on the vectors of our encoder.

    python serve_qdrant.py FOLDER

FOLDER has texts.json ({"ids", "texts"}), vectors.npy [n, d] and questions.json ({id: text}). A question is embedded by
our encoder, since the client has none without a download, and searched by its vector only. Prints one JSON object:
seconds of every question, the ten best of each, the version.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from qdrant_client import QdrantClient, models

from sixfold.parts.embedder import Embedder

K, WARM_UP, PASSES = 10, 5, 3


def main(folder: Path) -> None:
    """Load the vectors and ask every question one by one."""
    corpus = json.loads((folder / "texts.json").read_text())
    questions = json.loads((folder / "questions.json").read_text())
    vectors = np.load(folder / "vectors.npy")
    embedder = Embedder.load(threads=1)
    client = QdrantClient(":memory:")
    client.create_collection(
        "passages", vectors_config=models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
    )
    began_s = time.perf_counter()
    payload = [{"id": key, "text": text} for key, text in zip(corpus["ids"], corpus["texts"], strict=True)]
    client.upload_collection("passages", vectors, payload, ids=range(len(vectors)))
    index_s = time.perf_counter() - began_s

    def ask(question: str) -> list[tuple[str, float]]:
        points = client.query_points("passages", query=embedder.embed_query(question), limit=K, with_payload=True)
        return [(point.payload["id"], point.score) for point in points.points]

    for question in list(questions.values())[:WARM_UP]:
        ask(question)
    seconds, runs = [], {}
    for _ in range(PASSES):
        for key, question in questions.items():
            began_s = time.perf_counter()
            runs[key] = ask(question)
            seconds.append(time.perf_counter() - began_s)
    print(json.dumps({"seconds": seconds, "runs": runs, "index_s": index_s, "version": version("qdrant-client")}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
