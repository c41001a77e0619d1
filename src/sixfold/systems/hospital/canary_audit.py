"""How much privacy training loses at least: a canary is put into one hospital's records by chance, and looked for.

Whoever looks for it knows the canary, all other records, the job and every vector that the hospital sent, which is more
than a coordinator has: what even such an attacker cannot tell is the bound that is printed beside the promise.
"""

# Shapes: P parameters, R runs.

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from sixfold.errors import ConfigError
from sixfold.parts.privacy_audit import many_runs_bound
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.federation.contribution import contribute, fixed_point
from sixfold.systems.hospital.federation.job import Job
from sixfold.systems.hospital.train.algorithm import Algorithm, Order, Total
from sixfold.systems.hospital.train.local_work import LOCAL_WORK

__all__ = ["Audited", "audit", "planned_threshold"]

_CANARY = "canary"
_FAR = 3.0  # where columns are cut: no patient is further from the others


@dataclass(frozen=True, slots=True)
class Audited:
    """epsilon: the lower bound, at `confidence`. detected, false_alarms: of `runs` with, and without a canary."""

    epsilon: float
    detected: int
    false_alarms: int
    runs: int
    confidence: float


def audit(
    job: Job,
    algorithm: Algorithm,
    cohort: Cohort,
    runs: int,
    rng: np.random.Generator,
    watch: Callable[[int], None] = lambda done: None,
    confidence: float = 0.95,
) -> Audited:
    """Train `runs` times with a canary at this hospital and as often without, and tell them apart by its vectors.

    The other hospitals are left out: what they add does not depend on the canary. In each round the attacker takes off
    what the known records give, and looks along the canary's own clipped gradient. Its threshold is fixed before any
    run, from the noise alone. Raises ConfigError for a job without privacy.
    """
    mechanism, budget = job.mechanism, job.budget
    if mechanism is None or budget is None:
        raise ConfigError(f"{job.federation}: nothing is promised, so that there is nothing to audit")
    noise = mechanism.noise_multiplier / math.sqrt(mechanism.contributors)  # in clips, in what this hospital sends
    rounds = algorithm.rounds
    threshold = planned_threshold(mechanism.sampling * math.sqrt(rounds) / noise, runs, budget.delta, confidence)
    with_canary = _with_canary(cohort)
    scores_R2 = np.empty((runs, 2))
    for run in range(runs):
        for at, records in enumerate((with_canary, cohort)):
            scores_R2[run, at] = _score(job, algorithm, records, (cohort, with_canary), rng.bytes(32))
        watch(run + 1)
    found = (scores_R2 > threshold * noise * mechanism.clip * math.sqrt(rounds)).sum(axis=0)
    detected, false_alarms = int(found[0]), int(found[1])
    bound = many_runs_bound(detected, runs, false_alarms, runs, budget.delta, confidence)
    return Audited(bound, detected, false_alarms, runs, confidence)


def planned_threshold(shift: float, runs: int, delta: float, confidence: float = 0.95) -> float:
    """Of a score that is N(0, 1) without the canary and N(shift, 1) with it: where the bound is expected to be largest.

    It depends on nothing but what is known before the runs.
    """

    def expected(at: float) -> float:
        detected, false_alarms = (round(runs * float(norm.sf(at - by))) for by in (shift, 0.0))
        return many_runs_bound(detected, runs, false_alarms, runs, delta, confidence)

    middle = shift / 2.0  # first: with too few runs no threshold is expected to show anything
    return float(max([middle, *np.linspace(-1.0, shift + 3.0, 81)], key=expected))


def _with_canary(cohort: Cohort) -> Cohort:
    """One more patient, as far from the others as there can be, and with the outcome that the fewest there have."""
    rare = 0.0 if cohort.y_N.mean() > 0.5 else 1.0
    return replace(
        cohort,
        patients=np.append(cohort.patients, _CANARY),
        X_ND=np.vstack([cohort.X_ND, np.full(len(cohort.features), _FAR if rare == 0.0 else -_FAR)]),
        y_N=np.append(cohort.y_N, rare),
    )


def _score(job: Job, algorithm: Algorithm, records: Cohort, worlds: tuple[Cohort, Cohort], secret: bytes) -> float:
    """Along the canary's gradient, summed over the rounds of one training: what is in the vectors beside the others."""
    (known, with_canary), coder = worlds, fixed_point(job)
    state, score = algorithm.init(0), 0.0
    for round_ in range(algorithm.rounds):
        order = algorithm.order(state)
        sent_P = coder.decode(contribute(job, order, records, {}, secret, round_).values)
        others_P, with_canary_P = (_exact(order, each) for each in (known, with_canary))
        canary_P = with_canary_P - others_P
        score += float((sent_P - others_P) @ canary_P) / (float(np.linalg.norm(canary_P)) or 1.0)
        state = algorithm.step(state, Total(sent_P, 1))
    return score


def _exact(order: Order, cohort: Cohort) -> NDArray[np.float64]:
    """What these records give without sampling and noise."""
    return LOCAL_WORK[order.work](order, cohort, {}, np.random.default_rng(0)).vector
