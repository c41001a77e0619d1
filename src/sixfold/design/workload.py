"""What a kind of workload tells the design: its choices, what each would do, and which limit of one node it meets.

A kind is a class of `workloads/`. It turns laws into `Estimates` for a whole space of designs at once; which of them
is best, what it costs to be wrong and how to say it is the same for all kinds and is decided elsewhere (`search`,
`answer`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from sixfold.axes import Axis, Ceiling, Mode, Slot
from sixfold.design.checklist import Decision
from sixfold.design.checks import Floats
from sixfold.errors import InvariantError

if TYPE_CHECKING:
    from sixfold.design.spec import Spec

__all__ = ["Choice", "Estimates", "Rent", "Resource", "Use", "Workload"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that a design decides: the values it may take, and whose axis it is.

    start: where tuning begins that knows only one axis. labels: words for the values, where they are numbers of a list.
    """

    name: str
    axis: Axis
    values: tuple[float, ...]
    start: float
    meaning: str
    unit: str = ""
    labels: tuple[str, ...] = ()

    def word(self, value: float) -> str:
        """The value as a person reads it."""
        if self.labels:
            return self.labels[int(value)]
        return f"{value:,.12g}{f' {self.unit}' if self.unit else ''}"


@dataclass(frozen=True, slots=True)
class Resource:
    """How much of one node the whole workload would take, were there only one.

    use over limit is the utilisation. axis: the axis that relieves it. why: one sentence, with the numbers.
    """

    name: str
    ceiling: Ceiling
    axis: Axis
    use: float
    limit: float
    unit: str
    why: str

    @property
    def utilisation(self) -> float:
        """Use over limit; infinite where the limit is 0."""
        return self.use / self.limit if self.limit > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class Use:
    """What every design takes of a resource of each of its nodes, and what there is of it."""

    amount: Floats
    limit: Floats
    unit: str

    @property
    def share(self) -> Floats:
        """Above 1 where it does not fit."""
        return np.asarray(self.amount / self.limit)


@dataclass(frozen=True, slots=True)
class Estimates:
    """What every design of a space would do; arrays of one element a design.

    nodes: how many there are. capacity_per_s: units of useful work a second at most, failures taken off. The parts of
    the time of a unit, or of a step: compute_s, communication_s, idle_s, rework_s (done again, or not done, because
    something failed). latency_s: the quantile that the workload names, at its demand; 0 where nobody waits.
    usd_per_hour: of all nodes; usd_per_unit: what a unit costs beside them (egress, tokens). quality, availability: 0
    to 1. uses: by the name of the resource; a design fits if no share is above 1.
    """

    nodes: Floats
    capacity_per_s: Floats
    compute_s: Floats
    communication_s: Floats
    idle_s: Floats
    rework_s: Floats
    latency_s: Floats
    usd_per_hour: Floats
    usd_per_unit: Floats
    quality: Floats
    availability: Floats
    uses: Mapping[str, Use] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size = len(self.nodes)
        for name, values in self.columns().items():
            if values.shape != (size,):
                raise ValueError(f"got {name} of shape {values.shape}, expected ({size},)")

    def columns(self) -> dict[str, Floats]:
        """Every array by its name."""
        names = [name for name in self.__dataclass_fields__ if name != "uses"]
        return {name: getattr(self, name) for name in names} | {
            f"share of {name}": use.share for name, use in self.uses.items()
        }

    @property
    def time_s(self) -> Floats:
        """The parts together."""
        return np.asarray(self.compute_s + self.communication_s + self.idle_s + self.rework_s)

    def tax_share(self) -> Floats:
        """The share of its time that a design spends on communication and on failures."""
        return np.asarray((self.communication_s + self.rework_s) / np.maximum(self.time_s, 1e-300))


@dataclass(frozen=True, slots=True)
class Rent:
    """Somebody else who sells the same unit of work: dollars each, with its source."""

    what: str
    usd_per_unit: float
    source: str


class Workload(BaseModel, ABC):
    """A kind of work. Its fields are what a user says of it; every one has bounds and a unit in its name.

    unit: what useful work is counted in. node: what is distributed over. latency: what `latency_s` is of. quality:
    what `quality` is a share of. families: of the measured predictions (`validation`) whose error this kind's
    estimates have.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    unit: ClassVar[str]
    node: ClassVar[str] = "machine"
    latency: ClassVar[str] = "p99"
    quality: ClassVar[str] = ""
    families: ClassVar[tuple[str, ...]] = ()

    @property
    def measured_by(self) -> tuple[str, ...]:
        """`families`, or those of them that are of this very workload."""
        return self.families

    @property
    @abstractmethod
    def mode(self) -> Mode:
        """When the work arrives and how long its result may take."""

    @property
    def demand_per_s(self) -> float | None:
        """Units that a service is asked for a second; None for a job."""
        return None

    @property
    def total_units(self) -> float | None:
        """Units that a job has to do in all; None for a service."""
        return None

    @abstractmethod
    def resources(self, spec: Spec[Any]) -> list[Resource]:
        """What the whole workload would take of one node: at least memory, compute and what else may bind."""

    @abstractmethod
    def choices(self, spec: Spec[Any]) -> list[Choice]:
        """What a design decides, at most some hundred thousand combinations in all."""

    @abstractmethod
    def estimate(self, spec: Spec[Any], chosen: Mapping[str, Floats]) -> Estimates:
        """What designs would do; `chosen` has an array for every choice, by its name."""

    @abstractmethod
    def slots(self, spec: Spec[Any], chosen: Mapping[str, float]) -> dict[Slot, Decision]:
        """What fills the six slots in the chosen design, and what was rejected and why."""

    def with_demand(self, factor: float) -> Workload:
        """The same workload, asked for `factor` times as much. Raises InvariantError for a job: it has no demand."""
        raise InvariantError(f"{type(self).__name__} has no demand that could change")

    def rent(self, spec: Spec[Any]) -> Rent | None:
        """What the same work costs elsewhere by the unit; None where nobody is known to sell it."""
        return None
