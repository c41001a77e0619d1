"""Promises of the meter: every second goes to exactly one part of one axis, and nothing is counted twice."""

import pickle
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.axes import Axis
from sixfold.errors import InvariantError
from sixfold.study import Meter, Part, Reading, breakdown, metered, span


class FakeClock:
    """A clock that moves only when told, and counts how often it is read."""

    def __init__(self) -> None:
        self.now, self.reads = 100.0, 0

    def __call__(self) -> float:
        self.reads += 1
        return self.now


# A program is a list of steps: seconds that pass, or a span with a program inside.
seconds = st.floats(0, 1e4, allow_nan=False)
spans = st.tuples(st.sampled_from(Part), st.none() | st.sampled_from(Axis), st.integers(0, 10**12))
programs = st.recursive(
    st.lists(seconds, max_size=3),
    lambda inner: st.lists(seconds | st.tuples(spans, inner), max_size=4),
    max_leaves=20,
)


def run(program: list, meter: Meter, clock: FakeClock) -> None:
    for step in program:
        if isinstance(step, float):
            clock.now += step
        else:
            (part, axis, nbytes), inner = step
            with meter.span(part, axis=axis, nbytes=nbytes):
                run(inner, meter, clock)


def seconds_in(program: list) -> float:
    return sum(step if isinstance(step, float) else seconds_in(step[1]) for step in program)


def bytes_in(program: list) -> int:
    return sum(step[0][2] + bytes_in(step[1]) for step in program if not isinstance(step, float))


def reading_of(program: list) -> Reading:
    clock = FakeClock()
    with Meter(Axis.DATA, clock=clock) as meter:
        run(program, meter, clock)
    clock.now += 1e6  # what happens after the meter was left is not its business
    return meter.reading()


@given(programs)
def test_parts_add_up_to_the_wall_time_whatever_is_nested(program: list) -> None:
    reading = reading_of(program)
    assert reading.wall_s == pytest.approx(seconds_in(program), rel=1e-9, abs=1e-6)
    assert sum(reading.part_s(part) for part in Part) == pytest.approx(reading.wall_s, rel=0.01, abs=1e-6)
    by_axis = sum(reading.axis_s(axis) for axis in Axis)
    assert by_axis == pytest.approx(reading.busy_s, rel=1e-9, abs=1e-6)
    assert sum(reading.moved_bytes.values()) == bytes_in(program)


@given(st.lists(programs, min_size=1, max_size=4), st.floats(1.0, 3.0), st.integers(0, 3))
def test_a_breakdown_of_several_meters_adds_up(some: list[list], slack: float, silent: int) -> None:
    readings = [reading_of(program) for program in some]
    wall_s = max(reading.wall_s for reading in readings) * slack + 1e-3
    workers = len(readings) + silent  # a worker that reports nothing was idle
    parts = breakdown(wall_s, workers, readings)
    total = parts.compute_s + parts.communication_s + parts.idle_s + parts.rework_s
    assert total == pytest.approx(wall_s, rel=0.01)
    busy = sum(reading.busy_s for reading in readings)
    assert (wall_s - parts.idle_s) * workers == pytest.approx(busy, rel=1e-6, abs=1e-3)
    assert sum(parts.axis_s.values()) == pytest.approx(wall_s - parts.idle_s, rel=1e-6, abs=1e-6)
    assert sum(parts.axis_bytes.values()) == parts.moved_bytes == sum(bytes_in(program) for program in some)


@given(st.floats(0.1, 1e4), st.integers(1, 8), st.floats(1.02, 5))
def test_time_claimed_twice_is_refused(wall_s: float, workers: int, times: float) -> None:
    twice = Reading(wall_s, {(Axis.DATA, Part.COMPUTE): wall_s * 0.9})
    with pytest.raises(InvariantError, match="metered twice"):
        breakdown(wall_s, workers, [twice] * (workers + 1 + int(workers * 0.3)))
    longer = Reading(wall_s * times, {(Axis.DATA, Part.COMPUTE): wall_s * times})
    with pytest.raises(InvariantError, match="one reading claims"):
        breakdown(wall_s, workers + 5, [longer])


def test_one_percent_more_than_the_wall_is_forgiven_and_scaled_away() -> None:
    slightly = Reading(10.05, {(Axis.DATA, Part.COMPUTE): 6.03, (Axis.MODEL, Part.COMMUNICATION): 4.02})
    parts = breakdown(10.0, 1, [slightly])
    assert (parts.compute_s, parts.communication_s, parts.idle_s) == pytest.approx((6.0, 4.0, 0.0))
    assert parts.axis_s == pytest.approx({"data": 6.0, "model": 4.0})


def test_a_span_reads_the_clock_twice() -> None:
    clock = FakeClock()
    with Meter(Axis.DATA, clock=clock) as meter:
        before = clock.reads
        with meter.span(Part.COMPUTE):
            pass
        assert clock.reads - before == 2
        before = clock.reads
        with span(Part.COMMUNICATION), span(Part.COMPUTE, axis=Axis.MODEL):
            pass
        assert clock.reads - before == 4


def test_a_span_without_a_meter_in_force_does_nothing() -> None:
    with span(Part.COMPUTE, nbytes=5):
        value = 1
    assert value == 1


def test_an_exception_leaves_the_meter_whole() -> None:
    clock = FakeClock()
    with Meter(Axis.DATA, clock=clock) as meter:
        with suppress(RuntimeError), meter.span(Part.REWORK):
            clock.now += 2
            raise RuntimeError
        clock.now += 3
    reading = meter.reading()
    assert (reading.part_s(Part.REWORK), reading.part_s(Part.IDLE)) == (2, 3)


def test_entering_a_meter_again_begins_at_zero() -> None:
    clock = FakeClock()
    meter = Meter(Axis.DATA, clock=clock)
    for elapsed in (5.0, 2.0):
        with meter:
            clock.now += elapsed
        assert meter.reading() == Reading(elapsed, {(Axis.DATA, Part.IDLE): elapsed}, {})


def test_a_span_inherits_the_axis_of_the_span_around_it() -> None:
    clock = FakeClock()
    with Meter(Axis.DATA, clock=clock) as meter, meter.span(Part.COMPUTE, axis=Axis.MODEL):
        with meter.span(Part.COMMUNICATION, nbytes=7):
            clock.now += 1
        meter.move(3)
    assert meter.reading().seconds[Axis.MODEL, Part.COMMUNICATION] == 1
    assert meter.reading().moved_bytes == {Axis.MODEL: 10}


def test_metered_returns_the_result_and_a_reading_that_crosses_processes() -> None:
    @metered(Axis.INFERENCE)
    def double(value: int) -> int:
        with span(Part.COMMUNICATION, nbytes=8):
            time.sleep(0.01)
        return 2 * value

    result, reading = double(21)
    assert result == 42
    assert reading.part_s(Part.COMMUNICATION) >= 0.01
    copy = pickle.loads(pickle.dumps(reading))
    assert copy == reading
    assert copy.part_s(Part.COMMUNICATION) == reading.part_s(Part.COMMUNICATION)


@pytest.mark.ray
def test_tasks_and_actors_of_a_real_ray_are_metered_from_inside(ray_lab: object) -> None:
    import ray

    @ray.remote
    @metered(Axis.DATA)
    def work(axis: Axis) -> str:
        with span(Part.COMMUNICATION, axis=axis, nbytes=100):
            time.sleep(0.05)
        with span(Part.REWORK):
            time.sleep(0.02)
        return "done"

    class Keeper:
        def __init__(self) -> None:
            self.meter = Meter(Axis.CLUSTER).__enter__()

        def step(self) -> None:
            with span(Part.COMPUTE):  # the meter in force is another thread's: an actor keeps and names its own
                pass
            with self.meter.span(Part.COMPUTE):
                time.sleep(0.03)

        def reading(self) -> Reading:
            return self.meter.reading()

    ray.get(work.remote(Axis.DATA))  # the worker process is up
    keeper = ray.remote(num_cpus=0)(Keeper).remote()
    ray.get(keeper.reading.remote())
    began = time.perf_counter()
    results = ray.get([work.remote(Axis.TRAINING), work.remote(Axis.DATA)])
    ray.get(keeper.step.remote())
    wall_s = time.perf_counter() - began
    assert [text for text, _ in results] == ["done", "done"]
    parts = breakdown(wall_s, 2, [reading for _, reading in results])
    assert parts.moved_bytes == 200
    assert parts.axis_bytes == {"training": 100, "data": 100}
    assert 0.05 <= parts.communication_s <= wall_s
    assert 0.02 <= parts.rework_s <= wall_s
    assert parts.compute_s + parts.communication_s + parts.idle_s + parts.rework_s == pytest.approx(wall_s, rel=0.01)
    kept = ray.get(keeper.reading.remote())
    assert kept.part_s(Part.COMPUTE) >= 0.03
    assert kept.part_s(Part.IDLE) > 0
