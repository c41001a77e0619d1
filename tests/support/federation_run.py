"""A federation in memory: kits, hospitals that keep their state in folders, and a coordinator over any transport."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sixfold.parts.privacy_ledger import PrivacyLedger
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.federation.contribution import Contribute, contribute
from sixfold.systems.hospital.federation.coordinator import Coordinator
from sixfold.systems.hospital.federation.job import Job, Output
from sixfold.systems.hospital.federation.site import Site
from sixfold.systems.hospital.federation.site_state import SiteState, site_secret
from sixfold.systems.hospital.provision import COORDINATOR, load_kit, provision, read_roster
from sixfold.systems.hospital.transport.transport import Deadline, InProcess

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)


def cohorts(sites: int = 4, patients: int = 60, features: int = 3, seed: int = 0) -> list[Cohort]:
    """Synthetic hospitals of growing size with one truth."""
    rng = np.random.default_rng(seed)
    made = []
    for at in range(sites):
        n = patients + 10 * at
        X = rng.normal(size=(n, features))
        y = (rng.random(n) < 1 / (1 + np.exp(-(X @ np.arange(1, features + 1) / 2)))).astype(float)
        names = np.array([f"p{at}-{i}" for i in range(n)])
        made.append(Cohort(f"site{at}", names, tuple(f"x{i}" for i in range(features)), X, y))
    return made


@dataclass
class Open:
    """Records that every job may read."""

    cohort: Cohort

    def admit(self, job: Job) -> Cohort:
        return self.cohort


def a_job(sites: Sequence[str], **more: Any) -> Job:
    """A job for these sites."""
    known = {
        "federation": "study",
        "permit": "permit-1",
        "dataset": "hearts",
        "purpose": "scientific-research",
        "output": Output.MODEL_UPDATE,
        "features": ("x0", "x1", "x2"),
        "minimum_sites": max(2, len(sites) // 2 + 1),
    }
    return Job(sites=tuple(sorted(sites)), **{**known, **more})


@dataclass
class Federation:
    """Everything in one folder; a hospital or the coordinator is restarted by making it again."""

    folder: Path
    data: Sequence[Cohort]
    change: Callable[[str, bytes, Callable[[bytes], bytes]], bytes] = lambda site, request, handle: handle(request)
    records: Callable[[Cohort], Any] = Open
    lies: Mapping[str, Contribute] = field(default_factory=dict)  # hospitals that do not keep to the protocol
    sites: dict[str, Site] = field(init=False)
    times: int = 0

    def __post_init__(self) -> None:
        if not (self.folder / "kits").exists():
            provision(self.folder / "kits", [cohort.site for cohort in self.data], ["127.0.0.1"], NOW)
            for at, cohort in enumerate(self.data):  # the same draws in every federation of the same shape
                home = self.folder / cohort.site
                home.mkdir()
                (home / "secret").write_bytes(bytes([at + 1]) * 32)
        self.sites = {cohort.site: self.site(cohort) for cohort in self.data}

    def clock(self) -> float:
        self.times += 1
        return float(self.times)

    def site(self, cohort: Cohort) -> Site:
        """A hospital as it starts from its folder."""
        home = self.folder / cohort.site
        kit = load_kit(self.folder / "kits" / cohort.site, cohort.site, now=NOW)

        def ledgers(job: Job) -> list[PrivacyLedger]:
            return [] if job.budget is None else [PrivacyLedger(home / f"{job.federation}.jsonl", job.budget)]

        return Site(
            kit,
            self.records(cohort),
            AuditLog(home / "audit.jsonl", kit.signing_key, cohort.site),
            site_secret(home),
            lambda digest: SiteState(home / digest[:16]),
            ledgers,
            self.clock,
            home / "notes.jsonl",
            self.lies.get(cohort.site, contribute),
        )

    def restart(self, name: str) -> None:
        """What a killed hospital comes back as."""
        self.sites[name] = self.site(next(cohort for cohort in self.data if cohort.site == name))

    def coordinator(self, **more: Any) -> Coordinator:
        """A coordinator as it starts from its folder."""
        kit = load_kit(self.folder / "kits" / COORDINATOR, COORDINATOR, now=NOW)
        home = self.folder / COORDINATOR
        handlers: Mapping[str, Callable[[bytes], bytes]] = {
            name: lambda request, name=name: self.change(name, request, self.sites[name].handle) for name in self.sites
        }
        log = AuditLog(home / "audit.jsonl", kit.signing_key, COORDINATOR)
        return Coordinator(kit, InProcess(handlers), home, log, Deadline(), clock=self.clock, **more)

    @property
    def roster(self) -> Mapping[str, Ed25519PublicKey]:
        """Every party's public key."""
        return read_roster(self.folder / "kits" / COORDINATOR / "roster.json").parties

    @property
    def logs(self) -> dict[str, Path]:
        """Every party's log."""
        return {name: self.folder / name / "audit.jsonl" for name in (COORDINATOR, *self.sites)}
