"""Synthetic cohorts of several hospitals with a known truth: they stand for no patient and no real hospital."""

# Shapes: S hospitals, N patients of one, C variables, D columns of the matrix "heart".

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from sixfold.errors import ConfigError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data.features import MATRICES, featurise
from sixfold.systems.hospital.data.schema import SCHEMA

__all__ = ["MATRIX", "CohortSpec", "Generated", "generate"]

Floats = NDArray[np.float64]

MATRIX = "heart"  # the truth is logistic in its columns

# A variable is made from a standard normal number: (centre, scale), or the shares of its codes.
_NUMBERS: Mapping[str, tuple[float, float]] = {
    "age": (54.0, 9.5),
    "trestbps": (132.0, 18.0),
    "chol": (235.0, 48.0),
    "thalach": (140.0, 25.0),
    "oldpeak": (0.9, 1.0),
}
_CODES: Mapping[str, Mapping[int, float]] = {
    "sex": {0: 0.25, 1: 0.75},
    "cp": {1: 0.06, 2: 0.2, 3: 0.22, 4: 0.52},
    "fbs": {0: 0.84, 1: 0.16},
    "restecg": {0: 0.6, 1: 0.2, 2: 0.2},
    "exang": {0: 0.6, 1: 0.4},
}
_VARIABLES = ("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak")
_EFFECTS: Mapping[str, float] = {
    "age": 0.25,
    "male": 1.2,
    "atypical angina": -0.6,
    "non-anginal pain": -0.3,
    "asymptomatic": 1.3,
    "blood pressure": 0.15,
    "cholesterol": 0.2,
    "fasting sugar": 0.3,
    "st-t abnormality": 0.2,
    "hypertrophy": 0.2,
    "greatest heart rate": -0.5,
    "exercise angina": 0.9,
    "st depression": 0.6,
}
_HALF_DAYS = 5 * 365.25

# Each use of randomness has a stream of its own, so that a knob moves its own thing only.
_PATIENTS, _LABEL, _COVARIATE, _QUANTITY, _CONCEPT = range(5)


@dataclass(frozen=True, slots=True)
class CohortSpec:
    """How many patients over how many hospitals, and how far hospitals lie from each other; a skew of 0 is none.

    The hospitals of a skew are spread evenly from -skew to skew, in an order that the seed draws:
    label_skew moves the intercept (log odds); covariate_skew each variable (standard deviations), but not how the
    outcome follows from it; quantity_skew the logarithm of the size; concept_skew each coefficient (log odds).
    missing: share of the cells that are missing, completely at random. follow_up_days: makes the outcome an event
    within this time, with the days until then, by proportional hazards. Raises ConfigError.
    """

    sites: int = 4
    patients: int = 2000
    label_skew: float = 0.0
    covariate_skew: float = 0.0
    quantity_skew: float = 0.0
    concept_skew: float = 0.0
    missing: float = 0.0
    follow_up_days: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.sites <= self.patients:
            raise ConfigError(f"got {self.patients} patients of {self.sites} sites, expected a patient or more of each")
        skews = (self.label_skew, self.covariate_skew, self.quantity_skew, self.concept_skew)
        if not all(0 <= skew <= 10 for skew in skews):
            raise ConfigError(f"got label, covariate, quantity and concept skew {skews}, expected each within 0 and 10")
        if not 0 <= self.missing < 1 or self.seed < 0:
            raise ConfigError(f"got missing={self.missing:g}, seed={self.seed}, expected 0 to below 1, at least 0")
        if self.follow_up_days is not None and not 0 < self.follow_up_days < np.inf:
            raise ConfigError(f"got follow_up_days={self.follow_up_days:g}, expected more than 0, or none")


@dataclass(frozen=True, slots=True)
class Generated:
    """The cohorts, named synthetic-1 and so on, and the truth that made them.

    A patient's log odds are the row of `featurise(cohort, MATRIX)`, taken before anything went missing, times the
    row of coefficients_SD plus the entry of intercepts_S; with a follow-up, that is the logarithm of the hazard, in
    multiples of the one by which half of the patients have their event within five years.
    """

    cohorts: tuple[Cohort, ...]
    coefficients_SD: Floats
    intercepts_S: Floats


def generate(spec: CohortSpec) -> Generated:
    """The same cohorts for the same spec; a patient stays the same when only the size of its hospital changes."""
    effects_D = np.array([_EFFECTS[column.name] for column in MATRICES[MATRIX]])
    coefficients_SD = effects_D + spec.concept_skew * _spread(spec, _CONCEPT, len(effects_D))
    intercepts_S = spec.label_skew * _spread(spec, _LABEL, 1)[:, 0]
    shifts_SC = spec.covariate_skew * _spread(spec, _COVARIATE, len(_VARIABLES))
    cohorts = tuple(
        _cohort(spec, site, size, shifts_SC[site], coefficients_SD[site], float(intercepts_S[site]))
        for site, size in enumerate(_sizes(spec))
    )
    return Generated(cohorts, coefficients_SD, intercepts_S)


def _cohort(spec: CohortSpec, site: int, size: int, shift_C: Floats, effects_D: Floats, intercept: float) -> Cohort:
    C = len(_VARIABLES)
    # one row a patient: for its variables, for what is missing, for its outcome; rows are drawn one after the other
    U_NU = np.random.default_rng((spec.seed, _PATIENTS, site)).random((size, 2 * C + 1))
    Z_NC = ndtri(np.clip(U_NU[:, :C], 1e-12, 1 - 1e-12)) + shift_C
    X_NC = np.stack([_values(name, Z_NC[:, at]) for at, name in enumerate(_VARIABLES)], axis=1)
    name = f"synthetic-{site + 1}"
    patients = np.array([f"{name}-{at:05d}" for at in range(size)])
    cohort = Cohort(name, patients, _VARIABLES, X_NC, np.zeros(size))
    score_N, luck_N = featurise(cohort, MATRIX).X_ND @ effects_D + intercept, U_NU[:, -1]
    time_N = None
    if spec.follow_up_days is None:
        y_N = (luck_N < expit(score_N)).astype(np.float64)
    else:
        event_N = -np.log1p(-luck_N) / (np.log(2.0) * np.exp(score_N)) * _HALF_DAYS
        y_N = (event_N <= spec.follow_up_days).astype(np.float64)
        time_N = np.minimum(event_N, spec.follow_up_days)
    return replace(cohort, X_ND=np.where(U_NU[:, C : 2 * C] < spec.missing, np.nan, X_NC), y_N=y_N, time_N=time_N)


def _values(name: str, Z_N: Floats) -> Floats:
    """A variable from normal numbers: scaled into the range of the schema, or cut into codes."""
    if name in _NUMBERS:
        centre, scale = _NUMBERS[name]
        return np.clip(centre + scale * Z_N, SCHEMA[name].low, SCHEMA[name].high)
    shares = np.cumsum(list(_CODES[name].values()))[:-1]
    return np.array(list(_CODES[name]), dtype=np.float64)[np.searchsorted(ndtri(shares), Z_N)]


def _spread(spec: CohortSpec, stream: int, width: int) -> Floats:
    """Evenly from -1 to 1 over the hospitals, S x width, each column in an order of its own; 0 for one hospital."""
    rng = np.random.default_rng((spec.seed, stream))
    even_S = np.linspace(-1.0, 1.0, spec.sites) if spec.sites > 1 else np.zeros(1)
    return np.stack([rng.permutation(even_S) for _ in range(width)], axis=1)


def _sizes(spec: CohortSpec) -> list[int]:
    """Of the hospitals: one patient each, and the others in proportion, so that the sum is kept."""
    weights_S = np.exp(spec.quantity_skew * _spread(spec, _QUANTITY, 1)[:, 0])
    ends_S = np.rint(np.cumsum(weights_S / weights_S.sum()) * (spec.patients - spec.sites)).astype(int)
    return [1 + int(more) for more in np.diff(ends_S, prepend=0)]
