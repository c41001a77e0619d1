"""Promises of the cohort report: it counts what is there, and no cell of fewer than five patients can be read off."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.data.cohort_report import cohort_report, report_text
from sixfold.systems.hospital.data.harmonise import Source, harmonise


def cohort_of(column: list[float], ill: int, name: str = "cp") -> Cohort:
    n = len(column)
    outcome = np.array([1.0] * ill + [0.0] * (n - ill))
    return Cohort("north", np.array([f"p{at}" for at in range(n)], dtype=str), (name,), np.array([column]).T, outcome)


def cells(report: dict[str, Any], name: str = "cp") -> dict[str, Any]:
    row = report["variables"][name]
    return {"missing": row["missing"], **row["codes"]}


def test_counts_are_those_of_the_patients() -> None:
    cohort = cohort_of([1.0] * 6 + [2.0] * 7 + [3.0] * 8 + [4.0] * 9 + [np.nan] * 10, ill=20)
    report = cohort_report(cohort)
    assert (report["patients"], report["prevalence"]) == (40, 0.5)
    assert report["outcome"] == {"0": 20, "1": 20}
    assert cells(report) == {"missing": 10, "1": 6, "2": 7, "3": 8, "4": 9}


@pytest.mark.parametrize("ill", [0, 1, 4, 16, 19, 20])
def test_a_rare_outcome_cannot_be_had_by_subtraction(ill: int) -> None:
    report = cohort_report(cohort_of([1.0] * 20, ill))
    assert sorted(report["outcome"].values()) == ["<5", "withheld"]
    assert report["prevalence"] is None
    assert "prevalence withheld" in report_text(report)


@given(st.lists(st.integers(0, 12), min_size=5, max_size=5))
def test_a_small_cell_is_never_shown_nor_the_difference_of_shown_ones(counts: list[int]) -> None:
    values = [np.nan, 1.0, 2.0, 3.0, 4.0]
    column = [value for value, n in zip(values, counts, strict=True) for _ in range(n)]
    shown = cells(cohort_report(cohort_of(column, 0)))
    true = dict(zip(("missing", "1", "2", "3", "4"), counts, strict=True))
    for name, cell in shown.items():
        if isinstance(cell, int):
            assert cell == true[name]
            assert cell >= 5 or (name, cell) == ("missing", 0)
        else:
            assert (cell == "<5") == (true[name] < 5)
    assert sum(not isinstance(cell, int) for cell in shown.values()) != 1


def test_a_flag_outside_the_schema_is_counted_and_not_averaged() -> None:
    report = cohort_report(cohort_of([0.0] * 18 + [1.0] * 2, 10, name="race_asian"))
    assert report["variables"]["race_asian"] == {"missing": 0, "codes": {"0": "withheld", "1": "<5"}}


def test_a_number_of_the_schema_stays_a_number_though_all_are_zero() -> None:
    report = cohort_report(heart.read_embedded()[2])  # Switzerland: cholesterol was never measured
    assert report["variables"]["chol"] == {"missing": 0, "mean": 0.0, "sd": 0.0}


def test_a_mean_of_a_few_is_left_out() -> None:
    report = cohort_report(cohort_of([50.0, 60.0, 70.0, np.nan, np.nan, np.nan], 3, name="age"))
    assert report["variables"]["age"]["mean"] is None
    assert "age: too few values" in report_text(report)


def test_findings_are_told_but_a_rare_value_is_not_quoted() -> None:
    n = 12
    table: dict[str, list[Any]] = {
        "id": [f"p{at}" for at in range(n)],
        "ill": [at % 2 for at in range(n)],
        "pain": ["Jane Doe"] + ["unsure"] * 5 + ["1"] * 6,
        "lab": [0] * 6 + [200] * 6,
    }
    mapping = {"cp": Source(column="pain"), "chol": Source(column="lab")}
    cohort, findings = harmonise(table, mapping, "north", "id", "ill")
    report = cohort_report(cohort, findings)
    assert report["findings"] == [
        {"variable": "cp", "why": "unknown value", "count": "<5"},
        {"variable": "cp", "why": "unknown value 'unsure'", "count": 5},
        {"variable": "chol", "why": "0 stands for missing", "count": 6},
    ]
    assert "Jane" not in report_text(report) + json.dumps(report)


def test_the_report_on_a_real_hospital_is_plain_values_and_lines() -> None:
    report = cohort_report(heart.read_embedded()[0])
    assert json.loads(json.dumps(report)) == report
    text = report_text(report)
    assert "cleveland: 303 patients, prevalence 0.459" in text
    assert "age: mean 54.44 years, standard deviation 9.024; missing: 0" in text
