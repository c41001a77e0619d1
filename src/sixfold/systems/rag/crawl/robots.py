"""robots.txt as RFC 9309 reads it."""

from __future__ import annotations

from protego import Protego

__all__ = ["MAX_ROBOTS_BYTES", "RobotsPolicy"]

MAX_ROBOTS_BYTES = 512_000  # RFC 9309, section 2.5: at least 500 KiB must be read


class RobotsPolicy:
    """What one host allows one crawler, decided from the answer to its /robots.txt."""

    def __init__(self, status: int | None, body: bytes, agent: str) -> None:
        """`status` is None when the host could not be reached.

        RFC 9309, section 2.3.1: 4xx means no rules, 5xx and unreachable mean a complete disallow.
        """
        self.status, self.body, self._agent = status, body[:MAX_ROBOTS_BYTES], agent
        self._rules: Protego | None = None
        self._allow_all = status is not None and (200 <= status < 300 or 400 <= status < 500)
        if status is not None and 200 <= status < 300 and self.body.strip():
            self._rules = Protego.parse(self.body.decode("utf-8", "replace").removeprefix("\ufeff"))

    @property
    def reachable(self) -> bool:
        """False when the host's rules could not be had, so that everything is forbidden."""
        return self._allow_all

    def allowed(self, url: str) -> bool:
        """Whether the crawler may fetch `url`."""
        if self._rules is None:
            return self._allow_all
        return bool(self._rules.can_fetch(url, self._agent))

    @property
    def crawl_delay_s(self) -> float | None:
        """The Crawl-delay the host asks for, if any."""
        delay = None if self._rules is None else self._rules.crawl_delay(self._agent)
        return None if delay is None else max(0.0, float(delay))
