"""Hospitals that differ, and the same records in one place: for the tests of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Contribution, Order
from sixfold.systems.hospital.train.local_work import LOCAL_WORK
from sixfold.systems.hospital.train.models import Model


def hospitals(seed: int, sizes: Sequence[int], dims: int = 3, *, ties: bool = True) -> list[Cohort]:
    """Cohorts of these sizes; each has its own base rate and covariate shift. Times tie unless they may not."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=dims)
    cohorts = []
    for site, n in enumerate(sizes):
        X = rng.normal(size=(n, dims)) + 0.5 * rng.normal(size=dims)
        score = X @ weights + rng.normal()
        time = rng.exponential(np.exp(-0.3 * score)) * 100.0 + 1.0
        cohorts.append(
            Cohort(
                site=f"h{site}",
                patients=np.array([f"{site}-{i}" for i in range(n)], dtype=np.str_),
                features=tuple(f"x{d}" for d in range(dims)),
                X_ND=X,
                y_N=(rng.random(n) < 1.0 / (1.0 + np.exp(-score))).astype(float),
                time_N=np.ceil(time / 20.0) * 20.0 if ties else time,
            )
        )
    return cohorts


def pooled(cohorts: Sequence[Cohort]) -> Cohort:
    """All records at one hospital."""
    times = [c.time_N for c in cohorts if c.time_N is not None]
    return Cohort(
        site="all",
        patients=np.concatenate([c.patients for c in cohorts]),
        features=cohorts[0].features,
        X_ND=np.vstack([c.X_ND for c in cohorts]),
        y_N=np.concatenate([c.y_N for c in cohorts]),
        time_N=np.concatenate(times),
    )


def ask(order: Order, cohort: Cohort, kept: Mapping[str, NDArray[np.float64]] | None = None) -> Contribution:
    """One hospital's answer, with a seed of its own."""
    return LOCAL_WORK[order.work](order, cohort, kept or {}, np.random.default_rng(0))


def numerical_gradient(model: Model, theta: NDArray[np.float64], cohort: Cohort) -> NDArray[np.float64]:
    """Central differences of the model's mean loss."""
    y, h = model.outcome(cohort), 1e-5
    steps = np.eye(len(theta)) * h
    return np.array(
        [
            (
                model.loss_and_gradient(theta + s, cohort.X_ND, y)[0]
                - model.loss_and_gradient(theta - s, cohort.X_ND, y)[0]
            )
            / (2 * h)
            for s in steps
        ]
    )
