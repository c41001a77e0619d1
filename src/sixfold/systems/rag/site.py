"""The embedded web: the documentation of the installed Python as many hosts that link each other.

One virtual host is one loopback address, so no resolver is needed (docs/decisions/0007-crawl.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sixfold.errors import ConfigError, InputError, PrerequisiteError
from sixfold.files import read_json, replace_bytes
from sixfold.systems.rag.site_build import HUB_ADDRESS, render_site
from sixfold.systems.rag.site_faults import PORT_MARK, page_html

__all__ = ["HUB_ADDRESS", "SiteServer", "render_site", "serve", "site_scope", "site_truth"]

_MAX_REQUEST_BYTES = 16_384
_REASONS = {200: "OK", 301: "Moved Permanently", 302: "Found", 404: "Not Found", 500: "Internal Server Error"}


def site_truth(folder: Path, port: int) -> dict[str, Any]:
    """What a correct crawl of the site served at `port` finds: `pages`, and `faults` by kind."""
    text = json.dumps(read_json(folder / "truth.json")).replace(PORT_MARK, str(port))
    truth: dict[str, Any] = json.loads(text)
    return truth


def site_scope(port: int) -> tuple[str, ...]:
    """The scope of a crawl that stays on the embedded web: its pages also name other loopback services."""
    return (f"127.0.0.0/16:{port}",)


@dataclass(frozen=True, slots=True)
class _Ready:
    message: bytes
    delay_s: float
    close: bool


def _load(folder: Path, port: int) -> dict[str, dict[str, _Ready]]:
    try:
        blob = memoryview((folder / "pages.bin").read_bytes())
    except OSError as error:
        raise InputError(f"cannot read it: {error.strerror}", path=folder / "pages.bin") from None
    hosts: dict[str, dict[str, _Ready]] = {}
    mark, number = PORT_MARK.encode(), str(port).encode()
    for address, path, offset, size, meta in read_json(folder / "site.json"):
        body = zlib.decompress(blob[offset : offset + size])
        if meta["content_type"].startswith("text/html"):
            body = body.replace(mark, number)
        location = meta["location"] and meta["location"].replace(PORT_MARK, str(port))
        message = _message(meta["status"], meta["content_type"], body, location, meta["declared_bytes"])
        ready = _Ready(message, meta["delay_s"], meta["declared_bytes"] is not None)
        hosts.setdefault(address, {})[path] = ready
    return hosts


def _message(
    status: int, content_type: str, body: bytes, location: str | None = None, declared: int | None = None
) -> bytes:
    head = f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\nContent-Type: {content_type}\r\n"
    if location is not None:
        head += f"Location: {location}\r\n"
    return f"{head}Content-Length: {len(body) if declared is None else declared}\r\n\r\n".encode() + body


_MISSING = _Ready(_message(404, "text/html; charset=utf-8", page_html("not found", "")), 0.0, False)
_REFUSED = _Ready(_message(400, "text/plain", b"only GET\n"), 0.0, True)


class _Connection(asyncio.Protocol):
    """One connection. Answers are whole messages made at start: a request costs a lookup and a write."""

    def __init__(self, hosts: dict[str, dict[str, _Ready]], log: list[tuple[float, str, str]] | None) -> None:
        self._hosts, self._log = hosts, log
        self._buffer = b""
        self._waiting: list[bytes] = []  # requests behind a slow one
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._address = transport.get_extra_info("sockname")[0]
        self._host = self._hosts.get(self._address, {})

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        *requests, self._buffer = data.split(b"\r\n\r\n")
        if len(self._buffer) > _MAX_REQUEST_BYTES:
            self._send(_REFUSED)
            return
        self._waiting += requests
        self._answer()

    def _answer(self) -> None:
        while self._waiting and self._timer is None:
            request = self._waiting.pop(0)
            words = request.split(b" ", 2)
            if words[0] != b"GET" or len(words) < 3:
                self._send(_REFUSED)
                return
            path = words[1].decode("latin-1")
            if self._log is not None:
                self._log.append((time.time(), self._address, path))
            ready = self._host.get(path)
            if ready is None:
                ready = _trap(path) if path.startswith("/private/trap/") else _MISSING
            if ready.delay_s:
                self._timer = asyncio.get_running_loop().call_later(ready.delay_s, self._late, ready)
                return
            self._send(ready)

    def _late(self, ready: _Ready) -> None:
        self._timer = None
        self._send(ready)
        self._answer()

    def _send(self, ready: _Ready) -> None:
        self._transport.write(ready.message)
        if ready.close:
            self._waiting.clear()
            self._transport.close()


def _trap(path: str) -> _Ready:
    """A page of an endless chain behind a Disallow: only a crawler that ignores robots.txt gets here."""
    digits = path.removeprefix("/private/trap/")
    number = int(digits) if digits.isdigit() and len(digits) < 9 else 0
    body = page_html("trap", f'<a href="/private/trap/{number + 1}">deeper</a>')
    return _Ready(_message(200, "text/html; charset=utf-8", body), 0.0, False)


def serve(folder: Path, port: int = 0, *, ready: int | None = None, access_log: Path | None = None) -> None:
    """Serve the site in `folder` on loopback until SIGINT or SIGTERM; `port=0` takes a free one.

    The ready line, one JSON object with `port`, `hub` and `scope`, goes to descriptor `ready` or stdout.
    `access_log` gets one JSON line `[unix_time_s, address, path]` per request when the server stops.
    """
    asyncio.run(_serve(folder, port, ready, access_log))


async def _serve(folder: Path, port: int, ready: int | None, access_log: Path | None) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # a socket an address, and a crawler's connections
    if 0 <= soft < 16_384:
        resource.setrlimit(resource.RLIMIT_NOFILE, (16_384 if hard < 0 else min(hard, 16_384), hard))
    addresses = sorted({row[0] for row in read_json(folder / "site.json")})
    sockets, port = _listen(addresses, port)
    hosts = _load(folder, port)
    log: list[tuple[float, str, str]] | None = [] if access_log else None
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    servers = [await loop.create_server(lambda: _Connection(hosts, log), sock=s, backlog=512) for s in sockets]
    hub, scope = f"http://{HUB_ADDRESS}:{port}/", site_scope(port)
    line = json.dumps({"port": port, "hub": hub, "scope": scope, "hosts": len(addresses)})
    os.write(1 if ready is None else ready, f"{line}\n".encode())
    await stop.wait()
    for server in servers:
        server.close()
    if access_log is not None and log is not None:
        cpu = [time.process_time(), "cpu", str(len(log))]
        replace_bytes(access_log, "".join(json.dumps(row) + "\n" for row in [*log, cpu]).encode())


def _listen(addresses: Sequence[str], port: int) -> tuple[list[socket.socket], int]:
    """One socket an address, all on one port: never on any address that is not loopback."""
    for _ in range(20):
        sockets: list[socket.socket] = []
        chosen = port
        try:
            for address in addresses:
                listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                sockets.append(listener)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.setblocking(False)
                listener.bind((address, chosen))
                chosen = listener.getsockname()[1]
        except OSError as error:
            for listener in sockets:
                listener.close()
            if port:
                raise ConfigError(f"port {port} of {address}: {error.strerror}; choose another or 0") from None
            if error.errno == 99:  # EADDRNOTAVAIL
                raise PrerequisiteError(
                    f"{address} is not an address of this machine: the embedded site needs Linux, "
                    "where all of 127/8 is loopback; try `ip addr add 127.0.0.1/8 dev lo`"
                ) from None
            continue
        return sockets, chosen
    raise PrerequisiteError(f"no port is free on all of {len(addresses)} loopback addresses; give one with --port")


class SiteServer:
    """The site in a process of its own: `with SiteServer(folder) as site: crawl([site.hub])`.

    The process ends with this one, however this one ends.
    """

    def __init__(self, folder: Path, port: int = 0, *, access_log: Path | None = None) -> None:
        self._folder, self._wanted, self._log = folder, port, access_log
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.hub = ""

    def start(self) -> SiteServer:
        """Start it and wait until it answers; PrerequisiteError with its last words when it does not."""
        command = [sys.executable, "-m", "sixfold.systems.rag.site", str(self._folder), str(self._wanted)]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, *([str(self._log)] if self._log else [])],
            stdin=subprocess.PIPE,  # closed by our end, it tells the server to stop
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if self._process.stdout is None or self._process.stderr is None:
            raise PrerequisiteError("the site's process has no pipes")
        line = self._process.stdout.readline()
        if not line:
            words = self._process.stderr.read().decode("utf-8", "replace").strip().splitlines()
            self.stop()
            raise PrerequisiteError(f"the embedded site did not start: {words[-1] if words else 'no reason given'}")
        said = json.loads(line)
        self.port, self.hub = said["port"], said["hub"]
        return self

    def stop(self) -> None:
        """Stop it; safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    @property
    def scope(self) -> tuple[str, ...]:
        """`site_scope` of the running site."""
        return site_scope(self.port)

    @property
    def pid(self) -> int | None:
        """The server's process, while it runs."""
        return self._process.pid if self._process else None

    def truth(self) -> dict[str, Any]:
        """`site_truth` of the running site."""
        return site_truth(self._folder, self.port)

    def __enter__(self) -> SiteServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _main(folder: str, port: str, access_log: str | None = None) -> None:
    import threading

    def watch() -> None:  # end of file on stdin: the process that started us is gone
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    try:
        serve(Path(folder), int(port), access_log=Path(access_log) if access_log else None)
    except (ConfigError, InputError, PrerequisiteError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    _main(*sys.argv[1:])
