"""From clinical variables to the columns of a model: fixed, public centres and scales, so that no privacy is spent."""

# Shapes: N patients.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.statistics import CodeSummary, NumberSummary

__all__ = ["MATRICES", "Column", "featurise", "standardised"]

Floats = NDArray[np.float64]

_REACH = 3.0  # a column is cut to [-3, 3]: one odd value does not decide


@dataclass(frozen=True, slots=True)
class Column:
    """One column: of a number (value - centre) / scale, of a code whether it is `code`; 0 where it is missing.

    zero_missing: a zero is no measurement, as of cholesterol. indicator: 1 where the value is missing, and 0 elsewhere.
    """

    name: str
    variable: str
    centre: float = 0.0
    scale: float = 1.0
    code: int | None = None
    zero_missing: bool = False
    indicator: bool = False

    def of(self, values_N: Floats) -> Floats:
        """The column of these values, N, without a missing one."""
        missing_N = np.isnan(values_N) | (self.zero_missing & (values_N == 0.0))
        if self.indicator:
            return np.where(missing_N, 1.0, 0.0)
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

# For hospitals that did not measure everything. The heart rate and the angina of an exercise test are missing together.
_HEART_GAPS = (
    Column("no blood pressure", "trestbps", zero_missing=True, indicator=True),
    Column("no cholesterol", "chol", zero_missing=True, indicator=True),
    Column("no fasting sugar", "fbs", indicator=True),
    Column("no exercise test", "thalach", indicator=True),
    Column("no st depression", "oldpeak", indicator=True),
)

# Centres and scales are round clinical figures, not statistics of any hospital here.
MATRICES: Mapping[str, tuple[Column, ...]] = {"heart": _HEART, "heart with gaps": (*_HEART, *_HEART_GAPS)}


def featurise(cohort: Cohort, matrix: str | tuple[Column, ...]) -> Cohort:
    """The cohort with the columns of a matrix, or of a named one, complete. Raises ConfigError and InputError."""
    columns = MATRICES.get(matrix) if isinstance(matrix, str) else matrix
    if columns is None:
        raise ConfigError(f"matrix: got {matrix!r}, expected one of {', '.join(sorted(MATRICES))}")
    at = {name: place for place, name in enumerate(cohort.features)}
    if missing := sorted({column.variable for column in columns} - at.keys()):
        raise InputError(f"{cohort.site}: no variables {', '.join(missing)} for the matrix", field="features")
    parts = [column.of(cohort.X_ND[:, at[column.variable]]) for column in columns]
    return replace(cohort, features=tuple(column.name for column in columns), X_ND=np.stack(parts, axis=1))


def standardised(columns: tuple[Column, ...], found: Mapping[str, NumberSummary | CodeSummary]) -> tuple[Column, ...]:
    """The columns with means and standard deviations of all hospitals' patients together, one and the same everywhere.

    found: federated statistics, which are exact: for models without differential privacy only. Indicators stay. Raises
    InputError for a variable that is not in it or does not vary.
    """
    return tuple(column if column.indicator else _standardised(column, found) for column in columns)


def _standardised(column: Column, found: Mapping[str, NumberSummary | CodeSummary]) -> Column:
    summary = found.get(column.variable)
    if summary is None or summary.count == 0:
        raise InputError(f"no statistics of {column.variable}", field=column.name)
    if isinstance(summary, NumberSummary):
        mean, variance = summary.mean, summary.variance
    else:
        mean = summary.codes[1 if column.code is None else column.code] / summary.count
        variance = mean * (1.0 - mean)
    if not variance > 0.0:
        raise InputError(f"{column.variable} is the same for all patients, so that it has no scale", field=column.name)
    return replace(column, centre=mean, scale=float(np.sqrt(variance)))
