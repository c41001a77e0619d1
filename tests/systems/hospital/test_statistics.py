"""Promises of the federated statistics: they are those of the pooled patients, however these are spread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.parts.fixed_point import FixedPoint
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.data.schema import SCHEMA
from sixfold.systems.hospital.statistics import (
    CodeSummary,
    Layout,
    NumberSummary,
    Statistics,
    from_total,
    statistics_work,
)
from sixfold.systems.hospital.train.algorithm import Order, Total

LAYOUT = Layout(("age", "chol", "cp", "sex"), bins=8)


def cohort_of(X_ND: np.ndarray, site: str = "north") -> Cohort:
    n = len(X_ND)
    return Cohort(site, np.array([f"p{at}" for at in range(n)], dtype=str), LAYOUT.variables, X_ND, np.zeros(n))


def patients(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    columns = [rng.uniform(0, 120, n), rng.normal(240, 120, n), rng.integers(0, 6, n), rng.integers(0, 2, n)]
    X_ND = np.stack(columns, axis=1).astype(float)
    return np.where(rng.random(X_ND.shape) < 0.2, np.nan, X_ND)


def answer(cohort: Cohort, layout: Layout = LAYOUT) -> np.ndarray:
    algorithm = Statistics(layout)
    return statistics_work(algorithm.order(algorithm.init(0)), cohort, {}, np.random.default_rng(0)).vector


@given(st.integers(0, 2**31), st.integers(0, 60), st.lists(st.integers(0, 60), max_size=5))
def test_they_do_not_depend_on_how_patients_are_spread(seed: int, n: int, cuts: list[int]) -> None:
    X_ND = patients(seed, n)
    parts = np.split(X_ND, sorted(min(cut, n) for cut in cuts))
    coder = FixedPoint(ring_bits=64, scale_bits=24, parties=len(parts))
    summed = coder.decode(np.sum([coder.encode(answer(cohort_of(part))) for part in parts], axis=0, dtype=coder.dtype))
    federated, pooled = (
        from_total(Total(summed, len(parts)), LAYOUT),
        from_total(Total(answer(cohort_of(X_ND)), 1), LAYOUT),
    )
    for name in LAYOUT.variables:
        one, other = federated[name], pooled[name]
        assert (one.count, one.missing) == (other.count, other.missing)
        np.testing.assert_equal(one.missing_share, other.missing_share)
        if isinstance(one, NumberSummary) and isinstance(other, NumberSummary):
            assert one.outside == other.outside
            assert one.histogram_B.tolist() == other.histogram_B.tolist()
            np.testing.assert_allclose((one.mean, one.variance), (other.mean, other.variance), rtol=1e-5, atol=1e-3)
        else:
            assert isinstance(one, CodeSummary)
            assert isinstance(other, CodeSummary)
            assert (one.codes, one.other) == (other.codes, other.other)


@given(st.integers(0, 2**31), st.integers(1, 60))
def test_they_are_what_numpy_says_of_the_pooled_patients(seed: int, n: int) -> None:
    X_ND = patients(seed, n)
    found = from_total(Total(answer(cohort_of(X_ND)), 1), LAYOUT)
    chol, cp = found["chol"], found["cp"]
    assert isinstance(chol, NumberSummary)
    assert isinstance(cp, CodeSummary)
    known = X_ND[~np.isnan(X_ND[:, 1]), 1]
    within = known[(known >= SCHEMA["chol"].low) & (known <= SCHEMA["chol"].high)]
    assert (chol.count, chol.outside, chol.missing) == (len(within), len(known) - len(within), n - len(known))
    assert chol.missing_share == pytest.approx(chol.missing / n)
    assert chol.histogram_B.tolist() == np.histogram(within, chol.edges)[0].tolist()
    if len(within):
        assert chol.mean == pytest.approx(within.mean())
        assert chol.variance == pytest.approx(within.var(), abs=1e-6)
    assert cp.codes == {code: int((X_ND[:, 2] == code).sum()) for code in (1, 2, 3, 4)}
    assert cp.other == int(np.isin(X_ND[:, 2], (0, 5)).sum())


def test_the_four_hospitals_together_are_the_pooled_table() -> None:
    cohorts, layout = heart.read_embedded(), Layout(heart.VARIABLES)
    total = Total(np.sum([answer(cohort, layout) for cohort in cohorts], axis=0), 4)
    state = Statistics(layout).step(Statistics(layout).init(0), total)
    assert state.round == Statistics(layout).rounds
    found = from_total(Total(state.arrays["total"], 4), layout)
    X_ND = np.concatenate([cohort.X_ND for cohort in cohorts])
    age, chol, sex = found["age"], found["chol"], found["sex"]
    assert isinstance(age, NumberSummary)
    assert isinstance(chol, NumberSummary)
    assert isinstance(sex, CodeSummary)
    assert (age.mean, age.variance) == (pytest.approx(X_ND[:, 0].mean()), pytest.approx(X_ND[:, 0].var()))
    assert chol.outside == int((X_ND[:, 4] == 0).sum())  # zeros that stand for missing are no cholesterol
    assert sum(sex.codes.values()) == len(X_ND) == 920


def test_without_a_patient_means_are_unknown_and_not_zero() -> None:
    found = from_total(Total(answer(cohort_of(np.zeros((0, 4)))), 1), LAYOUT)
    age = found["age"]
    assert isinstance(age, NumberSummary)
    assert age.count == 0
    assert np.isnan([age.mean, age.variance, age.missing_share]).all()


def test_the_layout_does_not_depend_on_the_patients() -> None:
    for cohort in (cohort_of(patients(1, 30)), cohort_of(np.zeros((0, 4)))):
        assert answer(cohort).shape == (LAYOUT.length,) == (2 * (3 + 8 + 1) + (1 + 4 + 1) + (1 + 2 + 1),)


@pytest.mark.parametrize(("variables", "bins"), [((), 5), (("age", "age"), 5), (("age",), 0), (("soul",), 5)])
def test_a_layout_of_nothing_known_is_refused(variables: tuple[str, ...], bins: int) -> None:
    with pytest.raises(ConfigError, match=r"each variable once|soul"):
        Layout(variables, bins)


def test_what_does_not_fit_is_named() -> None:
    cohort = cohort_of(patients(0, 5))
    with pytest.raises(InputError, match="north: no variable glucose"):
        answer(cohort, Layout(("glucose",)))
    with pytest.raises(ConfigError, match="no layout in the order"):
        statistics_work(Order("statistics", {}, {}, 3), cohort, {}, np.random.default_rng(0))
    with pytest.raises(InputError, match=r"got a sum of \(3,\)"):
        from_total(Total(np.zeros(3), 1), LAYOUT)
