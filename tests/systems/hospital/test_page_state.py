"""Promises of the page's record: rounds, budgets, gate and alarms as the folder has them; what is broken is said."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from operated_federation import LENIENT, page_folder, run_private
from serving import serving
from typer.testing import CliRunner

from sixfold.errors import ConfigError, InputError
from sixfold.files import json_text
from sixfold.systems.hospital.cli import app
from sixfold.systems.hospital.operation.steward import ReleaseBlocked
from sixfold.systems.hospital.page_server import create_app
from sixfold.systems.hospital.page_state import page_state

NOW = 4e9


@pytest.fixture(scope="module")
def alarmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder of a federation in which site1 missed a round and site3 alarms; the release in force."""
    home = tmp_path_factory.mktemp("page")
    running = run_private(home)
    digest = running.alarmed().digest
    return page_folder(home, running), digest


def test_rounds_budgets_gate_and_alarm_are_what_the_folder_holds(alarmed: tuple[Path, str]) -> None:
    folder, digest = alarmed
    state: dict[str, Any] = json.loads(json_text(page_state(folder, NOW)))
    assert state["errors"] == []
    (training,) = state["trainings"]
    assert (training["done"], training["rounds"]) == (6, 6)
    missed = [each for each in training["attempts"] if set(each["asked"]) - set(each["counted"])]
    assert [(each["round"], set(each["asked"]) - set(each["counted"])) for each in missed] == [(2, {"site1"})]
    spent = {site: both["spent"] for site, both in training["epsilon"].items()}
    assert spent.keys() == {"site0", "site1", "site2", "site3"}
    assert spent["site1"] < spent["site0"] < training["budget"]["epsilon"]
    assert all(both["spent"] + both["left"] == pytest.approx(8.0) for both in training["epsilon"].values())
    assert state["release"]["digest"] == digest
    assert state["release"]["reasons"] == []
    site = state["release"]["sites"]["site0"]
    assert site["accuracy"]["low"] < site["accuracy"]["value"] < site["accuracy"]["high"]
    watched = state["monitor"]["sites"]
    assert {name: one["phase"] for name, one in watched.items() if one["phase"] == "alarmed"} == {"site3": "alarmed"}
    assert [each["period"] for each in watched["site3"]["history"]] == [0, 1, 2, 3, 4]
    assert watched["site3"]["history"][-1]["drift"] > 1.0
    assert state["monitor"]["disparity"]["as_of"] == 3
    assert state["log"]["entries"] > 12
    assert "witness" not in {event["kind"] for event in state["log"]["events"]}


def test_nothing_of_one_hospitals_update_or_of_a_patient_is_in_it(alarmed: tuple[Path, str]) -> None:
    text = json_text(page_state(alarmed[0], NOW))
    assert "theta" not in text
    assert "p0-1" not in text  # a pseudonym
    assert "signature" not in text.replace("signatures.json", "")


def test_a_release_that_was_changed_is_an_error_and_the_rest_is_shown(tmp_path: Path) -> None:
    running = run_private(tmp_path)
    release = running.candidate()
    running.steward.release(release)
    path = running.steward.folder / release.digest[:16] / "evidence.json"
    path.write_text(path.read_text().replace("Blackwell", "Blackmail"))
    state = page_state(page_folder(tmp_path, running), NOW)
    assert state["release"] is None
    assert len(state["trainings"]) == 1
    assert any("did not sign this release" in error for error in state["errors"])


def test_what_the_gate_blocked_is_shown_with_its_reasons(tmp_path: Path) -> None:
    running = run_private(tmp_path)
    with pytest.raises(ReleaseBlocked):
        running.steward.release(running.candidate(gate=type(LENIENT)("accuracy", 0.99, 1.0, 0.9, 0.6, 0.1, 10)))
    state = page_state(page_folder(tmp_path, running), NOW)
    assert state["release"] is None
    assert any("below 0.99" in reason for reason in state["blocked"]["reasons"])
    assert state["blocked"]["sites"]["site0"]["patients"] > 0


def test_before_anything_there_is_nothing_and_no_error(tmp_path: Path, alarmed: tuple[Path, str]) -> None:
    (tmp_path / "federation.yaml").write_bytes((alarmed[0] / "federation.yaml").read_bytes())
    (tmp_path / "kit").symlink_to((alarmed[0] / "kit").resolve())
    state = page_state(tmp_path, NOW)
    assert (state["trainings"], state["release"], state["log"]["entries"], state["errors"]) == ([], None, 0, [])


def test_asked_again_nothing_is_sent_unless_something_changed(alarmed: tuple[Path, str]) -> None:
    times = iter(range(1000))
    with serving(create_app(alarmed[0], clock=lambda: NOW + next(times))) as address:
        first = httpx.get(f"{address}/api/state")
        assert first.status_code == 200
        again = httpx.get(f"{address}/api/state", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert "default-src 'self'" in again.headers["content-security-policy"]
        assert httpx.get(f"{address}/").text.startswith("<!doctype html>")
        assert httpx.get(f"{address}/shared/dom.js").status_code == 200


def test_nothing_can_be_changed_and_under_another_name_nobody_is_answered(alarmed: tuple[Path, str]) -> None:
    with serving(create_app(alarmed[0])) as address:
        assert httpx.post(f"{address}/api/state").status_code == 405
        assert httpx.get(f"{address}/kit/signing.key").status_code == 404
        assert httpx.get(f"{address}/api/state", headers={"host": "rebound.example"}).status_code == 403


def test_the_command_says_what_is_wrong_before_it_listens(tmp_path: Path, alarmed: tuple[Path, str]) -> None:
    with pytest.raises(InputError, match=r"federation\.yaml"):
        CliRunner().invoke(app, ["page", str(tmp_path)], catch_exceptions=False)
    with pytest.raises(ConfigError, match="cannot listen"):
        CliRunner().invoke(app, ["page", str(alarmed[0]), "--host", "not-an-address"], catch_exceptions=False)
