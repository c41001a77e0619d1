"""Concordance is what comparing all pairs gives, and the partial likelihood has the derivatives it states."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import approx_fprime

from sixfold.errors import ConfigError, InputError
from sixfold.parts import survival
from sixfold.parts.survival import concordance, partial_likelihood
from sixfold.systems.hospital.train.partial_likelihood import breslow_terms

Floats = NDArray[np.float64]

patients = st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.integers(0, 4)), max_size=25).map(
    lambda rows: np.array(rows, dtype=np.float64).reshape(-1, 3).T
)


def all_pairs(time: Floats, event: Floats, risk: Floats) -> tuple[float, int]:
    right, comparable = 0.0, 0
    for a in range(len(time)):
        for b in range(a):
            first, second = (a, b) if (time[a], -event[a]) < (time[b], -event[b]) else (b, a)
            if not event[first] or (time[a] == time[b] and event[a] == event[b]):
                continue
            comparable += 1
            right += 1.0 if risk[first] > risk[second] else 0.5 if risk[first] == risk[second] else 0.0
    return right, comparable


@given(patients)
def test_concordance_is_what_all_pairs_say(rows: Floats) -> None:
    right, comparable = all_pairs(*rows)
    found = concordance(*rows)
    assert found.comparable == comparable
    if comparable:
        assert found.index == pytest.approx(right / comparable)
    else:
        assert math.isnan(found.index)


def test_higher_risk_means_an_earlier_event() -> None:
    time, event = np.array([1.0, 2, 3, 4]), np.array([1.0, 1, 0, 1])
    assert concordance(time, event, -time).index == 1.0
    assert concordance(time, event, time).index == 0.0
    assert concordance(time, event, np.zeros(4)).index == 0.5
    assert concordance(time, event, -time).comparable == 3 + 2, "the last has nobody after, the third was censored"


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(1, 50, 300).astype(float), rng.integers(0, 2, 300).astype(float), rng.random(300)
    whole = concordance(*rows)
    monkeypatch.setattr(survival, "_BLOCK", 700)
    assert concordance(*rows) == whole


def cohort(seed: int, n: int = 30, times: int = 6) -> tuple[Floats, Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    X = rng.normal(0, 1, (n, 3))
    return X, rng.integers(1, times, n).astype(float), (rng.random(n) < 0.6).astype(float), rng.normal(0, 0.7, 3)


@pytest.mark.parametrize("ties", ["breslow", "efron"])
@pytest.mark.parametrize("seed", range(8))
def test_gradient_and_hessian_are_those_of_finite_differences(ties: str, seed: int) -> None:
    X, time, event, beta = cohort(seed)

    def at(beta: Floats) -> survival.PartialLikelihood:
        return partial_likelihood(X, time, event, beta, ties)  # type: ignore[arg-type]

    found = at(beta)
    np.testing.assert_allclose(found.gradient_D, approx_fprime(beta, lambda b: at(b).log_likelihood), atol=1e-4)
    differences = np.stack([approx_fprime(beta, lambda b, d=d: at(b).gradient_D[d]) for d in range(3)])
    np.testing.assert_allclose(found.hessian_DD, differences, atol=1e-4)
    assert np.linalg.eigvalsh(found.hessian_DD).max() <= 1e-9


@given(seed=st.integers(0, 500))
def test_without_ties_both_ways_are_one_and_equal_the_definition(seed: int) -> None:
    X, _, event, beta = cohort(seed, n=12)
    time = np.random.default_rng(seed).permutation(12) + 1.0
    risk = np.exp(X @ beta)
    value = sum(np.log(risk[at] / risk[time >= time[at]].sum()) for at in np.flatnonzero(event))
    for ties in ("breslow", "efron"):
        assert partial_likelihood(X, time, event, beta, ties).log_likelihood == pytest.approx(value)  # type: ignore[arg-type]


def test_three_tied_events_by_hand() -> None:
    X, time, event = np.array([[0.0], [0.0], [0.0], [0.0]]), np.array([1.0, 1, 1, 2]), np.array([1.0, 1, 1, 0])
    zero = np.zeros(1)
    assert partial_likelihood(X, time, event, zero, "breslow").log_likelihood == pytest.approx(-3 * math.log(4))
    assert partial_likelihood(X, time, event, zero).log_likelihood == pytest.approx(-math.log(4 * 3 * 2))


@pytest.mark.parametrize("seed", range(5))
def test_breslow_is_what_training_minimises(seed: int) -> None:
    X, time, event, beta = cohort(seed)
    loss, gradient, hessian = breslow_terms(beta, X, time, event)
    found = partial_likelihood(X, time, event, beta, "breslow")
    assert loss == pytest.approx(-found.log_likelihood)
    np.testing.assert_allclose(gradient, -found.gradient_D, atol=1e-9)
    np.testing.assert_allclose(hessian, -found.hessian_DD, atol=1e-9)


def test_large_risks_do_not_overflow_and_nobody_gives_nothing() -> None:
    X, time, event, beta = cohort(1)
    shifted = partial_likelihood(X + 400.0, time, event, beta)
    assert shifted.log_likelihood == pytest.approx(partial_likelihood(X, time, event, beta).log_likelihood)
    nobody = partial_likelihood(np.zeros((0, 3)), np.zeros(0), np.zeros(0), beta)
    assert nobody.log_likelihood == 0.0
    assert not nobody.gradient_D.any()


def test_what_is_no_survival_data_is_named() -> None:
    X, time, event, beta = cohort(0)
    with pytest.raises(InputError, match=r"events of 0 \(censored\) or 1"):
        concordance(time, event + 1, time)
    with pytest.raises(InputError, match="risks"):
        concordance(time, event, time[:-1])
    with pytest.raises(InputError, match="one of each"):
        concordance(time, event[:-1], time)
    with pytest.raises(InputError, match="beta"):
        partial_likelihood(X, time, event, beta[:2])
    with pytest.raises(ConfigError, match="breslow or efron"):
        partial_likelihood(X, time, event, beta, "exact")  # type: ignore[arg-type]
