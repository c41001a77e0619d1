"""What a user wants of a system: its workload, what is optimised, what must hold, and what may be spent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from sixfold.axes import Metric
from sixfold.design.catalog.links import link
from sixfold.design.catalog.prices import price
from sixfold.design.workload import Workload
from sixfold.design.workloads import KINDS, workload_class
from sixfold.design.workloads.shared import known
from sixfold.design.yaml_source import load_yaml

__all__ = ["Budget", "Objective", "Platform", "Spec", "load_spec", "spec_class"]

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Kind = TypeVar("Kind", bound=Workload)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Objective(_Model):
    """One metric is optimised; the others, where they are given, must hold.

    latency_s: at most, of the quantile that the workload names. availability, quality: at least; what quality means is
    the workload's to say. rate_per_s: at least, of what a job does a second; a service is asked for its demand anyway.
    """

    optimise: Metric
    latency_s: Positive | None = None
    rate_per_s: Positive | None = None
    availability: Annotated[float, Field(gt=0, lt=1)] | None = None
    quality: Share | None = None


class Budget(_Model):
    """What may be spent: dollars a month of a service or in all for a job, nodes, and days until a job is done."""

    usd_per_month: Positive | None = None
    usd: Positive | None = None
    nodes: Annotated[int, Field(ge=1)] | None = None
    days: Positive | None = None


class Platform(_Model):
    """What can be had: machines by their price ids (`sixfold catalog prices`), and the link between them.

    terms: kinds of contract that may be chosen; a price of the catalog says which its own is, and discounts of the
    catalog make the others. The factors ask what if: all prices, start-up times of messages, failure rates times as
    much.
    """

    machines: tuple[str, ...] = Field(default=("aws-c5-2xlarge",), min_length=1, max_length=16)
    link: str = "eth-25"
    terms: tuple[Literal["on-demand", "reserved", "spot"], ...] = Field(default=("on-demand",), min_length=1)
    price_factor: Positive = 1.0
    alpha_factor: Positive = 1.0
    failure_factor: Positive = 1.0

    @field_validator("machines")
    @classmethod
    def _known_machines(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(known(price, name) for name in value)

    @field_validator("link")
    @classmethod
    def _known_link(cls, value: str) -> str:
        return known(link, value)


class Spec(_Model, Generic[Kind]):
    """A system that somebody wants, before anything of it is decided."""

    name: Text
    ambition: Text
    kind: str
    workload: Kind
    objective: Objective
    budget: Budget = Budget()
    platform: Platform = Platform()

    def to_json(self) -> dict[str, Any]:
        """As it was given, with defaults filled in."""
        return self.model_dump(mode="json")


class _Kind(BaseModel):
    """The one field that says how the others are to be read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str

    @field_validator("kind")
    @classmethod
    def _one_of_ours(cls, value: str) -> str:
        if value not in KINDS:
            raise ValueError(f"got {value!r}, expected one of {', '.join(KINDS)}")
        return value


def spec_class(kind: str) -> type[Spec[Any]]:
    """The class of the specs of one kind of workload. Raises ConfigError for an unknown kind."""
    found: type[Spec[Any]] = Spec.__class_getitem__(workload_class(kind))  # type: ignore[assignment]
    return found


def load_spec(path: str | Path) -> Spec[Any]:
    """Read and check a spec.

    Raises:
        InputError: names the file, the line, the field and what is wrong with it.
    """
    return load_yaml(path, spec_class(load_yaml(path, _Kind).kind))
