"""Models of which a part stays at the hospital: a last layer, or an intercept, of its own."""

# Shapes: N records, D features, P parameters, H of them in the head.

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from sixfold.errors import ConfigError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Arrays, Contribution, Order, State, Total
from sixfold.systems.hospital.train.fedavg import by_count
from sixfold.systems.hospital.train.local_sgd import LocalSgd, descend, penalised_loss, schedule_of
from sixfold.systems.hospital.train.models import Cox, Logistic, Mlp, Model, Records, number, records_of
from sixfold.systems.hospital.train.newton import Penalty, newton_start, newton_step, terms_by_count
from sixfold.systems.hospital.train.second_order import upper, upper_size

__all__ = [
    "PersonalHead",
    "PersonalIntercept",
    "fit_head",
    "personal_newton",
    "personal_sgd",
    "predict_personal",
    "with_head",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PersonalHead:
    """Averages all but the head; the head descends at its hospital and stays there.

    head_epochs: passes over the records that move the head alone before the rest moves alone (FedRep); at 0 both
    move together (FedPer). State: theta (P), whose head is the one that a hospital begins with; loss (1). It cannot
    be combined with privacy: a head depends on all records of its hospital, so one record changes the gradients of
    the others. Source: Arivazhagan et al., "Federated learning with personalization layers", 2019; Collins et al.,
    "Exploiting shared representations for personalized federated learning", ICML 2021, algorithm 1. Raises
    ConfigError.
    """

    model: Logistic | Mlp
    rounds: int
    local: LocalSgd
    head_epochs: int = 0

    def __post_init__(self) -> None:
        if self.head_epochs < 0:
            raise ConfigError(f"got head_epochs={self.head_epochs}, expected at least 0")

    def init(self, seed: int) -> State:
        return State(0, {"theta": self.model.initial(seed), "loss": np.array([np.inf])})

    def order(self, state: State) -> Order:
        settings = {**self.model.settings(), **self.local.settings(), "head_epochs": self.head_epochs}
        length = int(np.sum(~self.model.head)) + 2
        return Order("personal_sgd", {"theta": state.arrays["theta"]}, settings, length)

    def step(self, state: State, total: Total) -> State:
        update, loss = by_count(total)
        theta_P = state.arrays["theta"].copy()
        theta_P[~self.model.head] += update
        return State(state.round + 1, {"theta": theta_P, "loss": loss})


@dataclass(frozen=True, slots=True)
class PersonalIntercept:
    """Logistic regression with common weights and, at each hospital, an intercept drawn towards the common one.

    Minimises the mean loss + l2 / 2 |w|^2 + tau / (2n) sum of squared offsets, n records in all, exactly: each
    hospital solves for its offset and sends the curvature that is left after eliminating it. tau: the prior
    precision of an offset, in records; large is one intercept for all. It cannot be combined with privacy. State:
    that of Newton. Source: Boyd and Vandenberghe, "Convex Optimization", 2004, appendix C.4 (block elimination).
    Raises ConfigError.
    """

    model: Logistic
    rounds: int
    l2: float
    tau: float = 1.0

    def __post_init__(self) -> None:
        if not self.tau > 0:
            raise ConfigError(f"got tau={self.tau:g}, expected above 0: nothing else holds an intercept in place")
        self._penalty()

    def init(self, seed: int) -> State:
        return newton_start(self.model.initial(seed))

    def order(self, state: State) -> Order:
        length = upper_size(self.model.size) + self.model.size + 2
        settings = {**self.model.settings(), "tau": self.tau}
        return Order("personal_newton", {"theta": state.arrays["theta"]}, settings, length)

    def step(self, state: State, total: Total) -> State:
        return newton_step(state, terms_by_count(total, self.model.size), self._penalty())

    def _penalty(self) -> Penalty:
        return Penalty(self.model.penalised, self.l2, 0.0)


def with_head(model: Model, theta_P: Floats, kept: Arrays) -> Floats:
    """The common parameters with a hospital's own head, if it has one."""
    if "head" not in kept:
        return theta_P
    own_P = theta_P.copy()
    own_P[model.head] = kept["head"]
    return own_P


def predict_personal(model: Model, theta_P: Floats, kept: Arrays, X_ND: Floats) -> Floats:
    """The predictions of a hospital that kept a head, N; of one that did not, those of the common model."""
    return model.predict(with_head(model, theta_P, kept), X_ND)


def fit_head(records: Records, tau: float) -> Arrays:
    """What a hospital keeps after it fitted its head, all else fixed: the head that minimises the summed loss
    + tau / 2 |head - common head|^2.

    After training with privacy this is how a hospital adapts the common model to its own base rate: only for its own
    use, as what it keeps is not private. Raises ConfigError for a model without a head.
    """
    model, common_P = records.model, records.theta_P
    if isinstance(model, Cox):
        raise ConfigError("cox: there is no head to keep: with cox_stratified the baseline hazard is a hospital's own")
    common_H, n = common_P[model.head], len(records)

    def objective(head_H: Floats) -> tuple[float, Floats]:
        theta_P = with_head(model, common_P, {"head": head_H})
        loss, gradient_P = model.loss_and_gradient(theta_P, records.X_ND, records.y)
        offset_H = head_H - common_H
        return n * loss + tau / 2.0 * float(offset_H @ offset_H), n * gradient_P[model.head] + tau * offset_H

    if not n:
        return {"head": common_H}
    found = minimize(objective, common_H, jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-15})
    return {"head": np.asarray(found.x)}


def personal_sgd(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """[n (theta - sent) without the head, n, n loss]; keeps the head."""
    records, schedule = records_of(order, cohort), schedule_of(order)
    n, head_P, head_epochs = len(records), records.model.head, int(number(order, "head_epochs"))
    if not n:
        return Contribution(np.zeros(order.length), kept)
    start_P = with_head(records.model, records.theta_P, kept)
    theta_P = start_P
    if head_epochs:
        theta_P, _ = descend(records, theta_P, replace(schedule, epochs=head_epochs), rng, free_P=head_P)
    theta_P, _ = descend(records, theta_P, schedule, rng, free_P=~head_P if head_epochs else None)
    loss = penalised_loss(records, start_P, schedule.l2)
    return Contribution(n * np.append((theta_P - start_P)[~head_P], [1.0, loss]), {"head": theta_P[head_P]})


def personal_newton(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """As newton_terms, of the loss at the hospital's best intercept, which it keeps."""
    records, tau = records_of(order, cohort), number(order, "tau")
    model, n = records.model, len(records)
    if not isinstance(model, Logistic):
        raise ConfigError("an intercept of each hospital's own needs the logistic model")
    if not n:
        return Contribution(np.zeros(order.length), kept)
    own = fit_head(records, tau)
    offset = float(own["head"][0] - records.theta_P[-1])
    loss, gradient_P, hessian_PP = model.curvature(with_head(model, records.theta_P, own), records.X_ND, records.y)
    cross_P, own_curvature = hessian_PP[:, -1], hessian_PP[-1, -1] + tau
    gradient_P = gradient_P - cross_P * (gradient_P[-1] + tau * offset) / own_curvature
    hessian_PP = hessian_PP - np.outer(cross_P, cross_P) / own_curvature
    terms = [upper(hessian_PP), gradient_P, [n, loss + tau / 2.0 * offset**2]]
    return Contribution(np.concatenate(terms), own)
