"""Privacy spent: against published values, closed forms, and what must hold of any accountant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.design.laws.privacy import (
    average_noise,
    dp_epsilon,
    excess_risk,
    gaussian_rdp,
    noise_for_epsilon,
    subsampled_gaussian_rdp,
)


def test_published_values() -> None:
    """TensorFlow Privacy's tutorial on MNIST, 256 of 60,000; and Abadi et al. 2016: q = .01, sigma = 4, 100 epochs."""
    steps = np.array([60, 30, 10]) * 60_000 / 256
    epsilon = dp_epsilon([1.12, 0.6, 1.2], steps, 1e-5, sampling=256 / 60_000, classic=True)
    np.testing.assert_allclose(epsilon, [2.92, 9.74, 1.20], rtol=0.005)
    assert dp_epsilon(4, 100 / 0.01, 1e-5, sampling=0.01, classic=True) == pytest.approx(1.26, abs=0.005)


def test_without_sampling_it_is_the_gaussian_mechanism() -> None:
    order = 1 + np.sqrt(2 * 25.0 * np.log(1e5))  # the best, of any: sigma = 5, one release
    exact = gaussian_rdp(order, 5.0) + np.log(1e5) / (order - 1)
    assert dp_epsilon(5.0, 1, 1e-5, classic=True) == pytest.approx(float(exact), rel=0.01)
    assert subsampled_gaussian_rdp(7.0, 5.0, 1.0) == gaussian_rdp(7.0, 5.0)


@pytest.mark.parametrize("sigma", [0.3, 0.6, 1.0, 4.0])
def test_the_integral_at_fractional_orders_meets_the_sum_at_whole_ones(sigma: float) -> None:
    for order in (2.0, 4.0, 9.0):
        near = subsampled_gaussian_rdp(order + 1e-6, sigma, [0.001, 0.01, 0.5])
        np.testing.assert_allclose(near, subsampled_gaussian_rdp(order, sigma, [0.001, 0.01, 0.5]), rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.4, 20), st.integers(1, 5000), st.floats(1e-4, 1.0), st.floats(1e-9, 1e-2))
def test_epsilon_falls_with_noise_and_rises_with_rounds_and_sampling(
    sigma: float, rounds: int, q: float, delta: float
) -> None:
    spent = dp_epsilon([sigma, sigma * 1.1, sigma, sigma], [rounds, rounds, rounds * 2, rounds], delta, sampling=q)
    assert spent[1] <= spent[0] * (1 + 1e-9) <= spent[2] * (1 + 2e-9)
    assert dp_epsilon(sigma, rounds, delta, sampling=q / 2) <= spent[3] * (1 + 1e-9)
    assert spent[0] <= dp_epsilon(sigma, rounds, delta, sampling=q, classic=True) + 1e-9
    assert dp_epsilon(sigma, 0, delta, sampling=q) == 0.0


def test_noise_for_an_epsilon_spends_it() -> None:
    target = np.array([0.5, 2.0, 8.0])
    sigma = noise_for_epsilon(target, 1000, 1e-6, sampling=0.02)
    np.testing.assert_allclose(dp_epsilon(sigma, 1000, 1e-6, sampling=0.02), target, rtol=1e-4)
    assert np.all(np.diff(sigma) < 0)


def test_a_hundred_thousand_designs_take_no_longer_than_their_pairs() -> None:
    sigma, rounds = np.meshgrid(np.linspace(0.5, 5, 20), np.arange(1, 5001))
    assert dp_epsilon(sigma, rounds, 1e-5, sampling=0.01).shape == (5000, 20)


def test_what_noise_costs() -> None:
    np.testing.assert_allclose(average_noise(1.0, 2.0, [10, 20]), [0.2, 0.1])
    risk = excess_risk([0.5, 1.0, 2.0], 1e-5, 1e4, 100)
    np.testing.assert_allclose(risk[:-1] / risk[1:], 2.0)
    strong = excess_risk([0.5, 1.0], 1e-5, 1e4, 100, curvature=1.0)
    assert strong[0] / strong[1] == pytest.approx(4.0)
    assert excess_risk(1e-6, 1e-5, 10, 1e9, lipschitz=3.0) == 3.0  # knowing nothing costs no more


def test_arguments_outside_their_range_are_refused() -> None:
    for bad in ({"noise": 0.0}, {"sampling": 1.5}, {"delta": -1.0}):
        given_ = {"noise": 1.0, "rounds": 10, "delta": 1e-5, "sampling": 0.1} | bad
        with pytest.raises(ValueError, match=next(iter(bad))):
            dp_epsilon(**given_)
