"""How good a model is over all hospitals: histograms of its scores by outcome, which are sums like any other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Arrays, Contribution, Order, State, Total
from sixfold.systems.hospital.train.models import Cox, Linear, Logistic, Mlp, number, records_of
from sixfold.systems.hospital.train.personal import predict_personal

__all__ = ["Quality", "ScoreHistograms", "quality_of", "score_histograms"]

Floats = NDArray[np.float64]

BINS = 1024  # a pair of scores closer than this counts half in the AUROC


@dataclass(frozen=True, slots=True)
class Quality:
    """auroc: over all pairs of patients, also of two hospitals; NaN with one outcome only. accuracy: at 0.5."""

    auroc: float
    accuracy: float
    patients: int


@dataclass(frozen=True, slots=True)
class ScoreHistograms:
    """One round that judges parameters: [scores of those with the outcome, of those without, rightly told].

    State: theta (P), and after the round total (2 BINS + 1). Each hospital scores with the head that it keeps.
    """

    model: Linear | Logistic | Mlp
    theta_P: Floats
    rounds: int = 1

    def init(self, seed: int) -> State:
        return State(0, {"theta": self.theta_P})

    def order(self, state: State) -> Order:
        settings = {**self.model.settings(), "bins": BINS}
        return Order("score_histograms", {"theta": state.arrays["theta"]}, settings, 2 * BINS + 1)

    def step(self, state: State, total: Total) -> State:
        return State(state.round + 1, {**state.arrays, "total": np.round(total.vector)})


def score_histograms(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """The histograms of one hospital."""
    records, bins = records_of(order, cohort), int(number(order, "bins"))
    if isinstance(records.model, Cox):
        raise ConfigError("cox: its scores have no scale of their own, so that hospitals cannot count them in bins")
    scores_N = predict_personal(records.model, records.theta_P, kept, records.X_ND)
    at_N = np.minimum((scores_N * bins).astype(int), bins - 1)
    ill_N = records.y == 1.0
    with_B, without_B = (np.bincount(at_N[rows], minlength=bins) for rows in (ill_N, ~ill_N))
    rightly = np.sum((scores_N >= 0.5) == ill_N)
    return Contribution(np.concatenate([with_B, without_B, rightly], axis=None).astype(np.float64))


def quality_of(total: Floats) -> Quality:
    """The quality that the summed histograms of `ScoreHistograms` state."""
    with_B, without_B = total[:-1].reshape(2, -1)
    pairs, n = with_B.sum() * without_B.sum(), with_B.sum() + without_B.sum()
    below_B = np.cumsum(without_B) - without_B / 2.0
    auroc = float(with_B @ below_B / pairs) if pairs else np.nan
    return Quality(auroc, float(total[-1] / n) if n else np.nan, int(n))
