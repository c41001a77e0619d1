"""What a live writer says that it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Fate", "Receipt", "Removed"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one page that was handed in."""

    url: str
    doc_id: str
    fate: str  # added, replaced, unchanged or dropped
    stage: str = ""  # of a dropped one, as a build says it
    reason: str = ""
    detail: str = ""
    source: str = ""  # file:offset of what its passages come from
    language: str = ""
    passages: int = 0


@dataclass(frozen=True, slots=True)
class Removed:
    """A document that is not in the index any more."""

    url: str
    doc_id: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a call changed. `generation` is the one that shows it; the one that was there if nothing changed."""

    generation: int
    published: bool
    fates: tuple[Fate, ...] = ()  # in the order of the call
    removed: tuple[Removed, ...] = ()  # without what was replaced
    passages: int = 0  # that were added
    seconds: Mapping[str, float] = field(default_factory=dict)  # by step

    def as_json(self) -> dict[str, Any]:
        """Ready to be written as JSON; with the fates counted."""
        counts: dict[str, int] = {}
        for page in self.fates:
            counts[page.fate] = counts.get(page.fate, 0) + 1
        return {**asdict(self), "counts": counts}
