"""Asking again is bounded by attempts, by patience and by the deadline, and never sooner than was asked for."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.parts.retry import RetryPolicy, retry_after_s

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
seconds = st.floats(0, 100)


@given(st.integers(1, 6), seconds, seconds, seconds, st.floats(0, 1, exclude_max=True), st.none() | seconds)
def test_waits_fit_the_deadline_and_end(attempts, first_s, more_s, left_s, spread, asked_s):
    policy = RetryPolicy(attempts, first_s, first_s + more_s)
    waits = []
    while (wait_s := policy.wait_s(len(waits) + 1, left_s, spread, asked_s)) is not None:
        assert wait_s < left_s
        assert wait_s <= policy.most_s
        assert asked_s is None or wait_s >= asked_s
        left_s -= wait_s
        waits.append(wait_s)
    assert len(waits) < attempts


def test_the_wait_doubles_and_is_spread():
    policy = RetryPolicy(attempts=9, first_s=0.1, most_s=0.5)
    assert [policy.wait_s(n, 60, 0.0) for n in (1, 2, 3, 4)] == pytest.approx([0.05, 0.1, 0.2, 0.25])
    assert policy.wait_s(1, 60, 0.999) == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 12:00:09 GMT", 9.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 12:00:09", 9.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(header, expected):
    assert retry_after_s(header, NOW) == expected


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first_s": -1}, {"first_s": 2, "most_s": 1}])
def test_bad_policies(wrong):
    with pytest.raises(ConfigError):
        RetryPolicy(**wrong)
