"""An open-loop load: requests go out when they are due, however slow the answers are.

A closed loop, in which each user waits for an answer before asking again, slows down with the service that it
measures and so leaves out the requests that would have suffered most (coordinated omission, G. Tene). Here the
times are drawn beforehand (`parts.arrivals`) and latency counts from when a request was due, not from when this
process came round to sending it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sixfold.errors import ConfigError
from sixfold.parts.latencies import Latencies

__all__ = ["OK", "LoadReport", "Second", "open_loop"]

OK = "ok"
_LATE_S = 0.01  # a generator whose sends are later than this at p99 measures itself

Send = Callable[[int], Awaitable[str]]


@dataclass(slots=True)
class Second:
    """What became of the requests that were due in one second of the load."""

    offered: int = 0
    good: int = 0  # `OK` within the objective


@dataclass
class LoadReport:
    """What a load came to. Seconds are counted from its beginning."""

    objective_s: float
    not_sent: int = 0  # more were in flight than this process may hold: its limit, not the service's
    wall_s: float = 0.0  # until the last answer
    latency: defaultdict[str, Latencies] = field(default_factory=lambda: defaultdict(Latencies))  # by outcome
    lag: Latencies = field(default_factory=Latencies)  # from when a request was due to when it was sent
    seconds: defaultdict[int, Second] = field(default_factory=lambda: defaultdict(Second))

    @property
    def offered(self) -> int:
        """Requests that were due."""
        return sum(second.offered for second in self.seconds.values())

    @property
    def good(self) -> int:
        """Answers that were `OK` within the objective."""
        return sum(second.good for second in self.seconds.values())

    @property
    def outcomes(self) -> dict[str, int]:
        """Answers by outcome."""
        return {outcome: latencies.count for outcome, latencies in sorted(self.latency.items())}

    @property
    def generator_limited(self) -> bool:
        """Whether this process, and not the service, set the pace: then the report tells of this process."""
        return self.not_sent > 0 or (self.lag.count > 0 and self.lag.quantile_s(0.99) > _LATE_S)

    def goodput_per_s(self, first_s: int = 0, end_s: int | None = None) -> float:
        """Good answers a second to what was due in the seconds [first_s, end_s) of the load, all by default."""
        end = max(self.seconds, default=-1) + 1 if end_s is None else end_s
        if end <= first_s:
            return 0.0
        return sum(self.seconds[at].good for at in range(first_s, end) if at in self.seconds) / (end - first_s)

    def to_json(self) -> dict[str, Any]:
        """The report as a measuring command prints it."""
        return {
            "objective_s": self.objective_s,
            "offered": self.offered,
            "good": self.good,
            "not_sent": self.not_sent,
            "goodput_per_s": self.goodput_per_s(),
            "wall_s": self.wall_s,
            "generator_limited": self.generator_limited,
            "lag": self.lag.to_json(),
            "latency": {outcome: latencies.to_json() for outcome, latencies in sorted(self.latency.items())},
        }


async def open_loop(
    arrivals_s: Sequence[float], send: Send, *, objective_s: float, most_in_flight: int = 4_096
) -> LoadReport:
    """Call `send(n)` for the n-th of `arrivals_s`, ascending seconds from now, when it is due; wait for all answers.

    `send` gives the outcome as a short word, `OK` for an answer that counts, and bounds its own time. What it
    raises ends the load: a refused connection is an outcome, a mistake in `send` is not. An answer is good when
    it is `OK` within `objective_s` of when the request was due. Beyond `most_in_flight` requests are `not_sent`.

    Raises ConfigError for an objective or bound that is not positive, or arrivals that are not ascending.
    """
    if objective_s <= 0 or most_in_flight < 1:
        raise ConfigError(f"got objective_s={objective_s}, most_in_flight={most_in_flight}, expected above 0")
    if any(later < earlier for earlier, later in pairwise(arrivals_s)):
        raise ConfigError("the arrivals are not ascending")
    report = LoadReport(objective_s)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    in_flight = 0

    async def one(number: int, due_s: float) -> None:
        nonlocal in_flight
        try:
            report.lag.record(loop.time() - began_s - due_s)
            outcome = await send(number)
        finally:
            in_flight -= 1
        latency_s = loop.time() - began_s - due_s
        report.latency[outcome].record(latency_s)
        if outcome == OK and latency_s <= objective_s:
            report.seconds[int(due_s)].good += 1

    async with asyncio.TaskGroup() as requests:
        for number, due_s in enumerate(map(float, arrivals_s)):
            wait_s = began_s + due_s - loop.time()
            if wait_s > 0 or number % 64 == 0:  # however far behind, the answers are to be read as well
                await asyncio.sleep(max(0.0, wait_s))
            report.seconds[int(due_s)].offered += 1
            if in_flight >= most_in_flight:
                report.not_sent += 1
                continue
            in_flight += 1
            requests.create_task(one(number, due_s))
    report.wall_s = loop.time() - began_s
    return report
