"""How much of the index an answer is based on, and why not on all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Coverage", "ShardCoverage", "ShardState"]


class ShardState(StrEnum):
    """What became of a question to a shard."""

    ANSWERED = "answered"
    LATE = "late"  # it had not answered when the time was up
    FAILED = "failed"  # it is not there, or all of its replicas failed


@dataclass(frozen=True, slots=True)
class ShardCoverage:
    """One shard of an answer."""

    shard: int
    state: ShardState
    passages: int  # that it holds
    documents: int
    reason: str | None = None  # in words, unless it answered


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which part of the index was searched."""

    shards: tuple[ShardCoverage, ...]

    @property
    def passages_total(self) -> int:
        return sum(shard.passages for shard in self.shards)

    @property
    def documents_total(self) -> int:
        return sum(shard.documents for shard in self.shards)

    @property
    def passages(self) -> int:
        """Those that were searched."""
        return sum(shard.passages for shard in self._answered)

    @property
    def documents(self) -> int:
        """Those that were searched."""
        return sum(shard.documents for shard in self._answered)

    @property
    def percent(self) -> float:
        """Passages searched of all passages; 100 for an empty index."""
        return 100.0 * self.passages / self.passages_total if self.passages_total else 100.0

    @property
    def whole(self) -> bool:
        """Whether every shard answered."""
        return len(self._answered) == len(self.shards)

    @property
    def _answered(self) -> Sequence[ShardCoverage]:
        return [shard for shard in self.shards if shard.state is ShardState.ANSWERED]

    def to_json(self) -> dict[str, Any]:
        return {
            "percent": round(self.percent, 2),
            "passages": self.passages,
            "passages_total": self.passages_total,
            "documents": self.documents,
            "documents_total": self.documents_total,
            "shards": [asdict(shard) for shard in self.shards],
        }

    @staticmethod
    def of(sizes: Mapping[int, tuple[int, int]], lost: Mapping[int, tuple[ShardState, str]]) -> Coverage:
        """sizes: shard -> (passages, documents); lost: shard -> what became of those that did not answer."""
        shards = []
        for number, (passages, documents) in sorted(sizes.items()):
            state, reason = lost.get(number, (ShardState.ANSWERED, None))
            shards.append(ShardCoverage(number, state, passages, documents, reason))
        return Coverage(tuple(shards))
