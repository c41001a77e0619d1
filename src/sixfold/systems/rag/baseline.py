"""The baseline of rag: the same work in one plain process, without an engine, as fast as we can make it.

It crawls with one event loop that overlaps its requests, cleans without a guard, builds one index of everything,
encodes in the precision that is fastest on this processor, scans exactly, and answers one question after the other.
Each stage's own module does the single-process form of its work when it is run with BASELINE for its workers.
"""

from __future__ import annotations

from sixfold.study import Measurement, Trial
from sixfold.systems.rag import (
    ladder_clean,
    ladder_embed,
    ladder_evaluate,
    ladder_index,
    ladder_retrieve,
    ladder_serve,
)

__all__ = ["baseline"]

_PARTS = {
    "crawl-clean-dedup": ladder_clean.run,
    "index": ladder_index.run,
    "embed": ladder_embed.run,
    "retrieve": ladder_retrieve.run,
    "serve": ladder_serve.run,
    "evaluate": ladder_evaluate.run,
}


def baseline(trial: Trial) -> Measurement:
    """The single process's part of one stage."""
    return _PARTS[trial.stage](trial)
