"""Promises of inspect: a hospital sees its cohort and every finding, its exit code says what to do; nothing is kept."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from folder_federation import folder_federation
from typer.testing import CliRunner

from sixfold.errors import InputError
from sixfold.systems.hospital.cli import app
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.data.generator import CohortSpec, generate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Cleveland: 303 complete patients, in SQLite; nothing is wrong with them."""
    federation = folder_federation(tmp_path, heart.complete_cases(heart.read_embedded())[:1])
    return federation.hospitals["cleveland"]


def run(folder: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["inspect", str(folder), *more], catch_exceptions=False)


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "patients.sqlite")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_a_sound_folder_is_shown_and_left_as_it_is(folder: Path) -> None:
    def contents() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in folder.parent.parent.rglob("*") if path.is_file()}

    before = contents()
    done = run(folder)
    assert done.exit_code == 0
    assert "cleveland: 303 patients, prevalence 0.459" in done.stdout
    assert "age: mean 54.44 years" in done.stdout
    assert "mend" not in done.stdout
    assert run(folder, "--json").exit_code == 0
    assert contents() == before


def test_every_finding_is_named_and_what_is_passed_on_quotes_nobody(folder: Path) -> None:
    change(
        folder,
        "UPDATE patients SET col_cp = 'Jane Doe' WHERE patient = 'cleveland-0001'",
        "UPDATE patients SET col_chol = 5.5 WHERE patient = 'cleveland-0002'",
        "UPDATE patients SET col_chol = 0 WHERE patient = 'cleveland-0003'",
    )
    (folder / "opt_out.csv").write_text("patient,date\ncleveland-0009,2026-01-01\nsomebody-else,2026-01-01\n")
    done = run(folder, "--json")
    record = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [(f["variable"], f["cause"], f["to_mend"], f["count"]) for f in record["findings"]] == [
        ("chol", "zero for missing", False, 1),
        ("chol", "out of range, usual in another unit", True, 1),
        ("cp", "unknown value", True, 1),
    ]
    assert record["opted_out"] == {"registered": 2, "left_out": 1}
    assert record["report"]["patients"] == 302
    assert "Jane" not in json.dumps(record["report"])
    text = run(folder).stdout
    assert "mend: cp: unknown value 'Jane Doe': 1" in text
    assert "note: chol: 0 stands for missing: 1" in text


def test_what_stands_for_missing_alone_has_not_to_be_mended(folder: Path) -> None:
    change(folder, "UPDATE patients SET col_chol = 0 WHERE patient = 'cleveland-0003'")
    assert run(folder).exit_code == 0


def test_every_wrong_unit_is_named_at_once_and_the_rest_is_shown(folder: Path) -> None:
    change(folder, "UPDATE patients SET col_chol = col_chol / 38.665, col_trestbps = col_trestbps / 7.50062")
    done = run(folder)
    assert done.exit_code == 2
    assert "wrong: [col_chol]: cleveland: chol is said to be in mg/dL" in done.stdout
    assert "wrong: [col_trestbps]: cleveland: trestbps is said to be in mmHg" in done.stdout
    assert "age: mean 54.44 years" in done.stdout


@pytest.mark.parametrize(
    ("broken", "match"),
    [
        ("hospital.yaml", r"hospital\.yaml"),
        ("mapping.yaml", r"mapping\.yaml"),
        ("opt_out.csv", "no opt-out register"),
        ("patients.sqlite", r"patients\.sqlite: no such table"),
    ],
)
def test_a_missing_file_is_named(folder: Path, broken: str, match: str) -> None:
    (folder / broken).unlink()
    with pytest.raises(InputError, match=match):
        run(folder)


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("UPDATE patients SET disease = 3 WHERE patient = 'cleveland-0001'", r"\[disease\]: .*expected 0 or 1"),
        ("UPDATE patients SET part = 'tset' WHERE patient = 'cleveland-0001'", r"\[part\]: .*expected train or test"),
        ("UPDATE patients SET patient = 'p'", "a pseudonym stands for two rows"),
    ],
)
def test_a_row_that_no_job_could_use_is_named(folder: Path, statement: str, match: str) -> None:
    change(folder, statement)
    with pytest.raises(InputError, match=match):
        run(folder)


def test_a_survival_folder_says_where_its_times_come_from(tmp_path: Path) -> None:
    cohorts = generate(CohortSpec(sites=1, patients=40, follow_up_days=900.0)).cohorts
    federation = folder_federation(tmp_path, cohorts)
    assert "from column days" in run(federation.hospitals["synthetic-1"]).stdout
