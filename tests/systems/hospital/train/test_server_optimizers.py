"""Server optimizers: the formulas of their papers, held against torch where torch has the same one."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.systems.hospital.train.server_optimizers import PLAIN, Adaptive, Averaging, Rule, ServerOptimizer

updates = st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=1, max_size=8)


def _run(server: ServerOptimizer, rounds: list[list[float]]) -> np.ndarray:
    theta, memory = np.ones(3), server.init(3)
    for update in rounds:
        theta, memory = server.step(theta, np.array(update), memory)
    return theta


def _run_torch(make: Any, rounds: list[list[float]]) -> np.ndarray:
    theta = torch.ones(3, dtype=torch.float64)
    optimizer = make([theta])
    for update in rounds:
        theta.grad = -torch.tensor(update, dtype=torch.float64)
        optimizer.step()
    return theta.numpy()


@given(updates)
def test_plain_averaging_adds_the_updates(rounds: list[list[float]]) -> None:
    np.testing.assert_allclose(_run(PLAIN, rounds), 1.0 + np.sum(rounds, axis=0), atol=1e-12)


@given(updates)
def test_momentum_is_that_of_torch(rounds: list[list[float]]) -> None:
    expected = _run_torch(lambda p: torch.optim.SGD(p, lr=0.3, momentum=0.8), rounds)
    np.testing.assert_allclose(_run(Averaging(0.3, 0.8), rounds), expected, atol=1e-12)


@given(updates)
def test_adagrad_is_that_of_torch(rounds: list[list[float]]) -> None:
    server = Adaptive(Rule.ADAGRAD, rate=0.3, beta1=0.0, tau=0.01)
    expected = _run_torch(lambda p: torch.optim.Adagrad(p, lr=0.3, eps=0.01, initial_accumulator_value=0.01**2), rounds)
    np.testing.assert_allclose(_run(server, rounds), expected, rtol=1e-10, atol=1e-10)


@given(updates)
def test_adam_without_correction_and_yogi_are_their_formulas(rounds: list[list[float]]) -> None:
    for rule in (Rule.ADAM, Rule.YOGI):
        theta, m, v = [1.0] * 3, [0.0] * 3, [0.01**2] * 3
        for update in rounds:
            for j, d in enumerate(update):
                m[j] = 0.9 * m[j] + 0.1 * d
                if rule is Rule.ADAM:
                    v[j] = 0.99 * v[j] + 0.01 * d * d
                elif v[j] != d * d:
                    v[j] -= 0.01 * d * d * (1 if v[j] > d * d else -1)
                theta[j] += 0.5 * m[j] / (v[j] ** 0.5 + 0.01)
        np.testing.assert_allclose(_run(Adaptive(rule, 0.5, 0.9, 0.99, 0.01), rounds), theta, atol=1e-9)


@pytest.mark.parametrize("bad", [{"rate": 0.0}, {"rate": float("nan")}, {"momentum": 1.0}, {"momentum": -0.1}])
def test_bounds_of_averaging(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="server_rate"):
        Averaging(**bad)


@pytest.mark.parametrize("bad", [{"rate": 0.0}, {"tau": 0.0}, {"beta1": 1.0}, {"beta2": -0.1}])
def test_bounds_of_the_adaptive_ones(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="server_rate"):
        Adaptive(Rule.ADAM, **bad)
