"""Measures of a binary outcome: equal to their definitions and to scikit-learn's, and not defined is not a number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError
from sixfold.parts.classification import (
    Gap,
    abstention_curve,
    accuracy,
    auroc,
    auroc_interval,
    brier,
    error_rates,
    gap,
    reliability,
    share,
)

Floats = NDArray[np.float64]

patients = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.integers(0, 8)), min_size=1, max_size=40).map(
    lambda rows: (np.array([y for y, _ in rows]), np.array([score / 8 for _, score in rows]))
)


@given(patients)
def test_the_auroc_is_the_share_of_pairs_in_order(rows: tuple[Floats, Floats]) -> None:
    y, score = rows
    pairs = [(a > b) + 0.5 * (a == b) for a, b in itertools.product(score[y == 1], score[y == 0])]
    if not pairs:
        assert np.isnan(auroc(y, score))
        assert np.isnan(auroc_interval(y, score).low)
        return
    assert auroc(y, score) == pytest.approx(np.mean(pairs))
    assert auroc(1 - y, score) == pytest.approx(1 - np.mean(pairs))
    interval = auroc_interval(y, score)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.high - interval.low > 0.05, "so few patients do not say so much"


def test_the_auroc_and_the_brier_score_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    for n in (5, 50, 500):
        score = rng.integers(0, 20, n) / 19
        y = (rng.random(n) < score).astype(float)
        assert auroc(y, score) == pytest.approx(metrics.roc_auc_score(y, score))
        assert brier(y, score) == pytest.approx(metrics.brier_score_loss(y, score))
        assert accuracy(y, score).value == pytest.approx(metrics.accuracy_score(y, score >= 0.5))


@pytest.mark.parametrize(("ill", "well", "separation"), [(10, 30, 1.0), (25, 25, 2.0), (8, 12, 2.5)])
def test_the_interval_of_the_auroc_covers(ill: int, well: int, separation: float) -> None:
    from scipy.stats import norm

    truth = norm.cdf(separation / np.sqrt(2))
    rng = np.random.default_rng(1)
    y = np.repeat([1.0, 0.0], [ill, well])
    covered = 0
    for _ in range(400):
        score = norm.cdf(rng.normal(y * separation, 1.0))
        interval = auroc_interval(y, score)
        covered += interval.low <= truth <= interval.high
    assert 0.92 <= covered / 400 <= 1.0


def test_perfect_order_of_a_few_patients_proves_little() -> None:
    few = auroc_interval(np.repeat([1.0, 0.0], 4), np.repeat([0.9, 0.1], 4))
    many = auroc_interval(np.repeat([1.0, 0.0], 400), np.repeat([0.9, 0.1], 400))
    assert few.value == many.value == few.high == 1.0
    assert few.low < 0.75
    assert many.low > 0.98
    worst = auroc_interval(np.repeat([1.0, 0.0], 4), np.repeat([0.1, 0.9], 4))
    assert (worst.low, worst.value) == (0.0, 0.0)
    assert worst.high == pytest.approx(1 - few.low)


def test_a_share_has_wilsons_interval() -> None:
    z, n, p = 1.959964, 20, 0.8
    centre, half = (p + z**2 / (2 * n)) / (1 + z**2 / n), z / (1 + z**2 / n) * np.sqrt(p * 0.2 / n + (z / 2 / n) ** 2)
    estimate = share(16, 20)
    assert (estimate.value, estimate.n) == (0.8, 20)
    assert (estimate.low, estimate.high) == (pytest.approx(centre - half), pytest.approx(centre + half))
    assert np.isnan(share(0, 0).value)
    with pytest.raises(ConfigError, match="3 of 2"):
        share(3, 2)
    with pytest.raises(ConfigError, match="confidence 95"):
        share(1, 2, confidence=95)


def test_error_rates_and_their_gap_between_groups() -> None:
    y = np.array([1.0, 1, 1, 1, 0, 0])
    score = np.array([0.9, 0.5, 0.4, 0.1, 0.7, 0.2])
    rates = error_rates(y, score)
    assert (rates.tpr.value, rates.tpr.n, rates.fpr.value, rates.fpr.n) == (0.5, 4, 0.5, 2)
    assert error_rates(y, score, threshold=0.3).tpr.value == 0.75
    nobody = error_rates(np.zeros(2), np.zeros(2))
    assert np.isnan(nobody.tpr.value)
    assert nobody.fpr.value == 0.0
    groups = {"a": share(5, 10), "b": share(9, 10), "c": share(7, 10)}
    found = gap(groups)
    assert (found.size, found.lower, found.higher) == (pytest.approx(0.4), "a", "b")
    assert gap({"a": share(5, 10)}) == Gap(0.0, 0.0, "a", "a")
    unknown = gap({**groups, "d": share(0, 0)})
    assert np.isnan([unknown.size, unknown.certain]).all()
    assert unknown.lower == "d"
    with pytest.raises(InputError, match="no groups"):
        gap({})


def test_of_a_gap_only_what_few_patients_do_not_explain_is_certain() -> None:
    few, many = ({"a": share(5 * n, 10 * n), "b": share(9 * n, 10 * n)} for n in (1, 100))
    assert gap(few).certain < 0.05
    assert 0.35 < gap(many).certain < 0.4
    rng = np.random.default_rng(0)
    found = [gap({g: share(int(rng.binomial(40, 0.7)), 40) for g in "ab"}).certain for _ in range(1_000)]
    assert np.mean(np.array(found) > 0) < 0.07


@pytest.mark.parametrize("by", ["width", "mass"])
@given(rows=patients, bins=st.integers(1, 12))
def test_calibration_bins_hold_every_patient_once(by: str, rows: tuple[Floats, Floats], bins: int) -> None:
    y, score = rows
    table = reliability(y, score, bins, by)  # type: ignore[arg-type]
    assert table.patients_B.sum() == len(y)
    assert (table.patients_B > 0).all()
    assert len(table.patients_B) <= bins
    assert table.patients_B @ table.rate_B == pytest.approx(y.sum())
    assert table.patients_B @ table.score_B == pytest.approx(score.sum())
    assert abs(y.mean() - score.mean()) - 1e-9 <= table.ece <= 1.0
    order = np.random.default_rng(0).permutation(len(y))
    assert reliability(y[order], score[order], bins, by).ece == pytest.approx(table.ece)  # type: ignore[arg-type]


def test_the_calibration_error_by_hand_in_both_kinds_of_bins() -> None:
    y = np.array([0.0, 1, 1, 1])
    score = np.array([0.05, 0.08, 0.85, 0.9])
    width = reliability(y, score, 2, "width")
    assert width.patients_B.tolist() == [2, 2]
    assert width.ece == pytest.approx((2 * abs(0.065 - 0.5) + 2 * abs(0.875 - 1)) / 4)
    assert reliability(y, score, 4, "mass").patients_B.tolist() == [1, 1, 1, 1]
    assert reliability(y, np.full(4, 0.6), 4, "mass").patients_B.tolist() == [4], "equal scores stay together"
    assert np.isnan(reliability(np.zeros(0), np.zeros(0)).ece)
    with pytest.raises(ConfigError, match="0 bins"):
        reliability(y, score, 0)


def test_a_calibrated_score_has_little_calibration_error_and_never_none() -> None:
    rng = np.random.default_rng(4)
    score = rng.random(4_000)
    found = reliability((rng.random(4_000) < score).astype(float), score, 10).ece
    assert 0 < found < 0.4 * np.sqrt(10 / 4_000) * 1.5


@given(patients)
def test_abstention_ends_with_everybody_and_answers_ties_together(rows: tuple[Floats, Floats]) -> None:
    y, score = rows
    curve = abstention_curve(y, score)
    assert curve.coverage_K[-1] == 1.0
    assert curve.accuracy_K[-1] == pytest.approx(accuracy(y, score).value)
    assert (np.diff(curve.coverage_K) > 0).all()
    assert len(curve.coverage_K) == len(np.unique(np.abs(score - 0.5)))
    assert 0 <= curve.area <= 1
    for target in (0.0, 0.5, 0.9, 1.0):
        covered = curve.coverage_at(target)
        if covered > 0:
            answered = np.sort(np.abs(score - 0.5))[::-1][round(covered * len(y)) - 1]
            sure = np.abs(score - 0.5) >= answered
            assert ((score >= 0.5) == y)[sure].mean() >= target - 1e-12


def test_the_abstention_curve_by_hand() -> None:
    curve = abstention_curve(np.array([1.0, 0, 0, 1]), np.array([0.9, 0.2, 0.75, 0.55]))
    assert curve.coverage_K.tolist() == [0.25, 0.5, 0.75, 1.0]
    np.testing.assert_allclose(curve.accuracy_K, [1, 1, 2 / 3, 3 / 4])
    assert curve.area == pytest.approx((1 + 1 + 2 / 3 + 3 / 4) / 4)
    assert (curve.coverage_at(0.9), curve.coverage_at(0.7), curve.coverage_at(1.01)) == (0.5, 1.0, 0.0)
    nobody = abstention_curve(np.zeros(0), np.zeros(0))
    assert np.isnan([nobody.area, nobody.coverage_at(0.5), brier(np.zeros(0), np.zeros(0))]).all()


@pytest.mark.parametrize(
    ("y", "score", "message"),
    [
        ([0.0, 2.0], [0.1, 0.2], "outcomes are 0 or 1"),
        ([0.0, 1.0], [0.1, 1.2], "probabilities"),
        ([0.0, 1.0], [0.1, np.nan], "known for every patient"),
        ([0.0], [0.1, 0.2], "one of each a patient"),
    ],
)
def test_what_is_no_outcome_and_no_score_is_named(y: list[float], score: list[float], message: str) -> None:
    for measure in (auroc, auroc_interval, accuracy, error_rates, brier, reliability, abstention_curve):
        with pytest.raises(InputError, match=message):
            measure(np.array(y), np.array(score))
