"""Promises of rows and panels: only like is compared with like, and a file gives back what it was given."""

import math
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import make_row

from sixfold.axes import Axis
from sixfold.errors import InputError, InvariantError
from sixfold.study import BASELINE, TOTAL, Panel, Row

positive = st.floats(1e-3, 1e6)
parts = st.tuples(*[st.floats(0, 1e4)] * 4).filter(lambda four: sum(four) > 1e-3)


@st.composite
def rows(draw: st.DrawFn, config: str = "c") -> Row:
    compute, communication, idle, rework = draw(parts)
    return Row(
        stage=draw(st.sampled_from(["crawl", "index"])),
        axis=draw(st.sampled_from(Axis)),
        workers=draw(st.integers(0, 8)),
        repeat=draw(st.integers(0, 3)),
        wall_s=compute + communication + idle + rework,
        compute_s=compute,
        communication_s=communication,
        idle_s=idle,
        rework_s=rework,
        moved_bytes=draw(st.integers(0, 2**62)),
        work=draw(positive),
        work_unit="page",
        quality=draw(st.floats(-10, 10) | st.integers(0, 1)),
        quality_metric="recall",
        cost_usd=draw(positive),
        config=config,
        axis_s=draw(st.dictionaries(st.sampled_from([a.value for a in Axis]), st.floats(0, 1e6))),
        axis_bytes=draw(st.dictionaries(st.sampled_from([a.value for a in Axis]), st.integers(0, 2**62))),
        extra=draw(st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False))),
    )


@given(st.lists(rows(), max_size=6))
def test_a_panel_comes_back_from_its_file_as_it_went_in(tmp_path_factory: pytest.TempPathFactory, some: list) -> None:
    path = tmp_path_factory.mktemp("panel") / "panel.parquet"
    Panel(some).save(path)
    assert list(Panel.load(path)) == some
    assert [entry.name for entry in path.parent.iterdir()] == ["panel.parquet"], "a temporary file was left"


def test_a_panel_refuses_rows_of_another_configuration() -> None:
    panel = Panel([make_row()])
    with pytest.raises(InvariantError, match="config other"):
        panel.add(make_row(config="other"))
    assert len(panel) == 1


@given(wall_s=positive, workers=st.integers(1, 512), base_s=positive, work=positive, price=positive)
def test_cost_ratio_is_one_over_efficiency_when_every_worker_costs_the_same(
    wall_s: float, workers: int, base_s: float, work: float, price: float
) -> None:
    baseline = make_row(workers=BASELINE, wall_s=base_s, cost_usd=base_s * price)
    row = make_row(workers=workers, wall_s=wall_s, work=work, cost_usd=workers * wall_s * price)
    assert row.cost_ratio(baseline) == pytest.approx(1 / row.efficiency(baseline), rel=1e-9)
    assert row.efficiency(baseline) * workers == pytest.approx(row.speedup(baseline))


@pytest.mark.parametrize(
    "changes",
    [
        {"wall_s": 0.0},
        {"wall_s": math.nan},
        {"work": math.inf},
        {"work": -1.0},
        {"compute_s": 0.5},
        {"compute_s": math.nan},
        {"compute_s": 1.5, "idle_s": -0.5},
    ],
)
def test_a_row_that_cannot_have_happened_is_refused(changes: dict) -> None:
    with pytest.raises(InvariantError):
        replace(make_row(), **changes)


def test_parts_may_differ_from_the_wall_time_by_one_percent() -> None:
    assert replace(make_row(), compute_s=0.991).compute_s == 0.991
    with pytest.raises(InvariantError, match="parts add up"):
        replace(make_row(), compute_s=0.98)


def test_pages_are_not_compared_with_queries() -> None:
    with pytest.raises(InvariantError, match="cannot be compared"):
        make_row(work_unit="query").speedup(make_row(workers=BASELINE))


def test_a_row_that_did_nothing_is_infinitely_dear_and_not_a_crash() -> None:
    baseline, nothing = make_row(workers=BASELINE), make_row(work=0.0)
    assert (nothing.speedup(baseline), nothing.cost_ratio(baseline)) == (0.0, math.inf)


def test_the_median_is_a_row_that_happened() -> None:
    panel = Panel(make_row(wall_s=wall_s, repeat=n) for n, wall_s in enumerate([3.0, 1.0, 2.0, 9.0]))
    median = panel.median("s", 1)
    assert median is not None
    assert (median.wall_s, median.repeat) == (2.0, 2)
    assert panel.median("s", 2) is None


def test_totals_add_up_the_stages_at_each_p_at_which_all_of_them_ran() -> None:
    panel = Panel(
        [
            make_row("a", BASELINE, 4.0, moved_bytes=1),
            make_row("b", BASELINE, 2.0, quality=0.5),
            make_row("a", 1, 4.5, axis_s={"data": 4.5}, axis_bytes={"data": 9}, moved_bytes=9),
            make_row("b", 1, 2.5, quality=0.6, axis_s={"data": 1.0, "model": 1.5}),
            make_row("a", 2, 2.0),
            make_row("b", 2, 1.5, quality=0.7),
            make_row("a", 4, 1.0),
        ]
    )
    baseline, one, two = panel.totals(["a", "b"])
    assert [row.stage for row in (baseline, one, two)] == [TOTAL] * 3
    assert [row.workers for row in (baseline, one, two)] == [BASELINE, 1, 2]
    assert [row.wall_s for row in (baseline, one, two)] == [6.0, 7.0, 3.5]
    assert (one.quality, one.moved_bytes, one.axis_bytes) == (0.6, 9, {"data": 9})
    assert one.axis_s == {"data": 5.5, "model": 1.5}
    assert two.speedup(baseline) == pytest.approx(6 / 3.5)
    assert two.cost_ratio(baseline) == pytest.approx(1 / two.efficiency(baseline))


def test_a_stage_that_does_not_scale_keeps_the_other_workers_idle_and_paid() -> None:
    panel = Panel(
        [
            make_row("a", BASELINE, 4.0),
            make_row("fixed", BASELINE, 1.0),
            make_row("a", 1, 4.0),
            make_row("a", 2, 2.0),
            make_row("fixed", 1, 1.0),
        ]
    )
    assert [row.workers for row in panel.totals(["a", "fixed"])] == [BASELINE, 1]
    baseline, one, two = panel.totals(["a", "fixed"], unscaled={"fixed"})
    assert (one.wall_s, one.idle_s, one.cost_usd) == (5.0, 0.0, 5.0)
    assert (two.workers, two.wall_s, two.compute_s, two.idle_s, two.cost_usd) == (2, 3.0, 2.5, 0.5, 6.0)
    assert two.cost_ratio(baseline) == pytest.approx(1 / two.efficiency(baseline))
    assert [row.workers for row in panel.totals(["fixed"], unscaled={"fixed"})] == [BASELINE, 1]


def test_a_file_that_is_no_panel_is_named(tmp_path: Path) -> None:
    path = tmp_path / "panel.parquet"
    with pytest.raises(InputError, match=r"panel\.parquet: not a panel"):
        Panel.load(path)
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match=r"panel\.parquet: not a panel"):
        Panel.load(path)
    pq.write_table(pa.table({"stage": ["s"]}), path)
    with pytest.raises(InputError, match="columns"):
        Panel.load(path)
    Panel([make_row()]).save(path)
    table = pq.read_table(path)
    wrong = table.set_column(table.column_names.index("axis"), "axis", pa.array(["seventh"]))
    pq.write_table(wrong, path)
    with pytest.raises(InputError, match="seventh"):
        Panel.load(path)
