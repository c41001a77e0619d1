"""Cox's model over all hospitals as one cohort, from sums over risk sets on a public grid of times."""

# Shapes: D features, G times of the grid, the last infinite, T = D(D+1)/2.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Arrays, Contribution, Order, State, Total
from sixfold.systems.hospital.train.models import Cox, records_of
from sixfold.systems.hospital.train.newton import Penalty, Terms, newton_start, newton_step
from sixfold.systems.hospital.train.partial_likelihood import RiskSums, grid_terms, risk_sums
from sixfold.systems.hospital.train.second_order import from_upper, upper, upper_size

__all__ = ["CoxBreslow", "cox_sums", "even_grid"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CoxBreslow:
    """One baseline hazard for all hospitals; `Newton` with a `Cox` model is the one with a baseline for each.

    grid_days: ascending; event times are rounded up to it, or count as after all of it, censored times down. The
    result is that of the pooled records with times rounded so; it is exact when every event time is in the grid.
    The total tells how many events are in each interval, over all hospitals. Raises ConfigError.
    """

    model: Cox
    rounds: int
    grid_days: tuple[float, ...]
    l2: float
    l1: float = 0.0

    def __post_init__(self) -> None:
        if not self.grid_days or not np.all(np.diff(self.grid_days) > 0):
            raise ConfigError(f"grid_days: got {len(self.grid_days)} times, expected at least one, ascending")
        self._penalty()

    def init(self, seed: int) -> State:
        return newton_start(self.model.initial(seed))

    def order(self, state: State) -> Order:
        D, G = self.model.size, len(self.grid_days) + 1
        arrays = {"theta": state.arrays["theta"], "grid_days": np.array([*self.grid_days, np.inf])}
        return Order("cox_sums", arrays, self.model.settings(), G * (2 + D + upper_size(D)) + D + 1)

    def step(self, state: State, total: Total) -> State:
        n, D, G = total.vector[-1], self.model.size, len(self.grid_days) + 1
        if n < 0.5:  # a count, in fixed point
            raise InputError(f"none of {total.sites} hospitals had a record to train on")
        events_G, s0_G, s1, s2, died_D = np.split(total.vector[:-1], np.cumsum([G, G, G * D, G * upper_size(D)]))
        s2_GDD = from_upper(s2.reshape(G, upper_size(D)), D)
        sums = RiskSums(np.round(events_G), s0_G, s1.reshape(G, D), s2_GDD, died_D)
        loss, gradient_D, hessian_DD = grid_terms(state.arrays["theta"], sums)
        return newton_step(state, Terms(loss / n, gradient_D / n, hessian_DD / n), self._penalty())

    def _penalty(self) -> Penalty:
        return Penalty(self.model.penalised, self.l2, self.l1)


def even_grid(horizon_days: float, bins: int) -> tuple[float, ...]:
    """So many intervals of equal length up to a horizon. Raises ConfigError."""
    if bins < 1 or not horizon_days > 0:
        raise ConfigError(f"got bins={bins}, horizon_days={horizon_days:g}, expected at least 1 and above 0")
    return tuple(float(t) for t in np.linspace(0.0, horizon_days, bins + 1)[1:])


def cox_sums(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """[events per time, s0, s1, upper triangles of s2, x of those who died, n]; see RiskSums."""
    records = records_of(order, cohort)
    time_N, event_N = records.y.T
    sums = risk_sums(records.theta_P, records.X_ND, time_N, event_N, order.arrays["grid_days"])
    parts = [
        sums.events_G,
        sums.s0_G,
        sums.s1_GD.ravel(),
        upper(sums.s2_GDD).ravel(),
        sums.died_D,
        np.array([len(records)]),
    ]
    return Contribution(np.concatenate(parts))
