"""A coordinator's folder: what the federation is for, its kit, and all that came of it so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sixfold.design.yaml_source import load_yaml
from sixfold.errors import ConfigError, InputError, PrerequisiteError
from sixfold.files import read_json, replace_bytes, replace_json
from sixfold.locks import alone
from sixfold.parts.privacy_mechanism import Budget, Mechanism, noise_for
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.data.features import MATRICES
from sixfold.systems.hospital.federation.coordinator import Coordinator, Finished, RoundRecord
from sixfold.systems.hospital.federation.job import Job, Output, Protection
from sixfold.systems.hospital.federation.participation import asked_of, rota, rounds_of_each
from sixfold.systems.hospital.gate import GatePolicy
from sixfold.systems.hospital.monitor import Policy
from sixfold.systems.hospital.monitor_report import Plan
from sixfold.systems.hospital.operation.release import Release
from sixfold.systems.hospital.operation.steward import Steward, in_force, states_of
from sixfold.systems.hospital.policy.permit import Purpose
from sixfold.systems.hospital.provision import COORDINATOR, Kit, load_kit, node_keys
from sixfold.systems.hospital.train.choose import Training, make_algorithm
from sixfold.systems.hospital.transport.flower_coordinator import Link, open_flower
from sixfold.systems.hospital.transport.transport import Deadline, Transport

__all__ = ["LINK", "CoordinatorFolder", "FederationSettings", "Operating", "read_link", "write_link"]

LINK = "link.json"


class FederationSettings(BaseModel):
    """federation.yaml. algorithm, knobs: as `make_algorithm` takes them. epsilon, delta: of a patient, in all rounds.

    participation: the share of hospitals that a round asks, in turns. late: as in Job. gate, plan, watch: the limits
    that a model is released by, what hospitals count of its patients afterwards, and when that is an alarm.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    federation: str = Field(min_length=1, max_length=80)
    permit: str
    dataset: str
    purpose: Purpose
    features: tuple[str, ...] = Field(min_length=1)
    matrix: str = ""
    sites: tuple[str, ...] = Field(min_length=1)
    minimum_sites: int = Field(ge=1)
    protection: Protection = Protection.MASKED
    colluding: int = Field(default=0, ge=0)
    algorithm: str
    knobs: dict[str, int | float | str] = {}
    seed: int = 0
    epsilon: float | None = Field(default=None, gt=0)
    delta: float | None = Field(default=None, gt=0, lt=1)
    participation: float = Field(default=1.0, gt=0, le=1)
    late: float = Field(default=0.0, ge=0, le=1)
    deadline: Deadline = Deadline()
    gate: GatePolicy
    plan: Plan
    watch: Policy = Policy()

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.epsilon is None) != (self.delta is None):
            raise ValueError("epsilon and delta go together")
        if self.matrix and self.matrix not in MATRICES:
            raise ValueError(f"matrix: got {self.matrix!r}, expected one of {', '.join(sorted(MATRICES))}, or none")
        if (asked := asked_of(len(self.sites), self.participation)) < self.minimum_sites:
            raise ValueError(f"a round asks {asked} hospitals, minimum_sites={self.minimum_sites} is more than that")
        return self

    def write(self, folder: Path) -> None:
        """As FOLDER/federation.yaml."""
        record = self.model_dump(mode="json", exclude_none=True)
        replace_bytes(folder / "federation.yaml", yaml.safe_dump(record, sort_keys=False).encode())


@dataclass(frozen=True, slots=True)
class Operating:
    """A coordinator that is connected to its hospitals. online: those that were there when it was opened."""

    settings: FederationSettings
    coordinator: Coordinator
    steward: Steward
    job: Job
    algorithm: Training
    online: tuple[str, ...]

    def train(self) -> Finished:
        """As `Coordinator.run`."""
        return self.coordinator.run(self.job, self.algorithm, self.settings.seed)

    def candidate(self, person: str) -> Release:
        """What was trained, as a release that nobody signed yet. Raises ConfigError when there is nothing new."""
        own, known = self.settings, in_force(self.steward.folder, self.coordinator.kit.roster)
        if known is not None and known.job.digest == self.job.digest:
            raise ConfigError("this model is in force; another is trained when a person decided on an alarm")
        checkpoint = self.coordinator.trained(self.job)
        if checkpoint is None or checkpoint.round < self.algorithm.rounds:
            raise ConfigError("this model is not trained yet: train it first")
        period = max((state.period for state in self.steward.states().values()), default=0) if known else 0
        finished = self.train()  # nothing is left to do: no hospital is asked
        facts: dict[str, float | int | str] = {"rounds": finished.state.round, "moved_bytes": finished.moved_bytes}
        if finished.rounds and (spent := finished.rounds[-1].spent):
            facts["epsilon"] = max(spent.values())
        model = self.algorithm.model.settings()
        return self.steward.candidate(finished, model, own.gate, own.plan, own.watch, person, facts, period)


@dataclass(frozen=True, slots=True)
class CoordinatorFolder:
    """FOLDER/federation.yaml, FOLDER/kit, and FOLDER/state, which is all that a killed coordinator goes on from."""

    folder: Path
    settings: FederationSettings

    @staticmethod
    def read(folder: Path) -> CoordinatorFolder:
        """InputError names the file, the line and the field."""
        path = folder / "federation.yaml"
        try:
            return CoordinatorFolder(folder, load_yaml(path, FederationSettings))
        except ConfigError as error:
            raise InputError(str(error), path=path) from None

    @property
    def state(self) -> Path:
        """Where the log, the rounds of each job, and the releases are."""
        return self.folder / "state"

    @property
    def releases(self) -> Path:
        return self.state / "releases"

    def kit(self) -> Kit:
        """The coordinator's. Raises InputError."""
        return load_kit(self.folder / "kit", COORDINATOR)

    def algorithm(self) -> Training:
        """Raises InputError for a knob that there is not, or of another kind."""
        own = self.settings
        try:
            return make_algorithm(own.algorithm, len(MATRICES[own.matrix] if own.matrix else own.features), own.knobs)
        except ConfigError as error:
            raise InputError(str(error), path=self.folder / "federation.yaml", field="knobs") from None

    def job(self, kit: Kit) -> Job:
        """The training that is due: that of the release in force, or what replaces it once a person decided so."""
        own, release = self.settings, in_force(self.releases, kit.roster)
        try:
            return Job(
                federation=own.federation,
                permit=own.permit,
                dataset=own.dataset,
                purpose=own.purpose.value,
                output=Output.MODEL_UPDATE,
                features=own.features,
                sites=tuple(sorted(own.sites)),
                protection=own.protection,
                minimum_sites=own.minimum_sites,
                colluding=own.colluding,
                matrix=own.matrix,
                replaces=self._replaced(release),
                late=own.late,
                **self._privacy(),
            )
        except ConfigError as error:
            raise InputError(str(error), path=self.folder / "federation.yaml") from None

    def operating(
        self, transport: Transport, online: tuple[str, ...], watch: Callable[[RoundRecord], None] = lambda record: None
    ) -> Operating:
        """The coordinator over any transport. Raises InputError."""
        kit, own = self.kit(), self.settings
        job, algorithm = self.job(kit), self.algorithm()
        log = AuditLog(self.state / "audit.jsonl", kit.signing_key, COORDINATOR)
        coordinator = Coordinator(kit, transport, self.state, log, own.deadline, watch=watch)
        if (asked := asked_of(len(job.sites), own.participation)) < len(job.sites):
            coordinator.pick = rota(job.sites, asked, own.seed)
        return Operating(own, coordinator, Steward(coordinator, self.releases), job, algorithm, online)

    @contextmanager
    def connected(
        self, wait_s: float = 60.0, watch: Callable[[RoundRecord], None] = lambda record: None
    ) -> Iterator[Operating]:
        """Through the link that `sixfold hospital link` keeps open. Raises PrerequisiteError when there is none.

        wait_s: for hospitals that are not there yet.
        """
        keys = node_keys(self.folder / "kit")
        if unknown := [site for site in self.settings.sites if site not in keys]:
            raise InputError(
                f"this kit has no key of {', '.join(unknown)}", path=self.folder / "federation.yaml", field="sites"
            )
        with (
            alone(self.state / "coordinator.lock", f"coordinates from {self.folder}"),
            open_flower(read_link(self.folder), keys) as transport,
        ):
            online = transport.wait_online(self.settings.sites, wait_s)
            yield self.operating(transport, tuple(sorted(online)), watch)

    def _replaced(self, release: Release | None) -> str:
        if release is None:
            return ""
        states = states_of(release, self.releases / release.digest[:16])
        decided = any(answer.action == "retrain" for state in states.values() for answer in state.answers)
        return release.digest if decided else release.job.replaces

    def _privacy(self) -> dict[str, Any]:
        own = self.settings
        if own.epsilon is None or own.delta is None:
            return {}
        clip = own.knobs.get("clip")
        if not isinstance(clip, int | float):
            raise InputError("privacy needs a clip", path=self.folder / "federation.yaml", field="knobs")
        sites, rounds = len(own.sites), self.algorithm().rounds
        budget = Budget(own.epsilon, own.delta)
        noise = noise_for(budget, rounds_of_each(rounds, asked_of(sites, own.participation), sites))
        contributors = own.minimum_sites - own.colluding if own.protection is Protection.MASKED else 1
        return {"budget": budget, "mechanism": Mechanism(float(clip), noise, contributors)}


def read_link(folder: Path) -> Link:
    """Where the SuperLink of a coordinator's folder listens. Raises PrerequisiteError when there is none."""
    path = folder / LINK
    if not path.exists():
        raise PrerequisiteError(f"no link is open: run `sixfold hospital link {folder}` and leave it running")
    record = read_json(path)
    return Link(str(record["address"]), folder / "kit" / "ca.crt", Path(record["secret"]))


def write_link(folder: Path, link: Link, door: tuple[str, int]) -> None:
    """Say where it listens, for the commands of this machine."""
    record = {"address": link.address, "secret": str(link.secret), "door": f"{door[0]}:{door[1]}"}
    replace_json(folder / LINK, record)
