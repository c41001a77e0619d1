"""Promises of what a federation writes down: the coordinator's past has witnesses, and nothing leaves unlogged."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from federation_run import Federation, a_job, cohorts

from sixfold.systems.hospital.audit.log import WITNESS, AuditLog
from sixfold.systems.hospital.audit.verify import Verified, verify_logs
from sixfold.systems.hospital.federation.job import Protection
from sixfold.systems.hospital.provision import COORDINATOR, load_kit
from sixfold.systems.hospital.train.choose import make_algorithm

SITES = ("site0", "site1", "site2")
ROUNDS = 3


def trained(folder: Path, protection: Protection) -> Federation:
    federation = Federation(folder, cohorts(3))
    algorithm = make_algorithm("newton", 3, {"rounds": ROUNDS})
    federation.coordinator().run(a_job(SITES, protection=protection), algorithm, seed=0)
    return federation


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def check(federation: Federation) -> Verified:
    return verify_logs(federation.logs, load_kit(federation.folder / "kits" / COORDINATOR, COORDINATOR).roster)


def rewrite(path: Path, key: Ed25519PrivateKey, actor: str, facts: dict[str, Any]) -> None:
    """Write the whole log again with the party's own key, as if these had been the facts of its first model."""
    known = entries(path)
    path.unlink()
    log = AuditLog(path, key, actor)
    at = next(index for index, entry in enumerate(known) if entry["kind"] == "model")
    for index, entry in enumerate(known[1:], start=1):
        log.append(entry["kind"], {**entry["facts"], **facts} if index == at else entry["facts"], entry["time"])


@pytest.mark.parametrize("protection", list(Protection))
def test_every_hospital_writes_down_a_head_of_the_coordinator_in_every_round(
    tmp_path: Path, protection: Protection
) -> None:
    federation = trained(tmp_path, protection)
    own = [entry["hash"] for entry in entries(federation.logs[COORDINATOR])]
    for site in SITES:
        seen = [
            entry["facts"]
            for entry in entries(federation.logs[site])
            if entry["kind"] == WITNESS and entry["facts"]["party"] == COORDINATOR
        ]
        assert len(seen) == ROUNDS
        assert all(own[facts["index"]] == facts["hash"] for facts in seen)
    assert check(federation).findings == ()


@pytest.mark.parametrize("protection", list(Protection))
def test_a_coordinator_that_rewrites_its_log_with_its_own_key_is_found(tmp_path: Path, protection: Protection) -> None:
    federation = trained(tmp_path, protection)
    path = federation.logs[COORDINATOR]
    key = load_kit(tmp_path / "kits" / COORDINATOR, COORDINATOR).signing_key
    rewrite(path, key, COORDINATOR, {})
    assert check(federation).findings == ()  # the same past again
    rewrite(path, key, COORDINATOR, {"hash": "0" * 64})
    findings = check(federation).findings
    assert {finding.file for finding in findings} == {str(path)}
    assert {site for site in SITES for finding in findings if f"not the one that {site} saw" in finding.what} == {
        *SITES
    }


def test_a_coordinator_that_cuts_off_its_log_is_found(tmp_path: Path) -> None:
    federation = trained(tmp_path, Protection.PLAIN)
    path = federation.logs[COORDINATOR]
    lines, unseen = path.read_bytes().splitlines(keepends=True), check(federation).unwitnessed[COORDINATOR]
    path.write_bytes(b"".join(lines[: len(lines) - unseen]))
    assert check(federation).findings == ()
    path.write_bytes(b"".join(lines[: len(lines) - unseen - 1]))
    assert {finding.file for finding in check(federation).findings} == {str(path)}
