"""What a system hands to the study: its baseline, its stages, and what each of them is told when it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from sixfold.axes import Axis
from sixfold.design.checklist import Design
from sixfold.errors import InvariantError
from sixfold.lab.lab import Lab
from sixfold.lab.profile import Profile
from sixfold.study.balance import Balance
from sixfold.study.meter import Reading
from sixfold.study.milestone import Check, Milestone, Prediction
from sixfold.study.row import TOTAL, Row

__all__ = [
    "WHOLE",
    "Composition",
    "Context",
    "Forecast",
    "Gate",
    "Length",
    "Measurement",
    "Outcome",
    "Stage",
    "System",
    "Trial",
    "output_folder",
]

WHOLE = "baseline"  # the stage name of an alternative ladder's one baseline


class Length(StrEnum):
    """How long a study may take on two cores: at most 2 minutes, at most 10, or what a claim rests on."""

    QUICK = "quick"
    DEFAULT = "default"
    FULL = "full"


class Composition(StrEnum):
    """How the stages of a ladder make one system."""

    PIPELINE = "pipeline"  # each stage is one more part of the work: the whole is their sum
    ALTERNATIVE = "alternative"  # each stage is the whole work again, with one more assumption removed


@dataclass(frozen=True, slots=True)
class Gate:
    """How far a row's quality may fall below the baseline's, in units of the metric (higher is better)."""

    tolerance: float

    def admits(self, row: Row, baseline: Row) -> bool:
        """Whether the row is the same model as the baseline; InvariantError for another quality metric."""
        if row.quality_metric != baseline.quality_metric:
            raise InvariantError(f"{row.stage}: {row.quality_metric} cannot be held against {baseline.quality_metric}")
        return row.quality >= baseline.quality - self.tolerance


class Emit(Protocol):
    """Writes one event to events.jsonl and shows it to whoever watches."""

    def __call__(self, event: str, /, **fields: Any) -> None: ...


@dataclass(frozen=True)
class Context:
    """What is the same for every run of a study."""

    work: Path  # scratch and outputs of this run; kept until the study ends, so that it can resume
    seed: int
    length: Length
    workers: tuple[int, ...]
    settings: Mapping[str, Any]  # the system's own, resolved: what the manifest records
    design: Design
    profile: Profile
    emit: Emit
    lab: Callable[[], Lab]  # starts the engine when it is first asked for: a baseline never does


@dataclass(frozen=True)
class Trial:
    """One run: a stage (or the baseline's part of it) at p workers."""

    context: Context
    stage: str
    workers: int  # BASELINE for the plain single process
    repeat: int

    @property
    def folder(self) -> Path:
        """Where this trial keeps its outputs; a later stage may read them."""
        return output_folder(self.context, self.stage, self.workers, self.repeat)


def output_folder(context: Context, stage: str, workers: int, repeat: int = 0) -> Path:
    """The folder of one trial's outputs."""
    return context.work / stage / f"p{workers}-{repeat}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a trial returns. `readings` are one for each worker; the runner turns them into a Row."""

    wall_s: float
    readings: Sequence[Reading]
    work: float
    work_unit: str
    quality: float
    quality_metric: str
    extra: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a milestone's `predict` may look at: nothing that the stage's own runs produced."""

    context: Context
    baseline: Row
    predictions: Sequence[Prediction]  # one for each worker count, ascending

    @property
    def last(self) -> Prediction:
        """The prediction for the most workers."""
        return self.predictions[-1]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a milestone's `measure` and a stage's checks look at: the median rows, ascending in p."""

    context: Context
    baseline: Row
    rows: Sequence[Row]

    @property
    def last(self) -> Row:
        """The row with the most workers."""
        return self.rows[-1]


@dataclass(frozen=True)
class Stage:
    """One rung: an assumption removed (or a constraint added), what that should cost, and what came of it.

    A stage that does not scale (`scales=False`) runs once, at one worker, and needs no engine.
    """

    name: str
    removes: str
    axis: Axis
    milestone: Milestone
    predict: Callable[[Context, Row, int], Prediction]  # (context, baseline, workers)
    run: Callable[[Trial], Measurement]
    checks: Callable[[Outcome], Iterable[Check]] = lambda outcome: ()
    scales: bool = True
    repeats: int = 1  # at least, and of its baseline too, but for a quick study: medians for a short, noisy run

    def worker_counts(self, workers: Sequence[int]) -> tuple[int, ...]:
        """At which p this stage is measured, when the study is asked for `workers`."""
        return tuple(workers) if self.scales else (1,)


@dataclass(frozen=True)
class System:
    """Everything the study needs to know of a system."""

    name: str
    title: str
    design: Path
    composition: Composition
    stages: tuple[Stage, ...]
    # A pipeline's is called once for each stage, in order; an alternative ladder's once, as stage "baseline".
    baseline: Callable[[Trial], Measurement]
    gate: Gate
    lengths: Mapping[Length, Mapping[str, Any]]  # settings of each length; "repeats" is the study's own
    prepare: Callable[[Context], Mapping[str, Any]] = lambda context: {}  # inputs, unmeasured; returns their hashes
    wrap_up: Callable[[Context], None] = lambda context: None  # releases what prepare started, always called
    min_efficiency: float = 0.70
    balance: Balance | None = None  # how its knobs are turned on real runs

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names) or not names:
            raise ValueError(f"{self.name}: stage names must be unique and at least one, got {names}")
        for name in names:  # names become folders, and two of them mean something else
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) or name in (WHOLE, TOTAL):
                raise ValueError(f"{self.name}: {name!r} cannot name a stage")
        if missing := set(Length) - set(self.lengths):
            raise ValueError(f"{self.name}: no settings for the lengths {sorted(missing)}")

    def stage(self, name: str) -> Stage | None:
        """The stage of that name."""
        return next((stage for stage in self.stages if stage.name == name), None)
