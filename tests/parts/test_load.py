"""Requests go out when they are due, whatever becomes of them, and latency counts from then."""

import asyncio
import time

import pytest

from sixfold.errors import ConfigError
from sixfold.parts.load import OK, open_loop


def test_no_request_waits_for_the_answer_to_another():
    """A real server that answers nobody before it has heard from everybody: a closed loop would wait for ever."""
    everybody = 40

    async def scenario():
        heard, all_here = 0, asyncio.Event()

        async def answer(reader, writer):
            nonlocal heard
            await reader.readline()
            heard += 1
            if heard == everybody:
                all_here.set()
            await all_here.wait()
            writer.write(b"yes\n")
            await writer.drain()
            writer.close()

        async def send(_):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"?\n")
            said = await reader.readline()
            writer.close()
            return OK if said == b"yes\n" else "wrong"

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            return await asyncio.wait_for(open_loop([n / 400 for n in range(everybody)], send, objective_s=30), 30)

    report = asyncio.run(scenario())
    assert report.outcomes == {OK: everybody}
    assert report.good == report.offered == everybody
    assert report.latency[OK].longest_s >= (everybody - 1) / 400  # the first one waited for the last one


def test_latency_counts_from_when_a_request_was_due():
    async def send(number):
        if number == 0:
            time.sleep(0.2)  # the generator itself is held up: the others are sent late
        return OK

    report = asyncio.run(open_loop([0.0, 0.01, 0.02], send, objective_s=0.1))
    assert report.latency[OK].quantile_s(0.0) >= 0.17
    assert report.lag.longest_s >= 0.17
    assert report.generator_limited
    assert (report.offered, report.good) == (3, 0)
    assert report.goodput_per_s() == 0.0


def test_what_the_generator_cannot_hold_is_counted_and_named():
    async def send(_):
        await asyncio.sleep(0.05)
        return "503"

    report = asyncio.run(open_loop([0.0] * 10, send, objective_s=1, most_in_flight=4))
    assert report.outcomes == {"503": 4}
    assert report.not_sent == 6
    assert report.generator_limited
    assert report.to_json()["latency"]["503"]["count"] == 4
    assert report.good == 0


def test_seconds_tell_when_a_service_was_good():
    async def send(number):
        return OK if number < 30 else "down"

    report = asyncio.run(open_loop([n / 50 for n in range(100)], send, objective_s=1))
    assert report.goodput_per_s(0, 1) == 30 == 2 * report.goodput_per_s()
    assert report.goodput_per_s(1) == 0
    assert sum(second.offered for second in report.seconds.values()) == 100


def test_a_mistake_in_send_ends_the_load():
    async def send(_):
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(open_loop([0.0, 0.0], send, objective_s=1))
    assert raised.group_contains(ZeroDivisionError)


@pytest.mark.parametrize(("arrivals", "objective_s", "most"), [([1.0, 0.5], 1, 9), ([0.0], 0, 9), ([0.0], 1, 0)])
def test_bad_arguments(arrivals, objective_s, most):
    with pytest.raises(ConfigError):
        asyncio.run(open_loop(arrivals, None, objective_s=objective_s, most_in_flight=most))


def test_nothing_is_no_load():
    report = asyncio.run(open_loop([], None, objective_s=1))
    assert (report.offered, report.goodput_per_s(), report.generator_limited) == (0, 0.0, False)
