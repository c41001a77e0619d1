"""What every benchmark prints: the machine, and rows beside their peers, as a table or one JSON object."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY.parent / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number; `peer` is what the peer reached in the same run, `ratio` is value / peer."""

    metric: str
    value: float
    unit: str
    peer: float | None = None
    ratio: float | None = None
    target: float | None = None
    passed: bool | None = None
    note: str = ""  # interval, n, the peer's name


def machine(*packages: str) -> dict[str, Any]:
    """Where this runs: processor, cores, memory, threads, and the versions of Python and of `packages`."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    versions = {"python": platform.python_version()} | {name: metadata.version(name) for name in packages}
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int(memory) * 1024,
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "load_1min": os.getloadavg()[0],
        "versions": versions,
    }


def median_s(run: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """The median duration of `repeats` calls; time.process_time as the clock on a busy machine."""
    durations = []
    for _ in range(repeats):
        start = clock()
        run()
        durations.append(clock() - start)
    return statistics.median(durations)


def show(name: str, about: dict[str, Any], rows: Sequence[Row], *, as_json: bool) -> None:
    """Print one object, or a table for people."""
    if as_json:
        print(json.dumps({"benchmark": name, "machine": about, "rows": [asdict(row) for row in rows]}))
        return
    table = Table(title=name.replace("_", " "), caption=_caption(about))
    for heading in ("metric", "value", "peer", "ratio", "target", "", "note"):
        table.add_column(heading, justify="left" if heading in ("metric", "", "note") else "right")
    for row in rows:
        passed = "" if row.passed is None else "passed" if row.passed else "FAILED"
        value = f"{row.value:,.4g} {row.unit}".strip()
        numbers = ["" if cell is None else f"{cell:,.4g}" for cell in (row.peer, row.ratio, row.target)]
        table.add_row(row.metric, value, *numbers, passed, row.note)
    Console().print(table)


def _caption(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"{about['cpu']}, {about['cores']} cores, threads {about['omp_num_threads']}, {versions}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()
