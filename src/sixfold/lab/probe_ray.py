"""Measure what Ray adds on this machine: to a task, to an actor call, and to an array between processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from sixfold.lab.lab import Lab
from sixfold.lab.local_ray import usable_cores
from sixfold.lab.profile import Link, RayReadings, Reading

__all__ = ["measure_ray"]

_OBJECT_SIZES_BYTES = (256 << 10, 1 << 20, 4 << 20, 16 << 20)  # smaller ones travel inside the call
_OBJECT_ROUNDS = 7


def measure_ray(repeats: int, *, calls: int) -> RayReadings:
    """Start Ray here (or share the one of this process) and measure it; each repeat is of `calls` calls."""
    with Lab.local(workers=min(2, usable_cores())):
        import ray

        task = ray.remote(_nothing)
        actor = ray.remote(_Holder).options(num_cpus=0).remote()
        ray.get([task.remote() for _ in range(20)] + [actor.nothing.remote() for _ in range(20)])

        def hand_over_s(size_bytes: int) -> float:
            array = np.ones(size_bytes, dtype=np.uint8)
            return _median_s(lambda: ray.get(actor.touch.remote(ray.put(array))), _OBJECT_ROUNDS)

        def bulk_s() -> float:
            return _median_s(lambda: ray.get([task.remote() for _ in range(calls)]), 1) / calls

        each = range(repeats)
        return RayReadings(
            task_alpha_s=Reading.of([_median_s(lambda: ray.get(task.remote()), calls) for _ in each]),
            task_s=Reading.of([bulk_s() for _ in each]),
            actor_alpha_s=Reading.of([_median_s(lambda: ray.get(actor.nothing.remote()), calls) for _ in each]),
            object_link=Link.fit(_OBJECT_SIZES_BYTES, hand_over_s, repeats),
        )


def _nothing() -> None:
    return None


class _Holder:
    def nothing(self) -> None:
        return None

    def touch(self, array: Any) -> int:
        return int(array[-1])


def _median_s(call: Callable[[], object], times: int) -> float:
    taken_s = []
    for _ in range(times):
        start_s = time.perf_counter()
        call()
        taken_s.append(time.perf_counter() - start_s)
    return median(taken_s)
