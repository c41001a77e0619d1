"""What a hospital tells of the curvature of its loss, and how sums of it are solved."""

# Shapes: P parameters.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from sixfold.errors import ConfigError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Arrays, Contribution, Order
from sixfold.systems.hospital.train.mlp import Mlp
from sixfold.systems.hospital.train.models import records_of

__all__ = ["from_upper", "minimise_quadratic", "newton_terms", "upper", "upper_size"]

Floats = NDArray[np.float64]

_SWEEPS = 10_000  # of coordinate descent; a well-posed problem takes tens
_SETTLED = 1e-12


def upper_size(size: int) -> int:
    """Numbers in the upper triangle of a (size, size) matrix."""
    return size * (size + 1) // 2


def upper(matrix: Floats) -> Floats:
    """The upper triangles, row by row, of matrices in the last two axes."""
    rows, columns = np.triu_indices(matrix.shape[-1])
    return np.asarray(matrix[..., rows, columns])


def from_upper(triangle: Floats, size: int) -> Floats:
    """The symmetric matrices that have these upper triangles."""
    rows, columns = np.triu_indices(size)
    matrix = np.zeros((*triangle.shape[:-1], size, size))
    matrix[..., rows, columns] = matrix[..., columns, rows] = triangle
    return matrix


def newton_terms(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """[upper triangle of the Hessian, gradient, n, loss], all summed over the records."""
    records = records_of(order, cohort)
    if isinstance(records.model, Mlp):
        raise ConfigError("mlp: its loss is not convex, Newton's method needs cox, linear or logistic")
    if not len(records):
        return Contribution(np.zeros(order.length))
    loss, gradient_P, hessian_PP = records.model.curvature(records.theta_P, records.X_ND, records.y)
    return Contribution(np.concatenate([upper(hessian_PP), gradient_P, [len(records), loss]]))


def minimise_quadratic(A_PP: Floats, q_P: Floats, l1_P: Floats, start_P: Floats) -> Floats:
    """Return the x that minimises x'Ax / 2 - q'x + sum(l1 |x|), by coordinate descent where there is an l1.

    Source: Friedman et al., "Regularization paths for generalized linear models via coordinate descent", Journal of
    Statistical Software 33(1), 2010, section 2. Raises ConfigError when A is not positive definite.
    """
    try:
        factor = cho_factor(A_PP)
    except LinAlgError:
        raise ConfigError("the features are collinear, or one is constant: set l2 above 0") from None
    if not l1_P.any():
        return np.asarray(cho_solve(factor, q_P))
    x_P = start_P.copy()
    for _ in range(_SWEEPS):
        moved = 0.0
        for j in range(len(x_P)):
            rest = q_P[j] - A_PP[j] @ x_P + A_PP[j, j] * x_P[j]
            value = np.sign(rest) * max(abs(rest) - l1_P[j], 0.0) / A_PP[j, j]
            moved, x_P[j] = max(moved, abs(value - x_P[j])), value
        if moved <= _SETTLED:
            break
    return x_P
