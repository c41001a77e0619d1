"""Hostile hospitals in a masked federation: what one sum lets happen, what groups and a rule stop, and what not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from federation_run import Federation, a_job

from sixfold.parts.classification import auroc
from sixfold.parts.robust_rules import RobustRule
from sixfold.systems.hospital.data.features import featurise
from sixfold.systems.hospital.data.generator import MATRIX, CohortSpec, generate
from sixfold.systems.hospital.federation.grouping import groups_of
from sixfold.systems.hospital.federation.job import Job
from sixfold.systems.hospital.hostile import Attack, hostile
from sixfold.systems.hospital.train.choose import make_algorithm
from sixfold.systems.hospital.train.models import Logistic

SPEC = CohortSpec(sites=12, patients=1800, label_skew=0.3, covariate_skew=0.2, concept_skew=0.1, seed=1)
PATIENTS = [featurise(cohort, MATRIX) for cohort in generate(SPEC).cohorts]
TRAIN = [cohort.take(np.arange(len(cohort)) % 3 > 0) for cohort in PATIENTS]
TEST = [cohort.take(np.arange(len(cohort)) % 3 == 0) for cohort in PATIENTS]
SITES = [cohort.site for cohort in TRAIN]
FEDAVG = make_algorithm("fedavg", TRAIN[0].X_ND.shape[1], {"rounds": 4, "epochs": 5, "learning_rate": 0.5})
MODEL = Logistic(TRAIN[0].X_ND.shape[1])
NEAR = 0.02  # AUROC; the honest federation reaches more than 0.75, guessing 0.5

SUM = a_job(SITES, minimum_sites=2)


def grouped(rule: RobustRule) -> Job:
    return a_job(SITES, minimum_sites=2, groups=6, rule=rule, hostile=2)


def quality(folder: Path, job: Job, attack: Attack | None = None, bad: Sequence[str] = ()) -> float:
    """The AUROC over the test patients of all hospitals, after a masked federation in which some are hostile."""
    honest = [cohort for cohort in TRAIN if cohort.site not in bad]
    lies = {} if attack is None else dict.fromkeys(bad, hostile(attack, honest, len(bad)))
    theta = Federation(folder, TRAIN, lies=lies).coordinator().run(job, FEDAVG, seed=0).state.arrays["theta"]
    score_N = np.concatenate([MODEL.predict(theta, cohort.X_ND) for cohort in TEST])
    return auroc(np.concatenate([cohort.y_N for cohort in TEST]), score_N)


@pytest.fixture(scope="module")
def honest_quality(tmp_path_factory: pytest.TempPathFactory) -> float:
    return quality(tmp_path_factory.mktemp("honest"), SUM)


def test_two_of_twelve_destroy_the_model_of_one_sum(tmp_path: Path, honest_quality: float) -> None:
    assert honest_quality > 0.75
    assert quality(tmp_path, SUM, Attack.INNER_PRODUCT, SITES[:2]) < 0.5, "worse than guessing"


@pytest.mark.parametrize(
    ("rule", "attack"),
    [
        *((RobustRule.MEDIAN, attack) for attack in Attack),
        (RobustRule.TRIMMED_MEAN, Attack.INNER_PRODUCT),
        (RobustRule.CENTRED_CLIPPING, Attack.INNER_PRODUCT),
        (RobustRule.GEOMETRIC_MEDIAN, Attack.INNER_PRODUCT),
    ],
)
def test_with_groups_and_a_rule_two_of_twelve_change_little(
    tmp_path: Path, honest_quality: float, rule: RobustRule, attack: Attack
) -> None:
    assert quality(tmp_path, grouped(rule), attack, SITES[:2]) > honest_quality - NEAR


@pytest.mark.parametrize("attack", [Attack.INNER_PRODUCT, Attack.LABEL_FLIP])
def test_hostile_hospitals_in_most_groups_are_not_stopped(
    tmp_path: Path, honest_quality: float, attack: Attack
) -> None:
    """A third of the hospitals is enough, where each is in another of six groups."""
    job = grouped(RobustRule.MEDIAN)
    spread = [group[0] for group in groups_of(job, 0)[:4]]
    assert quality(tmp_path, job, attack, spread) < honest_quality - NEAR
