"""Training with record-level privacy: every round asks for one sum of clipped gradients, and for nothing else."""

# Shapes: N records, P parameters.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError
from sixfold.parts.clipping import clip_rows
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Arrays, Contribution, Order, State, Total
from sixfold.systems.hospital.train.models import Cox, Linear, Logistic, Mlp, number, records_of
from sixfold.systems.hospital.train.server_optimizers import PLAIN, ServerOptimizer

__all__ = ["PrivateGradient", "clipped_gradient", "clipped_sum", "mean_of_second_half"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PrivateGradient:
    """Gradient descent on sums of clipped gradients that arrive noisy; hospitals clip and add the noise.

    expected_batch: records that a round draws on average over all hospitals, a public number: the count of those
    that were drawn is not asked for. l2: applied here, as it depends on no record. State: theta (P), the mean of the
    iterates of the second half of the rounds once it is reached, which costs no privacy and less noise; iterate (P);
    the server's memory. Source: Abadi et al., "Deep learning with differential privacy", CCS 2016, algorithm 1;
    the mean: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control and
    Optimization 30(4), 1992. Raises ConfigError.
    """

    model: Linear | Logistic | Mlp
    rounds: int
    clip: float
    expected_batch: float
    l2: float = 0.0
    server: ServerOptimizer = PLAIN

    def __post_init__(self) -> None:
        if not (self.clip > 0 and self.expected_batch > 0 and self.l2 >= 0):
            raise ConfigError(
                f"got clip={self.clip:g}, expected_batch={self.expected_batch:g}, l2={self.l2:g}, "
                "expected above 0, above 0 and at least 0"
            )

    def init(self, seed: int) -> State:
        theta_P = self.model.initial(seed)
        return State(0, {"theta": theta_P, "iterate": theta_P, **self.server.init(len(theta_P))})

    def order(self, state: State) -> Order:
        settings = {**self.model.settings(), "clip": self.clip}
        arrays = {"theta": state.arrays["iterate"]}
        return Order("clipped_gradient", arrays, settings, self.model.size, per_record=True)

    def step(self, state: State, total: Total) -> State:
        memory: Arrays = {name: array for name, array in state.arrays.items() if name not in ("theta", "iterate")}
        iterate_P = state.arrays["iterate"]
        gradient_P = total.vector / self.expected_batch + self.l2 * self.model.penalised * iterate_P
        iterate_P, memory = self.server.step(iterate_P, -gradient_P, memory)
        theta_P = mean_of_second_half(state, iterate_P, self.rounds)
        return State(state.round + 1, {"theta": theta_P, "iterate": iterate_P, **memory})


def mean_of_second_half(state: State, iterate_P: Floats, rounds: int) -> Floats:
    """theta after the round that leads from `state` to this iterate: itself until half of the rounds are over."""
    averaged = state.round + 1 - rounds // 2  # iterates in the mean, this one included
    theta_P = state.arrays["theta"]
    return iterate_P if averaged <= 1 else theta_P + (iterate_P - theta_P) / averaged


def clipped_sum(rows_NP: Floats, clip: float) -> Floats:
    """The sum of the rows after each longer than `clip` in L2 norm was scaled down to it."""
    return np.asarray(clip_rows(rows_NP, clip)[0].sum(axis=0))


def clipped_gradient(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """The sum over records of their clipped gradients; the penalty is the coordinator's part."""
    records = records_of(order, cohort)
    if isinstance(records.model, Cox):
        raise ConfigError("cox: a partial likelihood has no gradient of a single record: it cannot be clipped")
    gradients_NP = records.model.per_record_gradients(records.theta_P, records.X_ND, records.y)
    return Contribution(clipped_sum(gradients_NP, number(order, "clip")))
