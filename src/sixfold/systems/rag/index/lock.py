"""One process at a time writes to an index, and one compacts it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from sixfold.locks import alone as alone_with

__all__ = ["COMPACTING", "WRITING", "alone"]

WRITING = ".build.lock"  # of builds and live writers: whoever adds documents or removes them
COMPACTING = ".compact.lock"


def alone(index: Path, name: str, *, wait_s: float = 0.0) -> AbstractContextManager[None]:
    """Hold one of the locks of an index. Raises ConfigError if another has not let go of it within `wait_s`."""
    doing = "compacts" if name == COMPACTING else "writes to"
    return alone_with(index / name, f"{doing} {index}", wait_s=wait_s)
