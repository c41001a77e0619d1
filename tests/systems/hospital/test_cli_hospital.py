"""Promises of the commands on logs: an untouched federation verifies, a touched one does not; both can account."""

import json
import shutil
from pathlib import Path

import pytest
from federation_run import Federation, a_job, cohorts
from typer.testing import CliRunner

from sixfold.errors import InputError
from sixfold.parts.privacy_mechanism import Budget, Mechanism, noise_for
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.cli import app
from sixfold.systems.hospital.keys import private_key
from sixfold.systems.hospital.train.choose import make_algorithm

SITES = ("site0", "site1", "site2")


@pytest.fixture
def federation(tmp_path: Path) -> Path:
    """A private federation of three rounds that has run."""
    budget = Budget(1.0, 1e-3)
    made = Federation(tmp_path / "federation", cohorts(3))
    job = a_job(SITES, mechanism=Mechanism(1.0, noise_for(budget, 3), 2), budget=budget)
    algorithm = make_algorithm("dp_gradient", 3, {"rounds": 3, "clip": 1.0, "expected_batch": 200.0})
    made.coordinator().run(job, algorithm, seed=0)
    return made.folder


def test_an_untouched_federation_verifies(federation: Path) -> None:
    done = CliRunner().invoke(app, ["verify", str(federation), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["findings"] == []
    assert "0 findings" in CliRunner().invoke(app, ["verify", str(federation)]).stdout


def test_one_changed_number_is_found_and_the_exit_code_says_so(federation: Path) -> None:
    path = federation / "site1" / "audit.jsonl"
    path.write_text(path.read_text().replace('"records":70', '"records":71', 1))
    done = CliRunner().invoke(app, ["verify", str(federation)])
    assert done.exit_code == 1
    assert "its hash is not that of what it says" in done.stdout


def test_the_roster_can_be_held_to_its_founder(federation: Path, tmp_path: Path) -> None:
    pub = federation / "kits" / "founder" / "founder.pub"
    text = pub.read_text().strip()
    unpinned = CliRunner().invoke(app, ["verify", str(federation)]).stdout
    assert f"signed by founder {text}, which stands in the roster itself" in unpinned
    for told in (text, str(pub)):
        assert (
            f"founder {text}, as was asked for"
            in CliRunner().invoke(app, ["verify", str(federation), "--founder", told]).stdout
        )
    record = json.loads(CliRunner().invoke(app, ["verify", str(federation), "--founder", text, "--json"]).stdout)
    assert (record["founder"], record["founder_pinned"]) == (text, True)


def test_a_federation_made_up_by_another_founder_verifies_only_unless_he_is_told(
    federation: Path, tmp_path: Path
) -> None:
    other = Federation(tmp_path / "made up", cohorts(3)).folder
    text = (federation / "kits" / "founder" / "founder.pub").read_text()
    shutil.copytree(other / "kits" / "coordinator", tmp_path / "kit")
    arguments = ["verify", str(other), "--roster", str(tmp_path / "kit")]
    (other / "coordinator").mkdir()
    key = private_key(tmp_path / "kit" / "signing.key")
    AuditLog(other / "coordinator" / "audit.jsonl", key, "coordinator").append("started", {}, 1.0)
    assert CliRunner().invoke(app, arguments).exit_code == 0
    refused = CliRunner().invoke(app, [*arguments, "--founder", text.strip()])
    assert isinstance(refused.exception, InputError)
    assert "did not sign this roster" in str(refused.exception)


@pytest.mark.parametrize("told", ["zz", "ab" * 31, "nowhere.pub", "."])
def test_what_is_no_founder_is_said(federation: Path, told: str) -> None:
    done = CliRunner().invoke(app, ["verify", str(federation), "--founder", told])
    assert isinstance(done.exception, InputError)
    assert "not a public key" in str(done.exception)


@pytest.mark.parametrize("gone", [True, False])
def test_a_log_that_is_missing_or_no_file_is_a_finding(federation: Path, gone: bool) -> None:
    path = federation / "site1" / "audit.jsonl"
    path.unlink()
    if not gone:
        path.mkdir()
    done = CliRunner().invoke(app, ["verify", str(federation)])
    assert done.exit_code == 1
    assert ("site1: its log is missing" if gone else f"{path}: cannot be read") in done.stdout


def test_every_hospital_is_told_what_it_contributed_and_spent(federation: Path) -> None:
    done = CliRunner().invoke(app, ["account", str(federation), "--json"])
    record = json.loads(done.stdout)
    assert record["purposes"] == ["scientific-research"]
    assert sorted(record["hospitals"]) == list(SITES)
    (job,) = record["hospitals"]["site1"]["jobs"].values()
    assert (job["rounds"], job["most_records"], job["numbers_sent"], job["masked"]) == (3, 70, 12, True)
    assert 0.9 < job["epsilon"] <= 1.0
    page = CliRunner().invoke(app, ["account", str(federation / "site1" / "audit.jsonl")]).stdout
    assert "| model_update | 3 | 0 | 70 | 12 | yes |" in page


@pytest.mark.parametrize("command", ["verify", "account"])
def test_a_folder_without_logs_is_said(tmp_path: Path, command: str) -> None:
    done = CliRunner().invoke(app, [command, str(tmp_path / "nothing")])
    assert isinstance(done.exception, InputError)
