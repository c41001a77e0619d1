"""How often and when to ask again, bounded by attempts and by the deadline. No clock, no randomness, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

from sixfold.errors import ConfigError

__all__ = ["RetryPolicy", "retry_after_s"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter (Brooker, "Exponential backoff and jitter", 2015).

    attempts: requests in all; 1 never asks again. most_s: nothing waits longer; who asks for more is not asked again.
    """

    attempts: int = 3
    first_s: float = 0.1
    most_s: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or not 0 <= self.first_s <= self.most_s:
            raise ConfigError(
                f"got attempts={self.attempts}, first_s={self.first_s}, most_s={self.most_s},"
                " expected at least 1, and 0 <= first_s <= most_s"
            )

    def wait_s(self, failures: int, left_s: float, spread: float, asked_s: float | None = None) -> float | None:
        """How long to wait after this many failures; None: give up.

        left_s: until the deadline. spread: drawn anew each time from [0, 1), so that many clients come back at
        different times. asked_s: what the other side asked for (Retry-After); never less is waited.
        """
        if failures >= self.attempts:
            return None
        backoff_s = min(self.most_s, self.first_s * 2.0 ** (failures - 1)) * (0.5 + spread / 2)
        wait_s = backoff_s if asked_s is None else max(asked_s, backoff_s)
        return wait_s if wait_s <= self.most_s and wait_s < left_s else None


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header, a number or a date (RFC 9110, section 10.2.3); None if it says nothing."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            at = parsedate_to_datetime(header)
        except (ValueError, TypeError, OverflowError):
            return None
        seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    return max(0.0, seconds) if isfinite(seconds) else None
