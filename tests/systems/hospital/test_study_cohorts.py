"""Promises of a study's patients: real unless asked; synthetic ones say so everywhere, and their truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_profile import make_profile

from sixfold.design.yaml_source import load_yaml
from sixfold.errors import ConfigError
from sixfold.study import Length
from sixfold.study.runner import Options, run_study
from sixfold.systems import load_system
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.data.generator import CohortSpec, generate
from sixfold.systems.hospital.hospital_files import HospitalSettings
from sixfold.systems.hospital.policy.permit import load_permit
from sixfold.systems.hospital.study_cohorts import SKEWS, dataset_of, known_truth, study_cohorts

EVEN: dict[str, Any] = {
    "cohorts": "generated", "folder": "", "sites": 3, "patients": 600, **dict.fromkeys(SKEWS, 0.0),
}  # fmt: skip


def test_a_study_has_the_real_hospitals_unless_it_is_told() -> None:
    system = load_system("hospital")
    for length in Length:
        settings = system.lengths[length]
        assert [cohort.site for cohort in study_cohorts(settings, 0)] == list(heart.HOSPITALS)
        assert known_truth(settings, 0, np.zeros(14)) == {}
    assert dataset_of(heart.HOSPITALS) == "heart-disease"
    assert dataset_of([*heart.HOSPITALS, "synthetic-1"]) == "heart-disease"


@pytest.mark.parametrize("skew", SKEWS)
def test_every_skew_and_the_seed_reach_the_generator(skew: str) -> None:
    settings = {**EVEN, skew: 0.7}
    expected = generate(CohortSpec(sites=3, patients=600, seed=5, **{skew: 0.7}))
    plain = generate(CohortSpec(sites=3, patients=600, seed=5))
    cohorts = study_cohorts(settings, 5)
    assert dataset_of(cohort.site for cohort in cohorts) == "synthetic"
    for cohort, same in zip(cohorts, expected.cohorts, strict=True):
        assert np.array_equal(cohort.X_ND, same.X_ND)
        assert np.array_equal(cohort.y_N, same.y_N)
    pairs = list(zip(cohorts, plain.cohorts, strict=True))
    assert not all(len(one) == len(other) and np.array_equal(one.y_N, other.y_N) for one, other in pairs)


def test_the_truth_is_no_distance_from_itself_and_orders_better_than_what_is_off() -> None:
    made = generate(CohortSpec(sites=3, patients=600))
    truth = np.append(made.coefficients_SD[0], 0.0)
    told = known_truth(EVEN, 0, truth)
    assert told["coefficient_error"] < 1e-12
    assert 0.75 < told["auroc_of_true_risk"] < 0.95
    assert known_truth(EVEN, 0, truth + 0.5)["coefficient_error"] == pytest.approx(0.5)
    assert known_truth(EVEN, 0, truth + 0.5)["auroc_of_true_risk"] == told["auroc_of_true_risk"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"cohorts": "lungs"}, "got 'lungs', expected heart or generated"),
        ({"folder": "somewhere"}, "they come from no file"),
        ({"label_skew": "much"}, "label_skew: got 'much', expected a number"),
        ({"concept_skew": -1.0}, "expected each within 0 and 10"),
        ({"patients": 60}, r"synthetic-\d has \d+ of 60 patients, expected at least 30"),
    ],
)
def test_what_cannot_be_made_is_refused(change: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        study_cohorts({**EVEN, **change}, 0)


def test_a_rung_of_the_ladder_over_synthetic_hospitals_says_what_they_are(tmp_path: Path) -> None:
    settings = {name: value for name, value in EVEN.items() if name != "folder"}
    options = Options(workers=(1,), length=Length.QUICK, seed=0, stage="fedavg", settings=settings)
    result = run_study(load_system("hospital"), options, make_profile(), runs=tmp_path)
    (verdict,) = result.verdicts
    assert verdict.passed
    (row,) = [row for row in result.folder.panel() if row.is_baseline]
    assert {name for name in row.extra if name.startswith("accuracy_")} == {
        f"accuracy_synthetic-{n}" for n in (1, 2, 3)
    }
    assert row.quality - 0.02 < row.extra["auroc_of_true_risk"]
    assert row.extra["coefficient_error"] < 0.3
    hospitals = sorted(result.folder.path.rglob("hospital.yaml"))
    assert len(hospitals) == 3
    for path in hospitals:
        assert load_yaml(path, HospitalSettings).dataset == "synthetic"
        assert load_permit(path.parent / "permits" / "study.yaml").dataset == "synthetic"
