"""Gradient descent at one hospital, from the parameters that were sent, over its own records only."""

# Shapes: P parameters.

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Arrays, Contribution, Order
from sixfold.systems.hospital.train.models import Records, number, records_of

__all__ = ["LocalSgd", "descend", "local_sgd", "penalised_loss", "schedule_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LocalSgd:
    """How a hospital descends: passes over its records, records per step (0: all), step length, momentum.

    l2: of the penalty l2 / 2 |w|^2 beside the mean loss. proximal: mu of the penalty mu / 2 |theta - sent|^2 that
    keeps a hospital near the others. Source: Li et al., "Federated optimization in heterogeneous networks", MLSys
    2020, equation 2. Raises ConfigError.
    """

    epochs: int = 1
    batch: int = 0
    learning_rate: float = 0.1
    momentum: float = 0.0
    l2: float = 0.0
    proximal: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 0 or not self.learning_rate > 0:
            raise ConfigError(
                f"got epochs={self.epochs}, batch={self.batch}, learning_rate={self.learning_rate:g}, "
                "expected at least 1, at least 0 (all records) and above 0"
            )
        if not 0 <= self.momentum < 1 or self.l2 < 0 or self.proximal < 0:
            raise ConfigError(
                f"got momentum={self.momentum:g}, l2={self.l2:g}, proximal={self.proximal:g}, "
                "expected within [0, 1), at least 0 and at least 0"
            )

    def settings(self) -> dict[str, float | int | str]:
        """For an order."""
        return asdict(self)


def schedule_of(order: Order) -> LocalSgd:
    """Read it from an order. Raises InputError or ConfigError."""
    return LocalSgd(
        epochs=int(number(order, "epochs")),
        batch=int(number(order, "batch")),
        learning_rate=number(order, "learning_rate"),
        momentum=number(order, "momentum"),
        l2=number(order, "l2"),
        proximal=number(order, "proximal"),
    )


def penalised_loss(records: Records, theta_P: Floats, l2: float) -> float:
    """The mean loss over the records and the penalty on the weights."""
    loss, _ = records.model.loss_and_gradient(theta_P, records.X_ND, records.y)
    return loss + l2 / 2.0 * float(np.sum(theta_P[records.model.penalised] ** 2))


def descend(
    records: Records,
    start_P: Floats,
    schedule: LocalSgd,
    rng: np.random.Generator,
    *,
    correction_P: Floats | None = None,
    free_P: NDArray[np.bool_] | None = None,
) -> tuple[Floats, int]:
    """Return the parameters reached, and in how many steps.

    correction_P: added to every gradient. free_P: which parameters may move. Raises ConfigError when it diverges.
    """
    n, batch = len(records), schedule.batch or len(records)
    penalty_P = schedule.l2 * records.model.penalised
    moves_P = np.ones(len(start_P)) if free_P is None else free_P.astype(np.float64)
    theta_P, velocity_P, steps = start_P.copy(), np.zeros(len(start_P)), 0
    for _ in range(schedule.epochs):
        rows = rng.permutation(n) if batch < n else np.arange(n)
        for first in range(0, n, batch):
            at = rows[first : first + batch]
            _, gradient_P = records.model.loss_and_gradient(theta_P, records.X_ND[at], records.y[at])
            gradient_P = gradient_P + penalty_P * theta_P + schedule.proximal * (theta_P - start_P)
            if correction_P is not None:
                gradient_P = gradient_P + correction_P
            velocity_P = schedule.momentum * velocity_P + gradient_P * moves_P
            theta_P = theta_P - schedule.learning_rate * velocity_P
            steps += 1
    if not np.isfinite(theta_P).all():
        raise ConfigError(f"local training diverged at learning_rate={schedule.learning_rate:g}: lower it")
    return theta_P, steps


def local_sgd(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """[n (theta - sent), n, n loss] with the loss at the parameters that were sent; zeros without records.

    Source: McMahan et al., "Communication-efficient learning of deep networks from decentralized data", AISTATS 2017,
    algorithm 1.
    """
    records, schedule = records_of(order, cohort), schedule_of(order)
    n = len(records)
    if not n:
        return Contribution(np.zeros(order.length))
    theta_P, _ = descend(records, records.theta_P, schedule, rng)
    loss = penalised_loss(records, records.theta_P, schedule.l2)
    return Contribution(n * np.append(theta_P - records.theta_P, [1.0, loss]))
