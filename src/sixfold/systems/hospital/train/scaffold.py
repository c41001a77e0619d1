"""SCAFFOLD: each hospital corrects its gradients by how its own direction differs from everybody's."""

# Shapes: P parameters.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sixfold.errors import ConfigError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Arrays, Contribution, Order, State, Total
from sixfold.systems.hospital.train.fedavg import by_count
from sixfold.systems.hospital.train.local_sgd import LocalSgd, descend, penalised_loss, schedule_of
from sixfold.systems.hospital.train.models import Model, records_of

__all__ = ["Scaffold", "scaffold_work"]


@dataclass(frozen=True, slots=True)
class Scaffold:
    """Local descent with control variates, averaged by counts; a hospital's own variate never leaves it.

    sites: of the federation; in a round in which only some take part the common variate moves by their share.
    Source: Karimireddy et al., "SCAFFOLD: Stochastic controlled averaging for federated learning", ICML 2020,
    algorithm 1 with option II. Raises ConfigError.
    """

    model: Model
    rounds: int
    local: LocalSgd
    sites: int
    server_rate: float = 1.0

    def __post_init__(self) -> None:
        if self.local.momentum or self.local.proximal:
            raise ConfigError("scaffold: a variate is read off plain steps: set momentum and proximal to 0")
        if self.sites < 1 or not self.server_rate > 0:
            raise ConfigError(
                f"scaffold: got sites={self.sites}, server_rate={self.server_rate:g}, expected at least 1 and above 0"
            )

    def init(self, seed: int) -> State:
        theta_P = self.model.initial(seed)
        return State(0, {"theta": theta_P, "control": np.zeros(len(theta_P)), "loss": np.array([np.inf])})

    def order(self, state: State) -> Order:
        arrays = {name: state.arrays[name] for name in ("theta", "control")}
        settings = {**self.model.settings(), **self.local.settings()}
        return Order("scaffold", arrays, settings, 2 * self.model.size + 2)

    def step(self, state: State, total: Total) -> State:
        updates, loss = by_count(total)
        update_P, change_P = np.split(updates, 2)
        share = min(1.0, total.sites / self.sites)
        arrays = {
            "theta": state.arrays["theta"] + self.server_rate * update_P,
            "control": state.arrays["control"] + share * change_P,
            "loss": loss,
        }
        return State(state.round + 1, arrays)


def scaffold_work(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """[n (theta - sent), n (own variate's change), n, n loss]; keeps the own variate."""
    records, schedule = records_of(order, cohort), schedule_of(order)
    n = len(records)
    if not n:
        return Contribution(np.zeros(order.length), kept)
    sent_P, common_P = records.theta_P, order.arrays["control"]
    own_P = kept.get("control", np.zeros(len(sent_P)))
    theta_P, steps = descend(records, sent_P, schedule, rng, correction_P=common_P - own_P)
    change_P = (sent_P - theta_P) / (steps * schedule.learning_rate) - common_P
    loss = penalised_loss(records, sent_P, schedule.l2)
    vector = n * np.concatenate([theta_P - sent_P, change_P, [1.0, loss]])
    return Contribution(vector, {"control": own_P + change_P})
