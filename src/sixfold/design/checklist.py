"""The design of a system: its answers to the checklist, its slots and its workload, from `design.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from sixfold.axes import Axis, Ceiling, Metric, Mode, Slot, Tax, Topology
from sixfold.design.catalog import price
from sixfold.design.yaml_source import load_yaml
from sixfold.errors import ConfigError

__all__ = [
    "AxisRole",
    "Constraint",
    "Decision",
    "Design",
    "Knob",
    "ModeRole",
    "Quantity",
    "Rejected",
    "TaxPaid",
    "load_design",
]

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AxisRole(_Model):
    """One live axis of distribution and what it does for the system."""

    axis: Axis
    role: Text


class ModeRole(_Model):
    """One mode of operation and which part of the system it is for."""

    mode: Mode
    role: Text


class Constraint(_Model):
    """A metric that is held, not optimised; quality is always one of them."""

    metric: Metric | Literal["quality"]
    detail: Text


class TaxPaid(_Model):
    """A price of distribution and where the system pays it."""

    tax: Tax
    where: Text


class Rejected(_Model):
    """An alternative that was considered for a slot, and why it was not taken."""

    alternative: Text
    why: Text


class Decision(_Model):
    """What fills a slot, and what does not."""

    choice: Text
    rejected: tuple[Rejected, ...] = Field(min_length=1)


class Quantity(_Model):
    """A number of the workload; a `source` that begins with "assumption" says that nobody measured it."""

    value: float
    unit: Text
    source: Text

    @property
    def assumed(self) -> bool:
        """Whether the number is an assumption."""
        return self.source.lower().startswith("assumption")


class Knob(_Model):
    """A setting that trades one live axis against another: what `balance` may turn, and how far."""

    axis: Axis  # that gets more when it is turned up
    low: float
    high: float
    default: float
    unit: Text
    effect: Text
    whole: bool = False  # only whole numbers mean something
    log: bool = False  # its ratios matter, not its differences

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if not self.low <= self.default <= self.high:
            raise ValueError(f"got default {self.default:g}, expected {self.low:g} to {self.high:g}")
        if self.whole and any(value != int(value) for value in (self.low, self.default, self.high)):
            raise ValueError("a whole knob needs a whole low, default and high")
        if self.log and self.low <= 0:
            raise ValueError(f"got low {self.low:g}, expected above 0 on a log scale")
        return self


class Design(_Model):
    """A system's design. The first axis and the first mode are the leading ones."""

    system: Name
    title: Text
    problem: Text
    ceiling: Ceiling
    ceiling_reason: Text
    axes: tuple[AxisRole, ...] = Field(min_length=1)
    topology: Topology
    topology_reason: Text
    mode: tuple[ModeRole, ...] = Field(min_length=1)
    metric: Metric
    metric_reason: Text
    constraints: tuple[Constraint, ...]
    taxes: tuple[TaxPaid, ...]
    slots: dict[Slot, Decision]
    workload: dict[Name, Quantity] = Field(min_length=1)
    knobs: dict[Name, Knob] = {}
    worker_price: str  # of the catalog: what an hour of one worker costs

    @field_validator("axes", "mode")
    @classmethod
    def _each_once(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [entry.axis if isinstance(entry, AxisRole) else entry.mode for entry in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is given twice, expected each once, the leading one first")
        return value

    @field_validator("taxes")
    @classmethod
    def _both_taxes(cls, value: tuple[TaxPaid, ...]) -> tuple[TaxPaid, ...]:
        _whole([entry.tax for entry in value], set(Tax))
        return value

    @field_validator("slots")
    @classmethod
    def _every_slot(cls, value: dict[Slot, Decision]) -> dict[Slot, Decision]:
        _whole(list(value), set(Slot))
        return {slot: value[slot] for slot in Slot}

    @field_validator("worker_price")
    @classmethod
    def _in_the_catalog(cls, value: str) -> str:
        try:
            price(value)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return value

    @model_validator(mode="after")
    def _every_other_metric_is_held(self) -> Self:
        held = [entry.metric for entry in self.constraints]
        _whole(held, (set(Metric) | {"quality"}) - {self.metric}, "constraints: ")
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the design as it goes into a run's manifest."""
        return self.model_dump(mode="json")


def load_design(path: str | Path) -> Design:
    """Read and check a system's `design.yaml`.

    Raises:
        InputError: names the file, the line and the field that is missing, unknown or wrong.
    """
    return load_yaml(path, Design)


def _whole(given: list[Any], expected: set[Any], prefix: str = "") -> None:
    """Refuse a list that does not name every one of `expected` exactly once."""
    missing = sorted(str(name) for name in expected - set(given))
    if missing:
        raise ValueError(f"{prefix}{', '.join(missing)} missing: each is answered once")
    for name in given:
        if name not in expected:
            raise ValueError(f"{prefix}{name} is what is optimised, so that it cannot be a constraint")
        if given.count(name) > 1:
            raise ValueError(f"{prefix}{name} is given twice")
