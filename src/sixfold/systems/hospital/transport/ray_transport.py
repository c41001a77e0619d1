"""Hospitals as Ray actors, one process each: what the study runs on when Flower's processes are not wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sixfold.errors import ConfigError, UserError, first_line
from sixfold.systems.hospital.transport.transport import Deadline, wait_more

__all__ = ["RayTransport"]

Opener = Callable[[Path], Callable[[bytes], bytes]]


class RayTransport:
    """One actor for each site, made where a Ray runs already (`sixfold.lab.lab`). Use as a context manager.

    opener: gets a site's folder, in its process, and returns its `bytes -> bytes`. late: answers to exchanges that had
    ended, dropped. silent: site -> why it did not answer.
    """

    def __init__(self, opener: Opener, folders: Mapping[str, Path]) -> None:
        import ray

        actor = ray.remote(num_cpus=0)(_Site)  # no slot: there may be more sites than cores, and they mostly wait
        self._actor, self._opener, self._folders = actor, opener, dict(folders)
        self._sites = {site: actor.remote(opener, folder) for site, folder in folders.items()}
        ray.get([site.ready.remote() for site in self._sites.values()])
        self._old: list[Any] = []
        self.silent: dict[str, str] = {}
        self.late = 0

    def exchange(self, requests: Mapping[str, bytes], deadline: Deadline) -> dict[str, bytes]:
        """Send each site its request; the answers that came in time. Raises ConfigError for an unknown site."""
        import ray

        if unknown := sorted(requests.keys() - self._sites.keys()):
            raise ConfigError(f"there is no site {', '.join(unknown)}")
        started_s = time.monotonic()
        running = {self._sites[site].handle.remote(request): site for site, request in requests.items()}
        answers: dict[str, bytes] = {}
        done_s: dict[str, float] = {}
        waiting = len(requests)
        while wait_s := wait_more(waiting, done_s, time.monotonic() - started_s, deadline):
            ready, _ = ray.wait(list(running), num_returns=1, timeout=wait_s)
            for ref in ready:
                site = running.pop(ref)
                try:
                    answers[site] = ray.get(ref)
                    done_s[site] = time.monotonic() - started_s
                except (ray.exceptions.RayTaskError, ray.exceptions.RayActorError) as error:
                    self._not_answered(site, error)
                    waiting -= 1
        self._drop_late(list(running))
        return answers

    def restart(self, site: str) -> None:
        """Start a site again from its folder, as after a crash."""
        import ray

        ray.kill(self._sites[site])
        self._sites[site] = self._actor.remote(self._opener, self._folders[site])
        ray.get(self._sites[site].ready.remote())

    def close(self) -> None:
        """End the actors; a second call does nothing."""
        import ray

        for site in self._sites.values():
            ray.kill(site)
        self._sites = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _not_answered(self, site: str, error: Any) -> None:
        import ray

        if isinstance(error, ray.exceptions.RayActorError):
            self.silent[site] = f"its process is gone: {first_line(error)}"
        elif isinstance(error.cause, UserError):
            self.silent[site] = str(error.cause)
        else:
            raise error

    def _drop_late(self, unanswered: list[Any]) -> None:
        """Count the answers that came after their exchange; keep the requests that are still without one."""
        import ray

        if self._old:
            came, self._old = ray.wait(self._old, num_returns=len(self._old), timeout=0)
            self.late += len(came)
        self._old += unanswered


class _Site:
    """What runs in a site's process."""

    def __init__(self, opener: Opener, folder: Path) -> None:
        self._handle = opener(folder)

    def ready(self) -> None:
        """Answered once the site is open."""

    def handle(self, request: bytes) -> bytes:
        return self._handle(request)
