"""A hospital's folder: its table, how that becomes the common schema, its permits and opt-outs; the only way in."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from numpy.typing import NDArray

from sixfold.errors import InputError, UserError
from sixfold.parts.privacy_ledger import PrivacyLedger
from sixfold.parts.privacy_mechanism import Budget
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.cohort import Arrived, Cohort
from sixfold.systems.hospital.data.features import featurise
from sixfold.systems.hospital.data.harmonise import Source, harmonise, load_mapping
from sixfold.systems.hospital.data.storage import Cell, read_columns
from sixfold.systems.hospital.federation.job import Job, Split
from sixfold.systems.hospital.federation.site import Site
from sixfold.systems.hospital.federation.site_state import SiteState, site_secret
from sixfold.systems.hospital.hospital_files import HospitalSettings, in_test_part, read_own, read_settings
from sixfold.systems.hospital.keys import public_key
from sixfold.systems.hospital.notes import add_new_notes
from sixfold.systems.hospital.operation.in_force import InForce
from sixfold.systems.hospital.policy.decide import Request, decide, enough
from sixfold.systems.hospital.policy.opt_out import read_opt_outs
from sixfold.systems.hospital.policy.permit import Permit, load_permit
from sixfold.systems.hospital.provision import Kit, load_kit

__all__ = ["JobRefused", "open_hospital", "open_site", "staying"]


class JobRefused(UserError):  # noqa: N818  an answer, not a mistake
    """This hospital does not let the job read; says which field of its permit, or what else, forbids it."""


@dataclass(slots=True)
class FolderRecords:
    """Decides by the hospital's own permits, reads its table when it is another one, and leaves out who opted out.

    notes: a file for the hospital alone, where what harmonisation found is written down.
    """

    folder: Path
    log: AuditLog
    notes: Path
    clock: Callable[[], float]
    settings: HospitalSettings = field(init=False)
    _read: dict[tuple[str, ...], tuple[tuple[int, int], Cohort, NDArray[np.bool_]]] = field(
        default_factory=dict, init=False
    )
    _permits: dict[bytes, Permit] = field(default_factory=dict, init=False)
    _decided: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.settings = read_settings(self.folder)

    def admit(self, job: Job) -> Cohort:
        """The patients of the job's part, featurised; raises JobRefused before anything is read, or InputError."""
        permit, opted_out = self._allowed(job)
        cohort, test_N = self._table(job.features)
        staying_N = staying(cohort, opted_out)
        part_N = {Split.ALL: np.ones(len(cohort), dtype=bool), Split.TEST: test_N, Split.TRAIN: ~test_N}[job.split]
        chosen = cohort.take(staying_N & part_N)
        self._enough(job, permit, len(chosen))  # those that are computed over, not all that there are
        return featurise(chosen, job.matrix) if job.matrix else chosen

    def arrived(self, job: Job, period: int) -> Arrived | None:
        """The patients in the table periods/PERIOD, which has the columns of the hospital's own; outcomes may be empty.

        None if there is no such table. Raises as `admit`.
        """
        permit, opted_out = self._allowed(job)
        tables = sorted((self.folder / "periods").glob(f"{period:d}.*"))
        if not tables:
            return None
        if len(tables) > 1:
            raise InputError("two tables of one period: which one is meant?", path=tables[1])
        own, wanted = self.settings, self._mapping(job.features)
        raw = read_columns(tables[0], [own.patient, own.outcome, *(each.column for each in wanted.values())])
        known = None not in raw[own.outcome]
        if not known:  # outcomes come later, and nothing is counted of these until then
            raw[own.outcome] = [0.0] * len(raw[own.outcome])
        cohort = self._harmonised(f"periods/{tables[0].name}", raw, wanted, None)
        chosen = cohort.take(staying(cohort, opted_out))
        self._enough(job, permit, len(chosen))
        return Arrived(featurise(chosen, job.matrix) if job.matrix else chosen, known)

    def trusted(self) -> list[Ed25519PublicKey]:
        """The keys whose holders decide here: on permits, and on alarms."""
        return [public_key(text) for text in self.settings.trusted]

    def _allowed(self, job: Job) -> tuple[Permit, frozenset[str]]:
        """The permit under which the job may read, and who opted out of it; raises JobRefused."""
        permit = self._permit(job.permit)
        now = datetime.datetime.fromtimestamp(self.clock(), datetime.UTC)
        reasons = decide(_request(job, self.settings.dataset), permit, self.trusted(), now).reasons
        if job.dataset != self.settings.dataset:
            reasons = (*reasons, f"dataset: got {job.dataset}, this hospital has {self.settings.dataset}")
        self._note(job, reasons)
        if reasons or permit is None:
            raise JobRefused("; ".join(reasons))
        return permit, read_opt_outs(self.folder / "opt_out.csv")

    def _enough(self, job: Job, permit: Permit, patients: int) -> None:
        reasons = enough(permit, patients).reasons
        self._note(job, reasons)
        if reasons:
            raise JobRefused("; ".join(reasons))

    def _mapping(self, variables: tuple[str, ...]) -> dict[str, Source]:
        path = self.folder / self.settings.mapping
        mapping = load_mapping(path)
        if missing := [name for name in variables if name not in mapping]:
            raise InputError(f"no source of {', '.join(missing)}", path=path)
        return {name: mapping[name] for name in variables}

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
        own, wanted = self.settings, self._mapping(variables)
        stamp = _stamp(self.folder / own.table)
        if (known := self._read.get(variables)) is None or known[0] != stamp:
            raw = read_own(self.folder, own, wanted)
            cohort = self._harmonised(own.table, raw, wanted, own.time)
            known = self._read[variables] = (stamp, cohort, in_test_part(own, raw, cohort))
        return known[1:]

    def _harmonised(
        self, table: str, raw: Mapping[str, list[Cell]], wanted: Mapping[str, Source], time: str | None
    ) -> Cohort:
        """The patients of a table in the common schema; what was found in it is noted for the hospital alone."""
        own = self.settings
        cohort, findings = harmonise(raw, wanted, own.name, own.patient, own.outcome, time)
        add_new_notes(self.notes, [{"table": table, **asdict(finding)} for finding in findings])
        return cohort


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
        InForce(home / "releases", kit, records.trusted),
    )


def open_hospital(folder: Path) -> Callable[[bytes], bytes]:
    """The hospital of a folder that holds all of it: settings and table, its kit in kit/, its state in state/."""
    name = read_settings(folder).name
    return open_site(folder, folder / "state", load_kit(folder / "kit", name), time.time).handle


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


def _stamp(table: Path) -> tuple[int, int]:
    """What changes when a table is written again."""
    try:
        found = table.stat()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=table) from None
    return found.st_mtime_ns, found.st_size
