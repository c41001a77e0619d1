"""Shapes of published recommenders and what devices make of them: `recommenders.yaml`, as the laws want them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sixfold.design.catalog import efficiencies as training
from sixfold.design.catalog.devices import Device
from sixfold.design.catalog.entries import Entry, Text
from sixfold.design.laws import roofline
from sixfold.design.laws.recommender import Fabric, Ranker
from sixfold.design.yaml_source import load_yaml

__all__ = [
    "RecommenderFitted",
    "RecommenderModel",
    "RecommenderTable",
    "engine",
    "fabric",
    "ranker",
    "recommender_named",
    "recommender_table",
    "row_s",
]

RECOMMENDERS_PATH = Path(__file__).with_name("recommenders.yaml")
_CPU_SHARE = 0.7  # assumed: of a processor's peak, of its best products
_HOST_ROW_S = 2e-7  # assumed: a miss of the page tables and one of all caches; updates of rows run on one thread
_Positive = Annotated[float, Field(gt=0)]


class RecommenderFitted(BaseModel):
    """Fitted to calibration rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    gather_share: _Positive
    gemm_of_training: _Positive
    passes: _Positive
    training_s: _Positive
    eager_s: _Positive
    graph_s: _Positive


class RecommenderConstant(BaseModel):
    """Medians of the share of peak FLOP/s that calibration rows use."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    training: _Positive
    inference: _Positive


class RecommenderModel(Entry):
    """One recommender.

    tables: (width, how many, rows of each a sample). cross: (layers, width, rank). pairs: vectors that are multiplied
    with each other. bottom, top, head: widths from input to output.
    """

    names: tuple[Text, ...] = Field(min_length=1)
    tables: tuple[tuple[float, float, float], ...] = Field(min_length=1)
    bottom: tuple[int, ...] = ()
    cross: tuple[int, int, int] | None = None
    pairs: int = 0
    top: tuple[int, ...] = Field(min_length=2)
    head: tuple[int, ...] = ()
    table_parameters: float | None = None
    optimiser: Text


class RecommenderTable(BaseModel):
    """All of `recommenders.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fitted: RecommenderFitted
    constant: RecommenderConstant
    models: list[RecommenderModel] = Field(min_length=1)


@cache
def recommender_table(path: Path = RECOMMENDERS_PATH) -> RecommenderTable:
    """Return the catalog of recommenders. Raises InputError for a broken file."""
    return load_yaml(path, RecommenderTable)


def recommender_named(text: str) -> RecommenderModel | None:
    """Return the recommender that a publication means; of several names the longest. None if there is none."""
    plain = text.lower()
    hits = [
        (len(name), entry.id, entry) for entry in recommender_table().models for name in entry.names if name in plain
    ]
    return max(hits)[2] if hits else None


def ranker(model: RecommenderModel, table_parameters: float | None = None) -> Ranker:
    """Return a shape for the laws. table_parameters: of this variant, the entry's own (or none) if not given."""
    layers = [*pairwise(model.bottom), *pairwise(model.top), *pairwise(model.head)]
    pooled = sum(width * tables for width, tables, _ in model.tables)
    width = model.tables[0][0]
    if model.cross is not None:
        count, wide, rank = model.cross
        layers += [(wide, rank), (rank, wide)] * count
    return Ranker(
        tables=sum(tables for _, tables, _ in model.tables),
        rows=sum(tables * hot for _, tables, hot in model.tables),
        values=sum(width * tables * hot for width, tables, hot in model.tables),
        pooled=pooled,
        layers=tuple(layers),
        pair_flops=2.0 * model.pairs**2 * width,
        activations=pooled + sum(out for _, out in layers) + model.pairs * (model.pairs - 1) / 2.0,
        dense_parameters=float(sum(inner * out + out for inner, out in layers)),
        table_parameters=table_parameters or model.table_parameters or 0.0,
    )


def engine(
    device: Device, precision: str, *, sockets: int = 1, known: RecommenderTable | None = None
) -> roofline.Device:
    """Return a device as the laws want it, for products in a precision: "amp" (16 bit), "tf32" or "fp32".

    Depth and area that fill it shrink with the rate of a precision: what is under way is rate times latency (Little).
    sockets: of a processor, taken as one device.
    """
    factor = (known or recommender_table()).fitted.gemm_of_training
    if device.kind == "cpu":
        peak = sockets * max(device.flops.values())
        return roofline.Device(peak, peak, sockets * device.memory_bytes_per_s, _CPU_SHARE, 0.0, 0.0, 0.8, _CPU_SHARE)
    plain = precision.lower()
    base = training.machine(device, training.framework("generic"), precision="bf16").device
    wanted = ("tf32", "fp32") if "32" in plain else ("bf16", "fp16")
    peak = next((device.flops[key] for key in wanted if key in device.flops), base.flops)
    slower = peak / base.flops
    return replace(
        base, flops=peak, gemm_share=base.gemm_share * factor, half_depth=base.half_depth * slower,
        half_area=base.half_area * slower,
    )  # fmt: skip


def row_s(device: Device) -> float:
    """Return the seconds that a row takes beyond its bytes: 0 where thousands of threads hide them."""
    return _HOST_ROW_S if device.kind == "cpu" else 0.0


def fabric(device: Device) -> Fabric:
    """Return the links of a device, at the shares of their peaks that collectives of language models reach."""
    if device.kind == "cpu":
        return Fabric(1.0, 0.0, 1e12, 1e-5, 1e10)
    links = training.machine(device, training.framework("generic")).network
    return Fabric(
        near=links.scale_up_size,
        near_alpha_s=links.scale_up_step_s,
        near_bytes_per_s=links.scale_up_bytes_per_s * links.scale_up_share,
        far_alpha_s=links.port_step_s,
        far_bytes_per_s=links.port_bytes_per_s * links.port_share,
    )
