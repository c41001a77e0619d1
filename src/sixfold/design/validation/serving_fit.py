"""Fits the constants of `catalog/serving.yaml` that are not published, to calibration rows alone.

A maximum a posteriori fit: every constant has a physical expectation with a spread (log-normal). Errors are relative,
and count linearly beyond 5 % of times between tokens and 15 % of times to the first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from sixfold.design.catalog.serving import ServingTable, serving_table
from sixfold.design.checks import Floats
from sixfold.design.validation.serving_predict import predict
from sixfold.design.validation.serving_rows import ServingRow

__all__ = ["CONSTANTS", "Constant", "current", "fit", "soft"]

_SHARES = {"memory_share", "gemm_of_matmul", "held_back"}
_NEAR_TOKEN, _NEAR_FIRST = 0.05, 0.15


@dataclass(frozen=True, slots=True)
class Constant:
    """One fitted constant: a field of `fitted`, or of the fitted framework, and what physics expects of it."""

    field: str
    of_framework: bool
    expected: float
    spread: float  # standard deviation of its logarithm
    why: str


CONSTANTS = (
    Constant("memory_share", False, 0.85, 0.08, "STREAM-like kernels reach 80 to 92 % of HBM"),
    Constant("gemm_of_matmul", False, 0.9, 0.15, "layers are not the best shape of a microbenchmark"),
    Constant("alpha_s", False, 2e-6, 0.5, "a write to another device's memory and a flag"),
    Constant("layer_s", False, 1.5e-5, 0.5, "about ten kernels that fill and drain in 1.5 us"),
    Constant("eager_layer_s", True, 3e-4, 0.7, "twenty to thirty launches of 10 to 15 us from Python"),
    Constant("step_s", True, 5e-4, 0.7, "scheduler, sampling, embeddings"),
    Constant("request_s", True, 1e-5, 1.0, "bookkeeping of one request"),
    Constant("admit_s", True, 3e-2, 0.7, "HTTP, template, scheduler"),
    Constant("prompt_token_s", True, 3e-6, 1.0, "tokenising"),
    Constant("entry_s", True, 5e-3, 1.0, "one request in the serving process"),
    Constant("answer_token_s", True, 9e-5, 0.7, "one token event in the serving process"),
    Constant("held_back", True, 0.8, 0.2, "one place of the batch, but not in the first round"),
    Constant("variation", True, 0.5, 0.7, "between even arrivals (0) and random ones (1)"),
)


def fit(rows: Sequence[ServingRow]) -> dict[str, float]:
    """Return the constants by name, fitted to those of the rows that are for calibration and of the fitted framework.

    Rows for scoring are never looked at. Raises ValueError if there are none for calibration.
    """
    table = serving_table()
    chosen = [row for row in rows if row.row.use == "calibrate" and row.framework.fitted]
    if not chosen:
        raise ValueError("got no calibration rows of a fitted framework")
    first_s, token_s = (
        np.array([row.row.number(name) for row in chosen], dtype=np.float64) / 1e3
        for name in ("silicon_ttft_ms", "silicon_tpot_ms")
    )
    expected = np.log([constant.expected for constant in CONSTANTS])
    spread = np.array([constant.spread for constant in CONSTANTS])

    def residuals(logs: Floats) -> Floats:
        said = predict(chosen, _with(table, np.exp(logs)))
        token = soft(np.log(said.token_s / token_s) / _NEAR_TOKEN)
        first = soft(np.log(said.first_token_s / first_s) / _NEAR_FIRST)
        return np.concatenate([(logs - expected) / spread, token, first])

    # Shares of a peak and places held back end at 1.
    most = np.log([1.0 if constant.field in _SHARES else 1e3 for constant in CONSTANTS])
    found = least_squares(residuals, expected, x_scale=spread, bounds=(np.full(len(most), -np.inf), most))
    return {constant.field: math.exp(value) for constant, value in zip(CONSTANTS, found.x, strict=True)}


def current() -> dict[str, float]:
    """Return the constants as the catalog has them."""
    table = serving_table()
    software = next(entry for entry in table.frameworks if entry.fitted)
    return {c.field: float(getattr(software if c.of_framework else table.fitted, c.field)) for c in CONSTANTS}


def soft(error: Floats) -> Floats:
    """Return a residual whose square grows like the error's near 0, and like its absolute value beyond 1."""
    return np.asarray(np.sign(error) * np.sqrt(2.0 * (np.sqrt(1.0 + error * error) - 1.0)))


def _with(table: ServingTable, values: Floats) -> ServingTable:
    """The table with other constants."""
    tried = {constant: float(value) for constant, value in zip(CONSTANTS, values, strict=True)}
    shared = {constant.field: value for constant, value in tried.items() if not constant.of_framework}
    own = {constant.field: value for constant, value in tried.items() if constant.of_framework}
    return table.model_copy(
        update={
            "fitted": table.fitted.model_copy(update=shared),
            "frameworks": [entry.model_copy(update=own) if entry.fitted else entry for entry in table.frameworks],
        }
    )
