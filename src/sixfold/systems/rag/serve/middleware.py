"""What every request passes through: bounds, who may ask, the trace, and one line of log."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from sixfold.parts.page_app import PAGE_HEADERS, names_loopback
from sixfold.systems.rag.serve.errors import ApiError, error_response
from sixfold.systems.rag.serve.metrics import GatewayMetrics
from sixfold.systems.rag.serve.tracing import begin_span, trace_id

__all__ = ["MOST_BODY_BYTES", "Doorkeeper", "Journal"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BODY_BYTES = 16_000_000
_log = logging.getLogger("sixfold.rag.serve")


class Journal:
    """The trace in and out, the metrics and the log of every request. The log has no content of a request."""

    def __init__(self, app: App, metrics: GatewayMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()
        headers = Headers(scope=scope)
        span = begin_span(headers.get("traceparent"), headers.get("tracestate"))
        status = 0

        async def send_traced(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                outgoing = MutableHeaders(scope=message)
                outgoing["traceparent"] = span
                for name, value in PAGE_HEADERS.items():
                    outgoing.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_traced)
        except asyncio.CancelledError:
            self._metrics.cancelled.inc()
            status = 499
            raise
        finally:
            took_s = time.perf_counter() - began_s
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(took_s)
            line = {"route": route, "status": status, "seconds": round(took_s, 4), "trace": trace_id()}
            _log.info("%s", json.dumps(line))


class Doorkeeper:
    """Refuses bodies that are too large, other sites' pages, and those who lack the token.

    A page of another site can make a browser send requests to loopback: the Host and Origin headers tell.
    """

    def __init__(self, app: App, *, token: str | None, loopback: bool) -> None:
        self._app, self._token, self._loopback = app, token, loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], scope["path"], headers)
        if refusal is not None:
            await error_response(refusal)(scope, receive, send)
            return
        received = 0

        async def receive_bounded() -> MutableMapping[str, Any]:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MOST_BODY_BYTES:
                # The framework passes this kind on and takes any other for a body that cannot be parsed.
                raise HTTPException(413, str(_too_large()))
            return message

        await self._app(scope, receive_bounded, send)

    def _refusal(self, method: str, path: str, headers: Headers) -> ApiError | None:
        host = headers.get("host", "")
        if self._loopback and not names_loopback(host):
            return ApiError(403, "this service answers on loopback only, under that name", code="wrong_host")
        origin = headers.get("origin")
        if method not in ("GET", "HEAD") and origin is not None and origin.partition("://")[2] != host:
            return ApiError(403, "requests from pages of other sites are refused", code="wrong_origin")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
            return _too_large()
        writes = path in ("/v1/documents", "/v1/takedowns")
        if self._token and path.startswith(("/v1/", "/metrics")) and (writes or not self._loopback):
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), self._token.encode()):
                return ApiError(401, "this needs the service's token as a bearer token", code="invalid_api_key")
        return None


def _too_large() -> ApiError:
    return ApiError(413, f"the body is larger than {MOST_BODY_BYTES} bytes", code="too_large")
