"""One HTTP request: bounded in time, in bytes and in decompressed bytes; every failure has a name."""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from sixfold.errors import first_line
from sixfold.systems.rag.crawl.limits import CrawlLimits, Scope
from sixfold.systems.rag.crawl.links import canonical_url, host_of
from sixfold.systems.rag.crawl.robots import MAX_ROBOTS_BYTES, RobotsPolicy

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Failure", "FetchResult", "Fetched", "Fetcher", "fetch_robots", "load_client"]

_ROBOTS_HOPS = 5
_OPEN_FILES = 16_384
_ROOM_FOR_FILES = 1_024
_BOMB_RATIO = 100  # deflate reaches 1,032; text rarely passes 20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT_STATUS = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer that counts: a page, or a redirect with its `location`."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    content_type: str
    body: bytes
    decoded: bool = False  # the body was compressed on the wire
    truncated: str | None = None  # a WARC-Truncated reason
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer that counts: `kind` is a stable word, `detail` the rest."""

    kind: str
    detail: str = ""
    transient: bool = False  # worth another attempt
    retry_after_s: float | None = None
    status: int | None = None


FetchResult = Fetched | Failure


def load_client() -> None:
    """What a process does once and what takes as long as some hundred pages, before anything is timed.

    Imports the HTTP library, and grows the table of open files: in a process with threads each doubling of it
    waits for the kernel's other processors (10 ms were seen).
    """
    import aiohttp  # noqa: F401

    allowed = _allow_many_files()
    with open(os.devnull, "rb") as any_file:
        os.close(fcntl.fcntl(any_file, fcntl.F_DUPFD_CLOEXEC, min(_ROOM_FOR_FILES, allowed) - 1))


class Fetcher:
    """A client session for one crawl; use it as an async context manager.

    Redirects are not followed and cookies not kept: each hop is a URL that the crawl has to judge.
    """

    def __init__(self, limits: CrawlLimits) -> None:
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Fetcher:
        import aiohttp

        limits = self._limits
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=5, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=limits.timeout_s, sock_connect=limits.connect_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            raise_for_status=False,
            headers={
                "User-Agent": limits.agent,
                "Accept": ", ".join(limits.types) + ", */*;q=0.1",
                "Accept-Encoding": "gzip",
            },
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(
        self, url: str, *, types: tuple[str, ...] | None = None, headers: Mapping[str, str] | None = None
    ) -> FetchResult:
        """Fetch one canonical URL; `types=()` accepts every content type. Never raises for the network.

        headers: of this request alone, such as If-None-Match; 304 then comes as a Failure of that status.
        """
        import aiohttp
        from yarl import URL

        session = self._session
        if session is None:
            raise RuntimeError("the fetcher is used outside its context")
        accepted = self._limits.types if types is None else types
        try:
            async with session.get(URL(url, encoded=True), allow_redirects=False, headers=headers) as response:
                return await self._read(response, accepted)
        except TimeoutError:
            return Failure("timeout", f"no whole answer in {self._limits.timeout_s:g} s", transient=True)
        except aiohttp.ClientPayloadError as error:
            return Failure("truncated-body", first_line(error), transient=True)
        except aiohttp.ServerDisconnectedError:
            return Failure("disconnected", "closed without an answer", transient=True)
        except aiohttp.ClientConnectorDNSError as error:
            return Failure("unknown-host", first_line(error), transient=True)
        except aiohttp.ClientSSLError as error:
            return Failure("tls", first_line(error))
        except aiohttp.ClientOSError as error:  # includes refused connections
            return Failure("connection", first_line(error), transient=True)
        except (aiohttp.ClientError, ValueError) as error:
            return Failure("bad-http", first_line(error))

    async def _read(self, response: aiohttp.ClientResponse, accepted: tuple[str, ...]) -> FetchResult:
        status, raw = response.status, response.headers
        if status in _REDIRECTS:
            location = raw.get("Location")
            if location is None:
                return Failure("bad-redirect", f"{status} without a location", status=status)
            return Fetched(status, response.reason or "", (), "", b"", location=location)
        if status != 200:
            transient = status in _TRANSIENT_STATUS
            return Failure(f"http-{status}", "", transient, _seconds(raw.get("Retry-After")), status)
        kind = raw.get("Content-Type", "").partition(";")[0].strip().lower()
        if accepted and kind not in accepted:
            return Failure("content-type", kind or "none declared", status=status)
        encoding = raw.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            return Failure("content-encoding", encoding, status=status)
        decoded = encoding not in ("", "identity")
        body, truncated, failure = await self._body(response, decoded)
        if failure is not None:
            return failure
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers)
        return Fetched(status, response.reason or "", headers, kind, body, decoded, truncated)

    async def _body(self, response: aiohttp.ClientResponse, decoded: bool) -> tuple[bytes, str | None, Failure | None]:
        limit = self._limits.max_body_bytes
        chunks: list[bytes] = []
        size = wire = 0
        inflate = zlib.decompressobj(wbits=47) if decoded else None
        async for chunk in response.content.iter_any():
            wire += len(chunk)
            if inflate is not None:
                try:
                    chunk = inflate.decompress(chunk, limit - size + 1)
                except zlib.error as error:
                    return b"", None, Failure("bad-encoding", first_line(error), status=response.status)
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                response.close()  # the rest is not wanted: do not read it to reuse the connection
                read = wire - (len(inflate.unconsumed_tail) if inflate is not None else 0)
                if read * _BOMB_RATIO < size:
                    detail = f"{read} bytes inflate to more than {limit}"
                    return b"", None, Failure("gzip-bomb", detail, status=response.status)
                return b"".join(chunks)[:limit], "length", None
        if inflate is not None and not inflate.eof and wire:
            return (
                b"",
                None,
                Failure("truncated-body", "the gzip stream ends early", True, status=response.status),
            )
        return b"".join(chunks), None, None


async def fetch_robots(fetcher: Fetcher, url: str, limits: CrawlLimits, scope: Scope) -> tuple[RobotsPolicy, int]:
    """What the host allows whose robots.txt is at `url`, and the number of requests that took.

    Follows up to five redirects (RFC 9309, section 2.3.1.2); more, or one out of scope, count as no rules.
    """
    tries = hops = requests = 0
    while True:
        requests += 1
        result = await fetcher.get(url, types=())
        if isinstance(result, Fetched) and result.location is None:
            return RobotsPolicy(200, result.body[:MAX_ROBOTS_BYTES], limits.agent), requests
        if isinstance(result, Fetched):
            target = canonical_url(urljoin(url, result.location or ""))
            hops += 1
            if target is None or hops > _ROBOTS_HOPS or not scope.allows(host_of(target)):
                return RobotsPolicy(404, b"", limits.agent), requests
            url = target
        elif result.transient and tries < limits.retries:
            tries += 1
            await asyncio.sleep(limits.retry_after_s)
        else:
            return RobotsPolicy(result.status, b"", limits.agent), requests
        await asyncio.sleep(limits.delay_s)


def _allow_many_files() -> int:
    """Kept-alive connections to many hosts outnumber the usual soft limit of 1,024 open files; gives the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _seconds(value: str | None) -> float | None:
    """Retry-After in seconds; its date form is left to the ordinary back-off."""
    return float(value) if value is not None and value.isdigit() else None
