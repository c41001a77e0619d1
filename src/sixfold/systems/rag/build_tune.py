"""Step six of a build: how many lists of the inverted file to look into, tuned and not guessed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from sixfold.parts.vectors import VectorIndex, tune
from sixfold.systems.rag.build_embed import embedder

__all__ = ["TARGET_RECALL", "TuneJob", "tune_segment"]

TARGET_RECALL = 0.99  # of the exact recall@10: within one point
_QUERIES, _WORDS = 64, 9


@dataclass(frozen=True, slots=True)
class TuneJob:
    """One segment to tune."""

    segment: Path


def tune_segment(job: TuneJob) -> int:
    """The fewest probes that find 99 % of the exact ten nearest; 0 where the segment is scanned exactly.

    The queries are the first words of passages spread over the segment: short, like questions, and drawn
    from what the index is about, but none of those that an evaluation scores.
    """
    index = VectorIndex.load(job.segment / "vectors")
    if not index.lists:
        return 0
    texts = pq.read_table(job.segment / "chunks.parquet", columns=["text"])["text"]
    chosen = np.linspace(0, len(texts) - 1, min(_QUERIES, len(texts))).astype(int)
    queries = [" ".join(texts[int(at)].as_py().split()[:_WORDS]) for at in chosen]
    return tune(index, embedder().embed(queries), 10, TARGET_RECALL)
