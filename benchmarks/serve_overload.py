"""Goodput of the fleet at .5 to 3 times its capacity, open loop, with admission control and without.

    python benchmarks/serve_overload.py [--quick] [--json]

Requests to /v1/search, ten passages each, over an index of pages of Debian's documentation in two shards, with
nothing cached; every request states a deadline that is the objective. An answer is good when it has status 200,
covers the whole index and is whole within the objective, counted from when the request was due. The capacity is the
best goodput of a ramp. Arrivals are a Poisson process drawn beforehand; the load comes from a process of its own
with priority over the fleet, on the same cores. The peer is the same fleet with admission control turned off.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
from common import Row, machine, show
from serve_support import (
    VERSIONS,
    Load,
    Report,
    fleet_of,
    generator,
    pages_index,
    passages_of,
    poisson,
    questions,
    run_load,
    saturated_per_s,
    search_bodies,
)
from sixfold.systems.rag.serve.fleet import Fleet

OBJECTIVE_S = 1.0
TIMEOUT_S = 15.0
K = 10
FACTORS = (0.5, 1.0, 2.0, 3.0)
RAMP = (0.6, 0.75, 0.9, 1.0, 1.1, 1.25)  # of what a saturating closed loop gets
TARGET = 0.9
SETTLE_S = 2.0  # at the beginning of each point: not counted


@dataclass(frozen=True)
class Size:
    """How long things take."""

    pages: int
    ramp_s: float
    point_s: float
    repeats: int


FULL, QUICK = Size(600, 6.0, 12.0, 3), Size(600, 3.0, 6.0, 1)


class Driver:
    """Offers loads to one fleet."""

    def __init__(self, pool: ProcessPoolExecutor, fleet: Fleet, asked: list[str]) -> None:
        self.pool, self.fleet = pool, fleet
        self.bodies = search_bodies(asked, K, OBJECTIVE_S)
        self.sent = 0

    def offer(self, rate_per_s: float, seconds: float, seed: int) -> Report:
        """One open loop; returns when the fleet has come to rest again."""
        arrivals = poisson(rate_per_s, seconds, seed)
        load = Load(self.fleet.address, "/v1/search", self.bodies, arrivals, TIMEOUT_S, first=self.sent)
        self.sent += len(arrivals)
        report: Report = self.pool.submit(run_load, load).result()
        self._rest()
        return report

    def _rest(self) -> None:
        """Wait until two questions in a row are answered at once."""
        quick = 0
        for _ in range(120):
            body = (self.bodies[self.sent % len(self.bodies)],)
            self.sent += 1
            with suppress(OSError):
                (one,) = run_load(Load(self.fleet.address, "/v1/search", body, timeout_s=5)).sent
                quick = quick + 1 if one.whole and one.latency_s < 0.25 else 0
            if quick == 2:
                return
            time.sleep(0.25)


@dataclass(frozen=True)
class Point:
    """One rate, over all repeats."""

    reports: tuple[Report, ...]
    seconds: float

    @property
    def goodput(self) -> float:
        return median(r.goodput_per_s(OBJECTIVE_S, SETTLE_S, self.seconds) for r in self.reports)

    @property
    def limited(self) -> bool:
        return any(r.generator_limited for r in self.reports)

    def told(self) -> str:
        outcomes: dict[str, int] = {}
        for report in self.reports:
            for outcome, count in report.outcomes().items():
                outcomes[outcome] = outcomes.get(outcome, 0) + count
        partial = sum(one.ok and not one.whole for r in self.reports for one in r.sent)
        words = ", ".join(f"{outcome}: {count}" for outcome, count in outcomes.items())
        p99_s = median(r.quantile_s(0.99) for r in self.reports)
        lag_ms = max(r.lag_p99_s for r in self.reports) * 1e3
        return f"{words}, of which partial {partial}; p99 {p99_s:.2f} s; lag p99 {lag_ms:.0f} ms"


def points(driver: Driver, capacity: float, size: Size) -> dict[float, Point]:
    """Every factor of the capacity, `repeats` times, in turns."""
    reports: dict[float, list[Report]] = {factor: [] for factor in FACTORS}
    for repeat in range(size.repeats):
        for factor in FACTORS:
            report = driver.offer(factor * capacity, size.point_s, seed=100 * repeat + round(10 * factor))
            reports[factor].append(report)
            point = Point((report,), size.point_s)
            print(f"{factor} x C: {point.goodput:.1f}/s, {point.told()}", file=sys.stderr)
    return {factor: Point(tuple(of), size.point_s) for factor, of in reports.items()}


def ramp(driver: Driver, size: Size) -> float:
    """The best goodput on the way up."""
    first = saturated_per_s(driver.pool, driver.fleet, search_bodies(questions_left(driver), K, 5.0))
    best = 0.0
    for at, share in enumerate(RAMP):
        report = driver.offer(share * first, size.ramp_s, seed=at)
        goodput = report.goodput_per_s(OBJECTIVE_S, 1.0, size.ramp_s)
        print(f"ramp {share * first:.1f}/s: {goodput:.1f}/s good, {report.outcomes()}", file=sys.stderr)
        best = max(best, min(goodput, share * first))  # in a short step more may be due than the rate says
    return best


def questions_left(driver: Driver) -> list[str]:
    return [body["query"] for body in driver.bodies[-200:]]


def measure(size: Size) -> list[Row]:
    index = pages_index(size.pages, 2)
    passages = passages_of(index)
    asked = questions(passages, 4_000)
    results: dict[bool, dict[float, Point]] = {}
    with generator() as pool:
        with fleet_of(index) as fleet:
            driver = Driver(pool, fleet, asked)
            capacity = ramp(driver, size)
            results[True] = points(driver, capacity, size)
        with fleet_of(index, admission=False) as fleet:
            results[False] = points(Driver(pool, fleet, asked), capacity, size)
    about = (
        f"{len(passages)} passages in 2 shards, objective and deadline {OBJECTIVE_S:g} s, {size.repeats} repeats of "
        f"{size.point_s:g} s; median; load {os.getloadavg()[0]:.1f}"
    )
    rows = [Row("capacity of /v1/search", capacity, "1/s", note=f"best goodput of a ramp; {about}")]
    for factor in FACTORS:
        ours, peer = results[True][factor], results[False][factor]
        rows.append(
            Row(
                f"goodput at {factor:g} x capacity", ours.goodput, "1/s", peer.goodput,
                ours.goodput / peer.goodput if peer.goodput else None, note=f"{ours.told()} (peer: {peer.told()})",
            )
        )  # fmt: skip
    kept = {on: of[3.0].goodput / max(point.goodput for point in of.values()) for on, of in results.items()}
    rows += [
        Row("goodput at 3 x capacity over its peak", kept[True], "", kept[False], None, TARGET, kept[True] >= TARGET,
            "peer: without admission control"),
        Row("the same without admission control", kept[False], "", None, None, TARGET, kept[False] < TARGET,
            "expected below: shown collapsing"),
    ]  # fmt: skip
    refused = [one for of in results[True].values() for r in of.reports for one in r.sent if one.outcome == "503"]
    honest = sum(one.retry_after is not None for one in refused)
    limited = sum(point.limited for of in results.values() for point in of.values())
    rows += [
        Row("refusals with Retry-After", honest, "", len(refused), passed=honest == len(refused),
            note="peer: all refusals"),
        Row("points limited by the generator", limited, "", passed=limited == 0,
            note="requests sent more than 10 ms late at p99, or not at all"),
    ]  # fmt: skip
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="short points, one repeat")
    options = parser.parse_args()
    about = machine(*VERSIONS)
    rows = measure(QUICK if options.quick else FULL)
    show("serve_overload", about, rows, as_json=options.json)
    return 0 if all(row.passed is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
