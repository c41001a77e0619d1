"""A process that does what the probe measures; the probe starts one a core and sends it commands.

Run as `python -m sixfold.lab.bench_worker FD`, where FD is its end of a Unix socket pair. A command is a
message of JSON, `[name, argument]`; "exit" ends it, and so does a closed socket.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

__all__ = ["KERNELS", "run_for"]

Kernel = Callable[[], float]  # does one piece of work and returns how much it was


def _python_kernel(_: int) -> Kernel:
    def work() -> float:
        state = 1
        for _ in range(20_000):  # a linear congruential generator: interpreter work and nothing else
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        return 20_000.0

    return work


def _matmul_kernel(size: int) -> Kernel:
    a_nn = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    out_nn = np.empty_like(a_nn)

    def work() -> float:
        np.matmul(a_nn, a_nn, out=out_nn)
        return 2.0 * size**3

    return work


def _bf16_kernel(size: int) -> Kernel:
    import torch

    torch.set_num_threads(1)
    a_nn = torch.randn((size, size), generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)

    def work() -> float:
        torch.mm(a_nn, a_nn)
        return 2.0 * size**3

    return work


def _copy_kernel(size_bytes: int) -> Kernel:
    source, target = np.ones(size_bytes, dtype=np.uint8), np.ones(size_bytes, dtype=np.uint8)

    def work() -> float:
        np.copyto(target, source)
        return 2.0 * size_bytes

    return work


KERNELS: dict[str, Callable[[int], Kernel]] = {
    "python": _python_kernel,
    "matmul": _matmul_kernel,
    "bf16": _bf16_kernel,
    "copy": _copy_kernel,
}


def run_for(kernel: Kernel, duration_s: float) -> tuple[float, float, float]:
    """Repeat a kernel for about `duration_s`; return (work done, wall seconds, CPU seconds)."""
    done = 0.0
    cpu_s = time.process_time()
    start_s = now_s = time.perf_counter()
    while now_s - start_s < duration_s or done == 0.0:
        done += kernel()
        now_s = time.perf_counter()
    return done, now_s - start_s, time.process_time() - cpu_s


def main(descriptor: int) -> None:
    """Serve commands until told to stop: set up a kernel, run it, or echo messages."""
    connection = Connection(descriptor)
    kernel: Kernel = _python_kernel(0)
    while True:
        try:
            name, argument = json.loads(connection.recv_bytes())
        except EOFError:
            return
        if name == "exit":
            return
        if name == "echo":
            for _ in range(argument):
                connection.send_bytes(connection.recv_bytes())
        elif name == "run":
            connection.send_bytes(json.dumps(run_for(kernel, argument)).encode())
        else:
            kernel = KERNELS[name](argument)
            kernel()  # the first one pays for pages and libraries
            connection.send_bytes(b"null")


if __name__ == "__main__":
    main(int(sys.argv[1]))
