"""What federated training is held against: the optimum over all records in one place, and rounds with a plain sum."""

# Shapes: N records, D features, P parameters.

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Algorithm, Arrays, State, Total
from sixfold.systems.hospital.train.local_work import LOCAL_WORK
from sixfold.systems.hospital.train.models import Model

__all__ = ["fit_pooled", "run_in_plain"]

Floats = NDArray[np.float64]


def fit_pooled(model: Model, X_ND: Floats, y: Floats, l2: float, seed: int = 0) -> Floats:
    """The parameters that minimise the mean loss + l2 / 2 |w|^2, by L-BFGS; for the network a local minimum.

    y: as `model.outcome` gives it. For the same l2 it is what the federated algorithms go to.
    """
    penalty_P = l2 * model.penalised

    def objective(theta_P: Floats) -> tuple[float, Floats]:
        loss, gradient_P = model.loss_and_gradient(theta_P, X_ND, y)
        return loss + float(penalty_P @ theta_P**2) / 2.0, gradient_P + penalty_P * theta_P

    options = {"maxiter": 10_000, "maxfun": 20_000, "gtol": 1e-10, "ftol": 1e-16}
    found = minimize(objective, model.initial(seed), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x)


def run_in_plain(algorithm: Algorithm, cohorts: Sequence[Cohort], seed: int) -> tuple[State, list[Arrays]]:
    """All rounds in this process, every hospital in each, without protection: the last state, and what each kept.

    For tests and for choosing parameters on training folds.
    """
    state = algorithm.init(seed)
    kept: list[Arrays] = [{} for _ in cohorts]
    rngs = np.random.default_rng(seed).spawn(len(cohorts))
    with threadpool_limits(1):  # several threads would add in an order of their own, and give other last bits
        for _ in range(algorithm.rounds):
            order, answers = algorithm.order(state), []
            for cohort, own, rng in zip(cohorts, kept, rngs, strict=True):
                answers.append(LOCAL_WORK[order.work](order, cohort, own, rng))
            kept = [answer.kept for answer in answers]
            state = algorithm.step(state, Total(np.sum([answer.vector for answer in answers], axis=0), len(cohorts)))
    return state, kept
