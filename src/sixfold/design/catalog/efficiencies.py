"""What devices and frameworks make of their data sheets in training: `efficiencies.yaml`, as machines for the laws."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from sixfold.design.catalog.devices import Device, Precision
from sixfold.design.catalog.entries import inherited
from sixfold.design.laws.roofline import Device as Roofline
from sixfold.design.laws.training import Machine, Sync
from sixfold.design.laws.training_layer import Kernels, Network
from sixfold.design.yaml_source import load_yaml
from sixfold.errors import ConfigError

__all__ = [
    "Efficiencies",
    "Fitted",
    "Framework",
    "calibrated",
    "cluster_port_bytes_per_s",
    "efficiencies",
    "framework",
    "machine",
    "precision_key",
]

EFFICIENCIES_PATH = Path(__file__).with_name("efficiencies.yaml")
_REFERENCE = "a100"  # the device that `fitted` was fitted on
_CONTENTION = 0.15  # of hidden communication: 10 to 20 % (Rashidi et al., ISCA 2021, section 3)
_GATHERS = 2.0  # forward and backward
# Like devices differ by 8 % (Sinha et al., "Not all GPUs are created equal", SC22, abstract), taken from whisker to
# whisker, which of a normal distribution are 5.4 standard deviations apart.
_SPREAD = 0.015
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
_Share = Annotated[float, Field(gt=0, le=1)]
_Overlap = Annotated[float, Field(ge=0, le=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Fitted(_Entry):
    """Shares of an A100's data sheet, fitted to calibration rows; other devices take them by their microbenchmarks."""

    gemm_of_matmul: float = Field(gt=0, le=1.1)
    half_area: float = Field(gt=0)
    half_depth: float = Field(gt=0)
    memory_share: _Share
    attention_flash1: _Share
    scale_up_share: _Share
    scale_up_step_s: float = Field(ge=0)
    port_share: _Share
    port_step_s: float = Field(ge=0)


class _DeviceShare(_Entry):
    id: _Text
    processors: int = Field(ge=1)
    matmul_share: _Share
    matmul_share_8bit: _Share | None = None
    attention_flash2: _Share
    attention_flash3: _Share
    port_bytes_per_s: float = Field(gt=0)
    source: _Text
    date: _Text


class _Cluster(_Entry):
    id: _Text
    port_bytes_per_s: float = Field(gt=0)
    source: _Text
    date: _Text


class Framework(_Entry):
    """How a framework runs a step; fields as of `Kernels` and `Sync`, and what it does unless told otherwise."""

    id: _Text
    matches: list[str] = Field(min_length=1)
    fitted: bool = False
    hidden_bytes: float = Field(ge=0)
    inner_bytes: float = Field(ge=0)
    score_bytes: float = Field(ge=0)
    loss_bytes: float = Field(ge=0)
    launch_s: float = Field(ge=0)
    collective_s: float = Field(ge=0)
    attention: Literal["scores", "flash1", "flash2", "flash3"]
    logit_bytes: float = Field(ge=0)
    gradient_bytes: int = Field(ge=2, le=4)
    optimiser_bytes: float = Field(ge=0)
    step_s: float = Field(ge=0)
    overlap_data: _Overlap
    overlap_tensor: _Overlap
    overlap_expert: _Overlap
    overlap_pipeline: _Overlap
    flat: bool = False
    zero: int = Field(ge=0, le=3)
    sequence: bool
    interleaves: bool
    source: _Text


class Efficiencies(_Entry):
    """All of `efficiencies.yaml`. A framework is `like` an earlier one in what it does not say itself."""

    fitted: Fitted
    devices: list[_DeviceShare] = Field(min_length=1)
    clusters: list[_Cluster]
    frameworks: list[Framework] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, raw: Any) -> Any:
        return inherited(raw, "frameworks")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        names = {entry.id for entry in self.devices} & {entry.id for entry in self.frameworks}
        if "generic" not in names or _REFERENCE not in {entry.id for entry in self.devices}:
            raise ValueError(f"expected generic entries and the device {_REFERENCE}")
        return self


@cache
def efficiencies(path: Path = EFFICIENCIES_PATH) -> Efficiencies:
    """Return the catalog's efficiencies. Raises InputError for a broken file."""
    return load_yaml(path, Efficiencies)


def cluster_port_bytes_per_s(source: str) -> float | None:
    """Return a device's share of the network of the system that a source describes; None where the catalog has none."""
    plain = source.lower()
    return next((entry.port_bytes_per_s for entry in efficiencies().clusters if entry.id in plain), None)


def calibrated(device: Device) -> bool:
    """Whether constants were fitted on this kind of device; others take them over by ratios of microbenchmarks."""
    return _REFERENCE in re.split(r"[-_ ]", device.id.lower())


def framework(name: str, known: Efficiencies | None = None) -> Framework:
    """Return the framework of this id, else the first of the file with a word that occurs in `name`.

    The last one, generic, matches every name.
    """
    plain = name.lower()
    entries = (known or efficiencies()).frameworks
    exact = [entry for entry in entries if entry.id == plain]
    return (exact or [entry for entry in entries if any(word in plain for word in entry.matches)])[0]


def precision_key(text: str, device: Device) -> Precision:
    """Return the key of `device.flops` that a row or spec means by `text`; 16 bit where it says nothing.

    Raises:
        ConfigError: the device has no such peak.
    """
    plain = text.lower()
    wanted: tuple[tuple[str, tuple[Precision, ...]], ...] = (
        ("fp4", ("fp4", "fp8")),
        ("fp8", ("fp8",)),
        ("int8", ("int8",)),
        ("tf32", ("tf32",)),
    )
    for word, keys in wanted:
        if word in plain:
            key = next((key for key in keys if key in device.flops), None)
            if key is not None:
                return key
    halves: tuple[Precision, ...] = ("bf16", "fp16")
    half = next((key for key in halves if key in device.flops), None)
    if half is None:
        raise ConfigError(f"got {device.id}, expected a device with a 16-bit peak; it has {', '.join(device.flops)}")
    return half


def machine(
    device: Device,
    software: Framework,
    *,
    precision: str = "bf16",
    port_bytes_per_s: float | None = None,
    known: Efficiencies | None = None,
) -> Machine:
    """Return a device with a framework as the laws want it.

    precision: of matrix products. port_bytes_per_s: a device's share of its node's network, of the catalog if None.
    A device that was not fitted takes A100's shares, times the ratio of its best measured matmul to A100's; the sizes
    that fill it grow with its processors, the depths with what each of them does a second. Raises ConfigError if it
    has no 16-bit peak.
    """
    table = known or efficiencies()
    fit, shares, base = table.fitted, _device_share(device, table), _device_share(None, table)
    key = precision_key(precision, device)
    wide = precision_key("bf16", device)
    narrow = key in {"fp8", "fp4", "int8"}
    matmul = (shares.matmul_share_8bit or shares.matmul_share) if narrow else shares.matmul_share
    speed = device.flops[key] / shares.processors / (312e12 / base.processors)
    attention = {
        # The first kernels were never measured on newer devices: they lose there what the second ones lose.
        "flash1": fit.attention_flash1 * shares.attention_flash2 / base.attention_flash2,
        "flash2": shares.attention_flash2,
        "flash3": shares.attention_flash3,
    }
    roofline = Roofline(
        flops=device.flops[key],
        attention_flops=device.flops[wide],
        memory_bytes_per_s=device.memory_bytes_per_s,
        gemm_share=matmul * fit.gemm_of_matmul,
        half_area=fit.half_area * shares.processors / base.processors,
        half_depth=fit.half_depth * speed,
        memory_share=fit.memory_share,
        attention_share=attention.get(software.attention, shares.attention_flash2),
    )
    port = port_bytes_per_s or shares.port_bytes_per_s
    network = Network(
        scale_up_bytes_per_s=device.scale_up_bytes_per_s or port,
        scale_up_size=float(max(device.scale_up_size, 1)),
        port_bytes_per_s=port,
        scale_up_share=fit.scale_up_share,
        port_share=fit.port_share,
        scale_up_step_s=fit.scale_up_step_s,
        port_step_s=fit.port_step_s,
    )
    return Machine(roofline, network, _kernels(software, narrow), _sync(software))


def _kernels(software: Framework, narrow: bool) -> Kernels:
    fused = 0.0 if software.attention == "scores" else 1.0
    return Kernels(
        hidden_bytes=software.hidden_bytes,
        inner_bytes=software.inner_bytes,
        score_bytes=software.score_bytes,
        loss_bytes=software.loss_bytes,
        launch_s=software.launch_s,
        collective_s=software.collective_s,
        fused=fused,
        causal=fused,
        eight_bit=float(narrow),
    )


def _sync(software: Framework) -> Sync:
    return Sync(
        gradient_bytes=float(software.gradient_bytes),
        optimiser_bytes=software.optimiser_bytes,
        step_s=software.step_s,
        overlap_data=software.overlap_data,
        overlap_tensor=software.overlap_tensor,
        overlap_expert=software.overlap_expert,
        overlap_pipeline=software.overlap_pipeline,
        contention=_CONTENTION,
        gathers=_GATHERS,
        flat=float(software.flat),
        spread=_SPREAD,
    )


def _device_share(device: Device | None, table: Efficiencies) -> _DeviceShare:
    wanted = _REFERENCE if device is None else device.id.lower()
    words = re.split(r"[-_ ]", wanted)
    entries = {entry.id: entry for entry in table.devices}
    return next((entries[word] for word in words if word in entries), entries["generic"])
