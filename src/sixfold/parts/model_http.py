"""HTTP to a model that another process or machine serves: bounded in time, bytes and attempts; errors have types.

The key is in no error, log or repr. Redirects are not followed: they would take the key with them.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncGenerator, Awaitable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sixfold.errors import ConfigError, PrerequisiteError, first_line
from sixfold.parts.model_errors import (
    ModelAnswerError,
    ModelError,
    ModelRequestError,
    ModelTimeoutError,
    ModelUnavailableError,
)
from sixfold.parts.retry import RetryPolicy, retry_after_s
from sixfold.parts.sse import EventTooLargeError, SseReader

if TYPE_CHECKING:
    import aiohttp

__all__ = ["ModelHttp"]

_CONNECT_S = 3.0
_ERROR_BYTES = 16_384  # of an answer that only says what went wrong
_BUSY = frozenset({429, 502, 503, 504})  # may be different in a moment
_DONE = "[DONE]"


class ModelHttp:
    """Requests to one base URL, such as `http://127.0.0.1:8080/v1`; `close` it, or use it as a context manager.

    most_bytes: of one answer. Belongs to the event loop that it is first used in.
    Raises ConfigError for a URL or key that cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        retry: RetryPolicy | None = None,
        most_bytes: int = 8 << 20,
    ) -> None:
        self.base_url = _checked(base_url)
        if api_key is not None and not re.fullmatch(r"[!-~]+", api_key):
            raise ConfigError(
                "the key of the model's endpoint has characters that no header may have; look it up again"
            )
        self._api_key = api_key
        self._retry = retry or RetryPolicy()
        self._most_bytes = most_bytes
        self._session: aiohttp.ClientSession | None = None
        self._random = random.Random()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    async def __aenter__(self) -> ModelHttp:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections, and with them what the endpoint still works on for us."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(
        self, path: str, body: Mapping[str, Any], deadline_s: float, *, beside_v1: bool = False
    ) -> dict[str, Any]:
        """The JSON object that answers a POST.

        deadline_s: from now, for all attempts. beside_v1: the path is beside the base URL's `/v1`, not below it.
        Raises the errors of `model_errors`.
        """
        until = _loop_time() + deadline_s
        base_url = self.base_url.removesuffix("/v1") if beside_v1 else self.base_url
        response = await self._open(base_url + path, body, until)
        try:
            content = await self._read(response, self._most_bytes, until)
            if len(content) > self._most_bytes:
                raise ModelAnswerError(
                    f"{self.base_url} answered with more than {self._most_bytes} bytes; ask for less"
                )
            return self._parsed(content)
        finally:
            # A connection whose answer was not read to its end is closed by this, others are used again.
            response.release()

    async def events(self, path: str, body: Mapping[str, Any], deadline_s: float) -> AsyncGenerator[dict[str, Any]]:
        """The JSON objects of a stream of server-sent events, until `[DONE]` or the end of the answer.

        Closing the generator closes the connection, by which the endpoint knows that nobody listens any more.
        """
        until = _loop_time() + deadline_s
        response = await self._open(self.base_url + path, body, until)
        try:
            if not response.content_type.startswith("text/event-stream"):
                raise ModelAnswerError(
                    f"{self.base_url} answered with {response.content_type}, expected a stream of events"
                )
            reader, seen_bytes = SseReader(), 0
            while chunk := await self._chunk(response, until):
                seen_bytes += len(chunk)
                if seen_bytes > self._most_bytes:
                    raise ModelAnswerError(f"{self.base_url} streamed more than {self._most_bytes} bytes")
                for data in self._fed(reader, chunk):
                    if data.strip() == _DONE:
                        return
                    yield self._parsed(data.encode())
        finally:
            response.close()

    async def _open(self, url: str, body: Mapping[str, Any], until: float) -> aiohttp.ClientResponse:
        """An answer with status 200, its body not yet read; asks again as the policy says."""
        # Lone surrogates, which damaged pages contain, are no JSON that others accept.
        content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        failures = 0
        while True:
            try:
                return await self._attempt(url, content, until)
            except ModelUnavailableError as error:
                failures += 1
                left_s = until - _loop_time()
                wait_s = self._retry.wait_s(failures, left_s, self._random.random(), error.retry_after_s)
                if wait_s is None or not error.transient:
                    raise
            await asyncio.sleep(wait_s)

    async def _attempt(self, url: str, content: bytes, until: float) -> aiohttp.ClientResponse:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._api_key is not None:
            headers["Authorization"] = f"Bearer {self._api_key}"
        request = self._open_session().post(url, data=content, headers=headers, allow_redirects=False)
        response = await self._connected(until, request)
        if response.status == 200:
            return response
        try:
            text = await self._read(response, _ERROR_BYTES, until)
        finally:
            response.close()
        raise self._refusal(response.status, text, response.headers.get("Retry-After"))

    def _refusal(self, status: int, body: bytes, retry_after: str | None) -> ModelError:
        said = self._without_key(_message(body))
        if status in _BUSY:
            after_s = retry_after_s(retry_after, datetime.now(UTC))
            return ModelUnavailableError(f"{self.base_url} is busy ({status}): {said}", retry_after_s=after_s)
        if status >= 500:
            return ModelUnavailableError(f"{self.base_url} failed ({status}): {said}", transient=False)
        if status >= 400:
            return ModelRequestError(f"{self.base_url} refused the request ({status}): {said}", status=status)
        message = f"{self.base_url} answered with status {status}, expected 200; name the URL that it stands for"
        return ModelRequestError(message, status=status)

    async def _read(self, response: aiohttp.ClientResponse, most_bytes: int, until: float) -> bytes:
        """The body, or the beginning of it that is just longer than `most_bytes`."""
        content = bytearray()
        while len(content) <= most_bytes and (chunk := await self._chunk(response, until)):
            content += chunk
        return bytes(content)

    async def _connected(self, until: float, request: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
        import aiohttp

        try:
            async with asyncio.timeout_at(until):
                return await request
        except aiohttp.ConnectionTimeoutError:
            raise ModelUnavailableError(f"{self.base_url} did not take a connection in {_CONNECT_S:g} s") from None
        except TimeoutError:
            raise ModelTimeoutError(f"{self.base_url} did not answer within the deadline") from None
        except (aiohttp.ClientConnectionError, ConnectionError) as error:
            raise ModelUnavailableError(f"no answer from {self.base_url} ({self._told(error)})") from None
        except aiohttp.ClientError as error:
            raise ModelAnswerError(f"{self.base_url} sent no HTTP answer ({self._told(error)})") from None

    async def _chunk(self, response: aiohttp.ClientResponse, until: float) -> bytes:
        """What has come of the body since the last call, waiting for some; empty at its end."""
        import aiohttp

        try:
            async with asyncio.timeout_at(until):
                return await response.content.readany()
        except TimeoutError:
            raise ModelTimeoutError(f"{self.base_url} did not end its answer within the deadline") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise ModelAnswerError(f"the answer of {self.base_url} broke off ({self._told(error)})") from None

    def _fed(self, reader: SseReader, chunk: bytes) -> list[str]:
        try:
            return reader.feed(chunk)
        except EventTooLargeError as error:
            raise ModelAnswerError(f"{self.base_url} streamed {error}") from None

    def _parsed(self, content: bytes) -> dict[str, Any]:
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            begins = self._without_key(content[:80].decode("utf-8", "replace"))
            raise ModelAnswerError(f"{self.base_url} sent no JSON object but {begins!r}")
        if "error" in value and "choices" not in value:
            raise ModelAnswerError(f"{self.base_url} gave up: {self._without_key(_message(content))}")
        return value

    def _told(self, error: BaseException) -> str:
        return self._without_key(first_line(error))

    def _without_key(self, text: str) -> str:
        return text.replace(self._api_key, "[key]") if self._api_key else text

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            try:
                import aiohttp
            except ImportError as error:
                raise PrerequisiteError("models behind a URL need aiohttp; run `make setup`") from error
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # none was asked for, and a small one could become a large one
            )
        return self._session


def _checked(base_url: str) -> str:
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        shown = "one with a secret in it" if {"@", "?"} & set(base_url) else repr(base_url)
        raise ConfigError(f"got the endpoint {shown}, expected such as http://127.0.0.1:8080/v1")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigError(
            f"the endpoint at {parts.hostname} has a user, a query or a fragment; give its base URL and its key apart"
        )
    return base_url.rstrip("/")


def _message(body: bytes) -> str:
    """What a body says went wrong, in OpenAI's shape or as it is; one line of at most 200 characters."""
    try:
        value = json.loads(body)
        error = value.get("error", value)
        text = error.get("message") if isinstance(error, dict) else error
    except (ValueError, RecursionError, AttributeError):
        text = body.decode("utf-8", "replace")
    return (" ".join(str(text).split()) or "it says nothing more")[:200]


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
