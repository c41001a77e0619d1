"""How often things fail, as published: `failure_rates.yaml`, each as its source states it and as a rate an hour."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from sixfold.design.catalog.entries import Entry, Text, load_list, one_of

__all__ = ["FailureRate", "failure_rate", "failure_rates"]

FAILURE_RATES_PATH = Path(__file__).with_name("failure_rates.yaml")
_DAY_H = 24.0
_YEAR_H = 365.25 * _DAY_H
_HOURS = {"an hour": 1.0, "a day": _DAY_H, "a week": 7.0 * _DAY_H, "a month": _YEAR_H / 12.0}
_HOURS |= {"a quarter": _YEAR_H / 4.0, "a year": _YEAR_H}
_MEAN_HOURS = {"hours between": 1.0, "days between": _DAY_H}


class FailureRate(Entry):
    """How often one `of` something fails, for one cause.

    value, unit: as the source states them: `events` within `exposure_hours` (all things together), a rate, a mean time
    between failures, or the share of things that fail within a period.
    """

    name: Text
    of: Literal["device", "node", "nic", "link", "switch", "disk", "memory module", "server", "spot instance", "job"]
    hardware: Text | None = None
    cause: Text
    value: float = Field(gt=0)
    unit: Literal[
        "events", "an hour", "a day", "a week", "a month", "a year",
        "hours between", "days between",
        "share an hour", "share a day", "share a week", "share a month", "share a quarter", "share a year",
    ]  # fmt: skip
    exposure_hours: float | None = Field(default=None, gt=0)
    use: Literal["calibrate", "score", "none"] = "none"  # of the published rows: a scored one may not be fitted to
    note: Text | None = None

    @model_validator(mode="after")
    def _exposed(self) -> Self:
        if (self.unit == "events") != (self.exposure_hours is not None):
            raise ValueError("exposure_hours belongs to a count of events, and only to it")
        if self.unit.startswith("share") and self.value >= 1.0:
            raise ValueError(f"got a share of {self.value:g}, expected below 1")
        return self

    @property
    def per_hour(self) -> float:
        """Failures an hour of one, at a constant rate: a share f within a time t means -ln(1 - f) / t."""
        if self.exposure_hours is not None:
            return self.value / self.exposure_hours
        if self.unit in _MEAN_HOURS:
            return 1.0 / (self.value * _MEAN_HOURS[self.unit])
        if self.unit.startswith("share "):
            return -math.log1p(-self.value) / _HOURS[self.unit.removeprefix("share ")]
        return self.value / _HOURS[self.unit]


@cache
def failure_rates(path: Path = FAILURE_RATES_PATH) -> dict[str, FailureRate]:
    """Return every failure rate by its id, in the order of the file. Raises InputError for a broken file."""
    return load_list(path, "failure_rates", FailureRate)


def failure_rate(rate_id: str) -> FailureRate:
    """Return one failure rate. Raises ConfigError for an unknown id; the text lists those that there are."""
    return one_of("failure rate", failure_rates(), rate_id)
