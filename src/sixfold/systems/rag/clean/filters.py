"""What a quality filter is; gopher.py, c4.py and fineweb.py have the rules, presets.py the lists of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from sixfold.systems.rag.clean.words import TextView

__all__ = ["Filter", "Rejection", "apply_filters", "exceeds"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a text does not pass: a short stable word, and the measured value against its limit."""

    reason: str
    detail: str


class Filter(Protocol):
    """A named, pure, picklable rule: gives the text it lets through (C4 drops lines) or a rejection."""

    name: str

    def __call__(self, view: TextView) -> TextView | Rejection: ...


def apply_filters(view: TextView, filters: Iterable[Filter]) -> TextView | tuple[str, Rejection]:
    """The text that passed every filter, or (name of the filter, its rejection)."""
    for accept in filters:
        outcome = accept(view)
        if isinstance(outcome, Rejection):
            return accept.name, outcome
        view = outcome
    return view


def exceeds(reason: str, value: float, limit: float | None) -> Rejection | None:
    """A rejection if the value is above its limit; None is no limit."""
    return Rejection(reason, f"{value:.3f} > {limit}") if limit is not None and value > limit else None
