"""Patients of one hospital in the harmonised schema: what training, statistics and monitoring read."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sixfold.errors import InputError

__all__ = ["Arrived", "Cohort"]

# Shapes: N patients, D features.


@dataclass(frozen=True, slots=True)
class Cohort:
    """X_ND: features, NaN where missing. y_N: the outcome, 0 or 1; the event indicator if there is a `time_N`, in days.

    patients: N pseudonyms, unique within the hospital. Raises InputError when the shapes disagree.
    """

    site: str
    patients: NDArray[np.str_]
    features: tuple[str, ...]
    X_ND: NDArray[np.float64]
    y_N: NDArray[np.float64]
    time_N: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        n = len(self.patients)
        shapes = [self.X_ND.shape == (n, len(self.features)), self.y_N.shape == (n,)]
        if self.time_N is not None:
            shapes.append(self.time_N.shape == (n,))
        if not all(shapes):
            raise InputError(
                f"{self.site}: got X {self.X_ND.shape} and y {self.y_N.shape} for {n} patients "
                f"and {len(self.features)} features"
            )
        if not np.isin(self.y_N, (0.0, 1.0)).all():
            raise InputError(f"{self.site}: outcomes are 0 or 1", field="y")

    def __len__(self) -> int:
        return len(self.patients)

    def take(self, rows: ArrayLike) -> Cohort:
        """Some of the patients: `rows` are positions or a mask."""
        at = np.asarray(rows)
        return replace(
            self,
            patients=self.patients[at],
            X_ND=self.X_ND[at],
            y_N=self.y_N[at],
            time_N=None if self.time_N is None else self.time_N[at],
        )


@dataclass(frozen=True, slots=True)
class Arrived:
    """Patients who came in one period after a release. known: all their outcomes are; till then y_N says nothing."""

    cohort: Cohort
    known: bool
