"""Promises of survival from folders: Cox's model over hospitals' own tables is that of the pooled patients."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folder_federation import folder_federation, folder_job
from training_cohorts import pooled

from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data.features import MATRICES, featurise
from sixfold.systems.hospital.data.generator import CohortSpec, generate
from sixfold.systems.hospital.federation.coordinator import FederationStalled
from sixfold.systems.hospital.train.algorithm import Algorithm
from sixfold.systems.hospital.train.cox import CoxBreslow
from sixfold.systems.hospital.train.models import Cox
from sixfold.systems.hospital.train.newton import Newton
from sixfold.systems.hospital.train.pooled import fit_pooled, run_in_plain

# Shaped as Fed-TCGA-BRCA is, six regions of uneven size and few events; generated, it stands for no patient.
SPEC = CohortSpec(sites=6, patients=420, quantity_skew=0.8, label_skew=0.5, missing=0.05, follow_up_days=500.0, seed=3)
MODEL, L2 = Cox(len(MATRICES["heart"])), 0.01


@pytest.fixture(scope="module")
def regions() -> list[Cohort]:
    """Times in whole days, so that some of them tie."""
    made = []
    for cohort in generate(SPEC).cohorts:
        assert cohort.time_N is not None
        made.append(replace(cohort, time_N=np.ceil(cohort.time_N)))
    return made


@pytest.fixture(scope="module")
def columns(regions: list[Cohort]) -> list[Cohort]:
    return [featurise(cohort, "heart") for cohort in regions]


def trained(folder: Path, regions: list[Cohort], algorithm: Algorithm) -> np.ndarray:
    federation = folder_federation(folder, regions)
    done = federation.coordinator().run(folder_job(regions, matrix="heart"), algorithm, seed=0)
    assert not federation.verify().findings
    assert {len(record.counted) for record in done.rounds} == {6}
    return np.asarray(done.state.arrays["theta"])


def test_cox_over_folders_is_the_pooled_one(tmp_path: Path, regions: list[Cohort], columns: list[Cohort]) -> None:
    every = pooled(columns)
    assert every.time_N is not None
    events_N = every.y_N == 1.0
    assert 30 < events_N.sum() < len(every) / 2
    grid = tuple(np.unique(every.time_N[events_N]).tolist())
    assert len(grid) < events_N.sum(), "no two events tie"
    theta = trained(tmp_path, regions, CoxBreslow(MODEL, 8, grid, L2))
    expected = fit_pooled(MODEL, every.X_ND, MODEL.outcome(every), L2)
    np.testing.assert_allclose(theta, expected, atol=1e-4)
    assert np.abs(expected).max() > 0.3


def test_with_a_hazard_of_each_hospital_it_is_the_stratified_one(
    tmp_path: Path, regions: list[Cohort], columns: list[Cohort]
) -> None:
    algorithm = Newton(MODEL, 8, L2)
    theta = trained(tmp_path, regions, algorithm)
    np.testing.assert_allclose(theta, run_in_plain(algorithm, columns, 0)[0].arrays["theta"], atol=1e-4)


def test_a_folder_without_times_says_so_in_its_own_notes(tmp_path: Path, regions: list[Cohort]) -> None:
    untimed = [replace(cohort, time_N=None) for cohort in regions]
    federation = folder_federation(tmp_path, untimed)
    with pytest.raises(FederationStalled):
        federation.coordinator().run(folder_job(regions, matrix="heart"), Newton(MODEL, 2, L2), seed=0)
    notes = (federation.home / "synthetic-1" / "notes.jsonl").read_text()
    assert "a survival model needs times to event" in notes
