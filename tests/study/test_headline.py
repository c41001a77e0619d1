"""Promise of the headline: the fastest row inside its gate and at E >= .70, or none, with the reason."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import make_row

from sixfold.errors import InvariantError
from sixfold.study import BASELINE, Gate, Row, pick_headline

qualities = st.floats(0, 1) | st.just(math.nan)
some_rows = st.lists(
    st.builds(
        lambda workers, wall_s, quality, work: make_row(workers=workers, wall_s=wall_s, quality=quality, work=work),
        st.integers(0, 8),
        st.floats(0.05, 20),
        qualities,
        st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    ),
    max_size=10,
)


@given(some_rows, st.floats(0.1, 10), st.floats(0, 1), st.floats(0, 0.2))
def test_the_headline_is_the_fastest_row_inside_both_gates(
    rows: list[Row], base_s: float, base_quality: float, tolerance: float
) -> None:
    baseline = make_row(workers=BASELINE, wall_s=base_s, quality=base_quality)
    headline = pick_headline(rows, baseline, Gate(tolerance))
    inside = [
        row
        for row in rows
        if row.workers > 0
        and row.quality >= base_quality - tolerance
        and row.throughput * base_s / row.workers >= 0.70  # E(p), from first principles
    ]
    if headline.row is None:
        assert [row for row in inside if row.efficiency(baseline) >= 0.70] == []
        assert headline.reason
        assert headline.to_json()["workers"] is None
    else:
        assert headline.row.quality >= base_quality - tolerance
        assert headline.row.efficiency(baseline) >= 0.70
        assert all(row.throughput <= headline.row.throughput for row in inside if row.efficiency(baseline) >= 0.70)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "nothing but the baseline was measured"),
        ([make_row(workers=BASELINE)], "nothing but the baseline was measured"),
        (
            [make_row(workers=2, wall_s=0.1, quality=0.5)],
            "no row is inside the quality gate: best 0.5, floor 0.9",
        ),
        ([make_row(quality=math.nan)], "no row is inside the quality gate: best nan, floor 0.9"),
        ([make_row(workers=2, wall_s=1.0)], "no row reaches E >= 0.70: best 0.50; stay on one process"),
    ],
)
def test_without_a_headline_the_reason_is_said(rows: list[Row], reason: str) -> None:
    headline = pick_headline(rows, make_row(workers=BASELINE), Gate(0.1))
    assert headline.row is None
    assert headline.reason == reason


def test_of_two_equally_fast_rows_the_one_with_fewer_workers_is_taken() -> None:
    rows = [make_row(workers=2, wall_s=0.5), make_row(workers=1, wall_s=0.5)]
    headline = pick_headline(rows, make_row(workers=BASELINE), Gate(0))
    assert headline.row is rows[1]


def test_a_further_gate_is_heeded() -> None:
    rows = [make_row(workers=2, wall_s=0.5), make_row(workers=1, wall_s=1.0)]
    baseline = make_row(workers=BASELINE)
    assert pick_headline(rows, baseline, Gate(0), admits=lambda row: row.workers == 1).row is rows[1]
    nothing = pick_headline(rows, baseline, Gate(0), admits=lambda row: False)
    assert nothing.reason == "no row is inside the quality gate of every stage"


def test_recall_is_not_held_against_accuracy() -> None:
    with pytest.raises(InvariantError, match="cannot be held against"):
        pick_headline([make_row(quality_metric="accuracy")], make_row(workers=BASELINE), Gate(0))
