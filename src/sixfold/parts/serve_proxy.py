"""What Ray Serve's HTTP proxy does before an application sees a request.

It ends what is overdue: the proxy is the only process that is there when no replica of an application is, and would
keep a request until one is. It refuses what an application has just refused (`parts.backpressure`): a request that
goes on to a replica and back costs the machine ten times one that does not. And it drops odd headers.
Ray Serve loads `middlewares` where RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names it (`lab.local_ray`).
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.middleware import Middleware

from sixfold.parts.backpressure import Backpressure

__all__ = ["RETRY_AFTER_MS", "SLACK_S", "ProxyGuard", "middlewares"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

RETRY_AFTER_MS = "retry-after-ms"  # by this header a 503 says that it is a refusal, and for how long
SLACK_S = 0.5  # an application keeps its deadlines itself; this is for when there is none
_DEADLINE = re.compile(rb'"deadline_s"\s*:\s*(\d{1,6}(?:\.\d{1,6})?)')
_SEARCHED_BYTES = 100_000


class ProxyGuard:
    """Answers 503 in the application's stead where it is known to refuse, or `deadline_s` of a JSON body has passed.

    An answer that has begun is left alone. A body that names no deadline waits for a replica. Headers that are not
    UTF-8 are dropped: the proxy reads some of them and would fail with a 500.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._backpressure = Backpressure()

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
        budget_s = float(named[1]) if named else math.inf
        now_s = asyncio.get_running_loop().time
        wait_s = self._backpressure.wait_s(_kind(scope, named), budget_s, now_s())
        if wait_s > 0:
            await _refuse(send, "overloaded: a request like this one was just refused", "overloaded", wait_s)
            return

        async def receive_again() -> Message:
            return seen.pop() if seen else await receive()

        begun = False
        async with _ending(budget_s) as bound:

            async def send_begun(message: Message) -> None:
                nonlocal begun
                if bound.expired():
                    return  # it answers that it was cancelled; ours comes instead
                begun = True
                bound.reschedule(None)  # what has begun is the application's to end
                if message["type"] == "http.response.start" and message["status"] == 503:
                    retry_s = _retry_after_s(message)
                    self._backpressure.refused(_kind(scope, named), budget_s, now_s(), retry_s)
                await send(message)

            await self._app(scope, receive_again, send_begun)
        if bound.expired() and not begun:
            await _refuse(send, "no replica answered before the deadline", "no_replica", 1.0)


def _kind(scope: MutableMapping[str, Any], named: re.Match[bytes] | None) -> str:
    """Requests that name no deadline have one that only the application knows: they are of a kind of their own."""
    return f"{scope['path']} {'with' if named else 'without'} a deadline"


def _retry_after_s(start: Message) -> float:
    """For how long an application refuses the like of a request; 0 if it does not say so."""
    for name, value in start.get("headers", ()):
        if name.lower() == RETRY_AFTER_MS.encode() and value.isdigit():
            return int(value[:9]) / 1e3
    return 0.0


async def _refuse(send: Send, message: str, code: str, retry_after_s: float) -> None:
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"%d" % max(1, math.ceil(retry_after_s)))]
    error = {"message": message, "type": "overloaded_error", "param": None, "code": code}
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": error}).encode()})


@asynccontextmanager
async def _ending(budget_s: float) -> AsyncIterator[asyncio.Timeout]:
    """Cancel what is in it when the deadline and the slack have passed, and go on behind it.

    Ray Serve's proxy takes a cancellation for a client that hung up: it ends without raising it again.
    """
    bound = asyncio.timeout(budget_s + SLACK_S if math.isfinite(budget_s) else None)
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
