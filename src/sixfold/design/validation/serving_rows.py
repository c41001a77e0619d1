"""Rows of the serving files as configurations that the laws can predict."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sixfold.design.catalog.devices import Device, find_device
from sixfold.design.catalog.serving import (
    ServingFramework,
    model_named,
    serving_framework,
    shortest_request,
    value_bytes,
    weight_bytes,
)
from sixfold.design.laws.serving_memory import ServedModel, weight_bytes_per_device
from sixfold.design.validation.rows import Row

__all__ = ["Layout", "ServingRow", "offline_rows", "online_rows"]

_WIDEST = 8  # devices over which frameworks' recipes split the attention of models with latents, and of a node
_MOST_RANKS = 256
_USABLE = 0.9
_CLIENTS = re.compile(r"concurrency=(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Layout:
    """Replicas of one role: devices that share attention, ranks of those in a replica, and how many replicas."""

    tensor: int
    data: int
    replicas: int = 1

    @property
    def devices(self) -> int:
        """Of all replicas."""
        return self.tensor * self.data * self.replicas


@dataclass(frozen=True, slots=True)
class ServingRow:
    """One measured configuration. reader: None where the same devices read prompts and decode.

    workers_stated: whether it is published how many replicas of each role there are.
    """

    row: Row
    model_name: str
    model: ServedModel
    device: Device
    framework: ServingFramework
    precision: str
    prompt: float
    answer: float
    clients: float
    writer: Layout
    reader: Layout | None = None
    stages: int = 1
    workers_stated: bool = True
    alike: bool = True

    @property
    def weight_bytes(self) -> float:
        """Of one weight."""
        return weight_bytes(self.precision)

    @property
    def value_bytes(self) -> float:
        """Of one number of the keys and values."""
        return value_bytes(self.precision, self.framework)


def online_rows(rows: Iterable[Row]) -> tuple[list[ServingRow], Counter[str]]:
    """Return the rows of `serving_silicon_sample` that can be predicted, and why others can not, counted."""
    found, left_out = [], Counter[str]()
    for row in rows:
        made = _online(row)
        if isinstance(made, str):
            left_out[made] += 1
        else:
            found.append(made)
    return found, left_out


def offline_rows(rows: Iterable[Row]) -> tuple[list[ServingRow], Counter[str]]:
    """Return the rows of `serving` that name model, hardware, lengths and tokens/s, and why others can not, counted."""
    found, left_out = [], Counter[str]()
    for row in rows:
        made = _offline(row)
        if isinstance(made, str):
            left_out[made] += 1
        else:
            found.append(made)
    return found, left_out


def _online(row: Row) -> ServingRow | str:
    parts = _machine(row.text("model_path"), row.text("system").replace("_", " "), _precision(row))
    if isinstance(parts, str):
        return parts
    prompt, answer = row.number("isl"), row.number("osl")
    if not prompt or not answer or not row.number("silicon_ttft_ms") or not row.number("silicon_tpot_ms"):
        return "without lengths or times"
    split = row.text("mode") == "disagg"
    model, device, precision = parts
    weight = weight_bytes(precision)
    writer = _layout(row, "decode_" if split else "", model, weight, device)
    reader = _layout(row, "prefill_", model, weight, device) if split else None
    if writer is None or (split and reader is None):
        return "without a layout"
    clients = _clients(row, writer, "decode_batch_size" if split else "batch_size")
    if not clients:
        return "without concurrency or batch"
    framework = serving_framework(row.text("backend"), row.text("backend_version"))
    shortest = shortest_request(row.text("silicon_data_source"))
    mean = (1.0 + shortest) / 2.0
    return ServingRow(
        row=row,
        model_name=row.text("model_path"),
        model=model,
        device=device,
        framework=framework,
        precision=precision,
        prompt=prompt * mean,
        answer=answer * mean,
        clients=clients,
        writer=writer,
        reader=reader,
        workers_stated=not split or bool(row.number("prefill_num_workers") and row.number("decode_num_workers")),
        alike=shortest == 1.0,
    )


def _offline(row: Row) -> ServingRow | str:
    prompt, answer = row.number("isl"), row.number("osl")
    if not prompt or not answer or not row.number("output_tokens_per_s_total"):
        return "without lengths or tokens/s"
    parts = _machine(row.text("model"), row.text("hardware"), row.text("precision"))
    if isinstance(parts, str):
        return parts
    model, device, precision = parts
    # These come from a benchmark without a server: no front end, whatever the version.
    framework = serving_framework(row.text("engine"))
    layout = Layout(max(row.whole("tp", row.whole("gpus", 1)), 1), max(row.whole("dp", 1), 1))
    stages = max(row.whole("pp", 1), 1)
    clients = row.number("concurrency") or 0.0
    return ServingRow(
        row, row.text("model"), model, device, framework, precision, prompt, answer, clients, layout, None, stages
    )


def _machine(model_name: str, hardware: str, precision: str) -> tuple[ServedModel, Device, str] | str:
    named = model_named(model_name)
    if named is None:
        return "of a model that the catalog does not have"
    found = find_device(hardware)
    if found is None or not {"bf16", "fp16"} & set(found.flops):
        return "on hardware that the catalog does not have"
    return named[0], found, precision or _published(model_name) or named[1]


def _precision(row: Row) -> str:
    return row.text("precision") or row.text("gemm_quant_mode").replace("nvfp4", "fp4").replace("int4_wo", "int4")


def _published(model_name: str) -> str:
    """The precision that a model's name ends with ("-FP8"), "" where it names none."""
    match = re.search(r"(nvfp4|mxfp4|fp4|fp8|int4|int8|bf16)$", model_name.lower())
    return match.group(1) if match else ""


def _layout(row: Row, role: str, model: ServedModel, weight: float, device: Device) -> Layout | None:
    tensor = row.whole(f"{role}tp_size", 0)
    if tensor < 1:
        return None
    data = max(row.whole(f"{role}attention_dp_size", 1), 1)
    cut, spread = row.whole(f"{role}moe_tp_size", 1), row.whole(f"{role}moe_ep_size", 1)
    # Experts that are cut in x and spread over x, on x^2 devices: the file's converter has multiplied one x with
    # itself (64 devices of a node of 8). There are x.
    if cut == spread and tensor * data == cut * spread > _WIDEST:
        tensor, data = (spread, 1) if data == 1 else (1, spread)
    # Heads are split evenly or not at all: 72 devices of a model of 128 heads are ranks with attention of their own. So
    # are more than 8 of a model with one latent for all heads, which each of them would have to keep whole.
    heads, shared = int(model.heads), float(model.kv_heads) == 1.0
    if (heads % tensor and tensor % heads) or (shared and tensor > _WIDEST):
        tensor, data = 1, data * tensor
    # Devices that cannot hold the weights are not all of them: the fewest that can, as ranks that share experts.
    while data < _MOST_RANKS and _too_small(model, tensor, data, weight, device):
        data *= 2
    return Layout(tensor, data, max(row.whole(f"{role}num_workers", 1), 1) if role else 1)


def _too_small(model: ServedModel, tensor: int, data: int, weight: float, device: Device) -> bool:
    held = weight_bytes_per_device(model, float(tensor), weight, data=float(data))
    return bool(model.experts > 0) and float(held) > _USABLE * device.memory_bytes


def _clients(row: Row, writer: Layout, batch: str) -> float:
    match = _CLIENTS.search(row.text("silicon_data_source"))
    if match:
        return max(float(match.group(1)), 1.0)
    return float(row.whole(batch, 0) * writer.data * writer.replicas)
