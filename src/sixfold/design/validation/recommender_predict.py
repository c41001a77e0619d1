"""Rows of `recsys.csv` as steps, and what the laws of recommenders, or a constant utilisation, say of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sixfold.design.catalog.devices import Device, find_device
from sixfold.design.catalog.recommenders import (
    RecommenderModel,
    RecommenderTable,
    engine,
    fabric,
    ranker,
    recommender_named,
    recommender_table,
    row_s,
)
from sixfold.design.laws.recommender import StepTime, dense_flops, step_time
from sixfold.design.validation.rows import Row

__all__ = ["Step", "constant_per_s", "predict", "steps"]

_SAMPLES_A_STEP = 65_536.0  # where a row does not say: what the repositories of these models train with


@dataclass(frozen=True, slots=True)
class Step:
    """A row that can be predicted. precision: amp, tf32 or fp32. graph: kernels recorded once."""

    row: Row
    model: RecommenderModel
    device: Device
    sockets: int
    devices: int
    batch: float
    training: bool
    precision: str
    graph: bool
    split: bool
    measured_per_s: float


def steps(rows: Iterable[Row]) -> tuple[list[Step], Counter[str]]:
    """Return the rows that state samples/s of a known model on a known device, and why others are left out."""
    found: list[Step] = []
    left: Counter[str] = Counter()
    for row in rows:
        mode, rate = row.text("mode").lower(), row.number("samples_per_s")
        if not mode.startswith(("train", "infer")) or rate is None or rate <= 0:
            left["without samples/s of a step"] += 1
            continue
        model, device = recommender_named(row.text("model")), find_device(row.text("hardware"))
        if model is None or device is None:
            left["shape not in the catalog" if model is None else "device not in the catalog"] += 1
            continue
        training = mode.startswith("train")
        precision = row.text("precision").lower()
        counted = re.match(r"(\d+)\s*x", row.text("hardware").lower())
        sockets = int(counted[1]) if counted and device.kind == "cpu" else 1
        found.append(
            Step(
                row=row,
                model=model,
                device=device,
                sockets=sockets,
                devices=max(row.whole("gpus", 1), 1),
                batch=row.number("global_batch") or _SAMPLES_A_STEP,
                training=training,
                precision="amp" if not precision or "32" not in precision else precision,
                graph="cud" in mode and "graph" in mode and "no " not in mode,
                split="data parallel" not in row.text("embedding_placement").lower(),
                measured_per_s=rate,
            )
        )
    return found, left


def predict(chosen: Sequence[Step], known: RecommenderTable | None = None) -> list[StepTime]:
    """Return the parts of each row's step. known: other constants."""
    return [_predict(step, known or recommender_table()) for step in chosen]


def constant_per_s(step: Step, known: RecommenderTable | None = None) -> float:
    """Return the samples/s of a constant share of the peak of a row's devices."""
    constant = (known or recommender_table()).constant
    share = constant.training if step.training else constant.inference
    return share * ideal_per_s(step)


def ideal_per_s(step: Step) -> float:
    """Return the samples/s at the peak of a row's devices, if there were only dense layers."""
    flops = dense_flops(ranker(step.model)) * (3.0 if step.training else 1.0)
    return engine(step.device, step.precision, sockets=step.sockets).flops * step.devices / flops


def _predict(step: Step, table: RecommenderTable) -> StepTime:
    fitted = table.fitted
    parameters = step.row.number("params_B")
    rate = step.device.memory_bytes_per_s * step.sockets * fitted.gather_share
    return step_time(
        ranker(step.model, parameters * 1e9 if parameters else None),
        np.array(step.batch),
        np.array(float(step.devices)),
        engine(step.device, step.precision, sockets=step.sockets, known=table),
        fabric(step.device),
        optimiser=step.model.optimiser if step.training else None,
        split_tables=step.split,
        gather_bytes_per_s=rate,
        launch_s=fitted.training_s if step.training else fitted.graph_s if step.graph else fitted.eager_s,
        activation_bytes=2.0 if step.precision == "amp" else 4.0,
        passes=fitted.passes,
        row_s=row_s(step.device),
    )
