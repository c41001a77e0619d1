"""Local steps under noise: however many, a record moves the answer by at most the clip; one step is a gradient."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cohorts import ask, hospitals, pooled

from sixfold.errors import ConfigError
from sixfold.systems.hospital.train import private_descent
from sixfold.systems.hospital.train.algorithm import Order, State, Total
from sixfold.systems.hospital.train.fedavg import FedAvg
from sixfold.systems.hospital.train.gradients import PrivateGradient
from sixfold.systems.hospital.train.local_sgd import LocalSgd
from sixfold.systems.hospital.train.models import Linear, Logistic
from sixfold.systems.hospital.train.pooled import run_in_plain
from sixfold.systems.hospital.train.private_descent import PrivateDescent, clipped_descent, largest_step


def _order(algorithm: PrivateDescent, theta: np.ndarray) -> Order:
    return algorithm.order(State(0, {**algorithm.init(0).arrays, "iterate": theta}))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 999),
    n=st.integers(1, 12),
    epochs=st.integers(1, 60),
    clip=st.floats(0.05, 20.0),
    share=st.floats(0.01, 1.0),
    l2=st.sampled_from([0.0, 0.01, 1.0]),
    expected=st.floats(0.5, 40.0),
)
def test_a_record_moves_the_answer_by_at_most_the_clip_after_any_number_of_steps(
    seed: int, n: int, epochs: int, clip: float, share: float, l2: float, expected: float
) -> None:
    (cohort,) = hospitals(seed, [n])
    rate = share * largest_step(clip, n, expected, l2)
    algorithm = PrivateDescent(Logistic(3), 1, clip, expected, epochs, rate, l2)
    order = _order(algorithm, np.random.default_rng(seed).normal(size=4) * 3.0)
    assert order.per_record
    assert order.settings["clip"] == clip
    whole = ask(order, cohort).vector
    for left_out in range(n):
        rest = ask(order, cohort.take(np.arange(n) != left_out)).vector
        assert np.linalg.norm(whole - rest) <= clip * (1 + 1e-9)


def test_the_bound_is_reached_by_a_record_that_always_pushes_the_same_way() -> None:
    (cohort,) = hospitals(0, [1])
    order = _order(PrivateDescent(Logistic(3), 1, 1e-3, 10.0, 50, 1.0), np.array([0.0, 0.0, 0.0, -1e6]))
    ill = cohort.take([0])
    ill.y_N[:] = 1.0
    assert np.linalg.norm(ask(order, ill).vector) == pytest.approx(1e-3)


def test_a_step_that_would_not_bound_a_record_is_refused_by_the_hospital_that_is_too_large_for_it() -> None:
    small, large = hospitals(0, [10, 40])
    algorithm = PrivateDescent(Logistic(3), 1, 2.0, 10.0, 5, largest_step(2.0, 10, 10.0, 0.1), 0.1)
    order = algorithm.order(algorithm.init(0))
    assert ask(order, small).vector.any()
    with pytest.raises(ConfigError, match=r"h1: .* too long a step"):
        ask(order, large)


def test_beyond_that_step_a_record_could_move_the_answer_further_than_the_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why it is refused: of like patients with unlike outcomes, each step throws the next one further back."""
    (cohort,) = hospitals(0, [40])
    alike = replace(cohort, X_ND=np.full((40, 3), 2.0), y_N=np.arange(40) % 2.0)
    order = _order(PrivateDescent(Logistic(3), 1, 1.0, 40.0, 5, 4.0 * largest_step(1.0, 40, 40.0, 0.0)), np.zeros(4))
    with pytest.raises(ConfigError, match="too long a step"):
        ask(order, alike)
    monkeypatch.setattr(private_descent, "largest_step", lambda *bounds: np.inf)
    moved = ask(order, alike).vector - ask(order, alike.take(np.arange(1, 40))).vector
    assert np.linalg.norm(moved) > 2.0, "twice the clip"


def test_at_one_epoch_it_is_the_private_gradient() -> None:
    cohorts = hospitals(1, [20, 30])
    shared = {"model": Logistic(3), "rounds": 6, "clip": 1e3}
    steps = PrivateDescent(**shared, expected_records=25.0, learning_rate=1e-6)
    gradients = PrivateGradient(**shared, expected_batch=50.0)
    one, other = (ask(each.order(each.init(0)), pooled(cohorts)).vector for each in (steps, gradients))
    np.testing.assert_allclose(one, other, atol=1e-9)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.integers(1, 20), st.floats(0.01, 1.0))
def test_without_clipping_and_of_equal_hospitals_it_is_federated_averaging(seed: int, epochs: int, rate: float) -> None:
    cohorts = hospitals(seed, [20, 20, 20])
    longest = max(np.linalg.norm(np.append(row, 1.0)) for cohort in cohorts for row in cohort.X_ND)
    rate = rate * largest_step(longest, 20, 20.0, 0.1)
    private = PrivateDescent(Logistic(3), 1, longest, 20.0, epochs, rate, 0.1)
    plain = FedAvg(Logistic(3), 1, LocalSgd(epochs=epochs, learning_rate=rate, l2=0.1))
    one, other = (run_in_plain(each, cohorts, 0)[0].arrays["theta"] for each in (private, plain))
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_more_epochs_need_fewer_rounds() -> None:
    cohorts = hospitals(2, [40, 50, 60])
    every = pooled(cohorts)

    def loss(rounds: int, epochs: int) -> float:
        algorithm = PrivateDescent(Logistic(3), rounds, 2.0, 50.0, epochs, 0.2)
        theta = run_in_plain(algorithm, cohorts, 0)[0].arrays["iterate"]
        return Logistic(3).loss_and_gradient(theta, every.X_ND, every.y_N)[0]

    assert loss(4, 1) > loss(4, 8)
    assert loss(4, 8) == pytest.approx(loss(32, 1), abs=0.01)


def test_noise_moves_the_result_as_far_as_the_steps_do() -> None:
    algorithm = PrivateDescent(Logistic(3), 1, 1.0, 10.0, 4, 0.5)
    state = algorithm.step(algorithm.init(0), Total(np.array([0.0, 0.0, 0.0, 20.0]), 2))
    np.testing.assert_allclose(state.arrays["theta"], [0.0, 0.0, 0.0, -2.0])


def test_another_model_is_refused() -> None:
    (cohort,) = hospitals(0, [5])
    order = _order(PrivateDescent(Logistic(3), 1, 1.0, 5.0), np.zeros(4))
    other = Order(order.work, order.arrays, {**order.settings, **Linear(3).settings()}, 4, per_record=True)
    with pytest.raises(ConfigError, match="expected logistic"):
        clipped_descent(other, cohort, {}, np.random.default_rng(0))


@pytest.mark.parametrize(
    "bad", [{"clip": 0.0}, {"expected_records": 0.0}, {"epochs": 0}, {"learning_rate": 0.0}, {"l2": -1.0}]
)
def test_bounds(bad: dict[str, float]) -> None:
    known = {"clip": 1.0, "expected_records": 5.0, "epochs": 1, "learning_rate": 0.1, "l2": 0.0}
    with pytest.raises(ConfigError, match=f"{next(iter(bad))}={next(iter(bad.values())):g}"):
        PrivateDescent(Logistic(3), 1, **{**known, **bad})
