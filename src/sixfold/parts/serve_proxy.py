"""What Ray Serve's HTTP proxy does before an application sees a request: ends what is overdue, drops odd headers.

The proxy is the only process that is there when no replica of an application is: it would keep a request until one is.
Ray Serve loads `middlewares` where RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names it (`lab.local_ray`).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.middleware import Middleware

__all__ = ["SLACK_S", "ProxyGuard", "middlewares"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

SLACK_S = 0.5  # an application keeps its deadlines itself; this is for when there is none
_DEADLINE = re.compile(rb'"deadline_s"\s*:\s*(\d{1,6}(?:\.\d{1,6})?)')
_SEARCHED_BYTES = 100_000
_OVERDUE = {
    "message": "no replica answered before the deadline",
    "type": "overloaded_error",
    "param": None,
    "code": "no_replica",
}


class ProxyGuard:
    """Answers 503 in the application's stead where `deadline_s` of a JSON body has passed and no answer has begun.

    A body that names no deadline waits for a replica. Headers that are not UTF-8 are dropped: the proxy reads some of
    them and would fail with a 500.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["headers"] = [(name, value) for name, value in scope["headers"] if _readable(value)]
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        seen = [await receive()]
        named = _DEADLINE.search(seen[0].get("body", b"")[:_SEARCHED_BYTES])

        async def receive_again() -> Message:
            return seen.pop() if seen else await receive()

        begun = False
        async with _ending(named) as bound:

            async def send_begun(message: Message) -> None:
                nonlocal begun
                if bound.expired():
                    return  # it answers that it was cancelled; ours comes instead
                begun = True
                bound.reschedule(None)  # what has begun is the application's to end
                await send(message)

            await self._app(scope, receive_again, send_begun)
        if bound.expired() and not begun:
            headers = [(b"content-type", b"application/json"), (b"retry-after", b"1")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps({"error": _OVERDUE}).encode()})


@asynccontextmanager
async def _ending(named: re.Match[bytes] | None) -> AsyncIterator[asyncio.Timeout]:
    """Cancel what is in it when the deadline and the slack have passed, and go on behind it.

    Ray Serve's proxy takes a cancellation for a client that hung up: it ends without raising it again.
    """
    bound = asyncio.timeout(float(named[1]) + SLACK_S if named else None)
    try:
        async with bound:
            yield bound
    except TimeoutError:
        if not bound.expired():
            raise


def _readable(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def middlewares() -> list[Middleware]:
    """For Ray Serve's proxy."""
    return [Middleware(ProxyGuard)]
