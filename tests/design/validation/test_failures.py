"""The failure families on shipped and made rows: what is predicted from which rate, and what is left out."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.design.validation.checkpoint_simulation import simulated_wasted_share
from sixfold.design.validation.failure_rows import failure_rows
from sixfold.design.validation.failures import families
from sixfold.design.validation.rows import Row
from sixfold.design.validation.score import Case, Family
from sixfold.errors import InputError

COLUMNS = (
    "id", "source", "locator", "system", "hardware", "gpus", "nodes", "period_days", "metric", "value", "unit",
    "cause_or_scope", "notes", "use",
)  # fmt: skip
RATE = 0.0065  # of a node a day, the row for calibration that ships


def made(name: str, metric: str, value: str, unit: str, **fields: str) -> dict[str, str]:
    return dict.fromkeys(COLUMNS, "") | {
        "id": name, "source": "a paper", "metric": metric, "value": value, "unit": unit, "use": "score"
    } | fields  # fmt: skip


def scored(folder: Path, rows: Iterable[dict[str, str]]) -> dict[str, Family]:
    with (folder / "failures.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows)
    return {family.name: family for family in families(folder)}


def cases(found: dict[str, Family], name: str = "training interruptions") -> dict[str, Case]:
    return {case.id: case for case in found[name].cases if case.source.startswith("a paper")}


def test_shipped_rows_and_the_simulation_score_what_we_say() -> None:
    found = {family.name: family for family in families()}
    assert found["Young/Daly against simulation"].passed
    assert found["Young/Daly against simulation"].mape < found["Young/Daly against simulation"].baseline_mape / 5
    assert found["effective training time"].passed
    interruptions = found["training interruptions"]
    assert interruptions.passed is False  # a rate of A100s at another operator is not that of Llama 3's cluster
    llama = next(case for case in interruptions.cases if case.source.startswith("Llama 3"))
    assert llama.predicted == pytest.approx(RATE * 2048 * 54)


@pytest.mark.parametrize(
    ("row", "measured", "predicted"),
    [
        (made("a", "interruptions", "90", "count", gpus="1000", nodes="250", period_days="10"), 90, RATE * 1250),
        (made("a", "failure rate", "3.1", "per 1000 node-days"), 3.1e-3, RATE),
        (made("a", "failure rate", "2e-4", "per GPU-day"), 2e-4, RATE / 8),
        (made("a", "MTBF", "10", "hours", cause_or_scope="2,048 GPU jobs"), 10, 24 / (256 * RATE)),
        (made("a", "MTTF of a job", "1-4", "days", gpus="80"), 2, 1 / (10 * RATE)),
        (made("a", "MTTF per device", "900", "days"), 900, 8 / RATE),
        (made("a", "machines failing", "3", "% per week"), 0.03, 1 - np.exp(-7 * RATE)),
        (made("a", "chance of at least one failure per day at 400 GPUs", "0.3", ""), 0.3, 1 - np.exp(-50 * RATE)),
        (made("a", "GPU failures", "2", "per week", gpus="504"), 2, 10 / 55 * 7),
    ],
)
def test_one_rate_predicts_all_kinds_of_figures(
    tmp_path: Path, row: dict[str, str], measured: float, predicted: float
) -> None:
    case = cases(scored(tmp_path, [row]))["a"]
    assert case.measured == pytest.approx(measured)
    assert case.predicted == pytest.approx(predicted)


def test_a_rate_of_the_same_device_is_preferred(tmp_path: Path) -> None:
    rows = [
        made("h", "failure rate", "0.001", "per node-day", hardware="H100", use="calibrate"),
        made("a", "MTTF per node", "1", "days", hardware="H100-80GB"),
        made("b", "MTTF per node", "1", "days", hardware="something new"),
    ]
    found = cases(scored(tmp_path, rows))
    assert found["a"].predicted == pytest.approx(1000.0)
    assert found["b"].predicted == pytest.approx(1 / np.sqrt(0.001 * RATE))
    assert found["a"].baseline == found["b"].baseline


def test_what_a_rate_does_not_tell_is_left_out_and_counted(tmp_path: Path) -> None:
    run = {"system": "X", "gpus": "8000", "period_days": "30"}
    rows = [
        made("all", "interruptions", "120", "count", cause_or_scope="all", **run),
        made("unexpected", "interruptions", "100", "count", cause_or_scope="unexpected", **run),
        made("planned", "interruptions", "20", "count", cause_or_scope="planned", **run),
        made("hbm", "interruptions", "9", "count", cause_or_scope="HBM3", **run),
        made("implied", "implied failure rate", "0.003", "per node-day", notes="derived", **run),
        made("manual", "manual restarts", ">30", "count", system="Y", gpus="992", period_days="60"),
        made("automatic", "automatic restarts", "70", "count", system="Y", gpus="992", period_days="60"),
        made("nowhere", "failures", "9", "count"),
        made("words", "MTBF", "some", "h", gpus="8"),
        made("errors", "system MTBE", "1.4", "h", gpus="448"),
        made("size", "checkpoint size", "2.3", "TB"),
    ]
    found = scored(tmp_path, rows)
    assert set(cases(found)) == {"unexpected", "manual"}
    assert cases(found)["manual"].measured == 100.0
    note = found["training interruptions"].note
    for reason in ("planned by people", "of one cause", "that follow", "whose devices", "without a figure"):
        assert f"1 {reason}" in note


def test_effective_time_falls_with_devices_and_with_the_size_of_a_checkpoint(tmp_path: Path) -> None:
    rows = [
        made(name, "ETTR", "0.9", "fraction", system=system, gpus=gpus)
        for name, system, gpus in (("a", "X 70B", "1024"), ("b", "X 70B", "16384"), ("c", "X 2T", "1024"))
    ] + [made("d", "effective training time", "90-95", "%", gpus="8192"), made("e", "ETTR", "0.9", "fraction")]
    family = scored(tmp_path, rows)["effective training time"]
    found = {case.id: case for case in family.cases}
    assert found["a"].predicted > found["b"].predicted
    assert found["a"].predicted > found["c"].predicted
    assert found["d"].measured == pytest.approx(np.sqrt(0.90 * 0.95))
    assert "1 without devices or a figure" in family.note


def test_the_simulation_keeps_what_a_hand_count_keeps() -> None:
    gaps = np.array([0.5, 3.0, 10.0])  # restart 1, interval and checkpoint 2: none, one and four are finished
    assert simulated_wasted_share(1.5, 0.5, 1.0, 1.0, gaps) == pytest.approx(1 - 5 * 1.5 / 13.5)


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        {name: st.sampled_from(["", "0", "-1", "9e999", "1-2", ">5%", "inf", "nan", "16,384", "0.5", "x"])
         for name in ("gpus", "nodes", "period_days", "value")}
    ),
    st.sampled_from(["interruptions", "GPU failures", "MTBF", "ETTR", "failure rate", "MTTF per node"]),
    st.sampled_from(["count", "h", "per week", "per node-day", "fraction", ""]),
    st.sampled_from(["", "all", "0 GPUs", "9,600-16,384 GPUs", "99999999999999 GPUs"]),
)  # fmt: skip
def test_no_row_breaks_the_reading(fields: dict[str, str], metric: str, unit: str, scope: str) -> None:
    row = Row(made("a", metric, "", unit, cause_or_scope=scope) | fields, Path("failures.csv"), 2)
    read, left_out = failure_rows([row])
    assert len(read) + sum(left_out.values()) <= 1
    for each in read:
        assert np.isfinite(each.predicted(1e-3))
        assert each.per_device_day() > 0
        back = each.predicted(each.per_device_day())
        assert back == pytest.approx(each.value, rel=1e-6)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "failures.csv").write_text("id,value\na,1\n")
    with pytest.raises(InputError, match=r"failures\.csv"):
        families(tmp_path)
