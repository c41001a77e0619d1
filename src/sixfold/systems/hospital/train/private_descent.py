"""Several local steps with record-level privacy: a hospital descends over its records, and noise is added once.

One record moves where a descent ends by no more than it could push: a step of gradient descent on a convex and smooth
loss brings two starting points no further apart if it is short enough, and the record itself adds at most the step
length times its largest gradient. Over E steps that is E times as far, as the update is: divided by E, the answer is
moved by at most the clip, whatever E. So local steps cost no privacy, and the noise may be split over hospitals as that
of a sum of gradients. Source: Wu et al., "Bolt-on differential privacy for scalable stochastic gradient descent-based
analytics", SIGMOD 2017, section 3.2; Hardt, Recht and Singer, "Train faster, generalize better", ICML 2016, lemma 3.6.
"""

# Shapes: N records, P parameters.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError
from sixfold.parts.clipping import clip_rows
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Arrays, Contribution, Order, State, Total
from sixfold.systems.hospital.train.gradients import mean_of_second_half
from sixfold.systems.hospital.train.models import Logistic, number, records_of
from sixfold.systems.hospital.train.server_optimizers import PLAIN, ServerOptimizer

__all__ = ["PrivateDescent", "clipped_descent", "largest_step"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PrivateDescent:
    """Federated averaging of local descents that arrive noisy; hospitals clip and add the noise.

    epochs: steps of a hospital in a round, each over all records that it draws. expected_records: of one hospital in a
    round, a public number that takes the place of its count, so that a hospital of twice as many moves twice as far.
    learning_rate: at most `largest_step` of the largest hospital, which refuses the order otherwise; the counts of
    patients are taken as public. State: as of PrivateGradient, which this is at one epoch, but that records are
    clipped in place of their gradients. Raises ConfigError.
    """

    model: Logistic
    rounds: int
    clip: float
    expected_records: float
    epochs: int = 1
    learning_rate: float = 0.1
    l2: float = 0.0
    server: ServerOptimizer = PLAIN

    def __post_init__(self) -> None:
        if not (self.clip > 0 and self.expected_records > 0 and self.epochs >= 1):
            raise ConfigError(
                f"got clip={self.clip:g}, expected_records={self.expected_records:g}, epochs={self.epochs}, "
                "expected above 0, above 0 and at least 1"
            )
        if not (self.learning_rate > 0 and self.l2 >= 0):
            raise ConfigError(
                f"got learning_rate={self.learning_rate:g}, l2={self.l2:g}, expected above 0 and at least 0"
            )

    def init(self, seed: int) -> State:
        theta_P = self.model.initial(seed)
        return State(0, {"theta": theta_P, "iterate": theta_P, **self.server.init(len(theta_P))})

    def order(self, state: State) -> Order:
        settings = {
            **self.model.settings(),
            "clip": self.clip,
            "expected_records": self.expected_records,
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "l2": self.l2,
        }
        return Order("clipped_descent", {"theta": state.arrays["iterate"]}, settings, self.model.size, per_record=True)

    def step(self, state: State, total: Total) -> State:
        mean_P = total.vector / (self.expected_records * total.sites)
        memory: Arrays = {name: array for name, array in state.arrays.items() if name not in ("theta", "iterate")}
        update_P = -self.learning_rate * self.epochs * mean_P
        iterate_P, memory = self.server.step(state.arrays["iterate"], update_P, memory)
        theta_P = mean_of_second_half(state, iterate_P, self.rounds)
        return State(state.round + 1, {"theta": theta_P, "iterate": iterate_P, **memory})


def largest_step(clip: float, records: float, expected_records: float, l2: float) -> float:
    """The longest step that brings no two points further apart: 2 over the largest curvature of the local loss.

    That of the log loss in its score is at most 1/4, and so clip^2 / 4 of one record.
    """
    curvature = records / expected_records * clip**2 / 4.0 + l2
    return 2.0 / curvature if curvature > 0 else np.inf


def clipped_descent(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """How far the descent went, over the length of its steps, times expected_records: at one epoch a sum of gradients.

    A record is its features and a 1, scaled down to the clip where it is longer: no gradient is longer then, and the
    loss stays convex, which clipped gradients would not leave it. Raises ConfigError for another model, and for a step
    that is too long for so many records, as the bound would not hold.
    """
    records = records_of(order, cohort)
    if not isinstance(records.model, Logistic):
        raise ConfigError("model: only of the log loss it is known how far a record moves a descent, expected logistic")
    clip, expected, l2 = (number(order, name) for name in ("clip", "expected_records", "l2"))
    rate, epochs = number(order, "learning_rate"), int(number(order, "epochs"))
    if not (expected > 0 and l2 >= 0 and epochs >= 1 and 0 < rate <= largest_step(clip, len(cohort), expected, l2)):
        raise ConfigError(
            f"{cohort.site}: at clip={clip:g}, expected_records={expected:g}, l2={l2:g} and epochs={epochs} a "
            f"learning_rate of {rate:g} is too long a step here: what a record could change would not be bounded"
        )
    Z_NP, _ = clip_rows(np.column_stack([records.X_ND, np.ones(len(records))]), clip)
    penalty_P, theta_P = l2 * records.model.penalised, records.theta_P
    for _ in range(epochs):
        _, slope_N, _ = records.model.of_score(Z_NP @ theta_P, records.y)
        theta_P = theta_P - rate * (slope_N @ Z_NP / expected + penalty_P * theta_P)
    return Contribution((records.theta_P - theta_P) * expected / (rate * epochs))
