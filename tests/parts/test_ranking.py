"""Ranking measures: known values, intervals that cover, and order that is the run's own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sixfold.errors import ConfigError
from sixfold.parts.ranking import Estimate, bootstrap, compare, evaluate, per_query

QRELS = {"1": {"a": 1, "b": 1}, "2": {"c": 2, "d": 1}, "3": {"e": 1}}
RUNS = {"1": [("a", 3.0), ("x", 2.0), ("b", 1.0)], "2": [("d", 0.9), ("c", 0.8)]}


def test_known_values() -> None:
    values = per_query(QRELS, RUNS)
    ideal = 1 + 1 / math.log2(3)
    assert values["nDCG@10"]["1"] == pytest.approx(1.5 / ideal)
    assert values["nDCG@10"]["2"] == pytest.approx((1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)))
    assert values["AP@100"] == {"1": pytest.approx((1 + 2 / 3) / 2), "2": 1.0, "3": 0.0}
    assert values["RR@10"] == {"1": 1.0, "2": 1.0, "3": 0.0}  # a query without an answer counts
    assert values["R@100"] == {"1": 1.0, "2": 1.0, "3": 0.0}


def test_ties_keep_the_order_of_the_run() -> None:
    forward, backward = [("a", 1.0), ("x", 1.0)], [("x", 1.0), ("a", 1.0)]
    qrels = {"1": {"a": 1}}
    assert per_query(qrels, {"1": forward}, ["RR@10"])["RR@10"]["1"] == 1.0
    assert per_query(qrels, {"1": backward}, ["RR@10"])["RR@10"]["1"] == 0.5


def test_intervals_are_seeded_and_cover() -> None:
    assert bootstrap([0.0, 1.0, 1.0], seed=1) == bootstrap([0.0, 1.0, 1.0], seed=1)
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(200):
        estimate = bootstrap(rng.beta(2, 3, size=60).tolist(), seed, resamples=400)
        covered += estimate.low <= 0.4 <= estimate.high
    assert 0.89 <= covered / 200 <= 0.99
    with pytest.raises(ConfigError, match="no query was judged"):
        bootstrap([])


def test_evaluate_and_compare() -> None:
    assert evaluate(QRELS, RUNS, ["RR@10"])["RR@10"].n == 3
    assert compare(QRELS, RUNS, RUNS) == Estimate(0.0, 0.0, 0.0, 3)
    assert compare(QRELS, RUNS, {}).low > 0 or compare(QRELS, RUNS, {}).value > 0


def test_an_unknown_measure_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown measure"):
        per_query(QRELS, RUNS, ["nDCG10"])
