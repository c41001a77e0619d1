"""Several rankings of the same documents become one.

A run is a list of (document, score), best first, each document once. Nothing here is fitted to a collection:
ranks need no weights, and scores are brought to one scale by what is known of each run alone. Ties are broken
by the document's name, so that the same runs always give the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum, sqrt

from sixfold.errors import ConfigError

__all__ = ["DEPTH", "FUSIONS", "Run", "minmax", "rrf", "standard"]

Run = list[tuple[str, float]]

DEPTH = 100  # documents of each run that are looked at


def rrf(runs: Sequence[Run], k: float = 60.0, depth: int = DEPTH) -> Run:
    """Reciprocal rank fusion: a document's score is the sum of 1 / (k + rank) over the runs that have it.

    Cormack, Clarke & Büttcher, SIGIR 2009; k = 60 is theirs.
    """
    fused: dict[str, float] = {}
    for run in runs:
        for rank, (document, _) in enumerate(run[:depth], 1):
            fused[document] = fused.get(document, 0.0) + 1.0 / (k + rank)
    return _sorted(fused)


def minmax(runs: Sequence[Run], weights: Sequence[float] | None = None, depth: int = DEPTH) -> Run:
    """Convex combination of scores after the best of each run is moved to 1 and its last to 0.

    CombSUM of Fox & Shaw, TREC-2, 1994; with weights, Bruch, Gai & Ingber, TOIS 2023, sections 3 and 4.
    Without weights all runs count the same. Raises ConfigError if the weights are not one to a run.
    """
    fused: dict[str, float] = {}
    for run, weight in zip(runs, _weights(runs, weights), strict=True):
        top = run[:depth]
        low, high = (top[-1][1], top[0][1]) if top else (0.0, 0.0)
        for document, score in top:
            scaled = (score - low) / (high - low) if high > low else 1.0
            fused[document] = fused.get(document, 0.0) + weight * scaled
    return _sorted(fused)


def standard(
    runs: Sequence[Run],
    weights: Sequence[float] | None = None,
    depth: int = DEPTH,
    floor: float = 0.0,
) -> Run:
    """Convex combination of scores in units of each run's standard deviation, above its last document.

    Montague & Aslam, "Relevance score normalization for metasearch", CIKM 2001 (zero mean, unit variance;
    here shifted so that what a run does not have counts as its last). A run shorter than the longest has
    found all it can, so the rest of it is taken to score `floor`: 0 for BM25. The only document with a rare
    word thus stands out as it should. Without weights all runs count the same. Raises as `minmax` does.
    """
    longest = max((len(run[:depth]) for run in runs), default=0)
    fused: dict[str, float] = {}
    for run, weight in zip(runs, _weights(runs, weights), strict=True):
        scores = [score for _, score in run[:depth]]
        if 0 < len(scores) < longest:
            scores += [min(floor, scores[-1])] * (longest - len(scores))
        mean = fsum(scores) / max(1, longest)
        deviation = sqrt(fsum((score - mean) ** 2 for score in scores) / max(1, longest))
        for document, score in run[:depth]:
            scaled = (score - scores[-1]) / deviation if deviation > 0 else 0.0
            fused[document] = fused.get(document, 0.0) + weight * scaled
    return _sorted(fused)


FUSIONS: dict[str, Callable[[Sequence[Run]], Run]] = {"standard": standard, "minmax": minmax, "rrf": rrf}


def _weights(runs: Sequence[Run], weights: Sequence[float] | None) -> Sequence[float]:
    if weights is None:
        return [1.0 / len(runs)] * len(runs)
    if len(weights) != len(runs) or any(not 0 <= weight < float("inf") for weight in weights):
        raise ConfigError(f"expected {len(runs)} weights >= 0, got {list(weights)}")
    return weights


def _sorted(fused: dict[str, float]) -> Run:
    return sorted(fused.items(), key=lambda item: (-item[1], item[0]))
