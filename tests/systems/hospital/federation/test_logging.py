"""Promises of what a federation writes down: the coordinator's past has witnesses, and nothing leaves unlogged."""

import json
import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from federation_run import Federation, a_job, cohorts

from sixfold.errors import ConfigError
from sixfold.parts.ranking import Estimate
from sixfold.systems.hospital.audit.entry import WITNESS
from sixfold.systems.hospital.audit.export import contribution
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.audit.verify import Verified, verify_logs
from sixfold.systems.hospital.federation.job import Job, Output, Protection
from sixfold.systems.hospital.keys import private_key
from sixfold.systems.hospital.provision import COORDINATOR
from sixfold.systems.hospital.train.algorithm import Order
from sixfold.systems.hospital.train.choose import make_algorithm
from sixfold.systems.hospital.train.models import Logistic

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
    return verify_logs(federation.logs, federation.roster)


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
    key = private_key(tmp_path / "kits" / COORDINATOR / "signing.key")
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


def metrics_job() -> tuple[Job, Order]:
    """Each hospital's own report of one model."""
    settings = {**Logistic(3).settings(), "target_accuracy": 0.9}
    order = Order("logistic", {"theta": np.array([0.5, 1.0, 1.5, 0.0])}, settings, 1)
    return a_job(SITES, output=Output.METRICS, protection=Protection.PLAIN), order


def test_a_report_is_in_the_account_of_its_hospital(tmp_path: Path) -> None:
    federation = Federation(tmp_path, cohorts(3))
    job, order = metrics_job()
    for _ in range(2):
        reports = federation.coordinator().reports(job, order)
    for site in SITES:
        known = contribution(federation.logs[site])["jobs"][job.digest]
        numbers = 4 * len(fields(Estimate)) + len(("patients", "ill", "ece", "target", "coverage", "mean score"))
        assert (known["reports"], known["most_records"]) == (2, reports[site]["patients"])
        assert (known["numbers_sent"], known["masked"]) == (2 * numbers, False)
    models = {entry["facts"]["order"] for entry in entries(federation.logs["site0"]) if entry["kind"] == "report"}
    federation.coordinator().reports(job, replace(order, arrays={"theta": np.zeros(4)}))
    more = {entry["facts"]["order"] for entry in entries(federation.logs["site0"]) if entry["kind"] == "report"}
    assert (len(models), len(more)) == (1, 2)  # which model was judged, is in it
    assert check(federation).findings == ()


def test_no_report_leaves_that_could_not_be_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, order = metrics_job()
    federation = Federation(tmp_path, cohorts(3))
    append = AuditLog.append

    def full(log: AuditLog, kind: str, facts: dict[str, Any], time_s: float) -> None:
        if kind == "report" and log.actor == "site1":
            raise ConfigError("no space left")
        append(log, kind, facts, time_s)

    monkeypatch.setattr(AuditLog, "append", full)
    assert sorted(federation.coordinator().reports(job, order)) == ["site0", "site2"]


@pytest.mark.parametrize(("protection", "every"), [(Protection.PLAIN, 5), (Protection.MASKED, 23)])
def test_power_that_is_cut_at_any_message_costs_no_entry_whose_head_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protection: Protection, every: int
) -> None:
    kept: dict[str, bytes] = {}  # of each file, what is on the disk: simulated, as of its last fsync
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_file():
            kept[str(path)] = path.read_bytes()
        real(descriptor)

    def cut(site: str, request: bytes, handle: Callable[[bytes], bytes]) -> bytes:
        nonlocal count
        count += 1
        answer = handle(request)
        if count % every == 0:  # the answer is on its way
            path = federation.logs[site]
            path.write_bytes(kept.get(str(path), b""))
            federation.restart(site)
        return answer

    count = 0
    monkeypatch.setattr(os, "fsync", fsync)
    federation = Federation(tmp_path, cohorts(3), change=cut)
    algorithm = make_algorithm("newton", 3, {"rounds": ROUNDS})
    federation.coordinator().run(a_job(SITES, protection=protection), algorithm, seed=0)
    assert count >= 2 * every
    assert check(federation).findings == ()
    path = federation.logs[COORDINATOR]
    assert kept[str(path)] == path.read_bytes()
