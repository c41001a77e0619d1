"""A federation of processes on this machine: four hospitals and a coordinator over Flower; one is killed midway.

Then the model is released and watched, patients of one hospital are changed, and a person has it trained anew.
"""

from __future__ import annotations

import datetime
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sixfold.errors import ConfigError
from sixfold.systems.hospital.audit.verify import Verified, verify_logs
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.coordinator_folder import (
    LINK,
    CoordinatorFolder,
    FederationSettings,
    Operating,
    write_link,
)
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.federation.coordinator import FederationRefused, Finished, RoundRecord
from sixfold.systems.hospital.federation.job import Output
from sixfold.systems.hospital.gate import GatePolicy
from sixfold.systems.hospital.hospital_files import lay_out, write_patients
from sixfold.systems.hospital.keys import key_text, private_key
from sixfold.systems.hospital.monitor import Phase, SiteState
from sixfold.systems.hospital.monitor_report import SCORE, Plan
from sixfold.systems.hospital.operation.signed_answer import SignedAnswer
from sixfold.systems.hospital.policy.permit import Permit, Purpose, sign_permit
from sixfold.systems.hospital.provision import COORDINATOR, node_keys, provision
from sixfold.systems.hospital.transport.flower_processes import HospitalProcesses, LinkProcesses
from sixfold.systems.hospital.transport.transport import Deadline

__all__ = ["Demo", "run_demo"]

_ROUNDS, _KILLED_AFTER, _BACK_AFTER = 6, 2, 4
_READY_S = 90.0
_OPENER = "sixfold.systems.hospital.hospital_folder:open_hospital"
_DATASET, _MATRIX = "heart-disease", "heart"
_PERSON = "the demo's person in charge"
_PERIODS, _SHIFT_AT, _PATIENTS = 6, 2, 100
_SHIFT_YEARS, _SHIFT_MM = 9.0, 1.2  # of age and of ST depression, at one hospital: about a standard deviation of each

# The limits of the ladder's gate; those of the monitor are its own, with outcomes known a period later.
_GATE = GatePolicy("accuracy", 0.7, 0.35, 0.2, 0.85, 0.25, 10, gap_at="certain")
_PLAN = Plan({SCORE: (0.1, 0.3, 0.5, 0.7, 0.9), "age": (-1.0, 0.0, 1.0)}, threshold=0.5, delay=1)


@dataclass(frozen=True, slots=True)
class Demo:
    """What came of it: both trainings, who was killed, who alarmed and when, what the logs say, how long it took."""

    finished: Finished
    retrained: Finished
    killed: str
    releases: tuple[str, ...]
    alarm: tuple[str, int]
    refused: str
    verified: Verified
    wall_s: float

    def to_json(self) -> dict[str, Any]:
        """As `sixfold hospital demo --json` prints it."""
        return {
            "rounds": [
                {"round": r.round, "attempt": r.attempt, "counted": list(r.counted), "wall_s": r.wall_s, "why": r.why}
                for r in self.finished.rounds
            ],
            "killed": self.killed,
            "releases": list(self.releases),
            "alarm": {"site": self.alarm[0], "period": self.alarm[1]},
            "refused_before_the_decision": self.refused,
            "rounds_of_the_second_training": len(self.retrained.rounds),
            "log_entries": dict(self.verified.entries),
            "findings": [str(finding) for finding in self.verified.findings],
            "wall_s": self.wall_s,
        }


def run_demo(folder: Path, say: Callable[[str], None]) -> Demo:
    """Provision, start, train while a hospital is killed and comes back, release, watch, decide, train anew, verify.

    Everything listens on loopback; hospitals and coordinator speak through doors that ask for a certificate. The
    periods are simulated: patients drawn anew from each hospital's own. Raises ConfigError when the folder is not
    empty, PrerequisiteError when a process does not start.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty: a demo starts from nothing")
    began_s = time.perf_counter()
    cohorts = {cohort.site: cohort for cohort in heart.complete_cases(heart.read_embedded())}
    _lay_out(folder, cohorts)
    names, killed = tuple(cohorts), tuple(cohorts)[-1]
    periods = _Periods(folder, cohorts, max(cohorts, key=lambda name: len(cohorts[name])))
    kits, home = folder / "kits", CoordinatorFolder.read(folder / COORDINATOR)
    with LinkProcesses(home.folder / "kit", home.folder / "link", node_keys(home.folder / "kit")) as link:
        write_link(home.folder, link.link, link.door)
        say(f"coordinator's door on {link.door[0]}:{link.door[1]}")
        hospitals = {
            name: HospitalProcesses(kits / name, folder / name / "processes", _OPENER, folder / name, link.door)
            for name in names
        }

        def watch(record: RoundRecord) -> None:
            said = record.why or f"the sum of {', '.join(record.counted)}"
            say(f"round {record.round} attempt {record.attempt}: {said} in {record.wall_s:.1f} s")
            if record.counted and record.round == _KILLED_AFTER - 1:
                hospitals[killed].kill()
                say(f"kill -9 of {killed}: door, SuperNode and site")
            if record.counted and record.round == _BACK_AFTER - 1:
                hospitals[killed].start()
                say(f"{killed} is started again from its folder")

        try:
            for hospital in hospitals.values():
                hospital.start()
            with home.connected(_READY_S, watch) as running:
                say(f"{len(running.online)} of {len(names)} hospitals are connected, each by its own certificate")
                finished = running.train()
                first = _released(running, say)
                alarm = _watched(running, periods, say)
                for name, cohort in cohorts.items():
                    _grown(folder / name, cohort, periods.came[name])
                running.coordinator.watch = lambda record: None
                refused = _refused(home, running, say)
                _decided(running, folder, first, alarm, say)
            with home.connected(_READY_S) as running:  # as after any time: the folder says what is due
                retrained = running.train()
                say(f"trained anew in {len(retrained.rounds)} rounds")
                second = _released(running, say)
                periods.come(shifted=True)
                after = running.steward.watch(periods.number)
                say(f"period {periods.number}: {_phases(after)}")
        finally:
            for hospital in hospitals.values():
                hospital.stop()
            (home.folder / LINK).unlink(missing_ok=True)
    logs = {name: folder / name / "state" / "audit.jsonl" for name in (*names, COORDINATOR)}
    verified = verify_logs(logs, home.kit().roster)
    return Demo(finished, retrained, killed, (first, second), alarm, refused, verified, time.perf_counter() - began_s)


def _released(running: Operating, say: Callable[[str], None]) -> str:
    release = running.candidate(_PERSON)
    released = running.steward.release(release)
    say(f"release {release.digest[:12]} passed the gate and is in force at {', '.join(released.signed)}")
    for site, why in released.unwatched.items():
        say(f"not watched: {site}: {why}")
    return release.digest


@dataclass(slots=True)
class _Periods:
    """Patients who come to the hospitals, period by period: drawn from each hospital's own, with other names."""

    folder: Path
    cohorts: Mapping[str, Cohort]
    site: str  # whose patients are others after a shift
    number: int = 0
    came: dict[str, list[Cohort]] = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def come(self, *, shifted: bool) -> None:
        """The next period's tables."""
        self.number += 1
        for name, cohort in self.cohorts.items():
            drawn = cohort.take(self.rng.integers(0, len(cohort), _PATIENTS))
            X_ND = drawn.X_ND.copy()
            if shifted and name == self.site:
                X_ND[:, cohort.features.index("age")] += _SHIFT_YEARS
                X_ND[:, cohort.features.index("oldpeak")] += _SHIFT_MM
            names = np.array([f"{name}-{self.number}-{at}" for at in range(_PATIENTS)])
            others = replace(drawn, patients=names, X_ND=X_ND)
            write_patients(self.folder / name, others, table=f"periods/{self.number}.csv")
            self.came.setdefault(name, []).append(others)


def _watched(running: Operating, periods: _Periods, say: Callable[[str], None]) -> tuple[str, int]:
    """Until there is an alarm: which hospital's, and in which period."""
    while periods.number < _PERIODS:
        shifted = periods.number + 1 >= _SHIFT_AT
        periods.come(shifted=shifted)
        if periods.number == _SHIFT_AT:
            say(f"from now on, patients of {periods.site} are older and have a larger ST depression (simulated)")
        states = running.steward.watch(periods.number)
        for name, state in states.items():
            if state.phase is Phase.ALARMED:
                say(f"period {periods.number}: ALARM at {name}: {'; '.join(state.reasons)}")
                return name, periods.number
        say(f"period {periods.number}: {_phases(states)}")
    raise ConfigError(f"no alarm in {_PERIODS} periods")


def _phases(states: Mapping[str, SiteState]) -> str:
    return ", ".join(f"{name} {state.phase}" for name, state in states.items())


def _grown(folder: Path, cohort: Cohort, came: Sequence[Cohort]) -> None:
    """The hospital enters those who came into its own table, every third for tests."""
    test_N = [heart.held_out(cohort), *(np.arange(len(more)) % 3 == 0 for more in came)]
    grown = replace(
        cohort,
        patients=np.concatenate([each.patients for each in (cohort, *came)]),
        X_ND=np.vstack([each.X_ND for each in (cohort, *came)]),
        y_N=np.concatenate([each.y_N for each in (cohort, *came)]),
    )
    write_patients(folder, grown, np.concatenate(test_N))


def _refused(home: CoordinatorFolder, running: Operating, say: Callable[[str], None]) -> str:
    """What hospitals say to a training that nobody decided on."""
    settings = home.settings.model_copy(update={"federation": "behind-their-backs"})
    try:
        running.coordinator.offer(CoordinatorFolder(home.folder, settings).job(home.kit()))
    except FederationRefused as error:
        say(f"a training that nobody decided on is refused: {str(error)[:160]}")
        return str(error)
    raise ConfigError("hospitals accepted a training that nobody decided on")


def _decided(
    running: Operating, folder: Path, release: str, alarm: tuple[str, int], say: Callable[[str], None]
) -> None:
    """A person's decision, signed with a key that the hospitals trust."""
    record = {"release": release, "site": alarm[0], "period": alarm[1], "action": "retrain", "person": _PERSON}
    answer = SignedAnswer.from_json({**record, "reason": "other patients than those it was trained on"})
    running.steward.answer(answer.sign(private_key(folder / "kits" / "founder" / "founder.key")))
    say(f"{_PERSON} decided, signed: retrain")


def _lay_out(folder: Path, cohorts: Mapping[str, Cohort]) -> None:
    """Folders of the embedded hospitals, each with its table, permit and kit; and the coordinator's."""
    names = tuple(cohorts)
    now = datetime.datetime.now(datetime.UTC)
    provision(folder / "kits", names, ["127.0.0.1", "localhost"], now)
    founder = private_key(folder / "kits" / "founder" / "founder.key")
    permit = Permit(
        id="demo",
        dataset=_DATASET,
        purpose=Purpose.SCIENTIFIC_RESEARCH,
        holder="sixfold demo",
        issued_by="sixfold demo",
        not_before=now - datetime.timedelta(hours=1),
        expires=now + datetime.timedelta(days=1),
        outputs=tuple(output.value for output in Output),
        features=heart.VARIABLES,
        minimum_cohort=10,
        minimum_sites=3,
    )
    tables = ("p.sqlite", "p.parquet", "p.csv", "p.sqlite")
    for cohort, table in zip(cohorts.values(), tables, strict=True):
        lay_out(
            folder / cohort.site,
            cohort,
            heart.held_out(cohort),
            dataset=_DATASET,
            table=table,
            mapping={name: {"column": name} for name in cohort.features},
            permit=sign_permit(permit, founder),
            trusted=(key_text(founder),),
        )
        shutil.copytree(folder / "kits" / cohort.site, folder / cohort.site / "kit")
    shutil.copytree(folder / "kits" / COORDINATOR, folder / COORDINATOR / "kit")
    FederationSettings(
        federation="demo",
        permit=permit.id,
        dataset=_DATASET,
        purpose=permit.purpose,
        features=heart.VARIABLES,
        matrix=_MATRIX,
        sites=names,
        minimum_sites=3,
        algorithm="personal_intercept",
        knobs={"rounds": _ROUNDS, "l2": 0.005, "tau": 0.3},
        deadline=Deadline(deadline_s=60.0, quorum=3, grace_s=3.0),
        gate=_GATE,
        plan=_PLAN,
    ).write(folder / COORDINATOR)
