"""The hospitals of a study: laid out as folders once, then opened as a federation for each run of the ladder."""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
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
from sixfold.systems.hospital.federation.job import Job, Output, Protection
from sixfold.systems.hospital.federation.reporting import judging_order
from sixfold.systems.hospital.federation.site_state import SiteState
from sixfold.systems.hospital.hospital_files import lay_out
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
    "judge_model",
    "kept_at",
    "kits_of",
    "lay_out_hospitals",
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
    held_out = [heart.held_out(cohort) for cohort in cohorts]
    for cohort, test_N in zip(cohorts, held_out, strict=True):
        digest = hashlib.sha256(cohort.X_ND.tobytes() + cohort.y_N.tobytes() + test_N.tobytes())
        hashes[cohort.site] = digest.hexdigest()[:16]
    lay_out_hospitals(context.work, cohorts, held_out)
    return hashes


def lay_out_hospitals(work: Path, cohorts: Sequence[Cohort], held_out: Sequence[NDArray[np.bool_]]) -> None:
    """Under `work`: keys for all parties, and a hospital's folder for each cohort; what is there stays.

    held_out: of each cohort the patients that do not train, N.
    """
    provision_if_new(kits_of(work), [cohort.site for cohort in cohorts])
    founder = private_key(kits_of(work) / "founder" / "founder.key")
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
    for at, (cohort, test_N) in enumerate(zip(cohorts, held_out, strict=True)):
        folder = _hospitals(work) / cohort.site
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


def site_names(context: Context) -> tuple[str, ...]:
    """Which hospitals were laid out."""
    return tuple(hospital_folders(context.work))


def hospital_folders(work: Path) -> dict[str, Path]:
    """The folder of each hospital that was laid out, in the order of their names."""
    return {path.name: path for path in sorted(_hospitals(work).iterdir()) if path.is_dir()}


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
    hospitals = hospital_folders(context.work)
    seeded_secrets(trial.folder, list(hospitals), context.seed)
    federation = LocalFederation(kits_of(context.work), hospitals, trial.folder)
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
    """Judge its model."""
    return judge_model(trained.coordinator, trained.job, trained.theta_P)


def judge_model(coordinator: Coordinator, trained: Job, theta_P: NDArray[np.float64]) -> Judged:
    """Judge the model of a job by two further jobs: a sum of histograms, masked, and each hospital's own report."""
    job = trained.judging
    total = coordinator.run(job, ScoreHistograms(model_of(), theta_P), seed=0).state.arrays["total"]
    reports = coordinator.reports(job, judging_order(model_of(), theta_P, TARGET_ACCURACY))
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


def kits_of(work: Path) -> Path:
    """Where the keys of all parties are."""
    return work / "kits"


def _hospitals(work: Path) -> Path:
    return work / "hospitals"
