"""Who does the work of a build: this process alone, or p Ray actors that pull one item at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sixfold.axes import Axis
from sixfold.errors import SixfoldError
from sixfold.study.meter import Reading, metered

__all__ = ["Crew", "RayCrew", "SerialCrew"]

A = TypeVar("A")
R = TypeVar("R")

_PLENTY = 4  # items a worker still to come: below it, which worker is free decides who takes the next


class Crew(Protocol):
    """Runs a task on every item. Results come as they are ready, each with the index of its item."""

    workers: int

    def map(self, task: Callable[[A], R], items: Sequence[A]) -> Iterator[tuple[int, R]]: ...

    def warm_up(self, task: Callable[[int], Any]) -> None:
        """Run `task` once in every worker, unmetered: what is loaded once in its life."""
        ...

    def readings(self) -> list[Reading]:
        """What the meters of all tasks so far saw."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...


class SerialCrew:
    """The single process: no engine, no child, no copy. It is what the ladder's baseline runs on."""

    workers = 1

    def __init__(self, axis: Axis) -> None:
        self._axis = axis
        self._readings: list[Reading] = []

    def map(self, task: Callable[[A], R], items: Sequence[A]) -> Iterator[tuple[int, R]]:
        run = metered(self._axis)(task)
        for index, item in enumerate(items):
            result, reading = run(item)
            self._readings.append(reading)
            yield index, result

    def warm_up(self, task: Callable[[int], Any]) -> None:
        task(0)

    def readings(self) -> list[Reading]:
        return list(self._readings)

    def close(self) -> None:
        pass


class RayCrew:
    """`workers` Ray actors of one CPU each; an idle one takes the next item, so that uneven items balance.

    An actor that dies is started again by Ray and its item is run again: tasks must be able to resume.
    """

    def __init__(self, workers: int, axis: Axis) -> None:
        import ray

        self.workers = workers
        self._axis = axis
        self._readings: list[Reading] = []
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(_Worker)
        self._actors = [actor.remote() for _ in range(workers)]
        ray.get([worker.ready.remote() for worker in self._actors])

    def map(self, task: Callable[[A], R], items: Sequence[A]) -> Iterator[tuple[int, R]]:
        import ray

        waiting = deque(range(len(items)))
        shared = ray.put(task)  # once, however many items: a task may carry the list of all parts
        running: dict[Any, tuple[int, Any]] = {}

        def hand_out(worker: Any) -> None:
            if waiting:
                index = waiting.popleft()
                running[worker.run.remote(shared, self._axis, items[index])] = (index, worker)

        for worker in self._actors:
            hand_out(worker)
        # As long as there is plenty, each worker has its next item at hand and need not wait for us.
        if len(waiting) > _PLENTY * self.workers:
            for worker in self._actors:
                hand_out(worker)
        while running:
            done, _ = ray.wait(list(running), num_returns=1)
            index, worker = running.pop(done[0])
            if len(waiting) > _PLENTY * self.workers or all(worker is not busy for _, busy in running.values()):
                hand_out(worker)
            try:
                result, reading = ray.get(done[0])
            except ray.exceptions.RayTaskError as error:
                if running:  # nobody may still write when the caller mends what is wrong
                    ray.wait(list(running), num_returns=len(running))
                # Ray's text carries the worker's traceback; an error of ours is for the caller to read.
                if isinstance(error.cause, SixfoldError | OSError):
                    raise error.cause from None
                raise
            self._readings.append(reading)
            yield index, result

    def warm_up(self, task: Callable[[int], Any]) -> None:
        import ray

        ray.get([worker.run.remote(task, self._axis, index) for index, worker in enumerate(self._actors)])

    def readings(self) -> list[Reading]:
        return list(self._readings)

    def close(self) -> None:
        import ray

        for worker in self._actors:
            ray.kill(worker)
        self._actors = []


class _Worker:
    """The actor. It keeps nothing: what a task wants to keep warm is cached in its own module."""

    def ready(self) -> float:
        return time.time()

    def run(self, task: Callable[[Any], Any], axis: Axis, item: Any) -> tuple[Any, Reading]:
        return metered(axis)(task)(item)
