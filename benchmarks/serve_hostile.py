"""Ten thousand malformed, oversized and hostile requests: no status 5xx but honest refusals, and nothing hangs.

    python benchmarks/serve_hostile.py [--quick] [--json]

Two services over a small index with a writer: one process under uvicorn, and a fleet behind Ray Serve's proxy. Each is
sent what schemathesis makes of its own OpenAPI (what fits and what does not), right requests with bytes changed, and a
corpus by hand (benchmarks/serve_hostile_corpus.py): malformed and deeply nested JSON, invalid UTF-8, bodies beyond the
bound, odd headers, paths and methods, injected prompts, raw bytes that are not HTTP, broken framing, header injection,
slow clients. Documents whose titles and pages hold scripts and prompts are handed in, asked about and read back.

Honest is a 503 with Retry-After. Hung is a whole request without a whole answer after `LIMIT_S`; a request that is not
whole may be waited for. Whether a page runs what it is given is tested in a browser (tests/web).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).parent))
from common import Row, machine, show
from debian_warc import debian_warc
from serve_hostile_corpus import DOCUMENTS, RAW, Request, handmade, mutated
from serve_support import VERSIONS, fleet_of, free_port

LIMIT_S = 20.0  # a deadline of ten seconds, and as much again: the client and the service share two cores
RAW_S = 5.0  # how long raw bytes are waited for
CLIENTS = 4
SLOW_CLIENTS, SLOW_S = 200, 8.0
PAGES = 60  # of Debian's documentation, in the index beside what is handed in
LAST = ("/v1/documents", "/v1/takedowns")  # their operations change the index: after everything else
ENDLESS = "/v1/builds/events"
ACTIVE = re.compile(
    rb"<script|<iframe|<object|<embed|<base|<form|<meta[^>]*refresh|<[^>]*\son\w+\s*=|(href|src)\s*=\s*[\"']?\s*javascript:",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Size:
    """How many requests."""

    cases: int  # schemathesis, of an operation and kind, in one process
    fleet_cases: int
    mutated: int
    fleet_mutated: int
    least: int  # requests in all: topped up with mutated ones


FULL, QUICK = Size(400, 60, 2_000, 400, 10_000), Size(12, 6, 100, 60, 0)


@dataclass
class Ledger:
    """What every request came to. Used by several threads."""

    statuses: dict[str, Counter[str]] = field(default_factory=dict)  # by kind
    slowest_s: dict[str, float] = field(default_factory=dict)
    server_errors: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    not_honest: list[str] = field(default_factory=list)  # 503 without Retry-After
    odd_errors: Counter[str] = field(default_factory=Counter)  # refusals that are not in OpenAI's shape, by kind
    active: list[str] = field(default_factory=list)  # pages with something that acts
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def total(self) -> int:
        return sum(sum(of.values()) for of in self.statuses.values())

    def take(
        self,
        kind: str,
        what: str,
        status: str,
        took_s: float,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """One request: its status, or "hung", "closed" (without an answer), "waiting" (for the rest of a request)."""
        names = {name.lower(): value for name, value in headers}
        with self._lock:
            self.statuses.setdefault(kind, Counter())[status] += 1
            self.slowest_s[kind] = max(self.slowest_s.get(kind, 0.0), took_s)
            if status == "hung" or took_s > LIMIT_S:
                self.hung.append(f"{kind}: {what} after {took_s:.1f} s")
            if status == "503" and "retry-after" not in names:
                self.not_honest.append(f"{kind}: {what}: {body[:200]!r}")
            elif status.startswith("5") and status != "503":
                self.server_errors.append(f"{kind}: {what}: {status} {body[:200]!r}")
            if status[:1] in ("4", "5") and not _is_error(body) and not what.startswith("HEAD"):
                self.odd_errors[f"{kind} {status}"] += 1
            if "injected" in names:
                self.server_errors.append(f"{kind}: {what}: a header of the client's came back")


def _is_error(body: bytes) -> bool:
    try:
        return {"message", "type", "param", "code"} <= json.loads(body)["error"].keys()
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


class Target:
    """One service, asked over real sockets."""

    def __init__(self, name: str, address: str, ledger: Ledger) -> None:
        self.name, self.address, self.ledger = name, address, ledger
        parts = urlsplit(address)
        self.host, self.port = str(parts.hostname), int(parts.port or 80)
        self._local = threading.local()

    def send(self, request: Request) -> tuple[str, bytes]:
        """One request with a whole answer: status and body."""
        what = f"{request.method} {request.path[:80]} {(request.body or b'')[:120]!r} {str(request.headers)[:80]}"
        headers = {"Content-Type": "application/json"} | request.headers
        began_s = time.perf_counter()
        status, body, answered = "closed", b"", []
        for attempt in range(2):
            connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
            fresh = connection is None
            if connection is None:
                connection = http.client.HTTPConnection(self.host, self.port, timeout=LIMIT_S + 5)
                self._local.connection = connection
            try:
                connection.putrequest(
                    request.method, _sendable(request.path), skip_host="Host" in headers, skip_accept_encoding=True
                )
                for name, value in headers.items():
                    connection.putheader(name, value.encode("latin-1", "replace"))
                if request.body is not None and "Content-Length" not in headers and "Transfer-Encoding" not in headers:
                    connection.putheader("Content-Length", str(len(request.body)))
                connection.endheaders()
                with suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
                    if request.body is not None:
                        connection.send(request.body)
                response = connection.getresponse()
                body, answered = response.read(), response.getheaders()
                status = str(response.status)
                if response.will_close or "Content-Length" in request.headers or "Transfer-Encoding" in request.headers:
                    self._forget()
                break
            except TimeoutError:
                self._forget()
                status = "hung"
                break
            except (OSError, http.client.HTTPException):
                self._forget()
                if fresh or attempt:  # a kept connection may have been closed meanwhile
                    break
        self.ledger.take(f"{self.name}: {request.kind}", what, status, time.perf_counter() - began_s, answered, body)
        return status, body

    def _forget(self) -> None:
        if (connection := getattr(self._local, "connection", None)) is not None:
            connection.close()
            self._local.connection = None

    def raw(self, kind: str, content: bytes, whole: bool) -> None:
        """Bytes as they are, on a connection of their own."""
        began_s = time.perf_counter()
        status, answer = "waiting", b""
        with suppress(ConnectionError), socket.create_connection((self.host, self.port), timeout=RAW_S) as connection:
            with suppress(ConnectionError, TimeoutError):
                connection.sendall(content)
            with suppress(ConnectionError):
                try:
                    while chunk := connection.recv(65_536):
                        answer += chunk
                        if _complete(answer):
                            break
                    else:
                        status = "closed"
                except TimeoutError:
                    status = "hung" if whole and not answer else "waiting"
        if found := re.match(rb"HTTP/1\.[01] (\d{3})", answer):
            status = found[1].decode()
        head, _, body = answer.partition(b"\r\n\r\n")
        headers = [tuple(line.partition(": ")[::2]) for line in head.decode("latin-1").split("\r\n")[1:]]
        self.ledger.take(
            f"{self.name}: {kind}", repr(content[:120]), status, time.perf_counter() - began_s, headers, body
        )


def _sendable(path: str) -> str:
    return quote(path, safe="/?&=%:[]<>()@!$*,;.~+-_#'\"") if not path.isascii() or " " in path else path


def _complete(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if not found:
        return False
    return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


# What is sent.


def schemathesis_requests(target: Target, n: int, paths: Callable[[str], bool]) -> Iterator[Request]:
    """n requests that fit and n that do not, of every operation of the service's OpenAPI."""
    import schemathesis
    from schemathesis.generation import GenerationMode

    connection = http.client.HTTPConnection(target.host, target.port, timeout=LIMIT_S)
    connection.request("GET", "/openapi.json")
    schema = schemathesis.openapi.from_dict(json.load(connection.getresponse()))
    for result in schema.get_all_operations():
        operation = result.ok()
        if paths(operation.path):
            for mode in GenerationMode:
                yield from _generated(operation.as_strategy(generation_mode=mode), n, f"schemathesis, {mode.value}")


def _generated(strategy: Any, n: int, kind: str) -> list[Request]:
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis.errors import Unsatisfiable

    made: list[Request] = []
    every = list(HealthCheck)

    @seed(n)
    @settings(max_examples=n, database=None, deadline=None, suppress_health_check=every, phases=[Phase.generate])
    @given(case=strategy)
    def take(case: Any) -> None:
        made.append(_request(case, kind))

    with suppress(Unsatisfiable):  # an operation that takes nothing cannot be given what does not fit
        take()
    return made


def _request(case: Any, kind: str) -> Request:
    import requests

    options = case.as_transport_kwargs(base_url="http://127.0.0.1")
    parts = urlsplit(options["url"])
    query = urlencode(options.get("params") or {}, doseq=True, errors="replace")
    path = quote(parts.path, safe="/%") + (f"?{query or parts.query}" if query or parts.query else "")
    headers = {
        name: str(value)
        for name, value in (options.get("headers") or {}).items()
        if name.lower() not in ("content-length", "transfer-encoding", "connection", "host")
        and not re.search(r"[\r\n\0]", str(value))
        and re.fullmatch(r"[\w-]+", name)
    }
    if options.get("cookies"):
        headers["Cookie"] = re.sub(r"[\r\n\0]", "", "; ".join(f"{k}={v}" for k, v in options["cookies"].items()))
    body: bytes | None = None
    if "json" in options:
        body = json.dumps(options["json"]).encode()
    elif options.get("data") is not None or options.get("files"):
        with suppress(Exception):  # what its own client cannot encode
            body = (
                requests.Request("POST", "http://x", data=options.get("data"), files=options.get("files"))
                .prepare()
                .body
            )
            body = body.encode() if isinstance(body, str) else body
    return Request(kind, path, body, options["method"].upper(), headers)


def send_all(target: Target, requests: Iterable[Request]) -> None:
    """All of them, a few at a time."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        for _ in clients.map(target.send, requests):
            pass


def slow_clients(target: Target) -> None:
    """Many connections that send a byte now and then; others have to be answered meanwhile."""
    kind = f"{target.name}: slow clients"
    began_s = time.perf_counter()
    head = (
        b"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 4000\r\nX: "
    )
    connections: list[socket.socket] = []
    try:
        for at in range(SLOW_CLIENTS):
            with suppress(OSError):
                connection = socket.create_connection((target.host, target.port), timeout=RAW_S)
                connection.sendall(head if at % 2 else head + b'\r\n\r\n{"query"')
                connections.append(connection)
        while time.perf_counter() - began_s < SLOW_S:
            for connection in connections:
                with suppress(OSError):
                    connection.sendall(b"a")
            target.send(Request("while clients are slow", "/v1/search", b'{"query": "json"}'))
            time.sleep(0.2)
    finally:
        for connection in connections:
            connection.close()
    for _ in range(SLOW_CLIENTS):
        target.ledger.take(kind, "", "waiting", 0.0)


def endless(target: Target, n: int) -> None:
    """The stream of events, left after its first one."""
    for _ in range(n):
        began_s = time.perf_counter()
        status = "hung"
        with socket.create_connection((target.host, target.port), timeout=LIMIT_S) as connection:
            connection.sendall(f"GET {ENDLESS} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            answer = b""
            with suppress(TimeoutError):
                while b"data: " not in answer and (chunk := connection.recv(65_536)):
                    answer += chunk
                    status = answer[9:12].decode("latin-1")
        target.ledger.take(f"{target.name}: streams left early", ENDLESS, status, time.perf_counter() - began_s)


def documents(target: Target) -> None:
    """Pages that try to act: handed in, asked about, quoted, and their originals read."""
    for document in DOCUMENTS:
        target.send(Request("hostile documents", "/v1/documents", json.dumps({"documents": [document]}).encode()))
    for document in DOCUMENTS:
        words = re.sub(r"<[^>]+>", " ", document["html"])[-300:]
        where = {"url_prefix": document["url"]}
        search = {"query": words, "k": 3, "filters": where}
        _, body = target.send(Request("hostile documents", "/v1/search", json.dumps(search).encode()))
        for stream in (False, True):
            chat = {"messages": [{"role": "user", "content": words}], "filters": where, "stream": stream}
            target.send(Request("hostile documents", "/v1/chat/completions", json.dumps(chat).encode()))
        with suppress(ValueError, KeyError):
            for hit in json.loads(body)["data"]:
                path = f"/v1/passages/{hit['chunk_id']}/original"
                status, page = target.send(Request("hostile documents", path, None, "GET"))
                if status == "200" and (found := ACTIVE.search(page)):
                    target.ledger.active.append(
                        f"{document['url']}: {page[max(0, found.start() - 20) : found.end() + 60]!r}"
                    )


# The services.


def make_index(folder: Path) -> Path:
    """A small index by the live writer: its archive is its own, so that a takedown reaches nothing else."""
    from sixfold.systems.rag.build_folder import BuildSettings
    from sixfold.systems.rag.live.pages import Page
    from sixfold.systems.rag.live.writer import Writer
    from sixfold.systems.rag.records import RawRecord
    from sixfold.systems.rag.sources import plan_splits, read_split

    pages = []
    for split in plan_splits([debian_warc(600).resolve()]):
        for item in read_split(split):
            if isinstance(item, RawRecord) and len(pages) < PAGES:
                pages.append(Page(item.url, item.payload, item.kind, item.charset))
    index = folder / "index"
    index.mkdir()
    Writer(index, settings=BuildSettings(preset="documentation")).upsert(pages)
    return index


def serve_here(index: Path, port: int) -> None:
    """One process: gateway, shards, encoder and writer under uvicorn, until it is ended."""
    import asyncio

    import uvicorn

    from sixfold.systems.rag.serve.app import create_app
    from sixfold.systems.rag.serve.settings import ServeSettings
    from sixfold.systems.rag.serve.single import single_process_service
    from sixfold.systems.rag.serve.writer_replica import WriterReplica

    class LocalWriter:
        def __init__(self) -> None:
            self._replica = WriterReplica(str(index), 1.0)

        async def upsert(self, documents: list[dict[str, Any]]) -> dict[str, Any]:
            return await asyncio.to_thread(self._replica.upsert, documents)

        async def takedown(self, rule: dict[str, str | None], reason: str) -> dict[str, Any]:
            return await asyncio.to_thread(self._replica.takedown, rule, reason)

    service = single_process_service(ServeSettings(index, generate=False))
    service.writer = LocalWriter()
    uvicorn.run(create_app(service), host="127.0.0.1", port=port, log_level="critical", access_log=False)


@contextmanager
def one_process(index: Path) -> Iterator[str]:
    """The address of a service in a process of its own."""
    port = free_port()
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(index), str(port)])
    try:
        end_s = time.monotonic() + 60
        while True:
            with suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    break
            if process.poll() is not None or time.monotonic() > end_s:
                sys.exit("the service in one process did not become ready")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
        if process.poll() is not None:
            sys.exit(f"the service in one process ended with {process.returncode}")
    finally:
        process.terminate()
        process.wait(20)


def attack(target: Target, cases: int, mutations: int, least: int) -> None:
    """Everything, what changes the index last; afterwards the service answers as before."""
    steps: Sequence[tuple[str, Callable[[], None]]] = (
        ("hand-made", lambda: send_all(target, handmade())),
        ("raw", lambda: [target.raw(*one) for one in RAW]),  # type: ignore[func-returns-value]
        ("slow", lambda: slow_clients(target)),
        ("endless", lambda: endless(target, 20)),
        ("documents", lambda: documents(target)),
        ("schemathesis", lambda: send_all(target, schemathesis_requests(target, cases, _reads))),
        ("mutated", lambda: send_all(target, mutated(mutations, seed=1))),
        ("writes", lambda: send_all(target, schemathesis_requests(target, cases, lambda path: path in LAST))),
    )
    for name, step in steps:
        began_s = time.perf_counter()
        before = target.ledger.total
        step()
        took_s = time.perf_counter() - began_s
        print(f"{target.name}: {name}: {target.ledger.total - before} requests, {took_s:.0f} s", file=sys.stderr)
    if (left := least - target.ledger.total) > 0:
        send_all(target, mutated(left, seed=2))
    status, _ = target.send(Request("afterwards", "/readyz", None, "GET"))
    if status != "200":
        target.ledger.server_errors.append(f"{target.name}: afterwards: /readyz says {status}")


def _reads(path: str) -> bool:
    return path not in LAST and path != ENDLESS


def rows_of(ledger: Ledger) -> list[Row]:
    total = ledger.total
    slowest = max(ledger.slowest_s.items(), key=lambda item: item[1])
    odd = ", ".join(f"{what}: {count}" for what, count in ledger.odd_errors.most_common(6))
    refused = sum(of["503"] for of in ledger.statuses.values())
    rows = [
        Row("requests", total, "", note=f"load {os.getloadavg()[0]:.1f}"),
        Row("status 5xx other than 503", len(ledger.server_errors), "", target=0, passed=not ledger.server_errors,
            note="; ".join(ledger.server_errors[:3])),
        Row("503 without Retry-After", len(ledger.not_honest), "", target=0, passed=not ledger.not_honest,
            note=f"of {refused} times 503; " + "; ".join(ledger.not_honest[:2])),
        Row("hung requests", len(ledger.hung), "", target=0, passed=not ledger.hung,
            note=f"slowest {slowest[1]:.1f} s, {slowest[0]}; {'; '.join(ledger.hung[:3])}"),
        Row("original pages with something that acts", len(ledger.active), "", target=0, passed=not ledger.active,
            note="; ".join(ledger.active[:2])),
        Row("refusals not in OpenAI's shape", sum(ledger.odd_errors.values()), "", note=odd),
    ]  # fmt: skip
    for kind, of in sorted(ledger.statuses.items()):
        told = ", ".join(f"{status}: {count}" for status, count in sorted(of.items()))
        rows.append(Row(kind, sum(of.values()), "", note=f"{told}; slowest {ledger.slowest_s[kind]:.2f} s"))
    return rows


def measure(size: Size) -> list[Row]:
    ledger = Ledger()
    with tempfile.TemporaryDirectory() as folder:
        index = make_index(Path(folder))
        with fleet_of(index, writes=True, generate=True, ingest_share=1.0) as fleet:
            attack(Target("fleet", fleet.address, ledger), size.fleet_cases, size.fleet_mutated, 0)
    with tempfile.TemporaryDirectory() as folder, one_process(make_index(Path(folder))) as address:
        attack(Target("one process", address, ledger), size.cases, size.mutated, size.least)
    for problem in [*ledger.server_errors, *ledger.not_honest, *ledger.hung, *ledger.active][:60]:
        print(f"  {problem}", file=sys.stderr)
    return rows_of(ledger)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="about 3,000 requests")
    parser.add_argument("--serve", nargs=2, metavar=("INDEX", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_here(Path(options.serve[0]), int(options.serve[1]))
        return 0
    about = machine(*VERSIONS, "schemathesis", "hypothesis")
    rows = measure(QUICK if options.quick else FULL)
    show("serve_hostile", about, rows, as_json=options.json)
    return 0 if all(row.passed is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
