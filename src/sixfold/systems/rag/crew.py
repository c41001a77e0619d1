"""Who does the work of a build: this process alone, or p Ray actors that pull one item at a time."""

from __future__ import annotations

import gc
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sixfold.axes import Axis
from sixfold.errors import PrerequisiteError, SixfoldError, first_line
from sixfold.study.meter import Reading, metered

__all__ = ["Crew", "RayCrew", "SerialCrew"]

A = TypeVar("A")
R = TypeVar("R")

MOST_DEATHS = 3  # more have a cause that another attempt does not mend
_SMALL_BYTES = 20_000
_PLENTY = 4  # items a worker still to come: below it, which worker is free decides who takes the next


class Crew(Protocol):
    """Runs a task on every item. Results come as they are ready, each with the index of its item."""

    workers: int
    expendable: bool  # a task may end the process it runs in: another one takes its place and its item

    def map(
        self, task: Callable[[A], R], items: Sequence[A], *, most_deaths: int = MOST_DEATHS
    ) -> Iterator[tuple[int, R]]:
        """Raises what a task raises, and PrerequisiteError for an item that ended `most_deaths` processes."""
        ...

    def warm_up(self, task: Callable[[int], Any]) -> None:
        """Run `task` once in every worker, unmetered: what is loaded once in its life, and is not garbage."""
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
    expendable = False

    def __init__(self, axis: Axis) -> None:
        self._axis = axis
        self._readings: list[Reading] = []

    def map(
        self, task: Callable[[A], R], items: Sequence[A], *, most_deaths: int = MOST_DEATHS
    ) -> Iterator[tuple[int, R]]:
        run = metered(self._axis)(task)
        for index, item in enumerate(items):
            result, reading = run(item)
            self._readings.append(reading)
            yield index, result

    def warm_up(self, task: Callable[[int], Any]) -> None:
        task(0)
        _leave_to_itself()

    def readings(self) -> list[Reading]:
        return list(self._readings)

    def close(self) -> None:
        gc.unfreeze()


class RayCrew:
    """`workers` Ray actors of one CPU each; an idle one takes the next item, so that uneven items balance.

    An actor that dies is replaced and its item is run again: tasks must be able to resume.
    """

    expendable = True

    def __init__(self, workers: int, axis: Axis) -> None:
        import ray

        self.workers = workers
        self._axis = axis
        self._readings: list[Reading] = []
        self._actor = ray.remote(num_cpus=1)(_Worker)
        self._actors = [self._actor.remote() for _ in range(workers)]
        ray.get([worker.ready.remote() for worker in self._actors])

    def map(
        self, task: Callable[[A], R], items: Sequence[A], *, most_deaths: int = MOST_DEATHS
    ) -> Iterator[tuple[int, R]]:
        import ray

        waiting = deque(range(len(items)))
        # A task may carry the list of all parts: a large one is sent once. A worker asks the driver for it at every
        # call, though, so a small one goes along.
        small = len(ray.cloudpickle.dumps(task)) <= _SMALL_BYTES
        shared = task if small else ray.put(task)
        running: dict[Any, tuple[int, Any]] = {}
        deaths: Counter[int] = Counter()

        def run(worker: Any, index: int) -> None:
            running[worker.run.remote(shared, self._axis, items[index])] = (index, worker)

        def hand_out(worker: Any) -> None:
            if waiting:
                run(worker, waiting.popleft())

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
            except ray.exceptions.RayActorError as error:
                # Items are worked on in the order in which they were handed out: the first one was in flight.
                lost = sorted([index, *(at for at, busy in running.values() if busy is worker)])
                deaths[lost[0]] += 1
                if deaths[lost[0]] >= most_deaths:
                    raise PrerequisiteError(
                        f"{most_deaths} Ray workers died one after the other on {items[lost[0]]!r:.200} "
                        f"({first_line(error)}): see to memory and Ray's logs, then run the same command again"
                    ) from None
                running = {ref: (at, busy) for ref, (at, busy) in running.items() if busy is not worker}
                successor = self._replace(worker)
                for at in lost:
                    run(successor, at)
                continue
            self._readings.append(reading)
            yield index, result

    def warm_up(self, task: Callable[[int], Any]) -> None:
        import ray

        ray.get([worker.warm_up.remote(task, index) for index, worker in enumerate(self._actors)])

    def readings(self) -> list[Reading]:
        return list(self._readings)

    def close(self) -> None:
        import ray

        for worker in self._actors:
            ray.kill(worker)
        self._actors = []

    def _replace(self, worker: Any) -> Any:
        import ray

        ray.kill(worker)  # if it only seemed dead, it must not write beside its successor
        successor = self._actor.remote()
        self._actors[self._actors.index(worker)] = successor
        return successor


class _Worker:
    """The actor. It keeps nothing: what a task wants to keep warm is cached in its own module."""

    def ready(self) -> float:
        return time.time()

    def warm_up(self, task: Callable[[int], Any], index: int) -> None:
        task(index)
        _leave_to_itself()

    def run(self, task: Callable[[Any], Any], axis: Axis, item: Any) -> tuple[Any, Reading]:
        return metered(axis)(task)(item)


def _leave_to_itself() -> None:
    """Have the garbage collector pass over what is loaded by now, modules mostly: 2 % of cleaning with Ray and
    torch imported, 240,000 objects."""
    gc.collect()
    gc.freeze()
