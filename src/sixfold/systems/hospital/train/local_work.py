"""The computations that a hospital will do over its records, by the name that an order carries; there are no others."""

from __future__ import annotations

from collections.abc import Mapping

from sixfold.systems.hospital.statistics import statistics_work
from sixfold.systems.hospital.train.algorithm import LocalWork
from sixfold.systems.hospital.train.cox import cox_sums
from sixfold.systems.hospital.train.evaluation import score_histograms
from sixfold.systems.hospital.train.gradients import clipped_gradient
from sixfold.systems.hospital.train.local_sgd import local_sgd
from sixfold.systems.hospital.train.personal import personal_newton, personal_sgd
from sixfold.systems.hospital.train.private_descent import clipped_descent
from sixfold.systems.hospital.train.ridge import clipped_moments, moments
from sixfold.systems.hospital.train.scaffold import scaffold_work
from sixfold.systems.hospital.train.second_order import newton_terms

__all__ = ["LOCAL_WORK"]

LOCAL_WORK: Mapping[str, LocalWork] = {
    "clipped_descent": clipped_descent,
    "clipped_gradient": clipped_gradient,
    "clipped_moments": clipped_moments,
    "cox_sums": cox_sums,
    "local_sgd": local_sgd,
    "moments": moments,
    "newton_terms": newton_terms,
    "personal_newton": personal_newton,
    "personal_sgd": personal_sgd,
    "scaffold": scaffold_work,
    "score_histograms": score_histograms,
    "statistics": statistics_work,
}
