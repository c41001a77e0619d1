"""When the requests of an open-loop load are due: seconds from its beginning, ascending, drawn before it begins."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError, InputError

__all__ = ["Step", "poisson_arrivals", "stepped_arrivals", "trace_arrivals"]

Times = npt.NDArray[np.float64]

MOST_ARRIVALS = 50_000_000  # 400 MB of times


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of `duration_s` in which requests arrive at `rate_per_s`."""

    duration_s: float
    rate_per_s: float


def poisson_arrivals(rate_per_s: float, duration_s: float, seed: int) -> Times:
    """(N) A Poisson process: users who know nothing of each other. N varies around rate_per_s * duration_s.

    Raises ConfigError for a rate or duration that is negative or not finite, or more than `MOST_ARRIVALS`.
    """
    return stepped_arrivals([Step(duration_s, rate_per_s)], seed)


def stepped_arrivals(steps: Sequence[Step], seed: int) -> Times:
    """(N) A Poisson process whose rate changes from step to step: a ramp, an overload and what comes after it.

    Given how many there are in a step, they lie uniformly in it (S. Ross, Introduction to Probability Models,
    section 5.3). A step is the same whatever follows it. Raises ConfigError as `poisson_arrivals` does.
    """
    rng = np.random.default_rng(seed)
    began_s, expected = 0.0, 0.0
    times: list[Times] = []
    for step in steps:
        for name, value in (("duration_s", step.duration_s), ("rate_per_s", step.rate_per_s)):
            if not 0 <= value < math.inf:
                raise ConfigError(f"{name}: got {value}, expected a finite number of at least 0")
        expected += step.duration_s * step.rate_per_s
        if expected > MOST_ARRIVALS:
            raise ConfigError(f"the load has about {expected:.3g} requests, expected at most {MOST_ARRIVALS:,}")
        count = rng.poisson(step.duration_s * step.rate_per_s)
        times.append(began_s + np.sort(rng.random(count)) * step.duration_s)
        began_s += step.duration_s
    return np.concatenate([np.zeros(0), *times])


def trace_arrivals(path: str | Path, *, column: str = "at_s", speed: float = 1.0) -> Times:
    """(N) The times in a column of a CSV file with a header, from the first one on; at `speed` 2 twice as fast.

    Raises InputError, with the line, for a time that is not one or earlier than the one before it, and for a
    file without the column or without times; ConfigError for a speed that is not positive.
    """
    if not 0 < speed < math.inf:
        raise ConfigError(f"speed: got {speed}, expected a finite number above 0")
    times: list[float] = []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if column not in (reader.fieldnames or []):
                raise InputError(f"no column {column!r}, there are {', '.join(reader.fieldnames or [])}", path=path)
            for row in reader:
                at_s = _seconds(row[column])
                if at_s is None or (times and at_s < times[-1]):
                    why = "a finite number" if at_s is None else f"at least the {times[-1]:g} before it"
                    raise InputError(
                        f"got {row[column]!r} as {column}, expected {why}", path=path, line=reader.line_num
                    )
                times.append(at_s)
                if len(times) > MOST_ARRIVALS:
                    raise InputError(f"more than {MOST_ARRIVALS:,} requests", path=path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"not a trace: {error}", path=path) from None
    if not times:
        raise InputError("a trace without requests", path=path)
    return (np.array(times) - times[0]) / speed


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
