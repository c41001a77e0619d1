"""The meter: every second of a worker goes to exactly one part of exactly one axis.

A worker's time line is cut where a span begins or ends, and each piece goes to the innermost open span.
So compute + communication + idle + rework is the wall time by construction, whatever is nested in what.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from functools import wraps
from typing import ParamSpec, TypeVar

from sixfold.axes import Axis
from sixfold.errors import InvariantError

__all__ = ["Breakdown", "Meter", "Part", "Reading", "breakdown", "metered", "span"]

P = ParamSpec("P")
T = TypeVar("T")

_ATTRIBUTION_TOLERANCE = 0.01  # clocks of several processes: more than this over the wall time is a bug


class Part(StrEnum):
    """What a second was spent on."""

    COMPUTE = "compute"
    COMMUNICATION = "communication"
    IDLE = "idle"
    REWORK = "rework"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one meter saw: seconds by (axis, part), bytes moved by axis. Plain data: it crosses processes."""

    wall_s: float
    seconds: Mapping[tuple[Axis, Part], float] = field(default_factory=dict)
    moved_bytes: Mapping[Axis, int] = field(default_factory=dict)

    def part_s(self, part: Part) -> float:
        """Seconds of one part over all axes."""
        return sum(seconds for (_, p), seconds in self.seconds.items() if p is part)

    def axis_s(self, axis: Axis) -> float:
        """Seconds of one axis that were not idle."""
        return sum(seconds for (a, p), seconds in self.seconds.items() if a is axis and p is not Part.IDLE)

    @property
    def busy_s(self) -> float:
        """Seconds that were not idle."""
        return sum(seconds for (_, p), seconds in self.seconds.items() if p is not Part.IDLE)

    @staticmethod
    def merge(readings: Iterable[Reading]) -> Reading:
        """The sum of several readings: worker-seconds, not wall seconds of the whole."""
        wall_s, seconds, moved = 0.0, dict[tuple[Axis, Part], float](), dict[Axis, int]()
        for reading in readings:
            wall_s += reading.wall_s
            for key, value in reading.seconds.items():
                seconds[key] = seconds.get(key, 0.0) + value
            for axis, nbytes in reading.moved_bytes.items():
                moved[axis] = moved.get(axis, 0) + nbytes
        return Reading(wall_s, seconds, moved)


class Meter:
    """Attributes one thread's time. Use it as a context manager, then take its `reading()`.

    Time outside any span goes to `base`: idle for a worker that waits for work, communication for an
    event loop that waits for the network. A span must not contain an `await`: another coroutine's time
    would be counted as its own. Entering it (again) begins at zero; leaving it stops it.
    """

    def __init__(self, axis: Axis, *, base: Part = Part.IDLE, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._key = (axis, base)
        self._seconds: dict[tuple[Axis, Part], float] = {}
        self._moved: dict[Axis, int] = {}
        self._running = True
        self._began = self._cut = clock()

    def __enter__(self) -> Meter:
        self._token = _current.set(self)
        self._seconds, self._moved, self._running = {}, {}, True
        self._began = self._cut = self._clock()
        return self

    def __exit__(self, *_: object) -> None:
        self._switch(self._key)
        self._running = False
        _current.reset(self._token)

    def span(self, part: Part, *, axis: Axis | None = None, nbytes: int = 0) -> AbstractContextManager[None]:
        """Attribute what happens inside to `part` (of the enclosing axis unless told), and `nbytes` moved."""
        return _Span(self, part, axis, nbytes)

    def move(self, nbytes: int, *, axis: Axis | None = None) -> None:
        """Count bytes moved between workers."""
        axis = axis or self._key[0]
        self._moved[axis] = self._moved.get(axis, 0) + nbytes

    def reading(self) -> Reading:
        """Everything since the meter began, up to now or to the end of its `with`."""
        self._switch(self._key)
        return Reading(self._cut - self._began, dict(self._seconds), dict(self._moved))

    def _switch(self, key: tuple[Axis, Part]) -> None:
        if not self._running:
            return
        now = self._clock()
        self._seconds[self._key] = self._seconds.get(self._key, 0.0) + now - self._cut
        self._cut, self._key = now, key


class _Span:
    """One use of a span. A class, because a generator's context manager takes three times as long."""

    __slots__ = ("_axis", "_before", "_meter", "_nbytes", "_part")

    def __init__(self, meter: Meter, part: Part, axis: Axis | None, nbytes: int) -> None:
        self._meter, self._part, self._axis, self._nbytes = meter, part, axis, nbytes

    def __enter__(self) -> None:
        meter = self._meter
        self._before = meter._key
        meter._switch((self._axis or meter._key[0], self._part))
        if self._nbytes:
            meter.move(self._nbytes)

    def __exit__(self, *_: object) -> None:
        self._meter._switch(self._before)


_current: ContextVar[Meter | None] = ContextVar("sixfold_meter", default=None)
_NOTHING = nullcontext()


def span(part: Part, *, axis: Axis | None = None, nbytes: int = 0) -> AbstractContextManager[None]:
    """A span of the meter in force, if there is one: library code need not be handed a meter."""
    meter = _current.get()
    return _NOTHING if meter is None else _Span(meter, part, axis, nbytes)


def metered(axis: Axis, part: Part = Part.COMPUTE) -> Callable[[Callable[P, T]], Callable[P, tuple[T, Reading]]]:
    """Make a function return `(result, reading)`: put it under `ray.remote` to meter from inside a task."""

    def decorate(function: Callable[P, T]) -> Callable[P, tuple[T, Reading]]:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> tuple[T, Reading]:
            with Meter(axis, base=part) as meter:
                result = function(*args, **kwargs)
            return result, meter.reading()

        return run

    return decorate


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Where the wall time of p workers went: each part is the mean over the workers, so they add up to it.

    `axis_s` splits compute + communication + rework by axis, `axis_bytes` splits `moved_bytes`.
    """

    wall_s: float
    compute_s: float
    communication_s: float
    idle_s: float
    rework_s: float
    moved_bytes: int
    axis_s: dict[str, float] = field(default_factory=dict)
    axis_bytes: dict[str, int] = field(default_factory=dict)


def breakdown(wall_s: float, workers: int, readings: Iterable[Reading]) -> Breakdown:
    """Fold the readings of `workers` workers into one breakdown of `wall_s`; what nobody claimed is idle.

    There may be more readings than workers: a worker that runs many tasks may give one for each.
    Raises InvariantError when the workers claim more seconds than workers x wall, or one reading more than
    the wall: a meter ran twice.
    """
    readings = list(readings)
    allowed_s = wall_s * (1 + _ATTRIBUTION_TOLERANCE) + 1e-6
    longest_s = max((reading.busy_s for reading in readings), default=0.0)
    if longest_s > allowed_s:
        raise InvariantError(f"one reading claims {longest_s:.3f} s of a run of {wall_s:.3f} s")
    total = Reading.merge(readings)
    busy = {part: total.part_s(part) / workers for part in Part if part is not Part.IDLE}
    claimed_s = sum(busy.values())
    if claimed_s > allowed_s:
        raise InvariantError(
            f"{workers} workers claim {claimed_s * workers:.3f} s of {wall_s * workers:.3f} worker-seconds: "
            "the same time was metered twice"
        )
    scale = min(1.0, wall_s / claimed_s) if claimed_s > 0 else 1.0
    axis_s = {axis.value: total.axis_s(axis) / workers * scale for axis in Axis}
    return Breakdown(
        wall_s=wall_s,
        compute_s=busy[Part.COMPUTE] * scale,
        communication_s=busy[Part.COMMUNICATION] * scale,
        idle_s=max(0.0, wall_s - claimed_s),
        rework_s=busy[Part.REWORK] * scale,
        moved_bytes=sum(total.moved_bytes.values()),
        axis_s={axis: seconds for axis, seconds in axis_s.items() if seconds > 0},
        axis_bytes={axis.value: nbytes for axis, nbytes in total.moved_bytes.items()},
    )
