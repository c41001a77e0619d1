"""What the meter costs: a task of about 100 ms with and without its spans, in-process and inside a Ray task.

    python benchmarks/meter_overhead.py [--quick] [--json]

The task hashes 50 blocks; with the meter, each block has a communication span inside a compute span, so that
a task holds 100 spans. Both versions take turns in one process; time is CPU time of the process, which other
processes disturb little. The overhead is the median of the ratios of neighbouring pairs, minus one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import common
from sixfold.axes import Axis
from sixfold.study.meter import Meter, Part, metered, span

BLOCKS = 50
TARGET = 0.02  # of a 100 ms task


def plain(rounds: int) -> int:
    """The task by itself."""
    total = 0
    for block in range(BLOCKS):
        data = bytes([block]) * 4096
        total += _digest(data, rounds)
    return total


def with_spans(rounds: int) -> int:
    """The same task with two spans a block."""
    total = 0
    for block in range(BLOCKS):
        with span(Part.COMPUTE):
            with span(Part.COMMUNICATION, nbytes=4096):
                data = bytes([block]) * 4096
            total += _digest(data, rounds)
    return total


def pairs(rounds: int, repeats: int) -> list[tuple[float, float]]:
    """CPU seconds of (plain, metered), one pair after the other, the order alternating."""
    metered_task = metered(Axis.DATA, Part.IDLE)(with_spans)
    seconds = []
    for repeat in range(repeats):
        found = {}
        for task in (plain, metered_task) if repeat % 2 == 0 else (metered_task, plain):
            began = time.process_time()
            task(rounds)
            found[task is plain] = time.process_time() - began
        seconds.append((found[True], found[False]))
    return seconds


def span_ns(count: int = 20_000) -> float:
    """Nanoseconds of CPU time of one empty span."""
    with Meter(Axis.DATA):
        began = time.process_time()
        for _ in range(count):
            with span(Part.COMPUTE):
                pass
        return (time.process_time() - began) / count * 1e9


def calibrated(task_s: float = 0.1) -> int:
    """How many rounds of hashing make the task last about `task_s`."""
    rounds = 50
    found_s = common.median_s(lambda: plain(rounds), 5, clock=time.process_time)
    return max(1, round(rounds * task_s / found_s))


def row(where: str, seconds: list[tuple[float, float]]) -> common.Row:
    """One row: metered seconds beside plain ones, and the overhead as the ratio."""
    overheads = sorted(with_s / plain_s - 1 for plain_s, with_s in seconds)
    overhead = statistics.median(overheads)
    quarter = len(overheads) // 4
    task_ms = statistics.median(plain_s for plain_s, _ in seconds) * 1e3
    return common.Row(
        f"meter overhead, {where}",
        overhead * 100,
        "%",
        target=TARGET * 100,
        passed=overhead < TARGET,
        note=f"task {task_ms:.0f} ms, {2 * BLOCKS} spans, n={len(seconds)}, "
        f"quartiles {overheads[quarter] * 100:.2f} to {overheads[-quarter - 1] * 100:.2f} %",
    )


def inside_ray(rounds: int, repeats: int) -> list[tuple[float, float]]:
    """The same pairs, measured by a Ray task."""
    import ray

    from sixfold.lab.lab import Lab

    here = os.path.dirname(os.path.abspath(__file__))
    with Lab.local(workers=1):

        @ray.remote
        def task() -> list[tuple[float, float]]:
            import sys

            sys.path.insert(0, here)
            import meter_overhead

            meter_overhead.plain(rounds)
            return meter_overhead.pairs(rounds, repeats)

        return ray.get(task.remote())


def _digest(data: bytes, rounds: int) -> int:
    digest = b""
    for _ in range(rounds):
        digest = hashlib.blake2b(data + digest).digest()
    return digest[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=41)
    parser.add_argument("--quick", action="store_true", help="11 repeats")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    repeats = 11 if arguments.quick else arguments.repeats
    rounds = calibrated()
    rows = [
        row("in-process", pairs(rounds, repeats)),
        row("inside a Ray task", inside_ray(rounds, repeats)),
        common.Row("one empty span", span_ns(), "ns"),
    ]
    common.show("meter_overhead", common.machine("ray"), rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
