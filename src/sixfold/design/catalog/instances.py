"""Machines that clouds rent out: `instances.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from sixfold.design.catalog.entries import Entry, Text, load_list, one_of

__all__ = ["Instance", "instance", "instances"]

INSTANCES_PATH = Path(__file__).with_name("instances.yaml")


class Instance(Entry):
    """One machine as its provider describes it.

    memory_bytes: given as `memory_gib`. device, devices: which of the catalog and how many. network_bytes_per_s: one
    direction, all ports; `burst` where the provider says "up to". disk_bytes: local disks that come with it; None where
    there are none, or none are stated.
    """

    provider: Text
    sku: Text
    vcpus: int = Field(ge=1)
    memory_bytes: float = Field(gt=0)
    device: Text | None = None
    devices: int = Field(default=0, ge=0)
    processor: Text | None = None
    network_bytes_per_s: float | None = Field(default=None, gt=0)
    burst: bool = False
    disk_bytes: float | None = Field(default=None, gt=0)
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
    def _counted(self) -> Self:
        if bool(self.device) != bool(self.devices):
            raise ValueError("device and devices belong together")
        return self


@cache
def instances(path: Path = INSTANCES_PATH) -> dict[str, Instance]:
    """Return every instance by its id, in the order of the file. Raises InputError for a broken file."""
    return load_list(path, "instances", Instance)


def instance(instance_id: str) -> Instance:
    """Return one instance. Raises ConfigError for an unknown id; the text lists those that there are."""
    return one_of("instance", instances(), instance_id)
