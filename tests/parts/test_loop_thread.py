"""Synchronous callers of asynchronous code: results, errors and cancellation pass; the thread ends."""

import asyncio
import threading

import pytest

from sixfold.parts.loop_thread import LoopThread


async def double(number):
    await asyncio.sleep(0)
    return 2 * number


def test_results_and_errors_pass_and_the_thread_ends():
    before = threading.active_count()
    loop = LoopThread("test")
    assert [loop.submit(double(n)).result() for n in range(3)] == [0, 2, 4]
    with pytest.raises(TypeError):
        loop.submit(double(None)).result()
    loop.close()
    assert threading.active_count() == before
    assert loop.submit(double(4)).result() == 8  # it begins again
    loop.close()
    loop.close(double(1))  # nothing runs: the last work is dropped without a warning


def test_closing_cancels_what_is_under_way_and_then_does_the_last_work():
    loop, done = LoopThread("test"), []

    async def forever():
        try:
            await asyncio.sleep(60)
        finally:
            done.append("cancelled")

    async def last():
        done.append("last")

    waiting = loop.submit(forever())
    loop.submit(double(1)).result()
    loop.close(last())
    assert done == ["cancelled", "last"]
    assert waiting.cancelled()
