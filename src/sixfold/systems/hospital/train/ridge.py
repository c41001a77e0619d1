"""A linear model in one round: hospitals send sums of products, and the coordinator solves for it."""

# Shapes: N records, D features, P = D + 1 parameters; z is a record's features and a 1, t its outcome as -1 or 1.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Arrays, Contribution, Order, State, Total
from sixfold.systems.hospital.train.gradients import clipped_sum
from sixfold.systems.hospital.train.models import Linear, Records, number, records_of
from sixfold.systems.hospital.train.second_order import from_upper, minimise_quadratic, upper, upper_size

__all__ = ["Ridge", "clipped_moments", "moments"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ridge:
    """Least squares with penalty l2 / 2 |w|^2 beside the mean loss; with `clip` it may be combined with privacy.

    Without noise and clipping it is the pooled solution. The eigenvalues of a Gram matrix that may be noisy are raised
    to at least 1, which is what a single record adds in its own direction. Source: Dwork et al., "Analyze Gauss:
    optimal bounds for privacy-preserving principal component analysis", STOC 2014 (noise on the sum of x x'). Raises
    ConfigError.
    """

    model: Linear
    l2: float
    clip: float | None = None
    rounds: int = 1

    def __post_init__(self) -> None:
        if self.l2 < 0 or (self.clip is not None and not self.clip > 0):
            raise ConfigError(f"got l2={self.l2:g}, clip={self.clip}, expected at least 0 and above 0")

    def init(self, seed: int) -> State:
        return State(0, {"theta": self.model.initial(seed)})

    def order(self, state: State) -> Order:
        length = upper_size(self.model.size) + self.model.size
        arrays, settings = {"theta": state.arrays["theta"]}, self.model.settings()
        if self.clip is None:
            return Order("moments", arrays, settings, length)
        return Order("clipped_moments", arrays, {**settings, "clip": self.clip}, length, per_record=True)

    def step(self, state: State, total: Total) -> State:
        P = self.model.size
        gram_PP = from_upper(total.vector[:-P] / _weights(P), P)
        if self.clip is not None:
            values, vectors = np.linalg.eigh(gram_PP)
            gram_PP = (vectors * np.maximum(values, 1.0)) @ vectors.T
        n = max(1.0, gram_PP[-1, -1])
        A_PP = gram_PP / n + np.diag(self.l2 * self.model.penalised)
        theta_P = minimise_quadratic(A_PP, total.vector[-P:] / n, np.zeros(P), state.arrays["theta"])
        return State(state.round + 1, {"theta": theta_P})


def moments(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """[upper triangle of z z', with sqrt(2) off the diagonal; z t], summed over the records."""
    return Contribution(_record_moments(records_of(order, cohort)).sum(axis=0))


def clipped_moments(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """The same of records whose vector was scaled down to the clip: a long one counts for less, not otherwise."""
    return Contribution(clipped_sum(_record_moments(records_of(order, cohort)), number(order, "clip")))


def _record_moments(records: Records) -> Floats:
    Z_NP = np.column_stack([records.X_ND, np.ones(len(records))])
    products_NV = upper(Z_NP[:, :, None] * Z_NP[:, None, :]) * _weights(Z_NP.shape[1])
    return np.column_stack([products_NV, Z_NP * (2.0 * records.y - 1.0)[:, None]])


def _weights(size: int) -> Floats:
    """So that a triangle is as long as its matrix: |upper(z z')| = |z|^2, and a clip on one is a clip on the other."""
    rows, columns = np.triu_indices(size)
    return np.where(rows == columns, 1.0, np.sqrt(2.0))
