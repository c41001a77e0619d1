"""Promises of the account: it adds up what left a hospital, and what is not known is not reported as nothing."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sixfold.errors import InputError
from sixfold.systems.hospital.audit.export import assessment, assessment_markdown, contribution
from sixfold.systems.hospital.audit.log import AuditLog

KEY = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
JOB = "ab" * 32


def sent(log: AuditLog, round_: int, epsilon: float, attempt: int = 0, **changed: Any) -> None:
    facts = {"job": JOB, "round": round_, "attempt": attempt, "work": "clipped_gradient", "vector_length": 10}
    facts |= {"records": 20 + round_, "protection": "masked", "epsilon_after": epsilon, **changed}
    log.append("contribution", facts, 1.0 + round_)


def offered(path: Path) -> AuditLog:
    log = AuditLog(path, KEY, path.stem)
    log.append("permit_decision", {"job": JOB, "permit": "P-1", "allowed": True, "reasons": ""}, 0.0)
    log.append("round_offered", {"job": JOB, "purpose": "education", "output": "model_update"}, 0.5)
    return log


def test_a_round_that_was_repeated_is_one_round_in_which_two_vectors_left(tmp_path: Path) -> None:
    log = offered(tmp_path / "north.jsonl")
    sent(log, 0, 0.25)
    sent(log, 1, 0.5)
    sent(log, 1, 0.5, attempt=1)
    log.append("unmask", {"round": 1, "attempt": 1}, 4.0)
    assert contribution(log.path) == {
        "jobs": {
            JOB: {
                "purpose": "education",
                "output": "model_update",
                "rounds": 2,
                "reports": 0,
                "most_records": 21,
                "numbers_sent": 30,
                "masked": True,
                "epsilon": 0.5,
            }
        },
        "refusals": {},
    }


@pytest.mark.parametrize("plain", [0, 1, 2])
def test_one_vector_that_left_in_the_open_makes_a_job_not_masked(tmp_path: Path, plain: int) -> None:
    log = offered(tmp_path / "north.jsonl")
    for round_ in range(3):
        sent(log, round_, 0.0, protection="plain" if round_ == plain else "masked")
    assert contribution(log.path)["jobs"][JOB]["masked"] is False


@pytest.mark.parametrize("first", ["report", "vector"])
def test_a_report_is_counted_and_makes_a_job_not_masked(tmp_path: Path, first: str) -> None:
    log = offered(tmp_path / "north.jsonl")
    if first == "vector":
        sent(log, 0, 0.0)
    for _ in range(2):
        log.append("report", {"job": JOB, "order": "cd" * 32, "work": "terms", "numbers": 13, "records": 44}, 1.0)
    if first == "report":
        sent(log, 0, 0.0)
    job = contribution(log.path)["jobs"][JOB]
    told = ("rounds", "reports", "most_records", "numbers_sent", "masked")
    assert tuple(job[name] for name in told) == (1, 2, 44, 2 * 13 + 10, False)


def test_what_was_refused_is_counted_by_its_reason(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "north.jsonl", KEY, "north")
    for _ in range(2):
        log.append("permit_decision", {"job": JOB, "permit": "P-1", "allowed": False, "reasons": "expires: over"}, 1.0)
    log.append("refusal", {"round": 3, "phase": "order", "why": "budget spent"}, 2.0)
    assert contribution(log.path) == {"jobs": {}, "refusals": {"expires: over": 2, "budget spent": 1}}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (None, "no such file"),
        ("3\n", ":1: not an entry"),
        ('{"kind":"genesis","facts":{}}\n{"kind":"contribution","facts":{}}\n', ":2: not an entry"),
        ('{"kind":"contribution"}\n', ":1: not an entry"),
        ("not a log\n", ":1: not JSON"),
    ],
)
def test_a_log_that_is_missing_or_broken_is_not_an_account_of_nothing(
    tmp_path: Path, text: str | None, where: str
) -> None:
    path = tmp_path / "north.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=rf"north\.jsonl.*{where}"):
        contribution(path)


def test_the_assessment_says_of_each_hospital_what_left_it_and_what_for(tmp_path: Path) -> None:
    for name, epsilon in (("north", 0.5), ("south", 0.75)):
        sent(offered(tmp_path / f"{name}.jsonl"), 0, epsilon)
    AuditLog(tmp_path / "south.jsonl", KEY, "south").append("refusal", {"round": 1, "why": "no permit"}, 9.0)
    record = assessment({name: tmp_path / f"{name}.jsonl" for name in ("south", "north")})
    assert record["purposes"] == ["education"]
    assert list(record["hospitals"]) == ["north", "south"]
    text = assessment_markdown(record)
    assert "Purposes: education." in text
    assert "## north" in text
    assert f"| {JOB[:12]} | model_update | 1 | 0 | 20 | 10 | yes | 0.75 |" in text
    assert "- refused 1 times: no permit" in text
