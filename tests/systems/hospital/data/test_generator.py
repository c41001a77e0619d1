"""Promises of the synthetic hospitals: a known truth, the same every time, and each knob moves its own thing only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import kruskal, kstest

from sixfold.errors import ConfigError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data.features import featurise
from sixfold.systems.hospital.data.generator import MATRIX, CohortSpec, Generated, generate
from sixfold.systems.hospital.data.schema import SCHEMA, Kind
from sixfold.systems.hospital.train.partial_likelihood import breslow_terms

EVEN = generate(CohortSpec())


def same_features(one: Generated, other: Generated) -> bool:
    return all(np.array_equal(a.X_ND, b.X_ND) for a, b in zip(one.cohorts, other.cohorts, strict=True))


def same_outcomes(one: Generated, other: Generated) -> bool:
    return all(np.array_equal(a.y_N, b.y_N) for a, b in zip(one.cohorts, other.cohorts, strict=True))


def same_truth(one: Generated, other: Generated) -> tuple[bool, bool]:
    return (
        np.array_equal(one.coefficients_SD, other.coefficients_SD),
        np.array_equal(one.intercepts_S, other.intercepts_S),
    )


def prefix(shorter: Cohort, longer: Cohort) -> bool:
    n = len(shorter)
    return np.array_equal(shorter.X_ND, longer.X_ND[:n]) and np.array_equal(shorter.y_N, longer.y_N[:n])


def test_the_same_spec_gives_the_same_patients_and_another_seed_others() -> None:
    again = generate(CohortSpec())
    assert same_features(EVEN, again)
    assert same_outcomes(EVEN, again)
    assert not same_features(EVEN, generate(CohortSpec(seed=1)))


def test_label_skew_moves_base_rates_only() -> None:
    skewed = generate(CohortSpec(label_skew=2.0))
    assert same_features(EVEN, skewed)
    assert same_truth(EVEN, skewed) == (True, False)
    assert sorted(skewed.intercepts_S) == pytest.approx([-2, -2 / 3, 2 / 3, 2])
    rates = [cohort.y_N.mean() for cohort in skewed.cohorts]
    assert np.argsort(rates).tolist() == np.argsort(skewed.intercepts_S).tolist()


def test_covariate_skew_moves_patients_but_not_how_outcomes_follow() -> None:
    skewed = generate(CohortSpec(covariate_skew=1.0))
    assert same_truth(EVEN, skewed) == (True, True)
    ages = [cohort.X_ND[:, 0].mean() for cohort in skewed.cohorts]
    assert max(ages) - min(ages) == pytest.approx(2 * 9.5, abs=2.5)


def test_quantity_skew_moves_sizes_only() -> None:
    skewed = generate(CohortSpec(quantity_skew=1.5))
    assert same_truth(EVEN, skewed) == (True, True)
    sizes = [len(cohort) for cohort in skewed.cohorts]
    assert sum(sizes) == 2000
    assert max(sizes) / min(sizes) == pytest.approx(np.exp(3.0), rel=0.05)
    for one, other in zip(EVEN.cohorts, skewed.cohorts, strict=True):
        shorter, longer = sorted((one, other), key=len)
        assert prefix(shorter, longer)


def test_concept_skew_moves_coefficients_only() -> None:
    skewed = generate(CohortSpec(concept_skew=1.0))
    assert same_features(EVEN, skewed)
    assert not same_outcomes(EVEN, skewed)
    assert same_truth(EVEN, skewed) == (False, True)
    np.testing.assert_allclose(skewed.coefficients_SD.mean(axis=0), EVEN.coefficients_SD[0])


def test_missing_cells_are_that_share_and_nothing_else_changes() -> None:
    holed = generate(CohortSpec(missing=0.2))
    assert same_outcomes(EVEN, holed)
    for full, cohort in zip(EVEN.cohorts, holed.cohorts, strict=True):
        gone = np.isnan(cohort.X_ND)
        assert gone.mean() == pytest.approx(0.2, abs=0.03)
        assert np.array_equal(full.X_ND[~gone], cohort.X_ND[~gone])


def test_outcomes_follow_the_stated_truth() -> None:
    made = generate(CohortSpec(sites=2, patients=40_000, label_skew=0.5, covariate_skew=0.5, concept_skew=0.5))
    for cohort, effects_D, intercept in zip(made.cohorts, made.coefficients_SD, made.intercepts_S, strict=True):
        X_ND = featurise(cohort, MATRIX).X_ND
        probability_N = expit(X_ND @ effects_D + intercept)
        scores_D = X_ND.T @ (cohort.y_N - probability_N)
        spread_D = np.sqrt((X_ND**2).T @ (probability_N * (1 - probability_N)))
        assert np.abs(scores_D / spread_D).max() < 4.5


def p_values(made: Generated) -> list[float]:
    """Of every variable and the outcome being spread alike over the hospitals."""
    columns = [[cohort.X_ND[:, at] for cohort in made.cohorts] for at in range(len(made.cohorts[0].features))]
    columns.append([cohort.y_N for cohort in made.cohorts])
    return [float(kruskal(*column).pvalue) for column in columns]


def test_without_skew_the_hospitals_are_alike_and_with_any_they_are_not() -> None:
    # one draw of eleven columns has small p-values by chance; over many draws they are spread evenly
    even = [p for seed in range(60) for p in p_values(generate(CohortSpec(patients=800, seed=seed)))]
    assert kstest(even, "uniform").pvalue > 1e-3
    assert min(p_values(generate(CohortSpec(covariate_skew=0.3)))) < 1e-6
    assert p_values(generate(CohortSpec(label_skew=1.0)))[-1] < 1e-6


def test_survival_follows_the_stated_hazards_and_ends_with_the_follow_up() -> None:
    made = generate(CohortSpec(sites=2, patients=20_000, label_skew=0.5, concept_skew=0.5, follow_up_days=1000.0))
    for cohort, effects_D, intercept in zip(made.cohorts, made.coefficients_SD, made.intercepts_S, strict=True):
        assert cohort.time_N is not None
        assert ((cohort.time_N > 0) & (cohort.time_N <= 1000.0)).all()
        assert (cohort.time_N[cohort.y_N == 0] == 1000.0).all()
        X_ND = featurise(cohort, MATRIX).X_ND
        _, gradient_D, hessian_DD = breslow_terms(effects_D, X_ND, cohort.time_N, cohort.y_N)
        assert np.abs(gradient_D / np.sqrt(np.diag(hessian_DD))).max() < 4.5
        hazard_N = np.log(2.0) / (5 * 365.25) * np.exp(X_ND @ effects_D + intercept)
        expected = float(hazard_N @ cohort.time_N)  # of a unit Poisson process
        assert abs(cohort.y_N.sum() - expected) < 4.5 * np.sqrt(expected)


def test_a_follow_up_changes_outcomes_but_no_patient() -> None:
    followed = generate(CohortSpec(follow_up_days=1000.0))
    assert same_features(EVEN, followed)
    assert same_truth(EVEN, followed) == (True, True)
    assert all(cohort.time_N is None for cohort in EVEN.cohorts)


@given(
    st.builds(
        CohortSpec,
        sites=st.integers(1, 6),
        patients=st.integers(6, 80),
        label_skew=st.floats(0, 10),
        covariate_skew=st.floats(0, 10),
        quantity_skew=st.floats(0, 10),
        concept_skew=st.floats(0, 10),
        missing=st.floats(0, 0.9),
        seed=st.integers(0, 2**31),
    )
)
def test_every_patient_fits_the_schema_whatever_the_knobs(spec: CohortSpec) -> None:
    made = generate(spec)
    assert sum(len(cohort) for cohort in made.cohorts) == spec.patients
    assert min(len(cohort) for cohort in made.cohorts) >= 1
    for cohort in made.cohorts:
        assert cohort.site.startswith("synthetic-")
        for at, name in enumerate(cohort.features):
            known_N = cohort.X_ND[~np.isnan(cohort.X_ND[:, at]), at]
            variable = SCHEMA[name]
            if variable.kind is Kind.NUMBER:
                assert ((known_N >= variable.low) & (known_N <= variable.high)).all(), name
            else:
                assert np.isin(known_N, variable.codes).all(), name


@pytest.mark.parametrize(
    "wrong",
    [
        {"sites": 0},
        {"patients": 3},
        {"label_skew": -1.0},
        {"missing": 1.0},
        {"concept_skew": np.nan},
        {"follow_up_days": 0.0},
    ],
)
def test_impossible_cohorts_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        CohortSpec(**wrong)  # type: ignore[arg-type]
