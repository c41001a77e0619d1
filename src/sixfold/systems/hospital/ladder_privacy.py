"""Stage "privacy": nobody can tell whether a patient is in the data: clipped gradients, noise, and a budget.

The coordinator still sees each hospital's answer, so that each has to be private by itself: K times the variance that
their sum would need. The stage above takes that back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sixfold.files import read_json, replace_json
from sixfold.parts.privacy_ledger import PrivacyLedger
from sixfold.parts.privacy_mechanism import Budget, Mechanism, noise_for
from sixfold.study import Check, Context, Forecast, Measurement, Outcome, Prediction, Row, Trial, output_folder
from sixfold.systems.hospital.canary_audit import Audited, audit
from sixfold.systems.hospital.costs import predicted_bytes, predicted_wall
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.data.features import featurise
from sixfold.systems.hospital.federation.job import Job, Protection
from sixfold.systems.hospital.local_federation import LocalFederation
from sixfold.systems.hospital.scenario import (
    MATRIX,
    cohorts_of,
    features_of,
    federation_of,
    job_for,
    judge,
    measurement,
    site_names,
    train,
    training_patients,
)
from sixfold.systems.hospital.train.algorithm import Algorithm
from sixfold.systems.hospital.train.choose import make_algorithm

__all__ = [
    "EPSILONS",
    "STAGE",
    "budget_of",
    "checks",
    "predict",
    "predicted_epsilon",
    "private",
    "private_reports",
    "run",
    "spent_epsilon",
]

STAGE = "privacy"
EPSILONS = (8.0, 1.0, 0.1)  # the first is that of the row
_CLIP = 1.0


def private(
    context: Context, federation: LocalFederation, name: str, budget: Budget, protection: Protection
) -> tuple[Job, Algorithm]:
    """A training job in which every patient has the budget's (epsilon, delta), and its algorithm.

    Masked, all noise that is needed is in the sum of any majority of hospitals; else in each answer. The clip and the
    rounds were fixed before any data was seen; N, the number of training patients, is taken as public.
    """
    rounds, patients = int(context.settings["private_rounds"]), training_patients(context)
    contributors = len(federation.hospitals) // 2 + 1 if protection is Protection.MASKED else 1
    mechanism = Mechanism(_CLIP, noise_for(budget, rounds), contributors)
    job = job_for(federation, f"{name}-{budget.epsilon:g}", protection=protection, mechanism=mechanism, budget=budget)
    knobs = {
        "rounds": rounds,
        "clip": _CLIP,
        "expected_batch": float(patients),
        "l2": float(context.settings["l2"]),
        "server_rate": float(context.settings["private_rate"]),
    }
    return job, make_algorithm("dp_gradient", features_of(), knobs)


def run(trial: Trial) -> Measurement:
    """Train at each epsilon; the row is that of the first, the others are in its `extra`."""
    federation = federation_of(trial)
    extra: dict[str, float] = {}
    rows = []
    for epsilon in EPSILONS:
        job, algorithm = private(trial.context, federation, STAGE, budget_of(trial.context, epsilon), Protection.PLAIN)
        trained = train(trial, federation, job, algorithm)
        judged = judge(trained)
        replace_json(trial.folder / f"reports-{epsilon:g}.json", dict(judged.reports))
        assert job.budget is not None
        spent = max(
            PrivacyLedger(federation.home / site / "privacy" / f"{job.federation}.jsonl", job.budget).spent()
            for site in job.sites
        )
        extra[f"epsilon_spent_of_{epsilon:g}"] = spent
        extra[f"auroc_at_epsilon_{epsilon:g}"] = judged.quality.auroc
        extra[f"accuracy_at_epsilon_{epsilon:g}"] = judged.quality.accuracy
        extra[f"worst_site_accuracy_at_epsilon_{epsilon:g}"] = min(judged.of("accuracy").values())
        audited = _audited(trial, job, algorithm)
        extra[f"audited_epsilon_of_{epsilon:g}"] = audited.epsilon
        extra[f"canaries_detected_of_{epsilon:g}"] = float(audited.detected)
        extra[f"canary_false_alarms_of_{epsilon:g}"] = float(audited.false_alarms)
        rows.append((trained, judged))
    trained, judged = rows[0]
    numbers = features_of() + 1
    return measurement(
        trained,
        judged,
        predicted_bytes=predicted_bytes(len(trained.finished.rounds), len(federation.hospitals), numbers, numbers),
        delta=1.0 / training_patients(trial.context),
        canary_runs=float(trial.context.settings["canary_runs"]),
        findings=float(len(federation.verify().findings)),
        **extra,
    )


def _audited(trial: Trial, job: Job, algorithm: Algorithm) -> Audited:
    """Canaries among the training patients of the smallest hospital; what it sends has to be private by itself."""
    context, runs = trial.context, int(trial.context.settings["canary_runs"])
    cohorts = [cohort.take(~heart.held_out(cohort)) for cohort in cohorts_of(context)]
    smallest = featurise(min(cohorts, key=len), MATRIX)

    def watch(done: int) -> None:
        context.emit("progress", step="trainings with and without a canary", done=done, total=runs)

    return audit(job, algorithm, smallest, runs, np.random.default_rng([context.seed, 11]), watch)


def budget_of(context: Context, epsilon: float) -> Budget:
    """(epsilon, 1 / N) for each patient, N the number of those who train."""
    return Budget(epsilon, 1.0 / training_patients(context))


def private_reports(context: Context, epsilon: float) -> Any:
    """What the hospitals said of this stage's model at one epsilon; None before it has run."""
    path = output_folder(context, STAGE, 1) / f"reports-{epsilon:g}.json"
    return read_json(path) if path.exists() else None


def predict(context: Context, baseline: Row, workers: int) -> Prediction:
    """The rounds of one epsilon."""
    rounds = int(context.settings["private_rounds"])
    return predicted_wall(context, baseline, workers, rounds=rounds, sites=len(site_names(context)), masked=False)


def predicted_epsilon(forecast: Forecast) -> float:
    """What the noise was calibrated to."""
    return EPSILONS[0]


def spent_epsilon(outcome: Outcome) -> float:
    """The most that any hospital's ledger says was spent."""
    return outcome.last.extra[f"epsilon_spent_of_{EPSILONS[0]:g}"]


def checks(outcome: Outcome) -> Iterable[Check]:
    """No budget is overspent, at any epsilon; and what accuracy is left is stated."""
    extra = outcome.last.extra
    for epsilon in EPSILONS:
        spent = extra[f"epsilon_spent_of_{epsilon:g}"]
        yield Check(
            f"epsilon {epsilon:g}",
            0.9 * epsilon < spent <= epsilon,
            f"spent {spent:.3f}; AUROC {extra[f'auroc_at_epsilon_{epsilon:g}']:.3f}, "
            f"accuracy {extra[f'accuracy_at_epsilon_{epsilon:g}']:.3f}, "
            f"worst hospital {extra[f'worst_site_accuracy_at_epsilon_{epsilon:g}']:.3f}",
        )
        audited, runs = extra[f"audited_epsilon_of_{epsilon:g}"], extra["canary_runs"]
        found, false = (extra[f"{name}_of_{epsilon:g}"] for name in ("canaries_detected", "canary_false_alarms"))
        yield Check(
            f"audit of epsilon {epsilon:g}",
            audited <= epsilon,
            f"at least {audited:.2f} is lost (95 % confidence): a canary was found in {found:.0f} of {runs:.0f} "
            f"trainings with it, and in {false:.0f} of {runs:.0f} without",
        )
    yield Check("logs", extra["findings"] == 0, f"{extra['findings']:.0f} findings in the logs of all parties")
