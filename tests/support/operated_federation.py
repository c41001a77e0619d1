"""A federation in memory that has trained, and is operated: patients come to it, those of one hospital change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from federation_run import Federation, a_job, cohorts

from sixfold.errors import UserError
from sixfold.parts.privacy_mechanism import Budget, Mechanism, noise_for
from sixfold.systems.hospital.cohort import Arrived, Cohort
from sixfold.systems.hospital.coordinator_folder import FederationSettings
from sixfold.systems.hospital.federation.coordinator import Coordinator, Finished, RoundRecord
from sixfold.systems.hospital.federation.job import Job, Split
from sixfold.systems.hospital.gate import GatePolicy
from sixfold.systems.hospital.monitor import Phase, Policy
from sixfold.systems.hospital.monitor_report import SCORE, Plan
from sixfold.systems.hospital.operation.release import Release
from sixfold.systems.hospital.operation.signed_answer import SignedAnswer
from sixfold.systems.hospital.operation.steward import Steward
from sixfold.systems.hospital.policy.permit import Purpose
from sixfold.systems.hospital.provision import COORDINATOR
from sixfold.systems.hospital.train.choose import make_algorithm

DECIDER = Ed25519PrivateKey.from_private_bytes(b"d" * 32)
PLAN = Plan({SCORE: (0.2, 0.4, 0.5, 0.6, 0.8), "x0": (-0.7, 0.0, 0.7)}, threshold=0.5, delay=1)
LENIENT = GatePolicy("accuracy", 0.5, 1.0, 0.9, 0.6, 0.1, 10)
ALGORITHM = make_algorithm("newton", 3, {"rounds": 4, "l2": 0.01})
MODEL = {"model": "logistic", "features": 3}
PATIENTS = 120
BUDGET = Budget(8.0, 1e-3)


@dataclass
class Growing:
    """A hospital to which patients come; those of `shifted` sites are others from the third period on."""

    cohort: Cohort
    shifted: str = "site3"
    asked: list[int] = field(default_factory=list)

    def admit(self, job: Job) -> Cohort:
        test = np.arange(len(self.cohort)) % 3 == 0
        return self.cohort.take(test if job.split is Split.TEST else ~test)

    def arrived(self, job: Job, period: int) -> Arrived | None:
        if period > 8:
            return None
        self.asked.append(period)
        drawn = next(c for c in cohorts(4, PATIENTS, seed=100 + period) if c.site == self.cohort.site)
        if self.cohort.site == self.shifted and period >= 3:
            drawn = replace(drawn, X_ND=drawn.X_ND + 1.5)
        return Arrived(drawn, known=True)


@dataclass
class Running:
    """A federation that has trained, and who operates its model."""

    federation: Federation
    coordinator: Coordinator
    steward: Steward
    job: Job
    finished: Finished

    def candidate(self, **more: Any) -> Release:
        known: dict[str, Any] = {
            "gate": LENIENT,
            "plan": PLAN,
            "watch": Policy(),
            "person": "E. Blackwell",
            "facts": {},
        }
        return self.steward.candidate(self.finished, MODEL, **{**known, **more})

    def answer(self, release: Release, **more: Any) -> SignedAnswer:
        known = {"release": release.digest, "site": "site3", "period": 4, "action": "retrain", "person": "E. Blackwell"}
        return SignedAnswer.from_json({**known, "reason": "other patients", **more}).sign(DECIDER)

    def alarmed(self) -> Release:
        release = self.candidate()
        self.steward.release(release)
        for period in (1, 2, 3, 4):
            states = self.steward.watch(period)
        assert [site for site, state in states.items() if state.phase is Phase.ALARMED] == ["site3"]
        return release


def run(folder: Path) -> Running:
    """Four hospitals that trained without privacy."""
    federation = Federation(folder, cohorts(4, PATIENTS), records=Growing, trusted=[DECIDER.public_key()])
    coordinator, job = federation.coordinator(), a_job(list(federation.sites), minimum_sites=3)
    return _operated(federation, coordinator, job, coordinator.run(job, ALGORITHM, 0))


def run_private(folder: Path, rounds: int = 6) -> Running:
    """Four hospitals that trained with a budget; one was away in round 2."""
    away = set[str]()

    def change(site: str, request: bytes, handle: Callable[[bytes], bytes]) -> bytes:
        if site in away:
            raise UserError("away")
        return handle(request)

    def watch(record: RoundRecord) -> None:
        away.clear()
        if record.round == 1:
            away.add("site1")

    federation = Federation(
        folder, cohorts(4, PATIENTS), change=change, records=Growing, trusted=[DECIDER.public_key()]
    )
    coordinator = federation.coordinator(watch=watch)
    mechanism = Mechanism(1.0, noise_for(BUDGET, rounds + 2), 3)
    job = a_job(list(federation.sites), minimum_sites=3, mechanism=mechanism, budget=BUDGET)
    knobs: dict[str, float | int | str] = {"rounds": rounds, "clip": 1.0, "expected_batch": 360.0, "server_rate": 4.0}
    return _operated(federation, coordinator, job, coordinator.run(job, make_algorithm("dp_gradient", 3, knobs), 0))


def _operated(federation: Federation, coordinator: Coordinator, job: Job, finished: Finished) -> Running:
    steward = Steward(coordinator, federation.folder / COORDINATOR / "releases")
    return Running(federation, coordinator, steward, job, finished)


def page_folder(folder: Path, running: Running) -> Path:
    """What the page is served from: the coordinator's folder of this federation."""
    job, home = running.job, folder / "page"
    home.mkdir()
    FederationSettings(
        federation=job.federation,
        permit=job.permit,
        dataset=job.dataset,
        purpose=Purpose(job.purpose),
        features=job.features,
        sites=job.sites,
        minimum_sites=job.minimum_sites,
        algorithm="dp_gradient",
        epsilon=None if job.budget is None else job.budget.epsilon,
        delta=None if job.budget is None else job.budget.delta,
        gate=LENIENT,
        plan=PLAN,
    ).write(home)
    (home / "kit").symlink_to(running.federation.folder / "kits" / COORDINATOR)
    (home / "state").symlink_to(running.federation.folder / COORDINATOR)
    return home
