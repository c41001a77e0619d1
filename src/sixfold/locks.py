"""One process at a time: locks that the kernel lets go of when their holder dies."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sixfold.errors import ConfigError

__all__ = ["alone"]

_AGAIN_S = 0.005


@contextmanager
def alone(path: Path, doing: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of this file, also against other threads of this process; its folder is made.

    Raises ConfigError, "another process DOING", if another holder has not let go of it within `wait_s`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        until_s = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= until_s:
                    raise ConfigError(f"another process {doing}: wait for it, or end it") from None
            time.sleep(_AGAIN_S)
        yield
