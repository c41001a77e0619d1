"""Requests of a load over HTTP, and what became of each of them in one word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sixfold.parts.load import OK

__all__ = ["Answer", "HttpLoad", "http_load"]

Judge = Callable[[int, "Answer"], str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status and its JSON, None if it is something else."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass
class HttpLoad:
    """Sends requests over kept connections; `send` is what `parts.load.open_loop` asks for.

    Outcomes: what `judge` says of an answer (`OK` by default for 200), "refused" for 429 and 503, "error" for any
    other status, "timeout" and "no connection".
    """

    session: Any  # aiohttp.ClientSession
    requests: Callable[[int], tuple[str, Any]]  # number -> path, JSON body; None asks with GET
    judge: Judge
    timeout_s: float

    async def send(self, number: int) -> str:
        """One request, to its last byte."""
        try:
            answer = await self.ask(*self.requests(number))
        except TimeoutError:
            return "timeout"
        except OSError:  # aiohttp's connection errors are among them
            return "no connection"
        if answer.status in (429, 503):
            return "refused"
        return self.judge(number, answer) if answer.status == 200 else "error"

    async def ask(self, path: str, body: Any) -> Answer:
        """One request and its whole answer; raises TimeoutError, or OSError for a connection that failed."""
        import aiohttp

        method = "GET" if body is None else "POST"
        try:
            async with asyncio.timeout(self.timeout_s), self.session.request(method, path, json=body) as response:
                raw = await response.read()
                content = await response.json() if response.content_type == "application/json" and raw else None
                return Answer(response.status, content, dict(response.headers))
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error)) from error


def _is_ok(_: int, __: Answer) -> str:
    return OK


@asynccontextmanager
async def http_load(
    address: str, requests: Callable[[int], tuple[str, Any]], *, judge: Judge = _is_ok, timeout_s: float = 60.0
) -> AsyncIterator[HttpLoad]:
    """Open connections to `address`, such as http://127.0.0.1:8600, as many as there are requests in flight."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    async with aiohttp.ClientSession(address, connector=connector) as session:
        yield HttpLoad(session, requests, judge, timeout_s)
