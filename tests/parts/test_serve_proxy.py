"""The guard of Ray Serve's proxy around small ASGI applications; serve/test_fleet.py has it in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from sixfold.parts.serve_proxy import SLACK_S, ProxyGuard, middlewares


async def asked(
    app: Callable[..., Any] | ProxyGuard, body: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> list[Any]:
    """The messages that an application's caller gets."""
    incoming = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop(0) if incoming else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers or []}
    await (app if isinstance(app, ProxyGuard) else ProxyGuard(app))(scope, receive, send)
    return sent


async def silent(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await asyncio.sleep(60)


def test_an_overdue_request_is_answered_when_its_deadline_and_the_slack_have_passed() -> None:
    async def timed() -> tuple[list[Any], float]:
        began_s = asyncio.get_running_loop().time()
        sent = await asked(silent, b'{"query": "q", "deadline_s": 0.2}')
        return sent, asyncio.get_running_loop().time() - began_s

    (start, end), took_s = asyncio.run(timed())
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert b"no_replica" in end["body"]
    assert 0.2 + SLACK_S <= took_s < 5


def test_what_an_application_says_of_its_end_is_not_sent_too() -> None:
    async def excuse(scope: Any, receive: Any, send: Any) -> None:
        try:
            await silent(scope, receive, send)
        finally:
            await send({"type": "http.response.start", "status": 499, "headers": []})

    sent = asyncio.run(asked(excuse, b'{"deadline_s": 0.01}'))
    assert [message.get("status") for message in sent] == [503, None]


def test_an_application_that_hides_its_cancellation_is_answered_for() -> None:
    async def hiding(scope: Any, receive: Any, send: Any) -> None:
        with suppress(asyncio.CancelledError):
            await silent(scope, receive, send)

    sent = asyncio.run(asked(hiding, b'{"deadline_s": 0.01}'))
    assert [message.get("status") for message in sent] == [503, None]


def test_an_answer_that_has_begun_is_not_cut() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(SLACK_S + 0.2)
        await send({"type": "http.response.body", "body": b"late but whole"})

    sent = asyncio.run(asked(slow, b'{"deadline_s": 0.01}'))
    assert [message.get("status") for message in sent] == [200, None]
    assert sent[1]["body"] == b"late but whole"


def test_without_a_deadline_an_application_has_its_time_and_its_body() -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(SLACK_S + 0.1)
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    assert asyncio.run(asked(echo, b'{"deadline": 0.01}'))[1]["body"] == b'{"deadline": 0.01}'


def test_a_timeout_of_the_application_stays_its_own() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        asyncio.run(asked(failing, b'{"deadline_s": 5}'))


def test_what_was_refused_is_refused_again_without_the_application_until_it_would_fit() -> None:
    calls: list[float] = []

    async def full(scope: Any, receive: Any, send: Any) -> None:
        calls.append(asyncio.get_running_loop().time())
        await send({"type": "http.response.start", "status": 503, "headers": [(b"Retry-After-Ms", b"200")]})
        await send({"type": "http.response.body", "body": b"full"})

    async def several() -> list[Any]:
        guard = ProxyGuard(full)
        first = await asked(guard, b'{"deadline_s": 1.0}')
        again = await asked(guard, b'{"deadline_s": 0.9}')
        assert len(calls) == 1
        await asked(guard, b'{"deadline_s": 2}')  # has more time: that it does not fit is not known
        await asked(guard, b"{}")
        assert len(calls) == 3
        await asyncio.sleep(0.25)
        await asked(guard, b'{"deadline_s": 1.0}')
        assert len(calls) == 4
        return [first, again]

    (first, again) = asyncio.run(several())
    assert first[1]["body"] == b"full"
    assert again[0]["status"] == 503
    assert (b"retry-after", b"1") in again[0]["headers"]
    assert b'"overloaded"' in again[1]["body"]


def test_a_503_that_is_no_refusal_holds_nobody_off() -> None:
    calls: list[int] = []

    async def opening(scope: Any, receive: Any, send: Any) -> None:
        calls.append(1)
        await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"1")]})
        await send({"type": "http.response.body", "body": b""})

    async def twice() -> None:
        guard = ProxyGuard(opening)
        for _ in range(2):
            await asked(guard, b'{"deadline_s": 1.0}')

    asyncio.run(twice())
    assert len(calls) == 2


def test_headers_that_are_not_utf8_do_not_reach_the_proxy() -> None:
    seen: list[Any] = []

    async def look(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])

    given = [(b"x-request-id", b"\xe9\xe9"), (b"accept", "é".encode())]
    asyncio.run(asked(look, b"{}", given))
    assert seen == given[1:]


def test_ray_serve_is_given_a_list_of_middlewares() -> None:
    from ray.serve._private.http_util import validate_http_proxy_callback_return

    assert validate_http_proxy_callback_return(middlewares())
