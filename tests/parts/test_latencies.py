"""Quantiles are exact to three digits, and adding up histograms is adding up what they hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.parts.latencies import LONGEST_S, Latencies

DURATIONS = st.lists(st.floats(1e-6, 600), min_size=1, max_size=60)


def of(durations):
    latencies = Latencies()
    for duration_s in durations:
        latencies.record(duration_s)
    return latencies


@given(DURATIONS, st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_quantiles(durations, q):
    exact = np.quantile(durations, q, method="inverted_cdf")
    latencies = of(durations)
    assert latencies.quantile_s(q) == pytest.approx(exact, rel=2e-3, abs=1e-6)
    assert latencies.mean_s == pytest.approx(np.mean(durations), abs=1e-6)


@given(DURATIONS, DURATIONS)
def test_adding_up(some, others):
    both, together = of(some), of([*some, *others])
    both.add(of(others))
    assert both.to_json() == together.to_json()
    assert both.encode() == together.encode()


def test_the_ends():
    assert of([0.0]).longest_s == 1e-6
    assert of([10 * LONGEST_S]).longest_s == pytest.approx(LONGEST_S, rel=2e-3)
    assert math.isnan(Latencies().mean_s)
    assert Latencies().to_json() == {
        "count": 0, "mean_s": None, "p50_s": None, "p90_s": None, "p99_s": None, "p99.9_s": None, "max_s": None,
    }  # fmt: skip
    with pytest.raises(ConfigError):
        Latencies().quantile_s(1.1)
