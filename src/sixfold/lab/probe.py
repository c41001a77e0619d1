"""Measure this machine into a `Profile`: compute, memory, disk, processes and Ray.

Every reading is the median of repeats, each repeat visits all configurations of a quantity in turn, so that
a change of the machine's load hits them alike.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from sixfold.errors import ConfigError
from sixfold.lab.local_ray import THREAD_PINS
from sixfold.lab.probe_ray import measure_ray
from sixfold.lab.profile import Link, Machine, Profile, Reading, default_profile_path

__all__ = ["Progress", "default_profile_path", "probe"]

Progress = Callable[[str], None]  # is told what is measured next

_MATMUL_SIZE = 512
_COPY_BYTES = 64 << 20  # beyond the last-level cache of a core
_BLOCK_BYTES = 4 << 20
_PIPE_SIZES_BYTES = (64, 1 << 10, 16 << 10, 256 << 10, 1 << 20, 4 << 20)


def probe(
    *,
    quick: bool = False,
    with_ray: bool = True,
    progress: Progress | None = None,
    directory: str | Path | None = None,
) -> Profile:
    """Measure this machine: at most 15 s when `quick`, else at most 45 s on a few idle cores.

    `directory` is where the disk is measured, by default that of the profile. `with_ray=False` leaves Ray
    out. The caller saves the profile.

    Raises:
        ConfigError: `directory` cannot be written or is full.
        PrerequisiteError: Ray does not start.
    """
    tell = progress or (lambda what: None)
    machine = Machine.here()
    repeats, window_s = (3, 0.2) if quick else (7, 0.4)
    where = Path(directory) if directory is not None else default_profile_path().parent
    tell("disk")  # first, because it is what a user may have to mend
    write, read, uncached = _disk(where, repeats, size_bytes=(32 if quick else 128) << 20)
    with _workers(machine.cores) as workers:
        tell("python on every core")
        scaling, scaling_cpu, foreign_load = _python_scaling(workers, repeats, 1.5 * window_s)
        tell("floating point")
        core_flops, all_flops = _rates(workers, "matmul", _MATMUL_SIZE, repeats, window_s)
        bf16 = None
        if not quick and find_spec("torch") is not None:
            bf16, _ = _rates(workers[:1], "bf16", _MATMUL_SIZE, repeats, window_s)
        tell("memory")
        free_bytes = psutil.virtual_memory().available
        copy_bytes = max(1 << 20, min(_COPY_BYTES, free_bytes // (8 * len(workers))))
        core_memory, all_memory = _rates(workers, "copy", copy_bytes, repeats, window_s)
        tell("processes")
        process_link = _process_link(workers[0], repeats)
    ray_readings = None
    if with_ray:
        tell("ray")
        ray_readings = measure_ray(repeats, calls=60 if quick else 200)
    return Profile(
        machine=machine,
        measured_at=datetime.now(UTC),
        quick=quick,
        foreign_load=foreign_load,
        core_flops_per_s=core_flops,
        all_core_flops_per_s=all_flops,
        core_bf16_flops_per_s=bf16,
        core_memory_bytes_per_s=core_memory,
        all_core_memory_bytes_per_s=all_memory,
        python_efficiency=scaling,
        python_efficiency_cpu=scaling_cpu,
        disk_write_bytes_per_s=write,
        disk_read_bytes_per_s=read,
        disk_read_uncached=uncached,
        process_link=process_link,
        ray=ray_readings,
    )


@contextmanager
def _workers(count: int) -> Iterator[list[Connection]]:
    """Start `count` processes of one thread each and give the connections to them."""
    environment = {**os.environ, **THREAD_PINS}
    processes: list[subprocess.Popen[bytes]] = []
    connections: list[Connection] = []
    try:
        for _ in range(count):
            ours, theirs = socket.socketpair()
            with theirs:
                processes.append(
                    subprocess.Popen(  # noqa: S603 (our own module)
                        [sys.executable, "-m", "sixfold.lab.bench_worker", str(theirs.fileno())],
                        pass_fds=[theirs.fileno()],
                        env=environment,
                    )
                )
            connections.append(Connection(ours.detach()))
        yield connections
        for connection in connections:
            connection.send_bytes(b'["exit", 0]')
    finally:
        for connection in connections:
            connection.close()
        for process in processes:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ask(connections: list[Connection], name: str, argument: float) -> list[Any]:
    """Send one command to several workers at once and wait for all their answers."""
    for connection in connections:
        connection.send_bytes(json.dumps([name, argument]).encode())
    return [json.loads(connection.recv_bytes()) for connection in connections]


def _python_scaling(
    workers: list[Connection], repeats: int, window_s: float
) -> tuple[dict[int, Reading], dict[int, Reading], float]:
    counts = _process_counts(len(workers))
    by_wall: dict[int, list[float]] = {count: [] for count in counts}
    by_cpu: dict[int, list[float]] = {count: [] for count in counts}
    _ask(workers, "python", 0)
    own_cpu_s, busy_s, start_s = 0.0, _busy_cpu_s(), time.perf_counter()
    for _ in range(repeats):
        wall_rate, cpu_rate = {}, {}
        for count in counts:
            answers = _ask(workers[:count], "run", window_s)
            wall_rate[count] = sum(done / wall_s for done, wall_s, _ in answers) / count
            cpu_rate[count] = sum(done / cpu_s for done, _, cpu_s in answers) / count
            own_cpu_s += sum(cpu_s for _, _, cpu_s in answers)
        for count in counts:
            by_wall[count].append(wall_rate[count] / wall_rate[1])
            by_cpu[count].append(cpu_rate[count] / cpu_rate[1])
    available_s = (time.perf_counter() - start_s) * (psutil.cpu_count() or 1)
    foreign = max(0.0, _busy_cpu_s() - busy_s - own_cpu_s) / available_s
    return (
        {count: Reading.of(values) for count, values in by_wall.items()},
        {count: Reading.of(values) for count, values in by_cpu.items()},
        min(1.0, foreign),
    )


def _process_counts(cores: int) -> list[int]:
    """1, 2, 4, ... and every core: enough to interpolate a curve that bends at sockets and hyper-threads."""
    return sorted({1 << exponent for exponent in range(cores.bit_length()) if 1 << exponent <= cores} | {cores})


def _busy_cpu_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _rates(
    workers: list[Connection], kernel: str, argument: int, repeats: int, window_s: float
) -> tuple[Reading, Reading]:
    """Return the work per CPU second of one process alone, and summed over all when all are at it.

    CPU time, because a process of somebody else does not slow the core that it keeps ours from.
    """
    _ask(workers, kernel, argument)
    one: list[float] = []
    together: list[float] = []
    for _ in range(repeats):
        for rates, used in ((one, workers[:1]), (together, workers)):
            rates.append(sum(done / cpu_s for done, _, cpu_s in _ask(used, "run", window_s)))
    return Reading.of(one), Reading.of(together)


def _process_link(worker: Connection, repeats: int) -> Link:
    def message_s(size_bytes: int) -> float:
        payload = bytes(size_bytes)
        rounds = max(5, min(200, (8 << 20) // size_bytes))
        worker.send_bytes(json.dumps(["echo", rounds]).encode())
        times_s = []
        for _ in range(rounds):
            start_s = time.perf_counter()
            worker.send_bytes(payload)
            worker.recv_bytes()
            times_s.append((time.perf_counter() - start_s) / 2)  # the echo travels the same way back
        return median(times_s)

    return Link.fit(_PIPE_SIZES_BYTES, message_s, repeats)


def _disk(directory: Path, repeats: int, *, size_bytes: int) -> tuple[Reading, Reading, bool]:
    """Return bytes per second written (with fsync) and read, and whether the page cache was emptied."""
    block = os.urandom(_BLOCK_BYTES)  # random, so that no layer compresses it
    blocks = size_bytes // _BLOCK_BYTES
    writes, reads, uncached = [], [], True
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
            for _ in range(repeats):
                file.seek(0)
                file.truncate()
                start_s = time.perf_counter()
                for _ in range(blocks):
                    file.write(block)
                os.fsync(file.fileno())
                writes.append(size_bytes / (time.perf_counter() - start_s))
                uncached = _drop_cache(file.fileno()) and uncached
                file.seek(0)
                start_s = time.perf_counter()
                while file.read(_BLOCK_BYTES):
                    pass
                reads.append(size_bytes / (time.perf_counter() - start_s))
    except OSError as error:
        raise ConfigError(
            f"the disk at {directory} cannot be measured ({error.strerror or error}): name another directory"
        ) from error
    return Reading.of(writes), Reading.of(reads), uncached


def _drop_cache(descriptor: int) -> bool:
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except (AttributeError, OSError):  # not on macOS
        return False
    return True
