"""Fits the constants of `catalog/efficiencies.yaml` that are not published, to calibration rows alone.

A maximum a posteriori fit: every constant has a physical expectation with a spread (log-normal), and every source of
rows weighs the same, however many rows it printed, because the rows of one system share what no law knows. Errors are
relative and count linearly beyond 5 %, so that a few odd rows bend nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from sixfold.design.catalog.efficiencies import Efficiencies, efficiencies, framework, machine
from sixfold.design.checks import Floats
from sixfold.design.laws.training import training_step
from sixfold.design.laws.training_plan import Plan
from sixfold.design.laws.transformer import Transformer
from sixfold.design.validation.training_predict import open_choices, stack
from sixfold.design.validation.training_rows import TrainingRow

__all__ = ["CONSTANTS", "Constant", "current", "fit"]

_NEAR = 0.05  # relative error beyond which a row counts linearly
_ROWS_A_SOURCE = 50.0  # that each source weighs like
_MEGATRON = ("megatron-lm", "megatron-deepspeed")


@dataclass(frozen=True, slots=True)
class Constant:
    """One fitted constant: a field, of which frameworks (none: of `fitted`), and what physics expects of it."""

    field: str
    frameworks: tuple[str, ...]
    expected: float
    spread: float  # standard deviation of its logarithm
    why: str

    @property
    def name(self) -> str:
        """Its name in messages and in `fit`'s answer."""
        return f"{self.frameworks[0]}.{self.field}" if self.frameworks else self.field


CONSTANTS = (
    Constant("gemm_of_matmul", (), 0.92, 0.1, "layers are not the best shape of a microbenchmark"),
    Constant("half_area", (), 1.77e6, 0.5, "half of 108 tiles of 128 x 256"),
    Constant("half_depth", (), 100.0, 0.7, "a few steps of 32 elements"),
    Constant("memory_share", (), 0.85, 0.06, "STREAM-like kernels reach 80 to 92 % of HBM"),
    Constant("attention_flash1", (), 0.4, 0.5, "FlashAttention reaches 25 to 40 % of an A100 (Dao 2023, section 1)"),
    Constant("scale_up_share", (), 0.77, 0.12, "230 of 300 GB/s, all-reduce over NVSwitch"),
    Constant("scale_up_step_s", (), 1e-5, 0.7, "start-up of a collective's step"),
    Constant("port_share", (), 0.85, 0.1, "collectives over InfiniBand reach 80 to 92 % of line rate"),
    Constant("hidden_bytes", _MEGATRON, 22.0, 0.25, "two norms, two residuals with dropout: 8 + 14"),
    Constant("inner_bytes", _MEGATRON, 26.0, 0.25, "activation 16 / 7 of 7 h, biases and transposes"),
    Constant("score_bytes", _MEGATRON, 12.0, 0.25, "write, softmax, dropout, read: 13, less what the mask skips"),
    Constant("loss_bytes", _MEGATRON, 60.0, 0.5, "about ten passes over logits in 32 bit"),
    Constant("optimiser_bytes", _MEGATRON, 36.0, 0.4, "Adam reads and writes 24, unscaling and norm 12"),
    Constant("launch_s", ("megatron-lm",), 5e-4, 0.7, "about 50 launches of 10 us"),
    Constant("step_s", ("megatron-lm",), 5e-3, 1.0, "loss scale, norm, logging"),
    Constant("launch_s", ("megatron-deepspeed",), 8e-4, 1.0, "about 80 launches of 10 us"),
    Constant("collective_s", ("megatron-deepspeed",), 5e-5, 1.0, "a few launches"),
    Constant("step_s", ("megatron-deepspeed",), 5e-3, 1.0, "loss scale, norm, logging"),
    Constant("hidden_bytes", ("composer-fsdp",), 30.0, 0.4, "as above, not fused, with casts"),
    Constant("inner_bytes", ("composer-fsdp",), 30.0, 0.4, "as above, not fused, with casts"),
    Constant("loss_bytes", ("composer-fsdp",), 40.0, 0.5, "fused cross entropy"),
    Constant("optimiser_bytes", ("composer-fsdp",), 40.0, 0.5, "as above, not fused"),
    Constant("step_s", ("composer-fsdp",), 5e-3, 1.0, "loss, norm, logging"),
)


@dataclass(frozen=True)
class _Group:
    """Rows of one source on one machine, as arrays."""

    first: TrainingRow
    model: Transformer
    layout: Plan
    measured_s: Floats
    weight: float


def fit(rows: Sequence[TrainingRow]) -> dict[str, float]:
    """Return the constants by name, fitted to those of the rows that are for calibration and of a fitted framework.

    Rows for scoring are never looked at.
    """
    table = efficiencies()
    groups = _groups([row for row in rows if row.row.use == "calibrate"], table)
    expected = np.log([constant.expected for constant in CONSTANTS])
    spread = np.array([constant.spread for constant in CONSTANTS])

    def residuals(logs: Floats) -> Floats:
        tried = _with(table, np.exp(logs))
        parts = [(logs - expected) / spread]
        for group in groups:
            driven = machine(
                group.first.device,
                framework(group.first.software, tried),
                precision=group.first.precision,
                port_bytes_per_s=group.first.port_bytes_per_s,
                known=tried,
            )
            error = np.log(training_step(group.model, group.layout, driven).total_s / group.measured_s) / _NEAR
            parts.append(group.weight * np.sign(error) * np.sqrt(2.0 * (np.sqrt(1.0 + error * error) - 1.0)))
        return np.concatenate(parts)

    found = least_squares(residuals, expected, x_scale=spread)
    return {constant.name: math.exp(value) for constant, value in zip(CONSTANTS, found.x, strict=True)}


def current() -> dict[str, float]:
    """Return the constants as the catalog has them."""
    table = efficiencies()
    return {
        constant.name: float(
            getattr(framework(constant.frameworks[0], table) if constant.frameworks else table.fitted, constant.field)
        )
        for constant in CONSTANTS
    }


def _groups(rows: Sequence[TrainingRow], table: Efficiencies) -> list[_Group]:
    by_machine: dict[tuple[Any, ...], list[TrainingRow]] = defaultdict(list)
    of_source: dict[str, int] = defaultdict(int)
    for row in rows:
        software = framework(row.software, table)
        if not software.fitted:
            continue
        source = row.row.text("source")
        of_source[source] += 1
        by_machine[(source, software.id, row.device.id, row.precision, row.port_bytes_per_s)].append(row)
    groups = []
    for key, members in by_machine.items():
        software = framework(members[0].software, table)
        choices = [open_choices(row, at, software)[0] for at, row in enumerate(members)]
        model, layout = stack(members, software, choices)
        measured = np.array([row.measured_s for row in members])
        groups.append(_Group(members[0], model, layout, measured, math.sqrt(_ROWS_A_SOURCE / of_source[key[0]])))
    return groups


def _with(table: Efficiencies, values: Floats) -> Efficiencies:
    """The efficiencies with other constants."""
    fitted: dict[str, float] = {}
    changed: dict[str, dict[str, float]] = defaultdict(dict)
    for constant, value in zip(CONSTANTS, values, strict=True):
        for name in constant.frameworks:
            changed[name][constant.field] = float(value)
        if not constant.frameworks:
            fitted[constant.field] = float(value)
    return table.model_copy(
        update={
            "fitted": table.fitted.model_copy(update=fitted),
            "frameworks": [entry.model_copy(update=changed.get(entry.id, {})) for entry in table.frameworks],
        }
    )
