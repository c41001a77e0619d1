"""Promises of the commands for one's own hospitals: what is wrong is said first; processes that train, judge, watch."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from folder_federation import DATASET, PERMIT, folder_federation
from typer.testing import CliRunner

from sixfold.errors import ConfigError, InputError, PrerequisiteError
from sixfold.files import read_json_lines
from sixfold.systems.hospital.audit.verify import verify_logs
from sixfold.systems.hospital.cli import app
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.coordinator_folder import CoordinatorFolder, FederationSettings
from sixfold.systems.hospital.data.generator import CohortSpec, generate
from sixfold.systems.hospital.gate import GatePolicy
from sixfold.systems.hospital.hospital_files import write_patients
from sixfold.systems.hospital.monitor_report import SCORE, Plan
from sixfold.systems.hospital.operation.steward import in_force
from sixfold.systems.hospital.policy.permit import Purpose
from sixfold.systems.hospital.provision import COORDINATOR

COHORTS = generate(CohortSpec(sites=3, patients=600, label_skew=0.0, quantity_skew=0.0, seed=4)).cohorts
SITES = tuple(sorted(cohort.site for cohort in COHORTS))
SETTINGS = FederationSettings(
    federation="hearts-1",
    permit=PERMIT,
    dataset=DATASET,
    purpose=Purpose.SCIENTIFIC_RESEARCH,
    features=COHORTS[0].features,
    matrix="heart",
    sites=SITES,
    minimum_sites=2,
    algorithm="newton",
    knobs={"rounds": 2, "l2": 0.01},
    gate=GatePolicy("auroc", 0.55, 0.9, 0.5, 0.6, 0.05, 10),
    plan=Plan({SCORE: (0.2, 0.35, 0.5, 0.65, 0.8), "age": (-1.0, 0.0, 1.0)}, threshold=0.5, delay=1),
)


def laid_out(home: Path) -> Path:
    """Folders of three hospitals and of the coordinator; the latter."""
    folder_federation(home, COHORTS, tested=True)
    for site in SITES:
        shutil.copytree(home / "kits" / site, home / "hospitals" / site / "kit")
    folder = home / COORDINATOR
    shutil.copytree(home / "kits" / COORDINATOR, folder / "kit")
    SETTINGS.write(folder)
    return folder


def test_settings_are_written_as_they_are_read(tmp_path: Path) -> None:
    SETTINGS.write(tmp_path)
    assert CoordinatorFolder.read(tmp_path).settings == SETTINGS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"minimum_sites": 0}, "greater than or equal to 1"),
        ({"epsilon": 1.0}, "epsilon and delta go together"),
        ({"matrix": "lungs"}, "matrix: got 'lungs'"),
        ({"participation": 0.1, "sites": list("abcdefgh"), "minimum_sites": 4}, "a round asks 3 hospitals"),
        ({"gate": {"metric": "auroc"}}, "gate"),
        ({"deadline": {"deadline_s": -1.0}}, "deadline above 0"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_is_wrong_in_the_settings_is_said_with_their_file(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    record = SETTINGS.model_dump(mode="json", exclude_none=True) | change
    (tmp_path / "federation.yaml").write_text(yaml.safe_dump(record))
    with pytest.raises(InputError, match=r"federation\.yaml") as error:
        CoordinatorFolder.read(tmp_path)
    assert said in str(error.value)


def test_privacy_of_an_algorithm_that_does_not_clip_is_refused(tmp_path: Path) -> None:
    folder = laid_out(tmp_path)
    SETTINGS.model_copy(update={"epsilon": 1.0, "delta": 1e-3}).write(folder)
    home = CoordinatorFolder.read(folder)
    with pytest.raises(InputError, match="privacy needs a clip"):
        home.job(home.kit())


def test_noise_is_for_the_rounds_that_a_hospital_takes_part_in(tmp_path: Path) -> None:
    folder = laid_out(tmp_path)
    private = {"algorithm": "dp_gradient", "epsilon": 1.0, "delta": 1e-3}
    knobs: dict[str, Any] = {"clip": 1.0, "expected_batch": 100.0}
    multipliers = []
    for rounds in (4, 16):
        SETTINGS.model_copy(update={**private, "knobs": {**knobs, "rounds": rounds}}).write(folder)
        home = CoordinatorFolder.read(folder)
        mechanism = home.job(home.kit()).mechanism
        assert mechanism is not None
        assert mechanism.contributors == SETTINGS.minimum_sites
        multipliers.append(mechanism.noise_multiplier)
    assert multipliers[1] == pytest.approx(2 * multipliers[0], rel=0.01)


def test_without_a_link_it_is_said_how_to_open_one(tmp_path: Path) -> None:
    folder = laid_out(tmp_path)
    with pytest.raises(PrerequisiteError, match="sixfold hospital link"):
        CliRunner().invoke(app, ["train", str(folder)], catch_exceptions=False)


def test_a_door_is_a_host_and_a_port(tmp_path: Path) -> None:
    folder = laid_out(tmp_path)
    with pytest.raises(ConfigError, match="expected HOST:PORT"):
        CliRunner().invoke(app, ["link", str(folder), "--door", "9443"], catch_exceptions=False)


class Processes:
    """`link` and `join` as people run them, in processes of their own."""

    def __init__(self, home: Path, coordinator: Path) -> None:
        self.home, self.coordinator = home, coordinator
        self.started: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str) -> None:
        """The coordinator's link, or a hospital."""
        if name == COORDINATOR:
            command = ["link", str(self.coordinator)]
        else:
            door = json.loads((self.coordinator / "link.json").read_text())["door"]
            command = ["join", str(self.home / "hospitals" / name), "--door", door]
        self.started[name] = subprocess.Popen(
            [sys.executable, "-m", "sixfold", "hospital", *command], stdout=subprocess.PIPE, text=True
        )

    def wait(self, name: str) -> None:
        """Until it says that it is ready."""
        output = self.started[name].stdout
        assert output is not None
        assert output.readline(), f"{name} did not start"

    def kill(self, name: str) -> None:
        """kill -9 of the command; what it started stays."""
        child = self.started.pop(name)
        child.kill()
        child.communicate()

    def stop(self) -> None:
        for child in self.started.values():
            child.send_signal(signal.SIGTERM)
        for child in self.started.values():
            child.communicate(timeout=60)
            assert child.returncode == 0


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path, laid_out(tmp_path))
    made.start(COORDINATOR)
    made.wait(COORDINATOR)
    for site in SITES:
        made.start(site)
    for site in SITES:
        made.wait(site)
    yield made
    made.stop()


def ran(*command: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [str(part) for part in command])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def period(home: Path, number: int, cohorts: Sequence[Cohort], shift: float) -> None:
    """Other patients come to all hospitals; those of the first are `shift` years older."""
    rng = np.random.default_rng(number)
    for at, cohort in enumerate(cohorts):
        drawn = cohort.take(rng.integers(0, len(cohort), 150))
        X_ND = drawn.X_ND.copy()
        X_ND[:, cohort.features.index("age")] += shift if at == 0 else 0.0
        names = np.array([f"p{number}-{row}" for row in range(len(drawn))])
        write_patients(
            home / "hospitals" / cohort.site, replace(drawn, X_ND=X_ND, patients=names), table=f"periods/{number}.csv"
        )


def children(folder: Path) -> list[psutil.Process]:
    record = json.loads((folder / "processes" / "processes.json").read_text())
    return [psutil.Process(pid) for pid, _ in record]


def test_from_a_door_to_a_second_release(processes: Processes, tmp_path: Path) -> None:
    coordinator, first = processes.coordinator, COHORTS[0].site
    trained = ran("train", coordinator, "--json")
    assert (trained["rounds"], trained["attempts"]) == (2, 2)
    released = ran("release", coordinator, "--person", "R. Franklin", "--json")
    assert released["released"]
    assert released["signed"] == list(SITES)

    left = children(tmp_path / "hospitals" / first)
    processes.kill(first)
    assert all(process.is_running() for process in left)  # a federation does not end with a terminal
    processes.start(first)
    processes.wait(first)
    assert not any(process.is_running() for process in left)  # whoever starts the hospital again ends them

    period(tmp_path, 1, COHORTS, 0.0)
    assert {state["phase"] for state in ran("watch", coordinator, "--json").values()} <= {"quiet", "warned"}
    for number in (2, 3):
        period(tmp_path, number, COHORTS, 15.0)
        states = ran("watch", coordinator, "--json", code=int(number == 3))
    assert states[first]["phase"] == "alarmed"

    trusted = tmp_path / "kits" / "founder" / "founder.key"
    about = ["--release", released["release"], "--site", first, "--period", "3", "--action", "retrain"]
    signed = CliRunner().invoke(
        app, ["sign", *about, "--person", "R. Franklin", "--reason", "older patients", "--key", str(trusted)]
    )
    (tmp_path / "decision.json").write_text(signed.stdout)
    decided = ran("decide", coordinator, tmp_path / "decision.json", "--json")
    assert decided["refused"] == {}
    assert ran("train", coordinator, "--json")["job"] != trained["job"]
    second = ran("release", coordinator, "--person", "R. Franklin", "--json")
    assert second["released"]
    home = CoordinatorFolder.read(coordinator)
    current = in_force(home.releases, home.kit().roster)
    assert current is not None
    assert (current.digest, current.replaces) == (second["release"], released["release"])

    logs = {site: tmp_path / "hospitals" / site / "state" / "audit.jsonl" for site in SITES}
    logs[COORDINATOR] = home.state / "audit.jsonl"
    assert not verify_logs(logs, home.kit().roster).findings
    kinds = [line["kind"] for line in read_json_lines(logs[first])]
    assert {"permit_decision", "contribution", "report", "release", "period", "answer"} <= set(kinds)
