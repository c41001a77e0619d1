"""Promises of canary_audit: what keeps its promise is not accused, and what breaks it is."""

from dataclasses import replace

import numpy as np
import pytest

from sixfold.errors import ConfigError
from sixfold.parts.privacy_mechanism import Budget, Mechanism, noise_for
from sixfold.systems.hospital.canary_audit import audit, planned_threshold
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.federation.job import Job, Output, Protection
from sixfold.systems.hospital.train.algorithm import Algorithm, Arrays, Contribution, Order
from sixfold.systems.hospital.train.choose import make_algorithm
from sixfold.systems.hospital.train.gradients import clipped_gradient
from sixfold.systems.hospital.train.local_work import LOCAL_WORK

ROUNDS, RUNS, CLAIM = 3, 120, Budget(2.0, 1e-3)


def cohort() -> Cohort:
    rng = np.random.default_rng(0)
    names = np.array([f"p{at}" for at in range(40)])
    return Cohort("north", names, ("a", "b"), rng.normal(size=(40, 2)), (rng.random(40) < 0.4).astype(float))


def job_and_algorithm(noise: float) -> tuple[Job, Algorithm]:
    job = Job(
        federation="audited",
        permit="p",
        dataset="d",
        purpose="scientific-research",
        output=Output.MODEL_UPDATE,
        features=("a", "b"),
        sites=("north", "south"),
        protection=Protection.PLAIN,
        mechanism=Mechanism(1.0, noise, 1),
        budget=CLAIM,
    )
    settings = {"rounds": ROUNDS, "clip": 1.0, "expected_batch": 40.0, "server_rate": 1.0}
    return job, make_algorithm("dp_gradient", 2, settings)


def test_noise_that_keeps_the_promise_is_not_accused_and_a_tenth_of_it_is() -> None:
    enough = noise_for(CLAIM, ROUNDS)
    honest = audit(*job_and_algorithm(enough), cohort(), RUNS, np.random.default_rng(1))
    weak = audit(*job_and_algorithm(enough / 10.0), cohort(), RUNS, np.random.default_rng(1))
    assert 0.0 <= honest.epsilon <= CLAIM.epsilon < weak.epsilon
    assert (weak.detected, weak.false_alarms) == (RUNS, 0)


def test_a_hospital_that_clips_ten_times_too_late_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order says 1 and so does its noise, but what is computed is longer."""

    def careless(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
        return clipped_gradient(replace(order, settings={**order.settings, "clip": 10.0}), far(cohort), kept, rng)

    def far(cohort: Cohort) -> Cohort:
        return replace(cohort, X_ND=10.0 * cohort.X_ND)

    monkeypatch.setitem(LOCAL_WORK, "clipped_gradient", careless)  # type: ignore[misc]
    accused = audit(*job_and_algorithm(noise_for(CLAIM, ROUNDS)), cohort(), RUNS, np.random.default_rng(1))
    assert accused.epsilon > CLAIM.epsilon


def test_without_a_promise_there_is_nothing_to_audit() -> None:
    job, algorithm = job_and_algorithm(1.0)
    with pytest.raises(ConfigError, match="nothing is promised"):
        audit(replace(job, mechanism=None, budget=None), algorithm, cohort(), 1, np.random.default_rng(1))


def test_the_threshold_is_where_the_bound_is_largest_and_between_the_two_where_there_is_none() -> None:
    far = planned_threshold(10.0, 100, 1e-3)
    assert 2.0 < far < 8.0
    assert planned_threshold(0.1, 100, 1e-3) == pytest.approx(0.05)
