"""A federation of processes on this machine: four hospitals and a coordinator over Flower; one is killed midway."""

from __future__ import annotations

import datetime
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sixfold.errors import ConfigError
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.audit.verify import Verified, verify_logs
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.data.features import MATRICES
from sixfold.systems.hospital.federation.coordinator import Coordinator, Finished, RoundRecord
from sixfold.systems.hospital.federation.job import Job, Output, Protection
from sixfold.systems.hospital.hospital_folder import lay_out
from sixfold.systems.hospital.keys import key_text, private_key
from sixfold.systems.hospital.policy.permit import Permit, Purpose, sign_permit
from sixfold.systems.hospital.provision import COORDINATOR, load_kit, provision
from sixfold.systems.hospital.train.choose import make_algorithm
from sixfold.systems.hospital.transport.flower_coordinator import open_flower
from sixfold.systems.hospital.transport.flower_processes import HospitalProcesses, LinkProcesses
from sixfold.systems.hospital.transport.transport import Deadline

__all__ = ["Demo", "run_demo"]

_ROUNDS, _KILLED_AFTER, _BACK_AFTER = 6, 2, 4
_DEADLINE = Deadline(deadline_s=60.0, quorum=3, grace_s=3.0)
_READY_S = 90.0
_OPENER = "sixfold.systems.hospital.hospital_folder:open_hospital"
_DATASET, _MATRIX = "heart-disease", "heart"


@dataclass(frozen=True, slots=True)
class Demo:
    """What came of it: the federation, who was killed, what the logs say, and how long it took."""

    finished: Finished
    killed: str
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
            "log_entries": dict(self.verified.entries),
            "findings": [str(finding) for finding in self.verified.findings],
            "wall_s": self.wall_s,
        }


def run_demo(folder: Path, say: Callable[[str], None]) -> Demo:
    """Provision, start, train, kill a hospital after two rounds, start it again, finish, verify all logs.

    Everything listens on loopback; hospitals and coordinator speak through doors that ask for a certificate. Raises
    ConfigError when the folder is not empty, PrerequisiteError when a process does not start.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty: a demo starts from nothing")
    began_s = time.perf_counter()
    names = _hospitals(folder)
    killed = names[-1]
    kits = folder / "kits"
    node_keys = {name: (kits / name / "node.pub").read_bytes() for name in names}
    with LinkProcesses(kits / COORDINATOR, folder / "link", node_keys) as link:
        say(f"coordinator's door on {link.door[0]}:{link.door[1]}")
        hospitals = {
            name: HospitalProcesses(kits / name, folder / name / "processes", _OPENER, folder / name, link.door)
            for name in names
        }
        try:
            for hospital in hospitals.values():
                hospital.start()
            with open_flower(link.link, node_keys) as transport:
                online = transport.wait_online(names, _READY_S)
                say(f"{len(online)} of {len(names)} hospitals are connected, each by its own certificate")

                def watch(record: RoundRecord) -> None:
                    said = record.why or f"the sum of {', '.join(record.counted)}"
                    say(f"round {record.round} attempt {record.attempt}: {said} in {record.wall_s:.1f} s")
                    if record.counted and record.round == _KILLED_AFTER - 1:
                        hospitals[killed].kill()
                        say(f"kill -9 of {killed}: door, SuperNode and site")
                    if record.counted and record.round == _BACK_AFTER - 1:
                        hospitals[killed].start()
                        transport.wait_online([killed], _READY_S)
                        say(f"{killed} is started again from its folder")

                kit = load_kit(kits / COORDINATOR, COORDINATOR)
                log = AuditLog(folder / COORDINATOR / "audit.jsonl", kit.signing_key, COORDINATOR)
                coordinator = Coordinator(kit, transport, folder / COORDINATOR, log, _DEADLINE, watch=watch)
                algorithm = make_algorithm("newton", len(MATRICES[_MATRIX]), {"rounds": _ROUNDS, "l2": 0.005})
                finished = coordinator.run(_job(names), algorithm, seed=0)
        finally:
            for hospital in hospitals.values():
                hospital.stop()
    logs = {name: folder / name / "state" / "audit.jsonl" for name in names}
    verified = verify_logs({**logs, COORDINATOR: folder / COORDINATOR / "audit.jsonl"}, kit.roster)
    return Demo(finished, killed, verified, time.perf_counter() - began_s)


def _hospitals(folder: Path) -> tuple[str, ...]:
    """Folders of the embedded hospitals, each with its table, permit and kit; their names."""
    cohorts = heart.complete_cases(heart.read_embedded())
    names = tuple(cohort.site for cohort in cohorts)
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
        outputs=(Output.MODEL_UPDATE.value,),
        features=heart.VARIABLES,
        minimum_cohort=10,
        minimum_sites=3,
    )
    for cohort, table in zip(cohorts, ("p.sqlite", "p.parquet", "p.csv", "p.sqlite"), strict=True):
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
    return names


def _job(names: tuple[str, ...]) -> Job:
    return Job(
        federation="demo",
        permit="demo",
        dataset=_DATASET,
        purpose=Purpose.SCIENTIFIC_RESEARCH.value,
        output=Output.MODEL_UPDATE,
        features=heart.VARIABLES,
        sites=tuple(sorted(names)),
        protection=Protection.MASKED,
        minimum_sites=3,
        matrix=_MATRIX,
    )
