"""A whole federation in this process: every hospital from its folder, the coordinator, and messages between them."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.audit.verify import Verified, verify_logs
from sixfold.systems.hospital.federation.coordinator import Coordinator, RoundRecord
from sixfold.systems.hospital.federation.site import Site
from sixfold.systems.hospital.hospital_folder import open_site
from sixfold.systems.hospital.provision import COORDINATOR, load_kit, provision
from sixfold.systems.hospital.transport.transport import Deadline, InProcess

__all__ = ["LocalFederation", "provision_if_new", "seeded_secrets"]

Handler = Callable[[bytes], bytes]


@dataclass(slots=True)
class LocalFederation:
    """kits: provisioned startup kits. hospitals: folder of each site. home: where all parties keep their state.

    Opening it again after a crash goes on from there.
    """

    kits: Path
    hospitals: Mapping[str, Path]
    home: Path
    clock: Callable[[], float] = time.time
    tap: Callable[[str, bytes, Handler], bytes] = lambda site, request, handle: handle(request)
    handlers: dict[str, Handler] = field(default_factory=dict)  # of the hospitals that the coordinator was opened with

    def sites(self) -> dict[str, Site]:
        """Every hospital, as it starts."""
        return {
            name: open_site(folder, self.home / name, load_kit(self.kits / name, name), self.clock)
            for name, folder in self.hospitals.items()
        }

    def coordinator(self, watch: Callable[[RoundRecord], None] = lambda record: None) -> Coordinator:
        """The coordinator, with all hospitals at the other end."""
        self.handlers = {name: site.handle for name, site in self.sites().items()}

        def tapped(name: str) -> Handler:
            return lambda request: self.tap(name, request, self.handlers[name])

        kit = load_kit(self.kits / COORDINATOR, COORDINATOR)
        log = AuditLog(self.home / COORDINATOR / "audit.jsonl", kit.signing_key, COORDINATOR)
        transport = InProcess({name: tapped(name) for name in self.handlers})
        return Coordinator(kit, transport, self.home / COORDINATOR, log, Deadline(), clock=self.clock, watch=watch)

    def verify(self) -> Verified:
        """Check all logs."""
        roster = load_kit(self.kits / COORDINATOR, COORDINATOR).roster
        return verify_logs({name: self.home / name / "audit.jsonl" for name in roster}, roster)


def provision_if_new(kits: Path, sites: Sequence[str]) -> None:
    """Startup kits for a federation on this machine."""
    if not (kits / COORDINATOR / "roster.json").exists():
        provision(kits, sites, ["127.0.0.1", "localhost"], datetime.datetime.now(datetime.UTC))


def seeded_secrets(home: Path, sites: Sequence[str], seed: int) -> None:
    """Give the hospitals of a study secrets that follow from its seed, so that its noise can be repeated.

    Never for real patients: who knows the seed knows the noise.
    """
    rng = np.random.default_rng([seed, 5])
    for name in sites:
        path = home / name / "secret"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.bytes(32))
