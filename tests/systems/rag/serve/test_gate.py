"""The line in front of a service: in turn, bounded in time, and left by whoever gives up."""

import asyncio

import pytest

from sixfold.parts.admission import Admission
from sixfold.systems.rag.serve.gate import Gate, OverloadedError


def gate(concurrency: int = 1, service_s: float = 0.01) -> Gate:
    return Gate(Admission(concurrency, typical_s={"ask": service_s}))


def test_requests_are_served_in_turn_and_never_more_than_allowed_at_once() -> None:
    order: list[int] = []
    inside = most = 0

    async def one(at: int, line: Gate) -> None:
        nonlocal inside, most
        async with line.pass_through("ask", 60):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            order.append(at)
            inside -= 1

    async def run() -> None:
        line = gate(concurrency=2)
        await asyncio.gather(*(one(at, line) for at in range(20)))

    asyncio.run(run())
    assert order == sorted(order)
    assert most == 2


def test_one_who_gives_up_leaves_the_line_and_the_next_one_is_served() -> None:
    async def run() -> list[str]:
        line, done = gate(), []
        release = asyncio.Event()

        async def hold() -> None:
            async with line.pass_through("ask", 60):
                await release.wait()

        async def ask(name: str) -> None:
            async with line.pass_through("ask", 60):
                done.append(name)

        holding = asyncio.create_task(hold())
        await asyncio.sleep(0)
        first, second = asyncio.create_task(ask("first")), asyncio.create_task(ask("second"))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        release.set()
        await asyncio.gather(holding, second)
        assert line.admission is not None
        assert (line.admission.waiting, line.admission.running) == (0, 0)
        return done

    assert asyncio.run(run()) == ["second"]


def test_what_cannot_be_served_in_time_is_refused_at_once() -> None:
    async def run() -> None:
        line = gate(service_s=1.0)
        async with line.pass_through("ask", 60):
            with pytest.raises(OverloadedError) as refused:
                async with line.pass_through("ask", 1.5):
                    raise AssertionError("it was let through")
            assert refused.value.retry_after_s > 0

    asyncio.run(run())


def test_a_failure_inside_gives_the_place_back() -> None:
    async def run() -> None:
        line = gate()
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with line.pass_through("ask", 60):
                    _ = 1 / 0

    asyncio.run(run())


def test_without_admission_everything_goes_through_at_once() -> None:
    async def run() -> int:
        line, inside = Gate(None), 0

        async def one() -> None:
            nonlocal inside
            async with line.pass_through("ask", 0.0):
                inside += 1
                await asyncio.sleep(0.01)

        tasks = [asyncio.create_task(one()) for _ in range(50)]
        await asyncio.sleep(0)
        there = inside
        await asyncio.gather(*tasks)
        return there

    assert asyncio.run(run()) == 50
