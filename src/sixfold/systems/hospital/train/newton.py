"""Newton's method on summed curvature: in a handful of rounds the same parameters as if records were pooled."""

# Shapes: P parameters.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError
from sixfold.systems.hospital.train.algorithm import Order, State, Total
from sixfold.systems.hospital.train.fedavg import by_count
from sixfold.systems.hospital.train.models import Cox, Linear, Logistic
from sixfold.systems.hospital.train.second_order import from_upper, minimise_quadratic, upper_size

__all__ = ["Newton", "Penalty", "Terms", "newton_start", "newton_step", "terms_by_count"]

Floats = NDArray[np.float64]

_NOISE = 1e-7  # of a mean loss that arrives in fixed point: less than this is no increase


@dataclass(frozen=True, slots=True)
class Penalty:
    """l2 / 2 |w|^2 + l1 |w| beside the mean loss, on the weights `on_P`. Raises ConfigError."""

    on_P: NDArray[np.bool_]
    l2: float
    l1: float

    def __post_init__(self) -> None:
        if self.l2 < 0 or self.l1 < 0:
            raise ConfigError(f"got l2={self.l2:g}, l1={self.l1:g}, expected at least 0")

    def of(self, theta_P: Floats) -> float:
        """Its value."""
        w = theta_P[self.on_P]
        return float(self.l2 / 2.0 * (w @ w) + self.l1 * np.abs(w).sum())


@dataclass(frozen=True, slots=True)
class Terms:
    """The mean loss at some parameters, its gradient and its Hessian."""

    loss: float
    gradient_P: Floats
    hessian_PP: Floats


@dataclass(frozen=True, slots=True)
class Newton:
    """Iteratively reweighted least squares for logistic, exact for linear, stratified by hospital for Cox.

    State: theta (P), where curvature is asked for next; best (P) and loss (1), the last parameters that were an
    improvement and their penalised loss; direction (P), from best to theta. Raises ConfigError.
    """

    model: Cox | Linear | Logistic
    rounds: int
    l2: float
    l1: float = 0.0

    def __post_init__(self) -> None:
        self._penalty()

    def init(self, seed: int) -> State:
        return newton_start(self.model.initial(seed))

    def order(self, state: State) -> Order:
        length = upper_size(self.model.size) + self.model.size + 2
        return Order("newton_terms", {"theta": state.arrays["theta"]}, self.model.settings(), length)

    def step(self, state: State, total: Total) -> State:
        return newton_step(state, terms_by_count(total, self.model.size), self._penalty())

    def _penalty(self) -> Penalty:
        return Penalty(self.model.penalised, self.l2, self.l1)


def terms_by_count(total: Total, size: int) -> Terms:
    """Means from a total [upper triangle, gradient, n, loss]; InputError when no hospital had a record."""
    means, loss = by_count(total)
    return Terms(float(loss[0]), means[-size:], from_upper(means[:-size], size))


def newton_start(theta_P: Floats) -> State:
    """The state before the first round."""
    arrays = {"theta": theta_P, "best": theta_P, "direction": np.zeros(len(theta_P)), "loss": np.array([np.inf])}
    return State(0, arrays)


def newton_step(state: State, terms: Terms, penalty: Penalty) -> State:
    """From the terms at the state's theta: a full step if theta was an improvement, else half the way back to it.

    With l1 the step goes to the minimum of the penalised quadratic model. Source: Lee et al., "Proximal Newton-type
    methods for minimizing composite functions", SIAM J. Optimization 24(3), 2014.
    """
    theta_P, best_P, direction_P = (state.arrays[name] for name in ("theta", "best", "direction"))
    loss, before = terms.loss + penalty.of(theta_P), float(state.arrays["loss"][0])
    if loss > before + _NOISE:
        direction_P, loss = direction_P / 2.0, before
    else:
        A_PP = terms.hessian_PP + np.diag(penalty.l2 * penalty.on_P)
        q_P = terms.hessian_PP @ theta_P - terms.gradient_P
        best_P = theta_P
        direction_P = minimise_quadratic(A_PP, q_P, np.where(penalty.on_P, penalty.l1, 0.0), theta_P) - theta_P
    arrays = {"theta": best_P + direction_P, "best": best_P, "direction": direction_P, "loss": np.array([loss])}
    return State(state.round + 1, arrays)
