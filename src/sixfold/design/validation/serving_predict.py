"""What the serving laws say of measured configurations, and what a constant utilisation says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from sixfold.design.catalog.serving import (
    ConstantUse,
    ServingTable,
    engine,
    front_end,
    serving_framework,
    serving_table,
)
from sixfold.design.checks import Floats
from sixfold.design.laws.serving import Replica
from sixfold.design.laws.serving_memory import (
    ServedModel,
    batch_that_fits,
    kv_bytes_per_device,
    pipeline_stage,
    weight_bytes_per_device,
    weight_bytes_read,
)
from sixfold.design.laws.serving_queue import closed_loop, split_loop
from sixfold.design.validation.serving_rows import Layout, ServingRow

__all__ = ["Predicted", "Utilisations", "constant_use", "predict", "utilisations"]

_LARGEST_BATCH = 2048.0  # that frameworks take by default


@dataclass(frozen=True, slots=True)
class Predicted:
    """One element a row. fits: whether weights and one request fit into the devices."""

    first_token_s: Floats
    token_s: Floats
    output_tokens_per_s: Floats
    fits: Floats


@dataclass(frozen=True, slots=True)
class Utilisations:
    """What rows would take at the peaks of their devices, without a queue, one element a row.

    Reading weights and keys for a token, multiplying a prompt, tokens/s of whole cycles. At a constant share of peaks
    times are these over the share, tokens/s these times the share.
    """

    ideal_token_s: Floats
    ideal_first_token_s: Floats
    ideal_output_tokens_per_s: Floats


def predict(rows: Sequence[ServingRow], known: ServingTable | None = None) -> Predicted:
    """Return the predictions for rows, those of one model on one machine in one call. known: other constants."""
    result = Predicted(*(np.zeros(len(rows)) for _ in fields(Predicted)))
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        kind = (row.model_name, row.device.id, row.framework.id, row.precision, row.reader is None)
        groups[kind].append(at)
    for members in groups.values():
        part = _predict([rows[at] for at in members], known)
        for name in (field.name for field in fields(Predicted)):
            getattr(result, name)[members] = getattr(part, name)
    return result


def utilisations(rows: Sequence[ServingRow]) -> Utilisations:
    """Return what rows would take at peak, without any queue."""
    values = []
    for row in rows:
        devices = float(row.writer.tensor * row.writer.data * row.stages)
        prompts = row.reader or row.writer
        peak = row.device.flops.get("bf16") or row.device.flops["fp16"]
        peak *= 2.0 if row.weight_bytes <= 1.0 and "fp8" in row.device.flops else 1.0
        batch = row.clients / row.writer.replicas
        read = weight_bytes_read(row.model, batch, devices, row.weight_bytes)
        read = read + kv_bytes_per_device(
            row.model, batch * (row.prompt + row.answer / 2.0) / devices, 1.0, row.value_bytes
        )
        flops = 2.0 * float(row.model.active)
        values.append(
            (
                float(read) / row.device.memory_bytes_per_s,
                flops * row.prompt / (peak * prompts.tensor * prompts.data),
                row.answer * devices * peak / (flops * (row.prompt + row.answer)),
            )
        )
    return Utilisations(*(np.array(column) for column in zip(*values, strict=True)))


def constant_use(rows: Sequence[ServingRow]) -> ConstantUse:
    """Return what calibration rows use of peaks, as medians; without rows, what the catalog says that they did."""
    if not rows:
        return serving_table().constant
    ideal = utilisations(rows)
    first_s, token_s = (
        np.array([row.row.number(name) for row in rows], dtype=np.float64) / 1e3
        for name in ("silicon_ttft_ms", "silicon_tpot_ms")
    )
    answer, clients = (np.array([getattr(row, name) for row in rows]) for name in ("answer", "clients"))
    tokens_per_s = clients * answer / (first_s + answer * token_s)
    return ConstantUse(
        decoding=float(np.median(ideal.ideal_token_s / token_s)),
        first_token=float(np.median(ideal.ideal_first_token_s / first_s)),
        cycle=float(np.median(tokens_per_s / ideal.ideal_output_tokens_per_s)),
    )


def _predict(rows: Sequence[ServingRow], known: ServingTable | None) -> Predicted:
    first = rows[0]
    prompt, answer, clients, stages = (
        np.array([float(getattr(row, name)) for row in rows]) for name in ("prompt", "answer", "clients", "stages")
    )
    model = pipeline_stage(first.model, stages)
    software = (
        first.framework if known is None else serving_framework(first.framework.backend, first.framework.version, known)
    )
    machine = engine(first.device, software, precision=first.precision, known=known)
    writer = _replica(rows, [row.writer for row in rows])
    if first.reader is not None:
        readers = [row.reader or row.writer for row in rows]
        fits = _fits(first, model, writer, prompt, answer)
        stated = np.array([row.workers_stated for row in rows])
        # Where nobody says how many there are: writers that hold the requests, and readers that keep up.
        fewest = np.clip(np.ceil(clients / np.maximum(fits, 1.0)), 1.0, clients)
        served = split_loop(
            model,
            clients,
            prompt,
            answer,
            (_replica(rows, readers), machine),
            (writer, machine),
            front_end(software),
            readers=np.where(stated, [float(layout.replicas) for layout in readers], np.nan),
            writers=np.where(stated, [float(row.writer.replicas) for row in rows], fewest),
        )
        return Predicted(served.first_token_s, served.token_s, served.output_tokens_per_s, fits)
    fits = _fits(first, model, writer, prompt, answer)
    # As many requests as fit where none is stated; of pipelines, those that one stage works on.
    asked = np.where(clients > 0, clients, np.minimum(fits, _LARGEST_BATCH)) / stages
    asked = np.maximum(asked, 1.0)
    places = np.maximum(fits / stages, 1.0)
    offline = np.all(clients == 0.0)
    rounds = 1e3 if offline else 10.0
    served = closed_loop(
        model,
        asked,
        prompt,
        answer,
        writer,
        machine,
        front_end(software),
        places=places,
        rounds=rounds,
        alike=np.array([float(row.alike) for row in rows]),
    )
    return Predicted(served.first_token_s, served.token_s, served.output_tokens_per_s, fits)


def _replica(rows: Sequence[ServingRow], layouts: Sequence[Layout]) -> Replica:
    return Replica(
        tensor=np.array([float(layout.tensor) for layout in layouts]),
        data=np.array([float(layout.data) for layout in layouts]),
        weight_bytes=np.array([row.weight_bytes for row in rows]),
        value_bytes=np.array([row.value_bytes for row in rows]),
    )


def _fits(first: ServingRow, model: ServedModel, replica: Replica, prompt: Floats, answer: Floats) -> Floats:
    """Requests at once on the whole replica; half of an answer is written on average, and pages are taken as needed."""
    held = weight_bytes_per_device(model, replica.tensor, replica.weight_bytes, data=replica.data)
    each = kv_bytes_per_device(model, prompt + answer / 2.0, replica.tensor, replica.value_bytes)
    fits = batch_that_fits(held, each, first.device.memory_bytes, usable=first.framework.usable)
    return np.asarray(fits * replica.data)
