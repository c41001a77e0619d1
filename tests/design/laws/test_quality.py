"""Laws of quality against published constants, and what must hold of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.quality import (
    HOFFMANN,
    chinchilla_loss,
    chinchilla_optimum,
    critical_batch,
    examples_at_batch,
    gradient_noise_scale,
    private_error,
    quantisation_snr_db,
    stale_steps,
    steps_at_batch,
)


def test_at_the_critical_batch_both_double() -> None:
    assert critical_batch(1e6, 1e3) == 1000
    assert steps_at_batch(1e3, 1000, 1000) == 2e3
    assert examples_at_batch(1e3, 1000, 1000) == 2e6
    assert gradient_noise_scale(400.0, 2.0) == 100.0


@given(st.floats(1, 1e6), st.floats(1, 1e6))
def test_larger_batches_save_steps_and_cost_examples(batch: float, critical: float) -> None:
    assert steps_at_batch(1e3, 2 * batch, critical) < steps_at_batch(1e3, batch, critical)
    assert examples_at_batch(1e3, 2 * batch, critical) > examples_at_batch(1e3, batch, critical)
    both = (steps_at_batch(1e3, batch, critical) / 1e3 - 1) * (
        examples_at_batch(1e3, batch, critical) / 1e3 / critical - 1
    )
    assert both == pytest.approx(1.0)  # the hyperbola of McCandlish et al., equation 2.11


def test_delay_is_free_while_noise_dominates() -> None:
    steps = stale_steps(0.01, [0, 1, 1000], smoothness=1.0, noise=1.0)
    assert steps[1] / steps[0] < 1.02
    assert steps[2] / steps[0] > 5
    assert stale_steps(0.01, 9, smoothness=1.0, noise=0.0) == pytest.approx(1000)


def test_chinchilla_itself() -> None:
    """70 B parameters and 1.4 T tokens: 1.94 by the first fit; about 20 tokens a parameter are best by the second."""
    assert chinchilla_loss(70e9, 1.4e12, constants=HOFFMANN) == pytest.approx(1.937, abs=0.005)
    n, d = chinchilla_optimum(6 * 70e9 * 1.4e12)
    assert 15 < d / n < 30
    assert 6 * n * d == pytest.approx(6 * 70e9 * 1.4e12)
    best = chinchilla_loss(n, d)
    for off in (0.5, 0.9, 1.1, 2.0):
        assert chinchilla_loss(n * off, d / off) > best


def test_a_bit_is_worth_six_decibels() -> None:
    assert np.diff(quantisation_snr_db([4, 8])) == pytest.approx(24.08, abs=0.01)
    assert quantisation_snr_db(8) == pytest.approx(48.2, abs=0.1)
    assert quantisation_snr_db(8, crest=17.3) == pytest.approx(28.2, abs=0.1)


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_privacy_costs_accuracy_between_none_and_all(epsilon: float, half: float) -> None:
    error = private_error(0.05, 0.9, epsilon, half)
    assert 0.05 <= error <= 0.9
    assert private_error(0.05, 0.9, epsilon * 2, half) < error
    assert private_error(0.05, 0.9, half, half) == pytest.approx(0.475)
