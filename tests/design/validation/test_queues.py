"""The simulated families of queues, and the simulations themselves against exact answers."""

import numpy as np
import pytest

from sixfold.design.laws.overload import refused_share
from sixfold.design.laws.queueing import mean_wait_s
from sixfold.design.validation.queue_simulation import (
    admitted_responses_s,
    arrivals_s,
    batched_responses_s,
    fork_join_responses_s,
    service_times_s,
    waits_s,
)
from sixfold.design.validation.queues import families
from sixfold.design.validation.score import Family


@pytest.fixture(scope="module")
def found() -> dict[str, Family]:
    return {family.name: family for family in families()}


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("queue waits of M/M/c (simulated)", 0.06),
        ("queue waits of M/G/c (simulated)", 0.08),
        ("queue of batches (simulated)", 0.05),
        ("fan-out tail (simulated)", 0.10),
        ("goodput with admission (simulated)", 0.02),
        ("goodput without admission (simulated)", 0.10),
    ],
)
def test_formulas_are_near_their_simulations(found: dict[str, Family], name: str, most: float) -> None:
    family = found[name]
    assert family.mape < most
    assert family.mape < 0.25 * family.baseline_mape
    assert "simulated" in family.note
    assert all("simulated" in case.source for case in family.cases)


def test_a_short_line_by_hand() -> None:
    arrived = np.array([[0.0], [0.5], [0.6]])
    services = np.array([[1.0], [1.0], [1.0]])
    assert waits_s(arrived, services, 1)[:, 0] == pytest.approx([0.0, 0.5, 1.4])
    assert waits_s(arrived, services, 2)[:, 0] == pytest.approx([0.0, 0.0, 0.4])
    assert admitted_responses_s(arrived, services, 1, 2)[:, 0] == pytest.approx([1.0, 1.5, np.inf])
    assert batched_responses_s(arrived[:, 0], 0.3, 0.7) == pytest.approx([1.0, 0.5 + 1.7, 0.4 + 1.7])
    assert fork_join_responses_s(arrived[:, 0], np.array([[1.0, 0.1], [0.1, 2.0], [0.1, 0.1]])) == pytest.approx(
        [1.0, 2.0, 2.0]
    )


def test_simulated_refusals_and_waits_are_those_of_the_chain() -> None:
    rng = np.random.default_rng(5)
    arrived = arrivals_s(rng, 30.0, 1500, 200)
    services = service_times_s(rng, 0.1, 1.0, 1500, 200)
    refused = np.isinf(admitted_responses_s(arrived, services, 2, 4))[300:].mean()
    assert refused == pytest.approx(float(refused_share(3.0, 2, 4)), abs=0.005)
    calm = waits_s(arrivals_s(rng, 10.0, 1500, 200), services, 2)[300:].mean()
    assert calm == pytest.approx(float(mean_wait_s(10.0, 0.1, 2)), rel=0.05)


@pytest.mark.parametrize("variation", [0.0, 0.5, 1.0, 2.0])
def test_service_times_have_their_mean_and_variation(variation: float) -> None:
    times = service_times_s(np.random.default_rng(1), 0.1, variation, 2000, 100)
    assert times.mean() == pytest.approx(0.1, rel=0.02)
    assert times.std() / times.mean() == pytest.approx(variation, abs=0.03)
