"""The hospitals of a study: laid out as folders once, then opened as a federation for each run of the ladder."""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sixfold.axes import Axis
from sixfold.errors import ConfigError
from sixfold.study import Context, Measurement, Meter, Reading, Trial
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.data.features import MATRICES
from sixfold.systems.hospital.federation.coordinator import Coordinator, Finished
from sixfold.systems.hospital.federation.job import Job, Output, Protection, Split
from sixfold.systems.hospital.federation.site_state import SiteState
from sixfold.systems.hospital.hospital_folder import lay_out
from sixfold.systems.hospital.keys import key_text, private_key
from sixfold.systems.hospital.local_federation import Handler, LocalFederation, provision_if_new, seeded_secrets
from sixfold.systems.hospital.policy.permit import Permit, Purpose, sign_permit
from sixfold.systems.hospital.study_cohorts import dataset_of, study_cohorts
from sixfold.systems.hospital.train.algorithm import Algorithm
from sixfold.systems.hospital.train.evaluation import Quality, ScoreHistograms, quality_of
from sixfold.systems.hospital.train.models import Logistic

__all__ = [
    "MATRIX",
    "TARGET_ACCURACY",
    "Judged",
    "Trained",
    "cohorts_of",
    "features_of",
    "federation_of",
    "hospital_folders",
    "job_for",
    "judge",
    "kept_at",
    "measurement",
    "model_of",
    "prepare",
    "site_names",
    "train",
    "training_patients",
]

MATRIX = "heart"
TARGET_ACCURACY = 0.85  # of those patients whom a model answers that may abstain
_PERMIT = "study"
_TABLES = ("patients.sqlite", "patients.parquet", "patients.csv")  # hospitals keep theirs as they like


@dataclass(frozen=True, slots=True)
class Trained:
    """A federation that has run: what it gave, how long it took, and where its state is."""

    job: Job
    finished: Finished
    federation: LocalFederation
    coordinator: Coordinator
    wall_s: float
    reading: Reading

    @property
    def handlers(self) -> dict[str, Handler]:
        """The hospitals, as the coordinator reaches them."""
        return dict(self.federation.handlers)

    @property
    def theta_P(self) -> NDArray[np.float64]:  # noqa: N802  an array's shape
        """The parameters."""
        return np.asarray(self.finished.state.arrays["theta"])


@dataclass(frozen=True, slots=True)
class Judged:
    """How good a model is on the patients that no training saw: of all hospitals together, and at each."""

    quality: Quality
    reports: Mapping[str, Mapping[str, Any]]

    def of(self, metric: str) -> dict[str, float]:
        """One metric at each hospital, without its interval; NaN where it is unknown."""
        found = {}
        for site, report in self.reports.items():
            value = report.get(metric)
            value = value["value"] if isinstance(value, Mapping) else value
            found[site] = float("nan") if value is None else float(value)
        return found

    def gap(self, metric: str) -> float:
        """Between the hospitals with the largest and the smallest value."""
        values = list(self.of(metric).values())
        return max(values) - min(values)


def cohorts_of(context: Context) -> list[Cohort]:
    """The study's hospitals: real ones, or synthetic ones that say so in their names."""
    return study_cohorts(context.settings, context.seed)


def prepare(context: Context) -> dict[str, Any]:
    """Lay out a folder for each hospital, with its table, permit and keys; returns hashes of what is in the tables."""
    hashes = {}
    cohorts = cohorts_of(context)
    sites = [cohort.site for cohort in cohorts]
    provision_if_new(_kits(context), sites)
    founder = private_key(_kits(context) / "founder" / "founder.key")
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    permit = Permit(
        id=_PERMIT,
        dataset=dataset_of(cohort.site for cohort in cohorts),
        purpose=Purpose.SCIENTIFIC_RESEARCH,
        holder="sixfold study",
        issued_by="sixfold study",
        not_before=began,
        expires=began + datetime.timedelta(days=365),
        outputs=tuple(output.value for output in Output),
        features=heart.VARIABLES,
        minimum_cohort=10,
        minimum_sites=2,
        masked=False,
    )
    signed = sign_permit(permit, founder)
    for at, cohort in enumerate(cohorts):
        test_N = heart.held_out(cohort)
        digest = hashlib.sha256(cohort.X_ND.tobytes() + cohort.y_N.tobytes() + test_N.tobytes())
        hashes[cohort.site] = digest.hexdigest()[:16]
        folder = _hospitals(context) / cohort.site
        if not (folder / "hospital.yaml").exists():
            lay_out(
                folder,
                cohort,
                test_N,
                dataset=permit.dataset,
                table=_TABLES[at % len(_TABLES)],
                mapping={name: {"column": name} for name in cohort.features},
                permit=signed,
                trusted=(key_text(founder),),
            )
    return hashes


def site_names(context: Context) -> tuple[str, ...]:
    """Which hospitals were laid out."""
    return tuple(sorted(path.name for path in _hospitals(context).iterdir() if path.is_dir()))


def hospital_folders(context: Context) -> dict[str, Path]:
    """The folder of each hospital."""
    return {name: _hospitals(context) / name for name in site_names(context)}


def features_of() -> int:
    """Columns of the model."""
    return len(MATRICES[MATRIX])


def model_of() -> Logistic:
    """The model of the ladder."""
    return Logistic(features_of())


def training_patients(context: Context) -> int:
    """How many patients train, over all hospitals."""
    return sum(int((~heart.held_out(cohort)).sum()) for cohort in cohorts_of(context))


def federation_of(trial: Trial, tap: Callable[[str, bytes, Handler], bytes] | None = None) -> LocalFederation:
    """A federation that starts anew in the trial's folder, over the hospitals that were laid out."""
    context = trial.context
    hospitals = hospital_folders(context)
    seeded_secrets(trial.folder, list(hospitals), context.seed)
    federation = LocalFederation(_kits(context), hospitals, trial.folder)
    return federation if tap is None else replace(federation, tap=tap)


def job_for(federation: LocalFederation, name: str, **more: Any) -> Job:
    """A training job over all hospitals, plain unless told."""
    sites = tuple(sorted(federation.hospitals))
    if len(sites) < 3:
        raise ConfigError(f"got {len(sites)} hospitals, expected at least 3: a masked sum needs a majority")
    known: dict[str, Any] = {
        "federation": name,
        "permit": _PERMIT,
        "dataset": dataset_of(sites),
        "purpose": Purpose.SCIENTIFIC_RESEARCH.value,
        "output": Output.MODEL_UPDATE,
        "features": heart.VARIABLES,
        "protection": Protection.PLAIN,
        "minimum_sites": len(sites) // 2 + 1,
        "matrix": MATRIX,
        "sites": sites,
    }
    return Job(**{**known, **more})


def train(trial: Trial, federation: LocalFederation, job: Job, algorithm: Algorithm) -> Trained:
    """Run a job. The time is from the offer to the last checkpoint: reading tables, signing, logging and all."""

    def watch(record: Any) -> None:
        trial.context.emit("progress", step="rounds", done=record.round + 1, total=algorithm.rounds)

    coordinator = federation.coordinator(watch)
    began_s = time.perf_counter()
    with Meter(Axis.TRAINING) as meter:
        finished = coordinator.run(job, algorithm, trial.context.seed)
    wall_s = time.perf_counter() - began_s
    return Trained(job, finished, federation, coordinator, wall_s, meter.reading())


def judge(trained: Trained) -> Judged:
    """Judge its model by two further jobs: a sum of histograms, masked, and each hospital's own report."""
    job = replace(
        trained.job,
        output=Output.METRICS,
        split=Split.TEST,
        protection=Protection.MASKED,
        trained=trained.job.digest,
        mechanism=None,
        budget=None,
    )
    judging = ScoreHistograms(model_of(), trained.theta_P)
    total = trained.coordinator.run(job, judging, seed=0).state.arrays["total"]
    order = judging.order(judging.init(0))
    order = replace(order, settings={**order.settings, "target_accuracy": TARGET_ACCURACY})
    reports = trained.coordinator.reports(job, order)
    return Judged(quality_of(total), reports)


def kept_at(trained: Trained, site: str) -> dict[str, NDArray[np.float64]]:
    """What training left at a hospital; a study may look, as it owns all of them."""
    return dict(SiteState(trained.federation.home / site / "jobs" / trained.job.digest[:16]).kept())


def measurement(trained: Trained, judged: Judged, **extra: float) -> Measurement:
    """The row of a federation: one model is the work, its AUROC over all hospitals the quality."""
    accuracies = judged.of("accuracy")
    return Measurement(
        wall_s=trained.wall_s,
        readings=[trained.reading],
        work=1.0,
        work_unit="model",
        quality=judged.quality.auroc,
        quality_metric="AUROC",
        extra={
            "rounds": float(len(trained.finished.rounds)),
            "through_coordinator_bytes": float(trained.finished.moved_bytes),
            "accuracy": judged.quality.accuracy,
            "worst_site_accuracy": min(accuracies.values()),
            "mean_site_accuracy": float(np.mean(list(accuracies.values()))),
            **{f"accuracy_{site}": value for site, value in accuracies.items()},
            **extra,
        },
    )


def _hospitals(context: Context) -> Path:
    return context.work / "hospitals"


def _kits(context: Context) -> Path:
    return context.work / "kits"
