"""The bounds of a crawl: where it may go, how far, how much and how politely."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from sixfold.errors import ConfigError
from sixfold.systems.rag.crawl.links import canonical_url, host_of

__all__ = ["CrawlLimits", "Scope", "seed_urls"]

_RULE = re.compile(r"(\[[^\]]+\]|[^:\[\]]+|[0-9a-fA-F:]+:[0-9a-fA-F:]*(?:/\d+)?)(?::(\d+))?")


@dataclass(frozen=True, slots=True)
class CrawlLimits:
    """Every bound that one crawl keeps; the defaults suit the embedded site."""

    scope: tuple[str, ...] = ()  # rules as Scope reads them; empty: the hosts of the seeds
    max_depth: int | None = None  # links from a seed; set, the crawl goes level by level
    max_pages: int | None = None
    max_redirects: int = 5  # RFC 9309 asks for at least five on robots.txt too
    max_body_bytes: int = 8_000_000  # a longer page is cut there and marked WARC-Truncated
    types: tuple[str, ...] = ("text/html", "text/plain")
    concurrency: int = 24  # requests in flight in one process
    host_connections: int = 4  # of them to one host; a host with a delay gets one
    delay_s: float = 0.0  # between the end of one request to a host and the next; Crawl-delay may raise it
    max_delay_s: float = 30.0  # a longer Crawl-delay or Retry-After is taken as this
    timeout_s: float = 20.0  # for one whole request
    connect_timeout_s: float = 5.0
    retries: int = 1  # of what may pass: 5xx, 429, timeouts, broken connections
    retry_after_s: float = 0.5
    lease_s: float = 120.0
    capacity: int = 1_000_000  # URLs that one process's seen-set is sized for
    false_positive_rate: float = 1e-7
    warc_records: int = 10_000  # a WARC file is closed at this many records
    warc_bytes: int = 1_000_000_000  # or this many compressed bytes
    agent: str = "sixfold"

    def __post_init__(self) -> None:
        for name in (
            "max_body_bytes",
            "concurrency",
            "host_connections",
            "capacity",
            "warc_records",
            "warc_bytes",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected at least 1")
        for name in ("delay_s", "max_delay_s", "retry_after_s", "retries", "max_redirects"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected 0 or more")
        for name in ("timeout_s", "connect_timeout_s", "lease_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected more than 0")
        if self.lease_s <= self.timeout_s:
            raise ConfigError(f"lease_s: got {self.lease_s}, expected more than timeout_s = {self.timeout_s}")
        for name in ("max_depth", "max_pages"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ConfigError(f"{name}: got {value}, expected 0 or more, or none")

    def within(self, seeds: Iterable[str]) -> CrawlLimits:
        """These limits with an empty scope replaced by the hosts of the seeds."""
        if self.scope:
            return self
        return replace(self, scope=tuple(sorted({_name(host_of(seed)) for seed in seeds})))


def seed_urls(seeds: Iterable[str]) -> list[str]:
    """Canonical seeds, each once; ConfigError names one that is no http(s) URL, or that there is none."""
    found: dict[str, None] = {}
    for seed in seeds:
        url = canonical_url(seed)
        if url is None:
            raise ConfigError(f"seed {seed!r}: expected an http or https URL such as http://127.0.0.2:8000/")
        found[url] = None
    if not found:
        raise ConfigError("got no seed, expected at least one URL to start from")
    return list(found)


class Scope:
    """Decides whether a host may be crawled.

    A rule is a host name (and everything below it), an address, a network such as 10.0.0.0/8, or "*"; with
    ":PORT" behind it, it holds for that port alone. "*" still keeps off addresses that are not public: a
    page on the web must not be able to send the crawler into the network it runs in.
    """

    def __init__(self, rules: Iterable[str]) -> None:
        self._networks: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, int | None]] = []
        self._names: list[tuple[str, int | None]] = []
        self._any = False
        for rule in rules:
            if rule == "*":
                self._any = True
                continue
            match = _RULE.fullmatch(rule)
            if match is None:
                raise ConfigError(f"scope {rule!r}: expected a host name, a network or '*', and perhaps ':PORT'")
            name, port = match[1], int(match[2]) if match[2] else None
            try:
                self._networks.append((ipaddress.ip_network(name.strip("[]"), strict=False), port))
            except ValueError:
                if "/" in name or "[" in name:
                    raise ConfigError(f"scope {rule!r}: {name!r} is no network") from None
                self._names.append((name.lower().rstrip("."), port))
        self._decide = lru_cache(maxsize=65_536)(self._allows)

    def allows(self, host: str) -> bool:
        """Whether `host` (as `host_of` gives it, with or without a port) is inside."""
        return self._decide(host)

    def _allows(self, host: str) -> bool:
        name = _name(host)
        tail = host.rpartition("]")[2].rpartition(":")[2] if host != name else ""
        port = int(tail) if tail.isdigit() else None
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            for rule, only in self._names:
                if only in (None, port) and (name == rule or name.endswith("." + rule)):
                    return True
            return self._any and name != "localhost" and "." in name
        inside = any(address in network and only in (None, port) for network, only in self._networks)
        return inside or (self._any and address.is_global)


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1 : host.index("]")]
    return host.partition(":")[0]
