"""The ladder of hospital: from pooled records to a federation that is trusted with nothing and released with care."""

from __future__ import annotations

from pathlib import Path

from sixfold.axes import Axis
from sixfold.study import Comparator, Composition, Gate, Length, Milestone, Stage, System
from sixfold.systems.hospital import (
    ladder_fedavg,
    ladder_gate,
    ladder_heterogeneity,
    ladder_monitor,
    ladder_privacy,
    ladder_secure,
)
from sixfold.systems.hospital.baseline import baseline
from sixfold.systems.hospital.scenario import prepare
from sixfold.systems.hospital.study_cohorts import SKEWS

__all__ = ["STAGES", "SYSTEM"]

STAGES = (
    Stage(
        name=ladder_fedavg.STAGE,
        removes="the records are in one place",
        axis=Axis.DATA,
        milestone=Milestone(
            metric="AUROC of the pooled model less that of the federation",
            comparator=Comparator.AT_MOST,
            target=0.01,
            unit="AUROC",
            measure=ladder_fedavg.loss_of_quality,
            predict=ladder_fedavg.predicted_loss,
        ),
        predict=ladder_fedavg.predict,
        run=ladder_fedavg.run,
        checks=ladder_fedavg.checks,
        scales=False,
    ),
    Stage(
        name=ladder_heterogeneity.STAGE,
        removes="one model fits all hospitals",
        axis=Axis.TRAINING,
        milestone=Milestone(
            metric="cut of the gap between hospitals' calibration errors",
            comparator=Comparator.AT_LEAST,
            target=1.0 / 3.0,
            unit="share",
            measure=ladder_heterogeneity.disparity_cut,
            predict=ladder_heterogeneity.predicted_cut,
        ),
        predict=ladder_heterogeneity.predict,
        run=ladder_heterogeneity.run,
        checks=ladder_heterogeneity.checks,
        scales=False,
    ),
    Stage(
        name=ladder_privacy.STAGE,
        removes="what leaves tells of no patient",
        axis=Axis.TRAINING,
        milestone=Milestone(
            metric="epsilon spent, at delta = 1 / N",
            comparator=Comparator.AT_MOST,
            target=8.0,
            unit="epsilon",
            measure=ladder_privacy.spent_epsilon,
            predict=ladder_privacy.predicted_epsilon,
        ),
        predict=ladder_privacy.predict,
        run=ladder_privacy.run,
        checks=ladder_privacy.checks,
        scales=False,
    ),
    Stage(
        name=ladder_secure.STAGE,
        removes="the coordinator is trusted",
        axis=Axis.CLUSTER,
        milestone=Milestone(
            metric="kinds of attack on the coordinator's transcript that learn more than the sum",
            comparator=Comparator.EQUAL,
            target=0.0,
            unit="attacks",
            measure=ladder_secure.attacks_won,
            predict=ladder_secure.predicted_attacks,
        ),
        predict=ladder_secure.predict,
        run=ladder_secure.run,
        checks=ladder_secure.checks,
        scales=False,
    ),
    Stage(
        name=ladder_monitor.STAGE,
        removes="patients stay the same",
        axis=Axis.DATA,
        milestone=Milestone(
            metric="runs without a shift in which an alarm was raised",
            comparator=Comparator.AT_MOST,
            target=0.1,
            unit="share",
            measure=ladder_monitor.false_alarms,
            predict=ladder_monitor.predicted_false_alarms,
        ),
        predict=ladder_monitor.predict,
        run=ladder_monitor.run,
        checks=ladder_monitor.checks,
        scales=False,
    ),
    Stage(
        name=ladder_gate.STAGE,
        removes="a good average is good enough",
        axis=Axis.CLUSTER,
        milestone=Milestone(
            metric="models that were wrongly released or wrongly blocked",
            comparator=Comparator.EQUAL,
            target=0.0,
            unit="models",
            measure=ladder_gate.wrong_decisions,
            predict=ladder_gate.predicted_wrong,
        ),
        predict=ladder_gate.predict,
        run=ladder_gate.run,
        checks=ladder_gate.checks,
        scales=False,
    ),
)

# cohorts: heart, or generated: synthetic hospitals of so many sites, patients and skews. folder: the four original
# files of UCI heart disease, instead of the table that arrives with a package. l2, tau: by cross-validation on its
# training patients (docs/hospital.md). private_rounds, private_rate: fixed before any data.
_COMMON = {
    "cohorts": "heart", "folder": "", "sites": 4, "patients": 2000, **SKEWS,
    "l2": 0.005, "tau": 0.3, "rounds": 30, "epochs": 5, "learning_rate": 0.5,
    "private_rounds": 20, "private_rate": 2.0, "canary_runs": 100, "monitor_runs": 200,
}  # fmt: skip

SYSTEM = System(
    name="hospital",
    title="Federated learning across hospitals",
    design=Path(__file__).with_name("design.yaml"),
    composition=Composition.ALTERNATIVE,
    stages=STAGES,
    baseline=baseline,
    gate=Gate(tolerance=0.02),
    lengths={
        Length.QUICK: {**_COMMON, "rounds": 20, "canary_runs": 30, "monitor_runs": 60},
        Length.DEFAULT: _COMMON,
        Length.FULL: {**_COMMON, "repeats": 3},
    },
    prepare=prepare,
    min_efficiency=0.0,  # no speed is bought here: one process with all records is faster, and not allowed
)
