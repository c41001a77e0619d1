"""Promises of the model's columns: complete, the same at every hospital, and of all patients where they are scaled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sixfold.errors import InputError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.data.features import MATRICES, featurise, standardised
from sixfold.systems.hospital.statistics import (
    CodeSummary,
    Layout,
    NumberSummary,
    Statistics,
    from_total,
    statistics_work,
)
from sixfold.systems.hospital.train.algorithm import Total

COHORTS = heart.read_embedded()
LAYOUT = Layout(heart.VARIABLES)


def found(cohorts: list[Cohort]) -> dict[str, NumberSummary | CodeSummary]:
    order = Statistics(LAYOUT).order(Statistics(LAYOUT).init(0))
    vectors = [statistics_work(order, cohort, {}, np.random.default_rng(0)).vector for cohort in cohorts]
    return from_total(Total(np.sum(vectors, axis=0), len(cohorts)), LAYOUT)


def test_an_indicator_tells_who_was_not_measured_and_the_other_columns_stay() -> None:
    for cohort in COHORTS:
        plain, marked = featurise(cohort, "heart"), featurise(cohort, "heart with gaps")
        assert np.array_equal(plain.X_ND, marked.X_ND[:, : len(plain.features)])
        gaps = dict(zip(marked.features, marked.X_ND.T, strict=True))
        chol_N = cohort.X_ND[:, heart.VARIABLES.index("chol")]
        assert np.array_equal(gaps["no cholesterol"] == 1.0, np.isnan(chol_N) | (chol_N == 0.0))
        assert set(np.unique(gaps["no cholesterol"])) <= {0.0, 1.0}
    assert featurise(COHORTS[2], "heart with gaps").X_ND[:, -4].all()  # Switzerland measured no cholesterol at all


def test_scaled_by_federated_statistics_the_pooled_patients_have_mean_0_and_deviation_1() -> None:
    columns = standardised(MATRICES["heart"], found(COHORTS))
    for at, column in enumerate(columns):
        place = heart.VARIABLES.index(column.variable)
        scaled = [
            (np.asarray(c.X_ND[:, place] if column.code is None else c.X_ND[:, place] == column.code) - column.centre)
            / column.scale
            for c in COHORTS
        ]
        measured = [~np.isnan(c.X_ND[:, place]) & ~(column.zero_missing & (c.X_ND[:, place] == 0.0)) for c in COHORTS]
        pooled = np.concatenate([values[known] for values, known in zip(scaled, measured, strict=True)])
        assert (pooled.mean(), pooled.std()) == (pytest.approx(0, abs=1e-9), pytest.approx(1)), column.name
        made = np.concatenate([featurise(c, columns).X_ND[:, at] for c in COHORTS])
        assert np.array_equal(made[np.concatenate(measured)], np.clip(pooled, -3, 3))


def test_one_scale_for_all_keeps_what_sets_hospitals_apart() -> None:
    columns = standardised(MATRICES["heart"], found(COHORTS))
    means = [featurise(cohort, columns).X_ND[:, 0].mean() for cohort in COHORTS]
    assert max(means) - min(means) > 1.0  # of age: each hospital's own scale would make all of them 0


def test_indicators_have_no_scale_to_find() -> None:
    columns = standardised(MATRICES["heart with gaps"], found(COHORTS))
    assert columns[-5:] == MATRICES["heart with gaps"][-5:]


def test_what_has_no_scale_is_named() -> None:
    swiss = found([COHORTS[2]])
    with pytest.raises(InputError, match=r"\[cholesterol\]: no statistics of chol"):
        standardised(MATRICES["heart"], swiss)
    men = replace(COHORTS[0], X_ND=np.where(np.arange(10) == 1, 1.0, COHORTS[0].X_ND))
    with pytest.raises(InputError, match=r"\[male\]: sex is the same for all patients"):
        standardised(MATRICES["heart"], found([men]))
