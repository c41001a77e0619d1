"""A real small web server per test, for what the embedded site does not do."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from sixfold.systems.rag.site import SiteServer, render_site

Handler = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


class TinyServer:
    """Answers each request by a coroutine `handler(path, writer)`; remembers (time, path)."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.requests: list[tuple[float, str]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        with contextlib.suppress(Exception, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                self.requests.append((time.monotonic(), path))
                await self._handler(path, writer)
                await writer.drain()
        writer.close()

    def __enter__(self) -> "TinyServer":
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(10)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        async def end() -> None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def paths(self) -> list[str]:
        return [path for _, path in self.requests]


def answer(body: bytes = b"", status: int = 200, kind: str = "text/html", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "Content_Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@pytest.fixture
def tiny_server() -> Iterator[Callable[[Handler], TinyServer]]:
    with contextlib.ExitStack() as stack:
        yield lambda handler: stack.enter_context(TinyServer(handler))


@pytest.fixture
def reply() -> Callable[..., bytes]:
    return answer


@pytest.fixture(scope="session")
def small_site(tmp_path_factory):
    """A folder with a rendered site of about 60 pages of the standard library."""
    packages = [
        "json",
        "email",
        "csv",
        "html",
        "http",
        "logging",
        "wsgiref",
        "xml",
        "zipfile",
        "dbm",
        "heapq",
    ]
    return render_site(tmp_path_factory.mktemp("site"), packages=packages, seed=3)


@pytest.fixture
def site(small_site, tmp_path):
    with SiteServer(small_site, access_log=tmp_path / "access.jsonl") as server:
        yield server
