"""How good a ranking is: the measures of information retrieval, per query, with intervals.

The measures are computed by ir_measures (MacAvaney et al., 2022), which runs trec_eval's code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sixfold.errors import ConfigError

__all__ = ["MEASURES", "Estimate", "bootstrap", "compare", "evaluate", "per_query"]

MEASURES = ("nDCG@10", "R@100", "RR@10", "AP@100")  # the mean over queries of AP is MAP, of RR MRR

Qrels = Mapping[str, Mapping[str, int]]
Run = Sequence[tuple[str, float]]  # (document, score), best first


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over n queries with a 95 % interval."""

    value: float
    low: float
    high: float
    n: int


def per_query(qrels: Qrels, runs: Mapping[str, Run], measures: Sequence[str] = MEASURES) -> dict[str, dict[str, float]]:
    """measure -> query -> value, for every judged query; one that was answered with nothing has 0.

    A run is scored in the order it is given. Raises ConfigError if a measure is unknown.
    """
    import ir_measures

    try:
        parsed = {str(measure): ir_measures.parse_measure(measure) for measure in measures}
    except (NameError, ValueError, SyntaxError) as error:
        raise ConfigError(f"unknown measure ({error}); expected such as {', '.join(MEASURES)}") from None
    # trec_eval orders by score and breaks ties its own way: the rank is handed over in place of the score.
    ranked = {query: {document: float(-rank) for rank, (document, _) in enumerate(run)} for query, run in runs.items()}
    judged = {query: dict(grades) for query, grades in qrels.items()}
    values: dict[str, dict[str, float]] = {name: dict.fromkeys(judged, 0.0) for name in parsed}
    names = {measure: name for name, measure in parsed.items()}
    for metric in ir_measures.iter_calc(list(parsed.values()), judged, ranked):
        values[names[metric.measure]][metric.query_id] = float(metric.value)
    return values


def bootstrap(values: Sequence[float], seed: int = 0, resamples: int = 10_000) -> Estimate:
    """The mean and its percentile bootstrap interval over queries (Sakai, SIGIR 2006)."""
    sample = np.asarray(values, dtype=np.float64)
    if not len(sample):
        raise ConfigError("nothing to average: no query was judged")
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, 1_000_000 // len(sample))  # bounds the memory
    for at in range(0, resamples, step):
        size = min(step, resamples - at)
        means[at : at + size] = sample[rng.integers(0, len(sample), (size, len(sample)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(sample.mean()), float(low), float(high), len(sample))


def evaluate(
    qrels: Qrels, runs: Mapping[str, Run], measures: Sequence[str] = MEASURES, seed: int = 0
) -> dict[str, Estimate]:
    """Each measure's mean over the judged queries, with its interval."""
    return {name: bootstrap(list(values.values()), seed) for name, values in per_query(qrels, runs, measures).items()}


def compare(
    qrels: Qrels,
    better: Mapping[str, Run],
    worse: Mapping[str, Run],
    measure: str = MEASURES[0],
    seed: int = 0,
) -> Estimate:
    """The mean difference of two systems, resampling queries in pairs: it is real where `low` is above 0."""
    one, two = (per_query(qrels, runs, [measure])[measure] for runs in (better, worse))
    return bootstrap([one[query] - two[query] for query in one], seed)
