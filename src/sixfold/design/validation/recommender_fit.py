"""Fits the constants of `catalog/recommenders.yaml` to calibration rows alone.

A maximum a posteriori fit: every constant has a physical expectation with a spread (log-normal), and errors beyond 10 %
count linearly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares

from sixfold.design.catalog.recommenders import RecommenderTable, recommender_table
from sixfold.design.checks import Floats
from sixfold.design.validation.recommender_predict import Step, ideal_per_s, predict
from sixfold.design.validation.serving_fit import soft

__all__ = ["CONSTANTS", "constants", "fit"]

_NEAR = 0.1
# Field of `fitted`: what physics expects, the standard deviation of its logarithm, and why.
CONSTANTS = {
    "gather_share": (0.5, 0.3, "rows of 512 bytes at random fill half of a memory's bursts"),
    "gemm_of_training": (1.0, 0.15, "products as of language models, by shape"),
    "passes": (2.5, 0.3, "written once, read once, and biases and activation functions in part by themselves"),
    "training_s": (1.0e-3, 0.7, "a hundred and fifty kernels of 5 us, an optimiser, and a loader"),
    "eager_s": (4.0e-4, 0.5, "forty launches of 10 us from Python"),
    "graph_s": (1.2e-4, 0.5, "forty kernels of 3 us that fill and drain"),
}


def fit(chosen: Sequence[Step]) -> dict[str, float]:
    """Return the constants by name, fitted to those of the steps that are for calibration.

    Rows for scoring are never looked at. Raises ValueError if there are none for calibration.
    """
    table = recommender_table()
    known = [step for step in chosen if step.row.use == "calibrate"]
    if not known:
        raise ValueError("got no calibration rows")
    measured_s = np.array([step.batch / step.measured_per_s for step in known])
    expected = np.log([value for value, _, _ in CONSTANTS.values()])
    spread = np.array([width for _, width, _ in CONSTANTS.values()])

    def residuals(logs: Floats) -> Floats:
        said = predict(known, _with(table, dict(zip(CONSTANTS, np.exp(logs), strict=True))))
        errors = np.log(np.array([float(parts.total_s) for parts in said]) / measured_s)
        return np.concatenate([(logs - expected) / spread, soft(errors / _NEAR)])

    found = least_squares(residuals, expected, x_scale=spread)
    return {name: math.exp(value) for name, value in zip(CONSTANTS, found.x, strict=True)}


def constants(chosen: Sequence[Step]) -> dict[str, float]:
    """Return the medians of what calibration rows use of peak FLOP/s, by mode."""
    known = [step for step in chosen if step.row.use == "calibrate"]
    shares = {
        mode: [step.measured_per_s / ideal_per_s(step) for step in known if step.training is training]
        for mode, training in (("training", True), ("inference", False))
    }
    return {mode: float(np.median(values)) for mode, values in shares.items() if values}


def _with(table: RecommenderTable, values: dict[str, float]) -> RecommenderTable:
    plain = {name: float(value) for name, value in values.items()}
    return table.model_copy(update={"fitted": table.fitted.model_copy(update=plain)})
