"""Milestone: a number that a stage must reach, predicted before the run and measured after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from sixfold.errors import InputError

__all__ = ["Check", "Comparator", "Milestone", "Prediction", "Verdict"]


class Comparator(StrEnum):
    """How a value is held against its target."""

    AT_LEAST = ">="
    AT_MOST = "<="
    EQUAL = "=="

    def holds(self, value: float, target: float) -> bool:
        """Whether `value` meets `target`; NaN never does."""
        if self is Comparator.AT_LEAST:
            return value >= target
        if self is Comparator.AT_MOST:
            return value <= target
        return value == target


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the design says a run at `workers` will take, written down before it runs."""

    workers: int
    wall_s: float
    law: str  # which law, with its inputs, in one sentence
    terms: Mapping[str, float] = field(default_factory=dict)  # seconds by term; they add up to wall_s


@dataclass(frozen=True, slots=True)
class Check:
    """An invariant of a stage: it holds or it does not, and `detail` says what was compared."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Milestone:
    """The number a stage is judged by. `Outcome` and `Forecast` are given by the runner (study/stage.py)."""

    metric: str
    comparator: Comparator
    target: float
    unit: str
    measure: Callable[[Any], float]  # Outcome -> value
    predict: Callable[[Any], float]  # Forecast -> predicted value
    relative_to_ceiling: bool = False  # the value is an efficiency: judged against what the cores can give

    @property
    def sentence(self) -> str:
        """What has to be reached, in one line."""
        return f"{self.metric} {self.comparator.value} {self.target:g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of milestones.json. A milestone is passed when its number is met and every check holds."""

    stage: str
    metric: str
    comparator: Comparator
    target: float
    predicted: float
    value: float
    unit: str
    passed: bool
    checks: tuple[Check, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The record as it is written to milestones.json."""
        return {
            **asdict(self),
            "comparator": self.comparator.value,
            "checks": [asdict(c) for c in self.checks],
        }

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Verdict:
        """Read one record back; null, which stands for NaN in JSON, becomes NaN. Raises InputError."""
        try:
            numbers = {
                name: math.nan if record[name] is None else record[name] for name in ("target", "predicted", "value")
            }
            checks = tuple(Check(**check) for check in record.get("checks", ()))
            comparator = Comparator(record["comparator"])
            return Verdict(**{**record, **numbers, "comparator": comparator, "checks": checks})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"not the record of a milestone: {type(error).__name__}: {error}") from None
