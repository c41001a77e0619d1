"""Peak memory of a whole build at two corpus sizes a factor 4 apart: it should not grow.

    python benchmarks/build_memory.py [--pages 1000] [--workers 2] [--quick] [--json]

The same build on N and on 4 N pages of Debian's documentation packages, each in a fresh process on a fresh index,
with the same capacity of a shard and the same size of a split: so small that the small corpus fills several of
both, because these two are what bounds the memory. Memory is the
proportional set size (PSS: shared pages are divided among who shares them) of the process and all its
children, sampled every 50 ms; the peak is of the sum. Ray's own processes are counted too.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

import common
from debian_warc import debian_warc

INTERVAL_S = 0.05
TARGET = 1.15


def resident_bytes(process: psutil.Process) -> int:
    """The proportional set size of a process and of everything it started."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            text = Path(f"/proc/{one.pid}/smaps_rollup").read_text()
        except OSError:  # it has just ended
            continue
        total += sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
    return total


def build_here(warc: str, index: str, workers: int, capacity_bytes: int, split_bytes: int) -> dict[str, Any]:
    """One build in this process (and in Ray's): what the parent watches."""
    from sixfold.axes import Axis
    from sixfold.lab.lab import Lab
    from sixfold.systems.rag.build import build
    from sixfold.systems.rag.build_folder import BuildSettings
    from sixfold.systems.rag.crew import RayCrew, SerialCrew

    settings = BuildSettings(preset="documentation", capacity_bytes=capacity_bytes, split_bytes=split_bytes)
    with Lab.local(workers=workers) if workers else nullcontext():
        crew = RayCrew(workers, Axis.DATA) if workers else SerialCrew(Axis.DATA)
        try:
            return asdict(build([warc], Path(index), settings, crew, lambda *_: None))
        finally:
            crew.close()


def watched_build(warc: Path, workers: int, capacity_bytes: int, split_bytes: int) -> tuple[int, dict[str, Any], float]:
    """Peak bytes, summary and seconds of one build in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        numbers = map(str, (workers, capacity_bytes, split_bytes))
        command = [sys.executable, __file__, "--build", str(warc), f"{folder}/index", *numbers]
        began_s = time.perf_counter()
        output: list[str] = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            reader = threading.Thread(target=lambda: output.append(process.stdout.read()))
            reader.start()
            watched, peak = psutil.Process(process.pid), 0
            while process.poll() is None:
                peak = max(peak, resident_bytes(watched))
                time.sleep(INTERVAL_S)
            reader.join()
        if process.returncode:
            sys.exit(f"the build of {warc} failed with {process.returncode}")
        return peak, json.loads(output[0]), time.perf_counter() - began_s


def head(warc: Path, pages: int, out: Path) -> Path:
    """The first `pages` records of a WARC, which has one gzip member a record."""
    from sixfold.systems.rag.sources import plan_splits, read_split

    offsets = [item.source.offset for split in plan_splits([warc]) for item in read_split(split)]
    end = offsets[pages] if pages < len(offsets) else None
    out.write_bytes(warc.read_bytes()[:end])
    with gzip.open(out) as file:
        assert file.read(5) == b"WARC/"
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="150 and 600 pages")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--build", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if arguments.build:
        warc, index, *numbers = arguments.build
        print(json.dumps(build_here(warc, index, *map(int, numbers))))
        return
    pages = 150 if arguments.quick else arguments.pages
    capacity_bytes, split_bytes = (600_000, 150_000) if arguments.quick else (4_000_000, 1_000_000)
    large = debian_warc(4 * pages).resolve()
    peaks, notes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for warc in (head(large, pages, Path(folder) / "small.warc.gz"), large):
            peak, summary, wall_s = watched_build(warc, arguments.workers, capacity_bytes, split_bytes)
            peaks.append(peak)
            notes.append(
                f"{summary['records']} pages, {summary['passages']} passages in {summary['shards']} shards of at most "
                f"{capacity_bytes / 1e6:g} MB, splits of {split_bytes / 1e6:g} MB, {wall_s:.0f} s"
            )
            print(f"peak {peak / 1e6:.0f} MB: {notes[-1]}", file=sys.stderr)
    ratio = peaks[1] / peaks[0]
    rows = [
        common.Row("peak memory of a build, N pages", peaks[0] / 1e6, "MB", note=notes[0]),
        common.Row(
            "peak memory of a build, 4 N pages", peaks[1] / 1e6, "MB", peaks[0] / 1e6, ratio,
            target=TARGET, passed=ratio <= TARGET, note=f"{notes[1]}; {arguments.workers} workers; peer: N",
        ),
    ]  # fmt: skip
    common.show("build_memory", common.machine("pyarrow", "torch"), rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
