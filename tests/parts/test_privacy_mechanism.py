"""Promises of privacy_mechanism: what is not accounted is refused, epsilon is an upper bound, and comes soon."""

import logging
from collections import Counter
from typing import Any

import numpy as np
import pytest

from sixfold.design.laws.privacy import dp_epsilon
from sixfold.errors import ConfigError
from sixfold.parts.privacy_mechanism import (
    Accounting,
    Budget,
    Mechanism,
    Sampler,
    epsilon_of,
    noise_for,
    rounds_allowed,
)


def sampled(noise: float, share: float) -> Mechanism:
    return Mechanism(1.0, noise, 1, sampling=share, sampler=Sampler.POISSON)


@pytest.mark.parametrize("sampler", ["shuffled", "fixed_size", ""])
def test_a_sampler_that_is_not_accounted_is_refused(sampler: Any) -> None:
    with pytest.raises(ConfigError, match="expected one of: poisson, everyone; a fixed-size or shuffled batch"):
        Mechanism(1.0, 1.0, 1, sampling=0.1, sampler=sampler)


def test_an_accounting_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of: pld, rdp"):
        Budget(1.0, 1e-5, "moments")  # type: ignore[arg-type]


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 0.1), (float("inf"), 0.1), (1.0, 0.0), (1.0, 1.0)])
def test_a_budget_that_promises_nothing_is_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(ConfigError, match="expected above 0, and within"):
        Budget(epsilon, delta)


@pytest.mark.parametrize(("rounds", "sampling"), [(0, 1.0), (5, 0.0), (5, 1.5)])
def test_noise_for_nothing_is_refused(rounds: int, sampling: float) -> None:
    with pytest.raises(ConfigError, match="expected at least 1, and within"):
        noise_for(Budget(1.0, 1e-5), rounds, sampling)


@pytest.mark.parametrize(
    "rounds",
    [
        [sampled(1.0, 0.05)] * 50,
        [sampled(1.0, 0.05)] * 20 + [sampled(2.0, 0.1)] * 7,
        [sampled(1.5, 0.05)] * 20 + [Mechanism(2.0, 6.0, 3)] * 5,
    ],
)
def test_epsilon_is_that_of_the_accountants_of_dp_accounting(rounds: list[Mechanism]) -> None:
    import dp_accounting
    from dp_accounting.pld import PLDAccountant
    from dp_accounting.rdp import RdpAccountant

    for kind, accountant in ((Accounting.PLD, PLDAccountant()), (Accounting.RDP, RdpAccountant())):
        for each, times in Counter(rounds).items():
            event = dp_accounting.GaussianDpEvent(each.noise_multiplier)
            if each.sampling < 1:
                event = dp_accounting.PoissonSampledDpEvent(each.sampling, event)
            accountant.compose(event, times)
        assert epsilon_of(rounds, 1e-5, kind) == pytest.approx(accountant.get_epsilon(1e-5), rel=2e-3)


@pytest.mark.parametrize(("noise", "share", "rounds"), [(1.0, 0.01, 1000), (2.0, 0.1, 50), (5.0, 1.0, 20)])
def test_the_closed_form_of_the_laws_agrees_and_distributions_are_tighter(
    noise: float, share: float, rounds: int
) -> None:
    mechanism = sampled(noise, share) if share < 1 else Mechanism(1.0, noise, 1)
    renyi = epsilon_of([mechanism] * rounds, 1e-5, Accounting.RDP)
    assert renyi == pytest.approx(float(dp_epsilon(noise, rounds, 1e-5, sampling=share)), rel=0.01)
    assert epsilon_of([mechanism] * rounds, 1e-5, Accounting.PLD) <= renyi


def test_a_simulation_of_the_privacy_loss_gives_the_same_delta() -> None:
    """The record is in: the sum is normal about 1 in a share q of rounds, else about 0."""
    share, noise, rounds, delta, runs = 0.1, 1.0, 20, 1e-2, 200_000
    epsilon = epsilon_of([sampled(noise, share)] * rounds, delta, Accounting.PLD)
    rng, loss = np.random.default_rng(0), np.zeros(runs)
    for _ in range(rounds):
        z = rng.normal(0.0, noise, runs) + (rng.random(runs) < share)
        loss += np.log1p(share * np.expm1((2 * z - 1) / (2 * noise**2)))
    seen = np.maximum(1 - np.exp(epsilon - loss), 0.0)
    assert abs(seen.mean() - delta) < 4 * seen.std() / runs**0.5 + 0.01 * delta


def test_next_to_no_noise_is_accounted_without_a_grid_and_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    """A coordinator that offers it must not keep a hospital busy for minutes."""
    rounds = [sampled(0.02, 0.05)] * 3
    with caplog.at_level(logging.DEBUG):
        epsilon = epsilon_of(rounds, 1e-5, Accounting.PLD)
    assert epsilon == epsilon_of(rounds, 1e-5, Accounting.RDP) > 1000
    assert caplog.text == ""
    assert rounds_allowed(sampled(0.02, 0.05), Budget(1.0, 1e-5)) == 0


def test_rounds_that_are_allowed_are_within_the_budget_and_one_more_is_not() -> None:
    mechanism, budget = Mechanism(1.0, 8.0, 1), Budget(1.0, 1e-5)
    most = rounds_allowed(mechanism, budget)
    assert most > 1
    assert epsilon_of([mechanism] * most, 1e-5, Accounting.PLD) <= 1.0
    assert epsilon_of([mechanism] * (most + 1), 1e-5, Accounting.PLD) > 1.0
