"""Promises of privacy_mechanism and privacy_ledger: published values, contradictions refused, nothing overspent."""

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.parts.privacy_ledger import BudgetSpent, PrivacyLedger
from sixfold.parts.privacy_mechanism import (
    Accounting,
    Budget,
    Mechanism,
    Sampler,
    epsilon_of,
    noise_for,
    rounds_allowed,
)

POISSON = Mechanism(1.0, 1.0, 1, sampling=0.01, sampler=Sampler.POISSON)


@pytest.mark.parametrize(("accounting", "epsilon"), [(Accounting.RDP, 2.1014), (Accounting.PLD, 1.8282)])
def test_a_known_case(accounting: Accounting, epsilon: float) -> None:
    """sigma 1, q .01, a thousand rounds, delta 1e-5: what dp_accounting 0.6.0 is known to give."""
    assert epsilon_of([POISSON] * 1000, 1e-5, accounting) == pytest.approx(epsilon, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"clip": 0.0}, "clip"),
        ({"clip": float("inf")}, "clip"),
        ({"noise_multiplier": 0.0}, "noise_multiplier"),
        ({"contributors": 0}, "contributors"),
        ({"sampling": 0.5}, "fixed-size or shuffled"),
        ({"sampling": 0.0, "sampler": Sampler.POISSON}, "sampling"),
    ],
)
def test_a_contradiction_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Mechanism(**{"clip": 1.0, "noise_multiplier": 1.0, "contributors": 1, **change})


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
@pytest.mark.parametrize("sampling", [0.1, 1.0])
def test_calibrated_noise_is_within_the_budget_and_little_more(epsilon: float, sampling: float) -> None:
    budget = Budget(epsilon, 1e-3)
    sampler = Sampler.POISSON if sampling < 1 else Sampler.EVERYONE
    mechanism = Mechanism(1.0, noise_for(budget, 20, sampling), 1, sampling, sampler)
    spent = epsilon_of([mechanism] * 20, 1e-3, Accounting.PLD)
    assert 0.98 * epsilon < spent <= epsilon
    assert 20 <= rounds_allowed(mechanism, budget) <= 21


def ledger(path: Path, epsilon: float = 1.0) -> PrivacyLedger:
    return PrivacyLedger(path, Budget(epsilon, 1e-3, Accounting.RDP))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from([5.0, 8.0, 20.0]), st.booleans()), max_size=25))
def test_whatever_is_charged_reopened_and_torn_the_budget_holds(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, float, bool]]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "privacy.jsonl"
    paid: dict[str, Mechanism] = {}
    for at, noise, torn in steps:
        if torn and path.exists():
            with path.open("ab") as file:
                file.write(b'{"key": "half')
        mechanism, key = Mechanism(1.0, noise, 1), f"round {at}"
        try:
            spent = ledger(path).charge(key, mechanism)
        except BudgetSpent:
            assert epsilon_of([*paid.values(), mechanism], 1e-3, Accounting.RDP) > 1.0
        except ConfigError:
            assert paid[key] != mechanism
        else:
            paid[key] = mechanism
            assert spent <= 1.0
        assert dict(ledger(path).history()) == paid


def charge_in_turn(path: Path, name: str) -> None:
    for at in range(30):
        try:
            ledger(path).charge(f"{name} {at}", Mechanism(1.0, 10.0, 1))
        except BudgetSpent:
            return


def test_two_processes_do_not_spend_the_same_budget_twice(tmp_path: Path) -> None:
    path = tmp_path / "privacy.jsonl"
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=charge_in_turn, args=(path, name)) for name in "ab"]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert 0.9 < ledger(path).spent() <= 1.0


def test_a_file_that_is_not_a_ledger_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "privacy.jsonl"
    path.write_text('{"key": "a", "clip": 1.0, "noise_multiplier": 0.0, "contributors": 1}\n')
    with pytest.raises(InputError, match=r"privacy\.jsonl:1: not a charge"):
        ledger(path).spent()
