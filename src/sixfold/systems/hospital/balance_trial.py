"""One run of `balance` for hospital: a federation with these knobs trains under privacy and masks, and is judged."""

# Shapes: N patients of one hospital.

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sixfold.files import replace_json
from sixfold.parts.privacy_ledger import PrivacyLedger
from sixfold.parts.privacy_mechanism import Budget, Mechanism, noise_for
from sixfold.study.balance import Knobs
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data.features import featurise
from sixfold.systems.hospital.data.generator import CohortSpec, generate
from sixfold.systems.hospital.federation.job import Protection
from sixfold.systems.hospital.federation.participation import asked_of, rota, rounds_of_each
from sixfold.systems.hospital.local_federation import LocalFederation, seeded_secrets
from sixfold.systems.hospital.scenario import (
    MATRIX,
    hospital_folders,
    job_for,
    judge_model,
    kits_of,
    lay_out_hospitals,
    model_of,
)
from sixfold.systems.hospital.train.evaluation import ScoreHistograms, quality_of
from sixfold.systems.hospital.train.pooled import fit_pooled, run_in_plain
from sixfold.systems.hospital.train.private_descent import PrivateDescent, largest_step

__all__ = ["Trials", "synthetic"]

_STEP = 0.5  # of the largest step at the largest hospital: how far training goes is left to rounds and local epochs
_L2 = 0.005  # that of the ladder
_ENOUGH = (
    8  # times the patients are drawn of which some train: so that the smallest hospital has others to be judged on
)


def synthetic(load: Mapping[str, float], seed: int) -> tuple[list[Cohort], list[NDArray[np.bool_]]]:
    """Hospitals of made-up patients with a known truth, which differ in size, base rate, patients and truth itself.

    Returns the cohorts, and which patients of each do not train, N: as many at each hospital.
    """
    spec = CohortSpec(
        sites=int(load["hospitals"]),
        patients=int(load["patients"]),
        label_skew=load["label_skew"],
        covariate_skew=load["covariate_skew"],
        quantity_skew=load["quantity_skew"],
        concept_skew=load["concept_skew"],
        seed=seed,
    )
    sizes = [len(cohort) for cohort in generate(spec).cohorts]
    more = generate(replace(spec, patients=_ENOUGH * spec.patients)).cohorts  # the same patients, and others after them
    judged = int(load["judged_patients"])
    cohorts = [cohort.take(np.arange(size + judged)) for cohort, size in zip(more, sizes, strict=True)]
    return cohorts, [np.arange(size + judged) >= size for size in sizes]


class Trials:
    """Measures values of the knobs over hospitals that are laid out once, under `work`.

    A run is `draws` federations, of which each trains anew with noise and a rota of its own: its metrics are their
    means, but for the epsilon, which is the most that one of them spent. Which run it is is counted in `work`, so
    that runs of the same knobs draw differently, and a resumed balance draws what an uninterrupted one does.
    """

    def __init__(
        self, work: Path, cohorts: Sequence[Cohort], held_out: Sequence[NDArray[np.bool_]], seed: int, draws: int
    ) -> None:
        lay_out_hospitals(work, cohorts, held_out)
        self._work, self._seed, self._draws = work, seed, draws
        self._trained = [int((~test_N).sum()) for test_N in held_out]
        self._pooled = _pooled_auroc(cohorts, held_out)

    def __call__(self, knobs: Knobs) -> dict[str, float]:
        """Some federations, one after the other, each from its secrets to its judged model."""
        runs = self._work / "runs"
        number = len(list(runs.glob("*.json")))
        home = runs / f"{number:05d}"
        shutil.rmtree(home, ignore_errors=True)  # of a run that was interrupted
        try:
            drawn = np.random.default_rng([self._seed, number]).integers(2**31, size=self._draws).tolist()
            found = [self._federation(home / str(draw), knobs, draw) for draw in drawn]
        finally:
            shutil.rmtree(home, ignore_errors=True)
        metrics = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        metrics["epsilon"] = max(one["epsilon"] for one in found)
        replace_json(home.with_suffix(".json"), metrics)
        return metrics

    def _federation(self, home: Path, knobs: Knobs, draw: int) -> dict[str, float]:
        folders = hospital_folders(self._work)
        seeded_secrets(home, list(folders), draw)
        federation = LocalFederation(kits_of(self._work), folders, home)
        sites, patients, rounds, clip = len(folders), sum(self._trained), int(knobs["rounds"]), knobs["clip"]
        asked = asked_of(sites, knobs["participation"])
        budget = Budget(knobs["epsilon"], 1.0 / patients)
        majority = asked // 2 + 1
        noise = noise_for(budget, rounds_of_each(rounds, asked, sites))
        job = job_for(
            federation,
            "balance",
            protection=Protection.MASKED,
            minimum_sites=majority,
            mechanism=Mechanism(clip, noise, majority),
            budget=budget,
        )
        mean = patients / sites
        algorithm = PrivateDescent(
            model_of(),
            rounds,
            clip,
            expected_records=mean,
            epochs=int(knobs["local_epochs"]),
            learning_rate=_STEP * largest_step(clip, max(self._trained), mean, _L2),
            l2=_L2,
        )
        coordinator = federation.coordinator()
        coordinator.pick = rota(tuple(folders), asked, draw)
        finished = coordinator.run(job, algorithm, draw)
        spent = [PrivacyLedger(home / site / "privacy" / "balance.jsonl", budget).spent() for site in folders]
        coordinator.pick = lambda round_, there: there  # all of them judge
        judged = judge_model(coordinator, job, finished.state.arrays["theta"])
        aurocs = list(judged.of("auroc").values())
        return {
            "misordered": 1.0 - min(aurocs),
            "moved_bytes": float(finished.moved_bytes),
            "epsilon": max(spent),
            "quality": judged.quality.auroc / self._pooled,
            "auroc": judged.quality.auroc,
            "mean_site_auroc": float(np.mean(aurocs)),
            "wall_s": sum(record.wall_s for record in finished.rounds),
        }


def _pooled_auroc(cohorts: Sequence[Cohort], held_out: Sequence[NDArray[np.bool_]]) -> float:
    """Of the optimum over all training patients in one place, without privacy: it could not be shipped."""
    trained = [featurise(cohort.take(~test_N), MATRIX) for cohort, test_N in zip(cohorts, held_out, strict=True)]
    judged = [featurise(cohort.take(test_N), MATRIX) for cohort, test_N in zip(cohorts, held_out, strict=True)]
    X_ND, y_N = np.vstack([cohort.X_ND for cohort in trained]), np.concatenate([cohort.y_N for cohort in trained])
    state, _ = run_in_plain(ScoreHistograms(model_of(), fit_pooled(model_of(), X_ND, y_N, _L2)), judged, 0)
    return quality_of(state.arrays["total"]).auroc
