"""What devices, frameworks and models are when they serve: `serving.yaml`, as engines and models for the laws."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sixfold.design.catalog import efficiencies as training
from sixfold.design.catalog.architectures import architecture, named_architecture
from sixfold.design.catalog.devices import Device
from sixfold.design.catalog.entries import Entry, Text, inherited
from sixfold.design.laws.serving import Engine
from sixfold.design.laws.serving_memory import ServedModel, served_model
from sixfold.design.laws.serving_queue import FrontEnd
from sixfold.design.yaml_source import load_yaml

__all__ = [
    "Benchmark",
    "ConstantUse",
    "ServingFitted",
    "ServingFramework",
    "ServingModel",
    "ServingTable",
    "engine",
    "front_end",
    "model_named",
    "model_served",
    "serving_framework",
    "serving_table",
    "shortest_request",
    "value_bytes",
    "weight_bytes",
]

SERVING_PATH = Path(__file__).with_name("serving.yaml")
_SCALE_UP_SHARE = 0.76  # of fast links' peak: `efficiencies.yaml`, scale_up_share
# Of a weight. Four-bit ones carry an 8-bit scale for each 16 (NVFP4) or 32 (MXFP4, and integers in groups).
_WEIGHT_BYTES = {"fp4": 0.5625, "int4": 0.5625, "fp8": 1.0, "int8": 1.0, "bf16": 2.0, "fp16": 2.0}
_Seconds = Annotated[float, Field(ge=0)]
_Share = Annotated[float, Field(gt=0, le=1.1)]


class ServingFitted(BaseModel):
    """Shares of a device's data sheet and fixed times, fitted to calibration rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    memory_share: _Share
    gemm_of_matmul: _Share
    alpha_s: _Seconds
    layer_s: _Seconds
    moe_layer_s: _Seconds
    expert_share: _Share


class ConstantUse(BaseModel):
    """Medians of what calibration rows use of a device's peaks: bytes/s in decoding, FLOP/s in the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    decoding: _Share
    first_token: _Share
    cycle: _Share


class ServingFramework(Entry):
    """One framework, fields as of `Engine` and `FrontEnd`; of all versions that start with `version`."""

    backend: str
    version: str
    fitted: bool = False
    eager_layer_s: _Seconds
    step_s: _Seconds
    request_s: _Seconds
    admit_s: _Seconds
    prompt_token_s: _Seconds
    entry_s: _Seconds
    answer_token_s: _Seconds
    held_back: Annotated[float, Field(ge=0, le=1)]
    variation: Annotated[float, Field(ge=0)]
    chunk_tokens: Annotated[float, Field(gt=0)]
    mixed: Annotated[float, Field(ge=0, le=1)]
    usable: Annotated[float, Field(gt=0, le=1)]
    eight_bit_kv: bool


class ServingModel(Entry):
    """What a served model is beside its shape; its id is that of the architecture."""

    names: list[Text] = Field(min_length=1)
    latent: Annotated[float, Field(ge=0)] = 0.0
    attention_layers: int | None = Field(default=None, ge=1)
    precision: Text


class Benchmark(Entry):
    """How a benchmark draws the lengths of requests: evenly from `shortest` to 1, of what its rows state."""

    words: list[Text] = Field(min_length=1)
    shortest: Annotated[float, Field(gt=0, le=1)]


class ServingTable(BaseModel):
    """All of `serving.yaml`. A framework is `like` an earlier one in what it does not say itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fitted: ServingFitted
    constant: ConstantUse
    frameworks: list[ServingFramework] = Field(min_length=1)
    models: list[ServingModel]
    benchmarks: list[Benchmark]

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, raw: Any) -> Any:
        return inherited(raw, "frameworks")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.frameworks[-1].backend or self.frameworks[-1].version:
            raise ValueError("expected a last framework that matches every name")
        return self


@cache
def serving_table(path: Path = SERVING_PATH) -> ServingTable:
    """Return the catalog's constants of serving. Raises InputError for a broken file."""
    return load_yaml(path, ServingTable)


def serving_framework(backend: str, version: str = "", known: ServingTable | None = None) -> ServingFramework:
    """Return the first framework of the file whose backend occurs in `backend` and whose version starts `version`.

    Hyphens and case do not count; the last one, generic, matches every name.
    """
    plain = backend.lower().replace("-", "").replace("tensorrtllm", "trtllm")
    return next(
        entry
        for entry in (known or serving_table()).frameworks
        if entry.backend in plain and version.startswith(entry.version)
    )


def model_served(id: str) -> ServedModel:
    """Return an architecture of the catalog as the laws of serving want it. Raises ConfigError for an unknown id."""
    shape = architecture(id).transformer(1.0)
    known = next((entry for entry in serving_table().models if entry.id == id), None)
    if known is None:
        return served_model(shape)
    layers = None if known.attention_layers is None else float(known.attention_layers)
    return served_model(shape, latent_width=known.latent, attention_layers=layers)


def model_named(name: str) -> tuple[ServedModel, str] | None:
    """Return the model that a publication means by `name`, and the precision its weights are published in.

    Organisation, endings of tuning and quantisation, and minor versions do not count ("nvidia/DeepSeek-R1-NVFP4").
    None if the catalog has none like it.
    """
    plain = name.split("/")[-1].lower() if "/v" not in name.lower() else name.lower()
    plain = re.sub(r"[-_](instruct|it|chat|fp8|nvfp4|fp4|mxfp4|bf16|awq|int4|hf|preview|\d{4})\b", "", plain)
    known = next((m for m in serving_table().models if any(word in plain for word in m.names)), None)
    if known is not None:
        return model_served(known.id), known.precision
    found = named_architecture(plain)
    if found is None or found.attention_weights is not None:  # of compressed keys the catalog must say how wide
        return None
    return served_model(found.transformer(1.0)), "bf16"


def shortest_request(record: str) -> float:
    """Return the shortest request that the benchmark behind a record sent, as a share of the length that it states."""
    entries = serving_table().benchmarks
    return next((entry.shortest for entry in entries if any(word in record for word in entry.words)), 1.0)


def weight_bytes(precision: str) -> float:
    """Return the bytes of a weight with its scales; 2 where the precision says nothing."""
    plain = precision.lower()
    return next((size for word, size in _WEIGHT_BYTES.items() if word in plain), 2.0)


def value_bytes(precision: str, framework: ServingFramework) -> float:
    """Return the bytes of a number of the keys and values: 1 where the framework keeps them as narrow as weights."""
    return 1.0 if framework.eight_bit_kv and weight_bytes(precision) <= 1.0 else 2.0


def engine(
    device: Device, framework: ServingFramework, *, precision: str = "bf16", known: ServingTable | None = None
) -> Engine:
    """Return a device with a framework as the laws want it.

    precision: of weights; products with 4-bit integers run in 16 bit. Shares of peaks are those of the fitted device
    times the ratio of best measured matmuls. Raises ConfigError for a device without a 16-bit peak.
    """
    table = known or serving_table()
    narrow = precision if "fp4" in device.flops or "fp4" not in precision.lower() else "bf16"  # only weights are 4 bit
    base = training.machine(device, training.framework("generic"), precision=narrow).device
    matmul = base.gemm_share / training.efficiencies().fitted.gemm_of_matmul
    own = replace(
        base,
        memory_share=table.fitted.memory_share,
        gemm_share=matmul * table.fitted.gemm_of_matmul,
    )
    links = device.scale_up_bytes_per_s
    return Engine(
        device=own,
        link_bytes_per_s=_SCALE_UP_SHARE * (links or 32e9),  # PCIe 4 and 5 without fast links: 25 to 50 GB/s
        alpha_s=table.fitted.alpha_s * (1.0 if links else 5.0),  # through the host
        layer_s=table.fitted.layer_s,
        moe_layer_s=table.fitted.moe_layer_s,
        expert_share=table.fitted.expert_share,
        eager_layer_s=framework.eager_layer_s,
        step_s=framework.step_s,
        request_s=framework.request_s,
    )


def front_end(framework: ServingFramework) -> FrontEnd:
    """Return what a framework puts before its engine."""
    return FrontEnd(
        admit_s=framework.admit_s,
        prompt_token_s=framework.prompt_token_s,
        entry_s=framework.entry_s,
        answer_token_s=framework.answer_token_s,
        held_back=framework.held_back,
        chunk_tokens=framework.chunk_tokens,
        mixed=framework.mixed,
        variation=framework.variation,
    )
