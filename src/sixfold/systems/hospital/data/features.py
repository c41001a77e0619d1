"""From clinical variables to the columns of a model: fixed, public centres and scales, so that no privacy is spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError
from sixfold.systems.hospital.cohort import Cohort

__all__ = ["MATRICES", "Column", "featurise"]

Floats = NDArray[np.float64]

_REACH = 3.0  # a column is cut to [-3, 3]: one odd value does not decide


@dataclass(frozen=True, slots=True)
class Column:
    """One column: of a number (value - centre) / scale, of a code whether it is `code`; 0 where it is missing.

    zero_missing: a zero is no measurement, as of cholesterol.
    """

    name: str
    variable: str
    centre: float = 0.0
    scale: float = 1.0
    code: int | None = None
    zero_missing: bool = False

    def of(self, values_N: Floats) -> Floats:
        """The column of these values, N, without a missing one."""
        missing_N = np.isnan(values_N) | (self.zero_missing & (values_N == 0.0))
        shown_N = values_N if self.code is None else (values_N == self.code).astype(np.float64)
        scaled_N = np.clip((shown_N - self.centre) / self.scale, -_REACH, _REACH)
        return np.where(missing_N, 0.0, scaled_N)


_HEART = (
    Column("age", "age", 55.0, 10.0),
    Column("male", "sex", 0.7),
    Column("atypical angina", "cp", 0.2, code=2),
    Column("non-anginal pain", "cp", 0.2, code=3),
    Column("asymptomatic", "cp", 0.5, code=4),
    Column("blood pressure", "trestbps", 130.0, 20.0, zero_missing=True),
    Column("cholesterol", "chol", 240.0, 50.0, zero_missing=True),
    Column("fasting sugar", "fbs", 0.1),
    Column("st-t abnormality", "restecg", 0.1, code=1),
    Column("hypertrophy", "restecg", 0.2, code=2),
    Column("greatest heart rate", "thalach", 140.0, 25.0),
    Column("exercise angina", "exang", 0.4),
    Column("st depression", "oldpeak", 0.9),
)

# Centres and scales are round clinical figures, not statistics of any hospital here.
MATRICES: Mapping[str, tuple[Column, ...]] = {"heart": _HEART}


def featurise(cohort: Cohort, matrix: str) -> Cohort:
    """The cohort with the columns of a named matrix, complete. Raises ConfigError and InputError."""
    columns = MATRICES.get(matrix)
    if columns is None:
        raise ConfigError(f"matrix: got {matrix!r}, expected one of {', '.join(sorted(MATRICES))}")
    at = {name: place for place, name in enumerate(cohort.features)}
    if missing := sorted({column.variable for column in columns} - at.keys()):
        raise InputError(f"{cohort.site}: no variables {', '.join(missing)} for the matrix {matrix}", field="features")
    parts = [column.of(cohort.X_ND[:, at[column.variable]]) for column in columns]
    return replace(cohort, features=tuple(column.name for column in columns), X_ND=np.stack(parts, axis=1))
