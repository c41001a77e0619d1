"""A hospital's folder: its table, how that becomes the common schema, its permits and opt-outs; the only way in."""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from sixfold.design.yaml_source import load_yaml
from sixfold.errors import InputError, UserError
from sixfold.files import replace_bytes
from sixfold.parts.privacy_ledger import PrivacyLedger
from sixfold.parts.privacy_mechanism import Budget
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data.features import featurise
from sixfold.systems.hospital.data.harmonise import Source, harmonise, load_mapping
from sixfold.systems.hospital.data.storage import Cell, read_columns, write_table
from sixfold.systems.hospital.federation.job import Job, Split
from sixfold.systems.hospital.federation.site import Site
from sixfold.systems.hospital.federation.site_state import SiteState, site_secret
from sixfold.systems.hospital.keys import public_key
from sixfold.systems.hospital.notes import add_new_notes
from sixfold.systems.hospital.policy.decide import Request, decide, enough
from sixfold.systems.hospital.policy.opt_out import read_opt_outs
from sixfold.systems.hospital.policy.permit import Permit, load_permit, write_permit
from sixfold.systems.hospital.provision import Kit, load_kit

__all__ = [
    "HospitalSettings",
    "JobRefused",
    "in_test_part",
    "lay_out",
    "open_hospital",
    "open_site",
    "read_own",
    "staying",
]

_TEST_SHARE = 0.34  # of patients, where the table does not say which part they belong to


class JobRefused(UserError):  # noqa: N818  an answer, not a mistake
    """This hospital does not let the job read; says which field of its permit, or what else, forbids it."""


class HospitalSettings(BaseModel):
    """hospital.yaml. part: a column that says train or test of each patient; without it a hash of the pseudonym does.

    time: a column of days until the outcome or the end of follow-up, for survival; the outcome then says which it was.
    trusted: public keys whose permits count here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dataset: str
    table: str
    mapping: str
    patient: str
    outcome: str
    time: str | None = None
    part: str | None = None
    trusted: tuple[str, ...]


@dataclass(slots=True)
class FolderRecords:
    """Decides by the hospital's own permits, reads its table once, and leaves out who opted out.

    notes: a file for the hospital alone, where what harmonisation found is written down.
    """

    folder: Path
    log: AuditLog
    notes: Path
    clock: Callable[[], float]
    settings: HospitalSettings = field(init=False)
    _read: dict[tuple[str, ...], tuple[Cohort, NDArray[np.bool_]]] = field(default_factory=dict, init=False)
    _permits: dict[bytes, Permit] = field(default_factory=dict, init=False)
    _decided: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.settings = load_yaml(self.folder / "hospital.yaml", HospitalSettings)

    def admit(self, job: Job) -> Cohort:
        """The patients of the job's part, featurised; raises JobRefused before anything is read, or InputError."""
        permit = self._permit(job.permit)
        now = datetime.datetime.fromtimestamp(self.clock(), datetime.UTC)
        trusted = [public_key(text) for text in self.settings.trusted]
        reasons = decide(_request(job, self.settings.dataset), permit, trusted, now).reasons
        if job.dataset != self.settings.dataset:
            reasons = (*reasons, f"dataset: got {job.dataset}, this hospital has {self.settings.dataset}")
        self._note(job, reasons)
        if reasons or permit is None:
            raise JobRefused("; ".join(reasons))
        opted_out = read_opt_outs(self.folder / "opt_out.csv")
        cohort, test_N = self._table(job.features)
        staying_N = staying(cohort, opted_out)
        part_N = {Split.ALL: np.ones(len(cohort), dtype=bool), Split.TEST: test_N, Split.TRAIN: ~test_N}[job.split]
        chosen = cohort.take(staying_N & part_N)
        reasons = enough(permit, len(chosen)).reasons  # those that are computed over, not all that there are
        self._note(job, reasons)
        if reasons:
            raise JobRefused("; ".join(reasons))
        return featurise(chosen, job.matrix) if job.matrix else chosen

    def allowance(self, job: Job) -> Budget | None:
        """What the job's permit lets all jobs under it spend together, for each patient; None if it does not say."""
        permit = self._permit(job.permit)
        if permit is None or permit.epsilon is None or permit.delta is None:
            return None
        return Budget(permit.epsilon, permit.delta)

    def _permit(self, name: str) -> Permit | None:
        path = self.folder / "permits" / f"{name}.yaml"
        # a name is only looked up: it cannot lead out of the folder
        if path.name != f"{name}.yaml" or not path.exists():
            return None
        written = path.read_bytes()
        if written not in self._permits:  # parsed once, decided upon every time
            self._permits = {written: load_permit(path)}
        return self._permits[written]

    def _note(self, job: Job, reasons: tuple[str, ...]) -> None:
        """Write a decision down when it is the first of its job, or another one than before."""
        if self._decided.get(job.digest) != reasons:
            self._decided[job.digest] = reasons
            facts: dict[str, str | bool] = {
                "job": job.digest,
                "permit": job.permit,
                "allowed": not reasons,
                "reasons": "; ".join(reasons)[:400],
            }
            self.log.append("permit_decision", facts, self.clock())

    def _table(self, variables: tuple[str, ...]) -> tuple[Cohort, NDArray[np.bool_]]:
        if variables not in self._read:
            own = self.settings
            mapping = load_mapping(self.folder / own.mapping)
            if missing := [name for name in variables if name not in mapping]:
                raise InputError(f"no source of {', '.join(missing)}", path=self.folder / own.mapping)
            wanted = {name: mapping[name] for name in variables}
            raw = read_own(self.folder, own, wanted)
            cohort, findings = harmonise(raw, wanted, own.name, own.patient, own.outcome, own.time)
            add_new_notes(self.notes, [{"table": own.table, **asdict(finding)} for finding in findings])
            test_N = in_test_part(own, raw, cohort)
            self._read[variables] = (cohort, test_N)
        return self._read[variables]


def read_own(folder: Path, own: HospitalSettings, wanted: Mapping[str, Source]) -> dict[str, list[Cell]]:
    """The columns of a hospital's table that its settings and these variables name, as they are in it."""
    columns = [own.patient, own.outcome, own.time, own.part, *(each.column for each in wanted.values())]
    return read_columns(folder / own.table, [name for name in columns if name])


def in_test_part(own: HospitalSettings, raw: Mapping[str, list[Cell]], cohort: Cohort) -> NDArray[np.bool_]:
    """Which patients are of the test part, N; InputError for a part that is neither: it would be trained on."""
    if own.part is None:
        return _drawn(cohort.patients)
    if other := [cell for cell in raw[own.part] if cell not in ("train", "test")]:
        raise InputError(f"{own.name}: got part {other[0]!r}, expected train or test", field=own.part)
    return np.array([cell == "test" for cell in raw[own.part]], dtype=bool)


def staying(cohort: Cohort, opted_out: frozenset[str]) -> NDArray[np.bool_]:
    """Which patients did not opt out, N."""
    return ~np.isin(np.char.strip(cohort.patients), list(opted_out))


def open_site(folder: Path, home: Path, kit: Kit, clock: Callable[[], float]) -> Site:
    """The hospital of this folder as a party of federations; `home` is where it keeps state, ledgers and log."""
    log = AuditLog(home / "audit.jsonl", kit.signing_key, kit.name)
    notes = home / "notes.jsonl"
    records = FolderRecords(folder, log, notes, clock)

    def ledgers(job: Job) -> list[PrivacyLedger]:
        """What jobs of one federation spend adds up, and what all jobs under one permit spend, whatever their names."""
        if job.budget is None:
            return []
        books = [PrivacyLedger(home / "privacy" / f"{job.federation}.jsonl", job.budget)]
        allowed = records.allowance(job)
        return [*books, PrivacyLedger(home / "privacy" / f"permit {job.permit}.jsonl", allowed)] if allowed else books

    return Site(
        kit,
        records,
        log,
        site_secret(home),
        lambda digest: SiteState(home / "jobs" / digest[:16]),
        ledgers,
        clock,
        notes,
    )


def open_hospital(folder: Path) -> Callable[[bytes], bytes]:
    """The hospital of a folder that holds all of it: settings and table, its kit in kit/, its state in state/."""
    name = load_yaml(folder / "hospital.yaml", HospitalSettings).name
    return open_site(folder, folder / "state", load_kit(folder / "kit", name), time.time).handle


def lay_out(
    folder: Path,
    cohort: Cohort,
    test_N: NDArray[np.bool_],
    *,
    dataset: str,
    table: str,
    mapping: Mapping[str, Any],
    permit: Permit,
    trusted: tuple[str, ...],
) -> None:
    """Write a hospital's folder from a cohort, as if it had always been there: for studies, demos and tests.

    table: the file's name; its ending is the format, .csv, .parquet or .sqlite. mapping: as in mapping.yaml.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[str, list[Any]] = {"patient": [str(name) for name in cohort.patients]}
    for at, name in enumerate(cohort.features):
        values = cohort.X_ND[:, at]
        columns[str(mapping[name]["column"])] = [None if np.isnan(value) else float(value) for value in values]
    columns["disease"] = [float(value) for value in cohort.y_N]
    if cohort.time_N is not None:
        columns["days"] = [float(value) for value in cohort.time_N]
    columns["part"] = ["test" if test else "train" for test in test_N]
    write_table(folder / table, columns)
    settings = HospitalSettings(
        name=cohort.site,
        dataset=dataset,
        table=table,
        mapping="mapping.yaml",
        patient="patient",
        outcome="disease",
        time=None if cohort.time_N is None else "days",
        part="part",
        trusted=trusted,
    )
    replace_bytes(folder / "hospital.yaml", yaml.safe_dump(settings.model_dump(mode="json")).encode())
    replace_bytes(folder / "mapping.yaml", yaml.safe_dump(dict(mapping)).encode())
    replace_bytes(folder / "opt_out.csv", b"patient,date\n")
    write_permit(folder / "permits" / f"{permit.id}.yaml", permit)


def _request(job: Job, dataset: str) -> Request:
    return Request(
        permit=job.permit,
        dataset=job.dataset,
        purpose=job.purpose,
        output=job.output.value,
        features=job.features,
        minimum_sites=job.minimum_sites,
        masked=job.protection.value == "masked",
        epsilon=None if job.budget is None else job.budget.epsilon,
        delta=None if job.budget is None else job.budget.delta,
    )


def _drawn(patients: NDArray[np.str_]) -> NDArray[np.bool_]:
    """A third of the patients, always the same ones, whoever else is there."""
    draws = [int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big") / 2.0**64 for name in patients]
    return np.array(draws) < _TEST_SHARE
