"""Promises of a hospital's folder: nothing is read without a permit, nobody who opted out is in, every no is logged."""

import datetime
import json
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sixfold.errors import InputError
from sixfold.parts.privacy_ledger import BudgetSpent
from sixfold.parts.privacy_mechanism import Budget, Mechanism, noise_for
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.federation.job import Job, Output, Split
from sixfold.systems.hospital.hospital_files import lay_out
from sixfold.systems.hospital.hospital_folder import FolderRecords, JobRefused, open_site
from sixfold.systems.hospital.keys import key_text
from sixfold.systems.hospital.policy.permit import Permit, Purpose, sign_permit, write_permit
from sixfold.systems.hospital.provision import Kit

AUTHORITY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
PERMIT = Permit(
    id="P-1",
    dataset="hearts",
    purpose=Purpose.SCIENTIFIC_RESEARCH,
    holder="somebody",
    issued_by="an authority",
    not_before=NOW - datetime.timedelta(days=1),
    expires=NOW + datetime.timedelta(days=10),
    outputs=("model_update",),
    features=heart.VARIABLES,
    minimum_cohort=60,
    minimum_sites=2,
)
JOB = Job(
    federation="study",
    permit="P-1",
    dataset="hearts",
    purpose="scientific-research",
    output=Output.MODEL_UPDATE,
    features=heart.VARIABLES,
    sites=("cleveland", "va"),
)


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    cohort = heart.complete_cases(heart.read_embedded())[0]
    lay_out(
        tmp_path / "hospital",
        cohort,
        heart.held_out(cohort),
        dataset="hearts",
        table="patients.sqlite",
        mapping={name: {"column": f"col_{name}"} for name in cohort.features},
        permit=sign_permit(PERMIT, AUTHORITY),
        trusted=(key_text(AUTHORITY),),
    )
    return tmp_path / "hospital"


def records(folder: Path, days: float = 0.0) -> FolderRecords:
    log = AuditLog(folder / "audit.jsonl", AUTHORITY, "cleveland")
    return FolderRecords(folder, log, folder / "notes.jsonl", lambda: (NOW + datetime.timedelta(days=days)).timestamp())


def test_a_job_under_its_permit_gets_the_part_that_it_asked_for(hospital: Path) -> None:
    train, test = (records(hospital).admit(replace(JOB, split=split)) for split in (Split.TRAIN, Split.TEST))
    assert (len(train), len(test)) == (199, 104)
    assert not set(train.patients) & set(test.patients)
    original = heart.complete_cases(heart.read_embedded())[0]
    assert np.array_equal(records(hospital).admit(replace(JOB, split=Split.ALL)).y_N, original.y_N)


def test_without_the_column_the_parts_are_drawn_from_pseudonyms_and_stay_the_same(hospital: Path) -> None:
    path = hospital / "hospital.yaml"
    path.write_text(path.read_text().replace("part: part", "part: null"))
    first, again = (records(hospital).admit(replace(JOB, split=Split.TEST)).patients for _ in range(2))
    assert first.tolist() == again.tolist()
    assert 0.2 < len(first) / 303 < 0.5


def test_a_part_that_is_neither_and_a_variable_without_a_source_are_named(hospital: Path) -> None:
    with closing(sqlite3.connect(hospital / "patients.sqlite")) as connection, connection:
        connection.execute("UPDATE patients SET part = NULL WHERE patient = 'cleveland-0007'")
    with pytest.raises(InputError, match=r"\[part\]: cleveland: got part None, expected train or test"):
        records(hospital).admit(JOB)
    mapping = hospital / "mapping.yaml"
    mapping.write_text(mapping.read_text().replace("oldpeak:", "glucose:"))
    with pytest.raises(InputError, match=r"mapping\.yaml: no source of oldpeak"):
        records(hospital).admit(JOB)


def test_who_opted_out_is_in_no_part(hospital: Path) -> None:
    gone = ["cleveland-0000", "cleveland-0001", "cleveland-0002"]
    (hospital / "opt_out.csv").write_text("patient,date\n" + "".join(f"{name},2026-01-01\n" for name in gone))
    cohort = records(hospital).admit(replace(JOB, split=Split.ALL))
    assert len(cohort) == 300
    assert not set(gone) & set(cohort.patients)


def test_what_harmonisation_finds_is_noted_once_for_the_hospital_alone(hospital: Path) -> None:
    with closing(sqlite3.connect(hospital / "patients.sqlite")) as connection, connection:
        connection.execute("UPDATE patients SET col_chol = 5.5 WHERE patient = 'cleveland-0000'")
        connection.execute("UPDATE patients SET col_cp = 'Jane Doe' WHERE patient IN ('cleveland-0001')")
    for _ in range(2):  # as often as the hospital starts
        records(hospital).admit(JOB)
    notes = [json.loads(line) for line in (hospital / "notes.jsonl").read_text().splitlines()]
    assert [(note["table"], note["variable"], note["why"], note["count"]) for note in notes] == [
        ("patients.sqlite", "cp", "unknown value 'Jane Doe'", 1),
        ("patients.sqlite", "chol", "not within 60 to 700 mg/dL, usual in mmol/L", 1),
    ]
    assert stat.S_IMODE((hospital / "notes.jsonl").stat().st_mode) == 0o600
    assert "Jane" not in (hospital / "audit.jsonl").read_text()


def refuse(folder: Path, job: Job = JOB, days: float = 0.0) -> str:
    """Refused before the table was touched, and logged."""
    (folder / "patients.sqlite").unlink()
    with pytest.raises(JobRefused) as refusal:
        records(folder, days).admit(job)
    last = json.loads((folder / "audit.jsonl").read_text().splitlines()[-1])
    assert last["kind"] == "permit_decision"
    assert last["facts"]["allowed"] is False
    return str(refusal.value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"purpose": "education"}, "purpose"),
        ({"output": Output.METRICS}, "outputs"),
        ({"features": ("age", "postcode")}, "features"),
        ({"dataset": "lungs"}, "dataset"),
        ({"permit": "P-2"}, "no permit"),
        ({"permit": "../P-1"}, "no permit"),
    ],
)
def test_what_no_permit_covers_is_refused_before_data_is_read(
    hospital: Path, change: dict[str, object], field: str
) -> None:
    assert field in refuse(hospital, replace(JOB, **change))


def test_a_permit_that_ended_meanwhile_is_refused(hospital: Path) -> None:
    assert "expires" in refuse(hospital, days=11)


def test_a_permit_of_somebody_else_is_refused(hospital: Path) -> None:
    write_permit(hospital / "permits" / "P-1.yaml", sign_permit(PERMIT, Ed25519PrivateKey.generate()))
    assert "signature" in refuse(hospital)


def test_too_few_patients_after_opt_outs_are_refused(hospital: Path) -> None:
    everybody = "".join(f"cleveland-{at:04d},2026-01-01\n" for at in range(250))
    (hospital / "opt_out.csv").write_text("patient,date\n" + everybody)
    with pytest.raises(JobRefused, match="minimum_cohort"):
        records(hospital).admit(JOB)


@pytest.mark.parametrize(("split", "patients"), [(Split.TRAIN, 199), (Split.TEST, 104), (Split.ALL, 303)])
@pytest.mark.parametrize(("more", "gone"), [(0, 0), (1, 0), (0, 1), (-1, 1)])
def test_the_least_cohort_is_of_the_patients_that_are_computed_over(
    hospital: Path, split: Split, patients: int, more: int, gone: int
) -> None:
    """Not of all that the hospital has: of the job's part without those who opted out."""
    job = replace(JOB, split=split)
    part = records(hospital).admit(job).patients
    permit = PERMIT.model_copy(update={"minimum_cohort": patients + more})
    write_permit(hospital / "permits" / "P-1.yaml", sign_permit(permit, AUTHORITY))
    (hospital / "opt_out.csv").write_text("patient,date\n" + "".join(f"{name},2026-01-01\n" for name in part[:gone]))
    if more + gone <= 0:
        assert len(records(hospital).admit(job)) == patients - gone
        return
    with pytest.raises(JobRefused, match="minimum_cohort"):
        records(hospital).admit(job)
    last = json.loads((hospital / "audit.jsonl").read_text().splitlines()[-1])
    assert (last["kind"], last["facts"]["allowed"]) == ("permit_decision", False)


def test_without_a_register_of_opt_outs_nothing_is_read(hospital: Path) -> None:
    (hospital / "opt_out.csv").unlink()
    with pytest.raises(InputError, match="no opt-out register"):
        records(hospital).admit(JOB)


def test_jobs_of_other_names_share_the_budget_of_their_permit(hospital: Path, tmp_path: Path) -> None:
    permit = sign_permit(PERMIT.model_copy(update={"epsilon": 1.0, "delta": 1e-3}), AUTHORITY)
    write_permit(hospital / "permits" / "P-1.yaml", permit)
    budget = Budget(1.0, 1e-3)
    mechanism = Mechanism(1.0, noise_for(budget, 4), 2)
    site = open_site(hospital, tmp_path / "state", Kit("cleveland", AUTHORITY, {}), lambda: NOW.timestamp())
    for name in ("first", "second", "third"):
        job = replace(JOB, federation=name, mechanism=mechanism, budget=budget)
        for round_ in range(2):
            key = f"{job.digest} {round_}"
            if name == "third":
                with pytest.raises(BudgetSpent):
                    [ledger.charge(key, mechanism) for ledger in site.ledgers_of(job)]
            else:
                assert len([ledger.charge(key, mechanism) for ledger in site.ledgers_of(job)]) == 2
