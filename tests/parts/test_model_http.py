"""Whatever an endpoint does, a request ends by its deadline with an error of a known type, and the key stays secret."""

import asyncio
import gzip
import json
import logging

import pytest
from wild_server import WildServer, always, events, plain

from sixfold.errors import ConfigError
from sixfold.parts.model_errors import (
    ModelAnswerError,
    ModelRequestError,
    ModelTimeoutError,
    ModelUnavailableError,
)
from sixfold.parts.model_http import ModelHttp
from sixfold.parts.retry import RetryPolicy

KEY = "sk-very-secret-0123456789"
QUICK = RetryPolicy(attempts=3, first_s=0.001, most_s=0.05)


async def silent(asked, writer):
    await asyncio.sleep(60)


async def drips(asked, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def endless(asked, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    while True:
        writer.write(b'data: {"a": 1}\n\n' * 1_000)
        await writer.drain()


async def hangs_up(asked, writer):
    writer.transport.abort()


def refusal(status, **headers):
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}.\nTry another"}}).encode()
    return always(plain(body, status, "".join(f"{name}: {value}\r\n" for name, value in headers.items())))


# What the server does, what comes of it, and how often it was asked.
WILD = {
    "never answers": (silent, ModelTimeoutError, 1),
    "answers byte by byte": (drips, ModelTimeoutError, 1),
    "hangs up": (hangs_up, ModelUnavailableError, 3),
    "is busy": (refusal("503 Busy"), ModelUnavailableError, 3),
    "is busy for an hour": (refusal("429 Slow Down", **{"Retry-After": "3600"}), ModelUnavailableError, 1),
    "fails": (refusal("500 Oh No"), ModelUnavailableError, 1),
    "refuses the key": (refusal("401 Unauthorized"), ModelRequestError, 1),
    "redirects": (refusal("302 Found", Location="http://127.0.0.1:9/"), ModelRequestError, 1),
    "speaks another protocol": (always(b"SSH-2.0-OpenSSH_9\r\n"), ModelAnswerError, 1),
    "sends half of it": (
        always(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"a"'),
        ModelAnswerError,
        1,
    ),
    "sends no JSON": (always(plain(f"<html>{KEY}</html>".encode())), ModelAnswerError, 1),
    "sends a list": (always(plain(b"[1]")), ModelAnswerError, 1),
    "nests without end": (always(plain(b"[" * 100_000)), ModelAnswerError, 1),
    "sends a huge body": (always(plain(b" " * 200_000)), ModelAnswerError, 1),
    "compresses unasked": (
        always(plain(gzip.compress(b" " * 9_000_000), headers="Content-Encoding: gzip\r\n")),
        ModelAnswerError,
        1,
    ),
    "says an error in an answer": (always(plain(b'{"error": {"message": "out of memory"}}')), ModelAnswerError, 1),
}


@pytest.mark.parametrize("what", WILD)
def test_a_wild_endpoint(what, caplog):
    answer, expected, times = WILD[what]
    caplog.set_level(logging.DEBUG)

    async def ask(base_url):
        async with ModelHttp(base_url, KEY, retry=QUICK, most_bytes=100_000) as http:
            assert KEY not in repr(http)
            await http.post("/x", {"a": "b\ud800"}, 0.4)

    with WildServer(answer) as server:
        with pytest.raises(expected) as raised:
            asyncio.run(ask(server.base_url))
        assert len(server.asked) == times
        assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
        assert server.asked[0].json == {"a": "b?"}
    assert KEY not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert KEY not in caplog.text
    seen = raised.value
    while seen is not None:  # a traceback would show these too
        assert KEY not in repr(seen)
        seen = None if seen.__suppress_context__ else seen.__context__


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (endless, ModelAnswerError),
        (always(plain(b"{}")), ModelAnswerError),
        (always(events({"a": 1}, done=False), b"data: {broken\n\n"), ModelAnswerError),
        (always(events({"a": 1}, {"error": {"message": "out of memory"}})), ModelAnswerError),
        (always(events({"a": 1}, done=False), b"data: " + b"x" * 200_000), ModelAnswerError),
        (
            always(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nff\r\ndata"
            ),
            ModelAnswerError,
        ),
    ],
)
def test_a_wild_stream(answer, expected):
    async def ask(base_url):
        async with ModelHttp(base_url, retry=QUICK, most_bytes=100_000) as http:
            async for _ in http.events("/x", {}, 5.0):
                pass

    with WildServer(answer) as server, pytest.raises(expected):
        asyncio.run(ask(server.base_url))


def test_busy_for_a_moment_is_waited_for():
    async def answer(asked, writer):
        busy = len(server.asked) < 3
        writer.write(plain(b"", "503 Busy", "Retry-After: 0.01\r\n") if busy else plain(b'{"fine": true}'))

    async def ask():
        async with ModelHttp(server.base_url, retry=QUICK) as http:
            return await http.post("/x", {}, 5.0)

    with WildServer(answer) as server:
        assert asyncio.run(ask()) == {"fine": True}
        assert len(server.asked) == 3


def test_the_endpoints_wish_is_passed_on():
    async def ask(base_url):
        async with ModelHttp(base_url) as http:
            await http.post("/x", {}, 0.5)

    busy = refusal("429 Slow Down", **{"Retry-After": "30"})
    with WildServer(busy) as server, pytest.raises(ModelUnavailableError) as raised:
        asyncio.run(ask(server.base_url))
    assert raised.value.retry_after_s == 30


def test_nobody_there():
    async def ask():
        async with ModelHttp("http://127.0.0.1:9/v1", retry=QUICK) as http:
            await http.post("/x", {}, 5.0)

    with pytest.raises(ModelUnavailableError, match=r"127\.0\.0\.1:9"):
        asyncio.run(ask())


def test_a_cancelled_request_closes_its_connection():
    async def ask():
        async with ModelHttp(server.base_url) as http:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(http.post("/x", {}, 60), 0.3)
            for _ in range(100):
                if server.asked[0].left.is_set():
                    return True
                await asyncio.sleep(0.02)
        return False

    with WildServer(silent) as server:
        assert asyncio.run(ask())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8080",
        "ftp://host/v1",
        "http://",
        "http://host:99999/v1",
        "http://u:pw@host/v1",
        "ftp://u:pw@h",
        "http://h/v1?key=pw",
    ],
)
def test_bad_urls(url):
    with pytest.raises(ConfigError) as raised:
        ModelHttp(url)
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize("key", ["", "line\nbreak", "schlüssel", "two words"])
def test_bad_keys_are_not_repeated(key):
    with pytest.raises(ConfigError) as raised:
        ModelHttp("http://host/v1", key)
    assert not key or key not in str(raised.value)
