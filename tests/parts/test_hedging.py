"""Hedging: not before the tail is known, at the quantile asked for, and never more than its share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.parts.hedging import Hedging


def test_nothing_is_hedged_before_the_tail_is_known() -> None:
    hedging = Hedging()
    for _ in range(19):
        hedging.record(0.01)
    assert hedging.delay_s is None
    hedging.record(0.01)
    assert hedging.delay_s == pytest.approx(0.01)


@given(st.lists(st.floats(0.001, 10), min_size=20, max_size=20))
def test_the_delay_is_the_quantile_of_what_was_seen(latencies: list[float]) -> None:
    hedging = Hedging(quantile=0.9)
    for latency_s in latencies:
        hedging.record(latency_s)
    assert hedging.delay_s == pytest.approx(np.quantile(latencies, 0.9))


@given(st.integers(20, 400), st.floats(0.01, 0.5))
def test_second_requests_stay_below_their_share(requests: int, share: float) -> None:
    hedging = Hedging(most_extra=share)
    second = 0
    for _ in range(requests):
        if hedging.delay_s is not None:  # every replica is slow: each request would be hedged
            hedging.spend()
            second += 1
        hedging.record(1.0)
    assert second <= 1 + share * requests


@pytest.mark.parametrize("quantile", [0.0, 1.0, -1.0])
def test_bounds(quantile: float) -> None:
    with pytest.raises(ConfigError, match="quantile"):
        Hedging(quantile=quantile)
