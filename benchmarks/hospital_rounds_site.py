"""A hospital of hospital_rounds.py, opened in processes of its own: it sends back what it gets."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np

from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.federation.job import Job
from sixfold.systems.hospital.federation.site import Site
from sixfold.systems.hospital.federation.site_state import SiteState, site_secret
from sixfold.systems.hospital.operation.in_force import InForce
from sixfold.systems.hospital.provision import load_kit
from sixfold.systems.hospital.train.algorithm import Arrays, Contribution, LocalWork, Order
from sixfold.systems.hospital.train.local_work import LOCAL_WORK


class Anybody:
    """Records that every job may read: two synthetic patients."""

    def admit(self, job: Job) -> Cohort:
        return Cohort("synthetic", np.array(["p0", "p1"]), ("x",), np.zeros((2, 1)), np.zeros(2))


def send_back(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """No training: the parameters as they came."""
    return Contribution(order.arrays["theta"])


def open_hospital(folder: Path) -> Callable[[bytes], bytes]:
    """A hospital that knows one work more than others, in which nothing is done."""
    cast(dict[str, LocalWork], LOCAL_WORK)["nothing"] = send_back
    kit = load_kit(folder.parent / "kits" / folder.name, folder.name)
    state = folder / "state"
    log = AuditLog(state / "audit.jsonl", kit.signing_key, folder.name)
    secret = site_secret(state)
    hospital = Site(
        kit, Anybody(), log, secret, lambda digest: SiteState(state / digest[:16]), lambda job: [], time.time,
        state / "notes.jsonl", InForce(state / "releases", kit, lambda: ()),
    )  # fmt: skip
    return hospital.handle
