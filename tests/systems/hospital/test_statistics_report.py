"""Promises of statistics over hospitals' folders: those of the pooled patients, of whom nothing else is told."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from folder_federation import folder_federation, folder_job
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from sixfold.errors import ConfigError, InputError
from sixfold.parts.array_codec import unpack
from sixfold.systems.hospital.attacks import Wiretap, vectors_in_the_clear
from sixfold.systems.hospital.cli import app
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.data.schema import SCHEMA, Kind
from sixfold.systems.hospital.federation.job import Output
from sixfold.systems.hospital.local_federation import LocalFederation
from sixfold.systems.hospital.policy.permit import Permit, load_permit
from sixfold.systems.hospital.statistics import CodeSummary, Layout, NumberSummary
from sixfold.systems.hospital.statistics_report import (
    Found,
    federated_statistics,
    statistics_job,
    statistics_record,
    statistics_table,
)

COHORTS = heart.read_embedded()
ODD = "Jane Doe"  # somebody typed a name into the wrong field


@pytest.fixture(scope="module")
def tapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalFederation, Wiretap]:
    """The 920 patients, gaps and all, in four folders; one cell of one table is a name."""
    tap = Wiretap()
    federation = folder_federation(tmp_path_factory.mktemp("federation"), COHORTS, tap)
    with closing(sqlite3.connect(federation.hospitals["cleveland"] / "patients.sqlite")) as connection, connection:
        connection.execute("UPDATE patients SET col_cp = ? WHERE patient = 'cleveland-0000'", [ODD])
    return federation, tap


@pytest.fixture(scope="module")
def permit(tapped: tuple[LocalFederation, Wiretap]) -> Permit:
    return load_permit(tapped[0].hospitals["va"] / "permits" / "P-1.yaml")


@pytest.fixture(scope="module")
def found(tapped: tuple[LocalFederation, Wiretap], permit: Permit) -> Found:
    federation, _ = tapped
    job = statistics_job("first", permit, [cohort.site for cohort in COHORTS])
    return federated_statistics(federation.coordinator(), job, bins=10)


def test_a_masked_sum_over_folders_gives_the_numbers_of_the_pooled_patients(found: Found) -> None:
    assert found.hospitals == tuple(sorted(heart.HOSPITALS))
    assert tuple(found.variables) == heart.VARIABLES
    X_ND = np.concatenate([cohort.X_ND for cohort in COHORTS])
    X_ND[0, heart.VARIABLES.index("cp")] = np.nan
    for at, name in enumerate(heart.VARIABLES):
        variable, summary, values_N = SCHEMA[name], found.variables[name], X_ND[:, at]
        if variable.kind is Kind.NUMBER:
            assert isinstance(summary, NumberSummary)
            gone_N = np.isnan(values_N) | (values_N < variable.low) | (values_N > variable.high)
            known_N = values_N[~gone_N]
            assert (summary.count, summary.missing, summary.outside) == (len(known_N), gone_N.sum(), 0)
            assert summary.histogram_B.tolist() == np.histogram(known_N, 10, (variable.low, variable.high))[0].tolist()
            assert (summary.mean, summary.variance) == pytest.approx((known_N.mean(), known_N.var()), rel=1e-6)
        else:
            assert isinstance(summary, CodeSummary)
            assert summary.missing == np.isnan(values_N).sum()
            assert summary.codes == {code: int((values_N == code).sum()) for code in variable.codes}


def test_neither_a_hospitals_numbers_nor_its_notes_are_in_a_message(
    tapped: tuple[LocalFederation, Wiretap], found: Found
) -> None:
    federation, tap = tapped
    vectors = [
        unpack(path.read_bytes(), 1 << 30)["values"]
        for site in heart.HOSPITALS
        for path in (federation.home / site / "jobs").glob("*/round.bin")
    ]
    assert len(vectors) >= 4
    assert vectors_in_the_clear(tap, vectors) == 0
    notes = (federation.home / "cleveland" / "notes.jsonl").read_text()
    assert ODD in notes
    assert len(tap.messages) >= 4 * 6
    assert not [1 for _, request, answer in tap.messages if ODD.encode() in request + answer]
    elsewhere = [path for path in federation.home.rglob("*") if path.is_file() and ODD.encode() in path.read_bytes()]
    assert elsewhere == [federation.home / "cleveland" / "notes.jsonl"]
    assert not federation.verify().findings


def test_what_is_not_statistics_is_not_asked_for(permit: Permit) -> None:
    with pytest.raises(ConfigError, match="at least 3"):
        statistics_job("few", permit, ["cleveland", "va"])
    with pytest.raises(ConfigError, match="statistics are of the variables themselves"):
        folder_job(COHORTS, output=Output.STATISTICS, matrix="heart")
    job = statistics_job("some", permit.model_copy(update={"minimum_sites": 4}), heart.HOSPITALS, ["age", "sex"])
    assert (job.features, job.minimum_sites, job.output) == (("age", "sex"), 4, Output.STATISTICS)


def test_the_record_and_the_table_say_what_was_found(found: Found) -> None:
    record = statistics_record(found)
    assert json.loads(json.dumps(record)) == record
    assert record["patients"] == 920
    assert record["variables"]["age"] | {"bins": 0} == {
        "unit": "years", "mean": 53.51, "sd": 9.42, "missing": 0, "outside": 0, "bins": 0,
    }  # fmt: skip
    assert record["variables"]["chol"]["missing"] == 202  # zeros and gaps
    assert record["variables"]["sex"] == {"missing": 0, "outside": 0, "codes": {"0": 194, "1": 726}}
    assert record["variables"]["cp"]["missing"] == "<5"
    assert "withheld" in record["variables"]["cp"]["codes"].values()
    text = printed(record)
    assert "920 patients of 4 hospitals" in text
    assert "53.51 ± 9.42 years" in text
    assert "0 [" in text
    assert "] 120" in text


def printed(record: dict[str, Any]) -> str:
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as capture:
        console.print(statistics_table(record))
    return capture.get()


@given(st.lists(st.integers(0, 9), min_size=6, max_size=6), st.integers(0, 9), st.integers(0, 9))
def test_no_small_cell_can_be_read_off_nor_be_had_by_subtraction(counts: list[int], missing: int, outside: int) -> None:
    histogram_B, layout = np.array(counts), Layout(("age",), len(counts))
    n = sum(counts)
    summary = NumberSummary(n, missing, outside, 0.1, 50.0, 4.0, histogram_B, layout.edges("age"))
    record = statistics_record(Found(("a", "b", "c"), {"age": summary}))
    row = record["variables"]["age"]
    cells = [row["missing"], row["outside"], *(each["patients"] for each in row["bins"])]
    true = [missing, outside, *counts]
    for at, (cell, real) in enumerate(zip(cells, true, strict=True)):
        assert (cell == real and (real >= 5 or (real == 0 and at < 2))) or cell in ("<5", "withheld")
        assert (cell == "<5") == (real < 5 and not (real == 0 and at < 2))
    assert sum(isinstance(cell, str) for cell in cells) != 1
    assert (row["mean"] is None) == (n < 5)
    bins = printed(record).split("[")[1].split("]")[0]
    assert [char == "·" for char in bins] == [isinstance(cell, str) for cell in cells[2:]]


def test_the_command_prints_them_and_asks_anew_each_time(tapped: tuple[LocalFederation, Wiretap]) -> None:
    folder = tapped[0].kits.parent
    arguments = ["statistics", str(folder), "--permit", "P-1", "--variables", "sex, chol"]
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    record = json.loads(done.stdout)
    assert done.exit_code == 0
    assert list(record["variables"]) == ["sex", "chol"]
    assert record["variables"]["sex"]["codes"] == {"0": 194, "1": 726}
    with closing(sqlite3.connect(folder / "hospitals" / "cleveland" / "patients.sqlite")) as connection, connection:
        connection.execute("DELETE FROM patients WHERE patient LIKE 'cleveland-000%'")
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "910 patients of 4 hospitals" in again.stdout
    with pytest.raises(InputError, match=r"no NAME/hospital\.yaml"):
        CliRunner().invoke(app, ["statistics", str(folder / "kits")], catch_exceptions=False)
    with pytest.raises(InputError, match="P-2"):
        CliRunner().invoke(app, ["statistics", str(folder), "--permit", "P-2"], catch_exceptions=False)
