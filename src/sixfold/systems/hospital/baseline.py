"""The baseline: every hospital's table in one process, one exact fit; the best there is, and not shippable."""

from __future__ import annotations

import time

import numpy as np

from sixfold.axes import Axis
from sixfold.study import Measurement, Meter, Part, Trial, span
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.data.features import featurise
from sixfold.systems.hospital.data.harmonise import harmonise, load_mapping
from sixfold.systems.hospital.data.storage import read_columns
from sixfold.systems.hospital.scenario import MATRIX, features_of, hospital_folders, model_of
from sixfold.systems.hospital.study_cohorts import known_truth
from sixfold.systems.hospital.train.choose import make_algorithm
from sixfold.systems.hospital.train.evaluation import ScoreHistograms, quality_of
from sixfold.systems.hospital.train.pooled import run_in_plain

__all__ = ["baseline"]


def baseline(trial: Trial) -> Measurement:
    """Read all tables, fit logistic regression by Newton's method over all training patients, judge it on the others.

    The time is that of reading and fitting, as in every stage.
    """
    settings = trial.context.settings
    began_s = time.perf_counter()
    with Meter(Axis.TRAINING) as meter, span(Part.COMPUTE):
        cohorts, tests = _read(trial)
        pooled = _pooled([cohort.take(~test_N) for cohort, test_N in zip(cohorts, tests, strict=True)])
        fit = make_algorithm("newton", features_of(), {"rounds": 8, "l2": float(settings["l2"])})
        state, _ = run_in_plain(fit, [pooled], trial.context.seed)
    wall_s = time.perf_counter() - began_s
    held_out = [cohort.take(test_N) for cohort, test_N in zip(cohorts, tests, strict=True)]
    judging = ScoreHistograms(model_of(), state.arrays["theta"])
    quality = quality_of(run_in_plain(judging, held_out, 0)[0].arrays["total"])
    each = {c.site: quality_of(run_in_plain(judging, [c], 0)[0].arrays["total"]).accuracy for c in held_out}
    return Measurement(
        wall_s=wall_s,
        readings=[meter.reading()],
        work=1.0,
        work_unit="model",
        quality=quality.auroc,
        quality_metric="AUROC",
        extra={
            "accuracy": quality.accuracy,
            "worst_site_accuracy": min(each.values()),
            "mean_site_accuracy": float(np.mean(list(each.values()))),
            **{f"accuracy_{site}": value for site, value in each.items()},
            **known_truth(settings, trial.context.seed, state.arrays["theta"]),
        },
    )


def _read(trial: Trial) -> tuple[list[Cohort], list[np.ndarray[tuple[int], np.dtype[np.bool_]]]]:
    cohorts, tests = [], []
    for site, folder in hospital_folders(trial.context).items():
        mapping = load_mapping(folder / "mapping.yaml")
        table = next(folder.glob("patients.*"))
        columns = ["patient", "disease", "part", *(mapping[name].column for name in heart.VARIABLES)]
        raw = read_columns(table, columns)
        cohort, _ = harmonise(raw, mapping, site, "patient", "disease")
        cohorts.append(featurise(cohort, MATRIX))
        tests.append(np.array([part == "test" for part in raw["part"]]))
    return cohorts, tests


def _pooled(cohorts: list[Cohort]) -> Cohort:
    """All patients as if of one hospital."""
    return Cohort(
        "pooled",
        np.concatenate([cohort.patients for cohort in cohorts]),
        cohorts[0].features,
        np.concatenate([cohort.X_ND for cohort in cohorts]),
        np.concatenate([cohort.y_N for cohort in cohorts]),
    )
