"""Averages of local training, weighted by counts of which only the sum is known: FedAvg, FedProx, adaptive servers."""

# Shapes: P parameters.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import InputError
from sixfold.systems.hospital.train.algorithm import Arrays, Order, State, Total
from sixfold.systems.hospital.train.local_sgd import LocalSgd
from sixfold.systems.hospital.train.models import Model
from sixfold.systems.hospital.train.server_optimizers import PLAIN, ServerOptimizer

__all__ = ["FedAvg", "by_count"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FedAvg:
    """Local descent, then a step of `server` along the average update.

    With `local.proximal` it is FedProx, with an adaptive `server` FedAdam, FedYogi or FedAdagrad. State: theta (P),
    loss (1) of the parameters before the last step, and the server's memory. Source: McMahan et al.,
    "Communication-efficient learning of deep networks from decentralized data", AISTATS 2017, algorithm 1.
    """

    model: Model
    rounds: int
    local: LocalSgd
    server: ServerOptimizer = PLAIN

    def init(self, seed: int) -> State:
        memory = self.server.init(self.model.size)
        return State(0, {"theta": self.model.initial(seed), "loss": np.array([np.inf]), **memory})

    def order(self, state: State) -> Order:
        settings = {**self.model.settings(), **self.local.settings()}
        return Order("local_sgd", {"theta": state.arrays["theta"]}, settings, self.model.size + 2)

    def step(self, state: State, total: Total) -> State:
        update_P, loss = by_count(total)
        theta_P, memory = self.server.step(state.arrays["theta"], update_P, _memory(state))
        return State(state.round + 1, {"theta": theta_P, "loss": loss, **memory})


def by_count(total: Total) -> tuple[Floats, Floats]:
    """The mean update and the mean loss (1) over all records, from a total [.., n, n loss].

    Raises InputError when no hospital had a record.
    """
    n = total.vector[-2]
    if n < 0.5:  # a count, in fixed point
        raise InputError(f"none of {total.sites} hospitals had a record to train on")
    return total.vector[:-2] / n, total.vector[-1:] / n


def _memory(state: State) -> Arrays:
    return {name: array for name, array in state.arrays.items() if name not in ("theta", "loss")}
