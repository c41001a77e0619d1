"""Stage "fedavg": the data stays; hospitals train, and their updates are averaged in the clear."""

from __future__ import annotations

from collections.abc import Iterable

from sixfold.files import read_json, replace_json
from sixfold.study import Check, Context, Forecast, Measurement, Outcome, Prediction, Row, Trial, output_folder
from sixfold.systems.hospital.costs import predicted_bytes, predicted_wall
from sixfold.systems.hospital.scenario import (
    Judged,
    features_of,
    federation_of,
    job_for,
    judge,
    measurement,
    site_names,
    train,
)
from sixfold.systems.hospital.train.algorithm import Algorithm
from sixfold.systems.hospital.train.choose import make_algorithm
from sixfold.systems.hospital.train.evaluation import Quality

__all__ = ["STAGE", "checks", "fedavg", "kept_reports", "loss_of_quality", "predict", "predicted_loss", "run"]

STAGE = "fedavg"
_OVERHEAD = 3.0  # signatures, names, settings and logs' heads, beside 14 parameters: small models are mostly envelope


def fedavg(context: Context) -> Algorithm:
    """Federated averaging of logistic regression."""
    settings = context.settings
    knobs = {name: settings[name] for name in ("epochs", "learning_rate", "l2")}
    return make_algorithm("fedavg", features_of(), {"rounds": int(settings["rounds"]), **knobs})


def run(trial: Trial) -> Measurement:
    """Average over all hospitals; the coordinator sees every update."""
    federation = federation_of(trial)
    trained = train(trial, federation, job_for(federation, STAGE), fedavg(trial.context))
    judged = judge(trained)
    replace_json(trial.folder / "reports.json", dict(judged.reports))
    verified = federation.verify()
    numbers = features_of() + 1
    expected = predicted_bytes(len(trained.finished.rounds), len(federation.hospitals), numbers, numbers + 2)
    return measurement(
        trained,
        judged,
        predicted_bytes=expected,
        calibration_gap=judged.gap("ece"),
        findings=float(len(verified.findings)),
    )


def kept_reports(context: Context) -> Judged | None:
    """What the hospitals said of this stage's model, for the stages above it; None before it has run."""
    path = output_folder(context, STAGE, 1) / "reports.json"
    return Judged(Quality(float("nan"), float("nan"), 0), read_json(path)) if path.exists() else None


def predict(context: Context, baseline: Row, workers: int) -> Prediction:
    """As many exchanges as rounds and hospitals; each of them is longer than its computing."""
    rounds, sites = int(context.settings["rounds"]), len(site_names(context))
    return predicted_wall(context, baseline, workers, rounds=rounds, sites=sites, masked=False)


def predicted_loss(forecast: Forecast) -> float:
    """0: with short local steps the average goes to the pooled optimum, but for the drift of the hospitals."""
    return 0.0


def loss_of_quality(outcome: Outcome) -> float:
    """AUROC of the pooled model less that of the federation."""
    return outcome.baseline.quality - outcome.last.quality


def checks(outcome: Outcome) -> Iterable[Check]:
    """Rounds and bytes as predicted, and logs that verify."""
    extra, rounds = outcome.last.extra, int(outcome.context.settings["rounds"])
    yield Check("rounds", extra["rounds"] == rounds, f"{extra['rounds']:.0f} of {rounds}")
    moved, law = extra["through_coordinator_bytes"], extra["predicted_bytes"]
    yield Check(
        "bytes",
        law <= moved <= law * (1.0 + _OVERHEAD) + 200_000,
        f"{moved:.0f} B through the coordinator; R K 2|theta| is {law:.0f} B, the rest is envelope",
    )
    yield Check("logs", extra["findings"] == 0, f"{extra['findings']:.0f} findings in the logs of all parties")
