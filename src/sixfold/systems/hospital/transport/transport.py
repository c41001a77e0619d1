"""How requests reach the hospitals and answers come back, whatever carries them; and when waiting ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sixfold.errors import ConfigError, UserError

__all__ = ["Deadline", "InProcess", "Transport", "wait_more"]


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an exchange ends: all have answered; or `quorum` have and `grace_s` went by since; or after `deadline_s`.

    One policy for every exchange: what comes later is a late answer, and is dropped. Raises ConfigError.
    """

    deadline_s: float = 60.0
    quorum: int | None = None  # all of those that were asked
    grace_s: float = 5.0

    def __post_init__(self) -> None:
        if not (self.deadline_s > 0 and self.grace_s >= 0 and (self.quorum is None or self.quorum >= 1)):
            raise ConfigError(f"got {self}, expected a deadline above 0, a grace of at least 0, a quorum of at least 1")


class Transport(Protocol):
    """Carries bytes; knows nothing of what they mean."""

    def exchange(self, requests: Mapping[str, bytes], deadline: Deadline) -> dict[str, bytes]:
        """Send each site its request; the answers of those that gave one in time."""


def wait_more(asked: int, answered_s: Mapping[str, float], now_s: float, deadline: Deadline) -> float:
    """For how many more seconds to wait, 0 for no more.

    answered_s: seconds, since the requests were sent, at which sites answered; now_s: seconds since then.
    """
    if len(answered_s) >= asked:
        return 0.0
    ends_s = deadline.deadline_s
    if deadline.quorum is not None and len(answered_s) >= deadline.quorum:
        reached_s = sorted(answered_s.values())[deadline.quorum - 1]
        ends_s = min(ends_s, reached_s + deadline.grace_s)
    return max(0.0, ends_s - now_s)


@dataclass(slots=True)
class InProcess:
    """Sites in this process, asked one after the other; one that raises a UserError has not answered."""

    handlers: Mapping[str, Callable[[bytes], bytes]]
    silent: dict[str, str] = field(default_factory=dict)  # site -> why it did not answer last time

    def exchange(self, requests: Mapping[str, bytes], deadline: Deadline) -> dict[str, bytes]:
        """Ask each; there is no waiting, so that the deadline has no meaning here."""
        answers = {}
        for site, request in requests.items():
            try:
                answers[site] = self.handlers[site](request)
            except (UserError, KeyError) as error:
                self.silent[site] = str(error)
        return answers
