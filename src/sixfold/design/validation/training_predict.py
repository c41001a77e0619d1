"""Predicted step times of published training rows, many at once.

What a row leaves open is chosen as an engineer would, by the laws alone: of the micro-batches that divide the batch and
the ways to recompute, the fastest that fits the device; where none fits, the smallest.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from sixfold.design.catalog.efficiencies import Efficiencies, Framework, efficiencies, framework, machine
from sixfold.design.checks import Floats
from sixfold.design.laws.training import training_step
from sixfold.design.laws.training_memory import training_memory
from sixfold.design.laws.training_plan import FULL, NONE, SELECTIVE, Plan, plan
from sixfold.design.laws.transformer import Transformer
from sixfold.design.validation.training_rows import TrainingRow

__all__ = ["Choice", "Predicted", "open_choices", "predict", "stack"]

_MICRO_BATCHES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_USABLE = 0.92  # of a device's memory, where we choose: the rest goes to fragmentation that no law sees


@dataclass(frozen=True)
class Predicted:
    """Seconds a step and bytes on the fullest device, one element a row."""

    step_s: Floats
    memory_bytes: Floats


@dataclass(frozen=True)
class Choice:
    row: int
    micro_batch: float
    recompute: float
    chunks: float
    sequence: float
    zero: float


def predict(rows: Sequence[TrainingRow], known: Efficiencies | None = None) -> Predicted:
    """Return the predictions for the rows, in their order."""
    table = known or efficiencies()
    step_s, memory_bytes = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    groups: dict[tuple[Hashable, ...], list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        software = framework(row.software, table)
        traits = (row.device.id, row.device.memory_bytes, row.device.memory_bytes_per_s, max(row.device.flops.values()))
        groups[(software.id, row.precision, row.port_bytes_per_s, *traits)].append(at)
    for members in groups.values():
        first = rows[members[0]]
        software, device = framework(first.software, table), first.device
        choices = [choice for at in members for choice in open_choices(rows[at], at, software)]
        chosen = [rows[choice.row] for choice in choices]
        model, layout = stack(chosen, software, choices)
        driven = machine(
            device, software, precision=first.precision, port_bytes_per_s=first.port_bytes_per_s, known=table
        )
        batch = np.array([row.global_batch for row in chosen])
        times = training_step(model, layout, driven).total_s * batch / layout.global_batch
        memory = training_memory(
            model,
            layout,
            fused=driven.kernels.fused,
            gradient_bytes=driven.sync.gradient_bytes,
            logit_bytes=software.logit_bytes,
        ).total_bytes
        for at in members:
            mine = np.array([number for number, choice in enumerate(choices) if choice.row == at])
            fits = mine[memory[mine] <= _USABLE * device.memory_bytes]
            # Sharding more than the framework does by itself is for models that do not fit otherwise.
            lowest = fits[layout.zero[fits] == layout.zero[fits].min()] if fits.size else fits
            best = lowest[np.argmin(times[lowest])] if fits.size else mine[np.argmin(memory[mine])]
            step_s[at], memory_bytes[at] = times[best], memory[best]
    return Predicted(step_s, memory_bytes)


def stack(rows: Sequence[TrainingRow], software: Framework, choices: Sequence[Choice]) -> tuple[Transformer, Plan]:
    """Return the models and plans of the rows as arrays, each with what was chosen for it."""

    def column(name: str) -> Floats:
        return np.array([float(getattr(row, name)) for row in rows])

    def choice(name: str) -> Floats:
        return np.array([float(getattr(one, name)) for one in choices])

    # Where no batch was published, a larger micro-batch makes a larger batch.
    grown = np.array(
        [
            1.0 if row.batch_published or row.micro_batch else one.micro_batch
            for row, one in zip(rows, choices, strict=True)
        ]
    )

    model = Transformer(
        **{
            field.name: np.array([float(getattr(row.model, field.name)) for row in rows])
            for field in fields(Transformer)
        }
    )
    layout = plan(
        global_batch=column("global_batch") * grown,
        micro_batch=choice("micro_batch"),
        tensor=column("tensor"),
        pipeline=column("pipeline"),
        data=column("data"),
        context=column("context"),
        expert=column("expert"),
        chunks=choice("chunks"),
        zero=choice("zero"),
        recompute=choice("recompute"),
        sequence=choice("sequence"),
    )
    return model, layout


def open_choices(row: TrainingRow, at: int, software: Framework) -> list[Choice]:
    """Return every way to fill in what the row leaves open; one if it leaves nothing."""
    share = row.global_batch / row.data if row.batch_published else math.inf
    sizes = [row.micro_batch] if row.micro_batch else [size for size in _MICRO_BATCHES if size <= share] or [share]
    kinds = (NONE, SELECTIVE, FULL) if row.recompute is None else (row.recompute,)
    chunks = [row.chunks or 1.0]
    if row.chunks is None and software.interleaves and row.pipeline > 1:
        deep = float(row.model.layers) / row.pipeline
        chunks = sorted({1.0, 2.0, 4.0, float(int(deep))} & set(map(float, range(1, int(deep) + 1))) | {1.0})
    # Sequence parallelism came in 2022 (Korthikanti et al.): later rows that name no recomputation may have it.
    may_split = row.recompute is None and row.tensor > 1 and row.dated >= 2023.0
    splits = {float(row.sequence or software.sequence)} | ({1.0} if may_split else set())
    stages = [row.zero] if row.zero is not None else sorted({software.zero, 1, 3} - set(range(software.zero)))
    open_fields = itertools.product(sizes, kinds, chunks, sorted(splits), map(float, stages))
    return [Choice(at, *values) for values in open_fields]
