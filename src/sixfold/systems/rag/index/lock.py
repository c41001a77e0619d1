"""One process at a time: locks that the kernel lets go of when their holder dies."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sixfold.errors import ConfigError

__all__ = ["COMPACTING", "WRITING", "alone"]

WRITING = ".build.lock"  # of builds and live writers: whoever adds documents or removes them
COMPACTING = ".compact.lock"
_AGAIN_S = 0.005


@contextmanager
def alone(index: Path, name: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold one of the locks of an index, also against other threads of this process.

    Raises ConfigError if another holder has not let go of it within `wait_s`.
    """
    index.mkdir(parents=True, exist_ok=True)
    with (index / name).open("a") as file:
        until_s = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= until_s:
                    doing = "compacts" if name == COMPACTING else "writes to"
                    raise ConfigError(f"another process {doing} {index}: wait for it, or end it") from None
            time.sleep(_AGAIN_S)
        yield
