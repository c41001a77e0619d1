"""A federation over hospitals' own folders: tables in their formats, mappings, a permit, and all parties."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.federation.job import Job, Output
from sixfold.systems.hospital.hospital_files import lay_out
from sixfold.systems.hospital.keys import key_text, private_key
from sixfold.systems.hospital.local_federation import Handler, LocalFederation, provision_if_new
from sixfold.systems.hospital.policy.permit import Permit, Purpose, sign_permit

TABLES = ("patients.sqlite", "patients.parquet", "patients.csv")
Tap = Callable[[str, bytes, Handler], bytes]
DATASET, PERMIT = "hearts", "P-1"


def folder_federation(
    home: Path, cohorts: Sequence[Cohort], tap: Tap | None = None, *, tested: bool = False
) -> LocalFederation:
    """Every cohort in a folder of its own; all outputs are permitted. tested: every third patient does not train."""
    sites = [cohort.site for cohort in cohorts]
    provision_if_new(home / "kits", sites)
    founder = private_key(home / "kits" / "founder" / "founder.key")
    now = datetime.datetime.now(datetime.UTC)
    permit = Permit(
        id=PERMIT,
        dataset=DATASET,
        purpose=Purpose.SCIENTIFIC_RESEARCH,
        holder="a test",
        issued_by="a test",
        not_before=now - datetime.timedelta(hours=1),
        expires=now + datetime.timedelta(hours=1),
        outputs=tuple(output.value for output in Output),
        features=cohorts[0].features,
        minimum_cohort=1,
        minimum_sites=2,
    )
    for at, cohort in enumerate(cohorts):
        lay_out(
            home / "hospitals" / cohort.site,
            cohort,
            (np.arange(len(cohort)) % 3 == 0) & tested,
            dataset=DATASET,
            table=TABLES[at % len(TABLES)],
            mapping={name: {"column": f"col_{name}"} for name in cohort.features},
            permit=sign_permit(permit, founder),
            trusted=(key_text(founder),),
        )
    folders = {site: home / "hospitals" / site for site in sites}
    federation = LocalFederation(home / "kits", folders, home / "state")
    return federation if tap is None else replace(federation, tap=tap)


def folder_job(cohorts: Sequence[Cohort], **more: Any) -> Job:
    """A masked job for all of them."""
    known = {
        "federation": "study",
        "permit": PERMIT,
        "dataset": DATASET,
        "purpose": Purpose.SCIENTIFIC_RESEARCH.value,
        "output": Output.MODEL_UPDATE,
        "features": cohorts[0].features,
        "sites": tuple(sorted(cohort.site for cohort in cohorts)),
        "minimum_sites": 2,
    }
    return Job(**{**known, **more})
