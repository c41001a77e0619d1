"""Whose patients a study has: the real hospitals that arrive with a package or are in a folder, or synthetic ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sixfold.errors import ConfigError
from sixfold.parts.classification import auroc
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.data.features import featurise
from sixfold.systems.hospital.data.generator import MATRIX, CohortSpec, Generated, generate

__all__ = ["SKEWS", "dataset_of", "known_truth", "study_cohorts"]

# How far synthetic hospitals lie from each other; see CohortSpec. Chosen before any model was trained on them.
SKEWS = {"label_skew": 1.0, "covariate_skew": 0.3, "quantity_skew": 0.5, "concept_skew": 0.2}

_SYNTHETIC = "synthetic"
_LEAST_PATIENTS = 30  # of a hospital: its test part, a third, is then no smaller than a permit's least cohort


def study_cohorts(settings: Mapping[str, Any], seed: int) -> list[Cohort]:
    """The hospitals that a study's settings ask for. Raises ConfigError, and as reading does.

    cohorts: "heart", from `folder` if it is set; or "generated", of `sites` and `patients`, with the skews.
    """
    if settings["cohorts"] == "generated":
        return list(_generated(settings, seed).cohorts)
    if settings["cohorts"] != "heart":
        raise ConfigError(f"cohorts: got {settings['cohorts']!r}, expected heart or generated")
    folder = str(settings["folder"])
    return heart.complete_cases(heart.read_folder(Path(folder)) if folder else heart.read_embedded())


def dataset_of(sites: Iterable[str]) -> str:
    """What permits call the data of these hospitals: synthetic patients are never called anything else."""
    return _SYNTHETIC if all(site.startswith(f"{_SYNTHETIC}-") for site in sites) else "heart-disease"


def known_truth(settings: Mapping[str, Any], seed: int, theta_P: NDArray[np.float64]) -> dict[str, float]:
    """Of synthetic patients: the AUROC of their true risk in the test part, and how far the model is from the truth.

    The true risk is that of each patient's own hospital, which no common model knows. theta_P: coefficients and
    intercept; the error is the root mean square over coefficients, against their mean over hospitals. Empty for real
    patients.
    """
    if settings["cohorts"] != "generated":
        return {}
    made = _generated(settings, seed)
    outcomes, risks = [], []
    for cohort, effects_D, intercept in zip(made.cohorts, made.coefficients_SD, made.intercepts_S, strict=True):
        test = cohort.take(heart.held_out(cohort))
        outcomes.append(test.y_N)
        risks.append(expit(featurise(test, MATRIX).X_ND @ effects_D + intercept))
    error_D = theta_P[:-1] - made.coefficients_SD.mean(axis=0)
    return {
        "auroc_of_true_risk": auroc(np.concatenate(outcomes), np.concatenate(risks)),
        "coefficient_error": float(np.sqrt(np.mean(error_D**2))),
    }


def _generated(settings: Mapping[str, Any], seed: int) -> Generated:
    if settings["folder"]:
        raise ConfigError("folder: got one, expected none with cohorts=generated: they come from no file")
    skews = {name: _number(settings, name) for name in SKEWS}
    sites, patients = int(_number(settings, "sites")), int(_number(settings, "patients"))
    made = generate(CohortSpec(sites=sites, patients=patients, seed=seed, **skews))
    smallest = min(made.cohorts, key=len)
    if len(smallest) < _LEAST_PATIENTS:
        raise ConfigError(
            f"{smallest.site} has {len(smallest)} of {patients} patients, expected at least {_LEAST_PATIENTS}: "
            "ask for more patients, fewer sites or a smaller quantity_skew"
        )
    return made


def _number(settings: Mapping[str, Any], name: str) -> float:
    value = settings[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name}: got {value!r}, expected a number")
    return float(value)
