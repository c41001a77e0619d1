"""Accelerators and processors by their data sheets: `devices.yaml`, and what a publication means by a name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sixfold.design.catalog.entries import Entry, Text, load_list
from sixfold.errors import ConfigError

__all__ = ["Device", "device", "devices", "find_device"]

DEVICES_PATH = Path(__file__).with_name("devices.yaml")
Precision = Literal["fp32", "tf32", "bf16", "fp16", "fp8", "fp4", "int8"]
_Rate = Annotated[float, Field(gt=0)]


class Device(Entry):
    """One accelerator, or one processor socket, as its maker describes it.

    memory_bytes: capacity; sheets print it in units of 2^30 bytes, whatever they call them, and the list gives it as
    `memory_gib`. memory_bytes_per_s: peak of that memory. flops: dense peak FLOP/s (or integer operations/s) by
    precision; structured sparsity is taken out. scale_up_bytes_per_s: out of one device into its scale-up domain
    (NVLink, ICI), one direction, all links together; None where there is none. scale_up_size: devices in that domain.
    tdp_w: power that it may draw; None where its maker does not say.
    """

    name: Text
    kind: Literal["gpu", "tpu", "cpu"]
    memory_bytes: float = Field(gt=0)
    memory_bytes_per_s: float = Field(gt=0)
    flops: dict[Precision, _Rate] = Field(min_length=1)
    scale_up_bytes_per_s: float | None = Field(default=None, gt=0)
    scale_up_size: int = Field(default=1, ge=1)
    tdp_w: float | None = Field(default=None, gt=0)
    cores: int | None = Field(default=None, ge=1)  # of a processor
    names: tuple[Text, ...] = Field(min_length=1)  # what texts call it; # stands for a number
    words: tuple[Text, ...] = ()  # that tell it from others of these names, beside those of its id
    note: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _gib(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and "memory_gib" in raw:
            raw = dict(raw)
            size = raw.pop("memory_gib")
            raw["memory_bytes"] = size * 2.0**30 if isinstance(size, int | float) else size
        return raw

    @model_validator(mode="after")
    def _domain(self) -> Self:
        if (self.scale_up_bytes_per_s is None) != (self.scale_up_size == 1):
            raise ValueError("scale_up_bytes_per_s and a scale_up_size above 1 belong together")
        return self


@cache
def devices(path: Path = DEVICES_PATH) -> dict[str, Device]:
    """Return every device by its id, in the order of the file. Raises InputError for a broken file."""
    return load_list(path, "devices", Device)


def device(device_id: str) -> Device:
    """Return one device by its id, or by a text that names it ("h100").

    Raises:
        ConfigError: the catalog has none like it; the text lists those it has.
    """
    found = devices().get(device_id) or find_device(device_id)
    if found is None:
        raise ConfigError(f"got device {device_id!r}, expected one of {', '.join(devices())}")
    return found


@cache
def find_device(text: str) -> Device | None:
    """Return the device that a text means ("8x A100-SXM4-80GB (DGX A100)"); None if it names none of the catalog.

    Case, counts, punctuation and spaces do not matter. An accelerator is preferred to a processor, else the first one
    named counts. Of variants that share a name it is the one of which the text has most words (form, memory size,
    system), and the first of the list where it says nothing: of two sizes the one that most publications ran on.
    """
    plain = _plain(text)
    hits = [
        (entry.kind == "cpu", match.start(), -len(match.group()), -len(name), name)
        for entry in devices().values()
        for name in entry.names
        if (match := _pattern(name).search(plain))
    ]
    if not hits:
        return None
    name = min(hits)[-1]
    candidates = [entry for entry in devices().values() if name in entry.names]
    return max(candidates, key=lambda entry: sum(f" {word} " in plain for word in _words(entry)))


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(f" {re.escape(_plain(name).strip())}s? ".replace(r"\#", r"\d+"))


def _words(entry: Device) -> set[str]:
    return {*_plain(entry.id).split(), *(_plain(word).strip() for word in entry.words)}


def _plain(text: str) -> str:
    """A text as lower-case words between single spaces: without counts of devices, sizes as "80gb", SXM4 as "sxm"."""
    plain = text.lower().replace("gib", "gb").replace("\u00d7", "x")
    plain = re.sub(r"\b\d+\s*x\s*(?=[a-z])(?!large)", " ", plain)  # 8x A100
    plain = re.sub(r"(?:(?<=\d)x|\sx\s*)\d+\b", " ", plain)  # A100x8, A100 x 8
    plain = re.sub(r"(\d+)[\s_-]*gb\b", r" \1gb ", plain)
    plain = re.sub(r"\bsxm\d\b|(?<=_)sxm\d", "sxm", plain)
    return f" {' '.join(re.findall(r'[a-z0-9#]+', plain))} "
