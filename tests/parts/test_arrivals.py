"""Arrivals ascend, keep to their steps, and come as often as they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.parts.arrivals import Step, poisson_arrivals, stepped_arrivals, trace_arrivals

STEPS = st.lists(st.builds(Step, st.floats(0, 20), st.floats(0, 50)), max_size=4)


@given(STEPS, st.integers(0, 9))
def test_arrivals_ascend_within_their_steps(steps, seed):
    times = stepped_arrivals(steps, seed)
    assert np.all(np.diff(times) >= 0)
    assert np.all((times >= 0) & (times <= sum(step.duration_s for step in steps)))
    assert np.array_equal(times, stepped_arrivals(steps, seed))


@given(STEPS, st.floats(0.1, 5))
def test_what_follows_a_step_does_not_change_it(steps, more_s):
    before = stepped_arrivals(steps, 1)
    assert np.array_equal(stepped_arrivals([*steps, Step(more_s, 10.0)], 1)[: len(before)], before)


def test_a_poisson_process_has_its_rate_and_its_gaps():
    times = poisson_arrivals(200, 500, seed=3)
    assert abs(len(times) - 100_000) < 5 * 100_000**0.5
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.02)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.02)  # exponential: as wide as it is long


@pytest.mark.parametrize("step", [Step(-1, 1), Step(1, float("nan")), Step(float("inf"), 1), Step(1e6, 1e6)])
def test_impossible_steps(step):
    with pytest.raises(ConfigError):
        stepped_arrivals([step], 0)


def test_a_trace_begins_at_its_first_request(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("id,at_s\n7,100.5\n8,101.5\n9,101.5\n")
    assert trace_arrivals(path).tolist() == [0.0, 1.0, 1.0]
    assert trace_arrivals(path, speed=4).tolist() == [0.0, 0.25, 0.25]
    assert trace_arrivals(path, column="id").tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("at_s\n1\nsoon\n", ":3: got 'soon'"),
        ("at_s\n1\n\n0.5\n", "expected at least the 1"),
        ("at_s\nnan\n", "expected a finite number"),
        ("when\n1\n", "no column 'at_s', there are when"),
        ("at_s\n", "without requests"),
        ("", "no column"),
    ],
)
def test_a_bad_trace_is_refused_by_line(tmp_path, text, told):
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        trace_arrivals(path)


def test_a_trace_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        trace_arrivals(tmp_path / "nowhere.csv")
    with pytest.raises(ConfigError):
        trace_arrivals(tmp_path / "nowhere.csv", speed=0)
