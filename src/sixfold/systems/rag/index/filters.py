"""What a search may be restricted to."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["Filter", "host_of"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Passages that fulfil every condition given; None is no condition."""

    language: str | None = None  # ISO 639-1
    host: str | None = None  # as `host_of` gives it
    url_prefix: str | None = None


def host_of(url: str) -> str:
    """The host of a URL in lower case, without its port; empty if it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # such as an unclosed bracket of an IPv6 address
        return ""
