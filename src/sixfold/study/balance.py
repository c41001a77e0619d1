"""What a system hands to `balance`: how its knobs are turned on real runs; and what one such run came to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sixfold.axes import Axis
from sixfold.design.checklist import Design, Knob
from sixfold.errors import ConfigError, InputError
from sixfold.units import quantity

__all__ = [
    "Balance",
    "BalanceTrial",
    "Goal",
    "Knobs",
    "Limit",
    "Measure",
    "best_of",
    "by_axis",
    "defaults",
    "front_of",
    "settled",
]

Knobs = Mapping[str, float]
Measure = Callable[[Knobs], Mapping[str, float]]  # one real run: values of all knobs -> metrics


@dataclass(frozen=True, slots=True)
class Goal:
    """A metric that is to be small."""

    metric: str
    unit: str


@dataclass(frozen=True, slots=True)
class Limit:
    """What a run has to hold to count: at most `value` of a metric, or at least (a quality gate)."""

    metric: str
    value: float
    unit: str
    at_least: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value > 0):
            raise ValueError(f"limit of {self.metric}: got {self.value}, expected a finite number above 0")

    def excess(self, metrics: Mapping[str, float]) -> float:
        """By which share of the limit a run is beyond it; at most 0 when it holds."""
        share = metrics[self.metric] / self.value
        return 1.0 - share if self.at_least else share - 1.0

    def __str__(self) -> str:
        return f"{self.metric} {'>=' if self.at_least else '<='} {self.value:g} {self.unit}".rstrip()


@dataclass(frozen=True)
class Balance:
    """One objective under limits. open: prepares once (work folder, seed), then measures; closes what it started."""

    objective: Goal
    second: Goal  # the other side of the Pareto picture
    limits: tuple[Limit, ...]
    open: Callable[[Path, int], AbstractContextManager[Measure]]
    # What the design predicts to be good, as values of some knobs: tried first.
    seeds: Callable[[Design], Sequence[Knobs]] = lambda design: ()
    about: Mapping[str, Any] = field(default_factory=dict)  # of the load and the data: for the manifest
    words: Mapping[str, str] = field(default_factory=dict)  # what a metric is called where people read it

    def said(self, metric: str) -> str:
        """A metric in words."""
        return self.words.get(metric, metric)

    def limit_words(self, limit: Limit) -> str:
        """A limit in words."""
        how = "at least" if limit.at_least else "at most"
        return f"{self.said(limit.metric)} {how} {quantity(limit.value, limit.unit)}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every run has to give."""
        return tuple(
            dict.fromkeys((self.objective.metric, self.second.metric, *(limit.metric for limit in self.limits)))
        )


@dataclass(frozen=True, slots=True)
class BalanceTrial:
    """One run. A failed one has no metrics and says why."""

    phase: str  # "start", "joint", "alone:AXIS", "together", "confirm:CANDIDATE"
    number: int  # in its phase, from 0
    knobs: dict[str, float]
    metrics: dict[str, float]
    seconds: float
    error: str | None = None

    def excess(self, balance: Balance) -> float:
        """The sum of what is beyond the limits; 0 when all hold, infinite for a failed run."""
        if self.error is not None:
            return math.inf
        return sum(max(0.0, limit.excess(self.metrics)) for limit in balance.limits)

    def rank(self, balance: Balance) -> tuple[float, float]:
        """Sorts runs: those that hold every limit by the objective, then the others by what they miss."""
        return self.excess(balance), self.metrics.get(balance.objective.metric, math.inf)

    def to_json(self) -> dict[str, Any]:
        """The run as a line of trials.jsonl."""
        return {name: getattr(self, name) for name in ("phase", "number", "knobs", "metrics", "seconds", "error")}

    @classmethod
    def from_json(cls, record: Any) -> BalanceTrial:
        """The run of such a line; InputError for another."""
        try:
            numbers = {key: {k: float(v) for k, v in record[key].items()} for key in ("knobs", "metrics")}
            error = None if record["error"] is None else str(record["error"])
            return cls(str(record["phase"]), int(record["number"]), numbers["knobs"], numbers["metrics"],
                       float(record["seconds"]), error)  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"not a trial: {type(error).__name__} {error}") from None


def best_of(trials: Iterable[BalanceTrial], balance: Balance) -> BalanceTrial | None:
    """The best run that did not fail, of those that hold every limit if there are any; None if all failed."""
    ran = [trial for trial in trials if trial.error is None]
    return min(ran, key=lambda trial: trial.rank(balance), default=None)


def front_of(trials: Iterable[BalanceTrial], balance: Balance) -> list[BalanceTrial]:
    """The runs within all limits that no other beats in both goals, by the objective."""
    first, second = balance.objective.metric, balance.second.metric
    held = sorted(
        (trial for trial in trials if trial.excess(balance) == 0),
        key=lambda trial: (trial.metrics[first], trial.metrics[second]),
    )
    front: list[BalanceTrial] = []
    for trial in held:
        if not front or trial.metrics[second] < front[-1].metrics[second]:
            front.append(trial)
    return front


def defaults(design: Design) -> dict[str, float]:
    """Every knob as it is before anything is tuned."""
    if not design.knobs:
        raise ConfigError(f"{design.system} declares no knobs in its design.yaml: there is nothing to balance")
    return {name: knob.default for name, knob in design.knobs.items()}


def by_axis(design: Design) -> dict[Axis, dict[str, Knob]]:
    """The knobs of each axis that has some."""
    axes: dict[Axis, dict[str, Knob]] = {}
    for name, knob in design.knobs.items():
        axes.setdefault(knob.axis, {})[name] = knob
    return axes


def settled(name: str, knob: Knob, value: float) -> float:
    """The value as the knob can have it: within its range, whole if it is; ConfigError for one that is no number."""
    if not math.isfinite(value):
        raise ConfigError(f"knob {name}: got {value}, expected {knob.low:g} to {knob.high:g}")
    within = min(knob.high, max(knob.low, float(value)))
    return float(round(within)) if knob.whole else within
