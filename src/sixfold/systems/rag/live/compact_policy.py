"""Which segments of a shard to merge next: small ones by size, and those of which much is deleted.

Size-tiered, as log-structured stores do it: segments within a factor of `fan_in` in size form a tier, and a tier of
`fan_in` segments becomes one of the next (O'Neil et al., "The Log-Structured Merge-Tree", 1996). A document is then
copied about log_fan_in(shard / smallest) times in its life, and a shard has a few segments a tier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sixfold.errors import ConfigError

__all__ = ["CompactConfig", "SegmentState", "segments_to_merge"]


@dataclass(frozen=True, slots=True)
class SegmentState:
    """One segment of a shard, as the policy sees it."""

    name: str
    passages: int
    live: int  # passages that are not deleted
    total_bytes: int
    tombstones: bool  # has any, whether or not they hit a passage

    @property
    def live_bytes(self) -> float:
        """About what it takes without what is deleted."""
        return self.total_bytes * self.live / max(1, self.passages)


@dataclass(frozen=True, slots=True)
class CompactConfig:
    """When to merge, and how much at once."""

    fan_in: int = 4
    floor_bytes: int = 1_000_000  # segments below it are all of the lowest tier
    dead_share: float = 0.3  # of its passages; a segment with as much is rewritten by itself
    most_bytes: int = 256_000_000  # that one step merges; a single segment may be larger

    def __post_init__(self) -> None:
        if self.fan_in < 2 or self.floor_bytes < 1 or self.most_bytes < 1:
            raise ConfigError("fan_in has to be at least 2, floor_bytes and most_bytes at least 1")
        if not 0 < self.dead_share <= 1:
            raise ConfigError(f"dead_share is {self.dead_share}, expected above 0 and at most 1")


def segments_to_merge(
    segments: Sequence[SegmentState], config: CompactConfig | None = None, *, purge: bool = False
) -> list[str]:
    """The names of the segments of one shard that should become one now; empty if all is well.

    Dead segments go first: they cost nothing. Then the smallest tier that is full, then the segment with the
    largest share of deleted passages. purge: as long as there are tombstones, the smallest segment that has some.
    Calling it again after each merge comes to an end.
    """
    config = config or CompactConfig()
    if dead := [s.name for s in segments if not s.live]:
        return dead
    if purge:
        marked = [s for s in segments if s.tombstones]
        return [min(marked, key=lambda s: (s.total_bytes, s.name)).name] if marked else []
    tiers: dict[int, list[SegmentState]] = {}
    for s in sorted(segments, key=lambda s: (s.live_bytes, s.name)):
        tiers.setdefault(_tier(s.live_bytes, config), []).append(s)
    for _, tier in sorted(tiers.items()):
        if len(tier) >= config.fan_in and len(chosen := _within(tier, config.most_bytes)) > 1:
            return [s.name for s in chosen]
    worst = max(segments, key=lambda s: (1 - s.live / max(1, s.passages), s.name), default=None)
    if worst is not None and 1 - worst.live / max(1, worst.passages) >= config.dead_share:
        return [worst.name]
    return []


def _tier(live_bytes: float, config: CompactConfig) -> int:
    return math.floor(math.log(max(1.0, live_bytes / config.floor_bytes), config.fan_in))


def _within(tier: Sequence[SegmentState], most_bytes: int) -> list[SegmentState]:
    """As many of the smallest as one step may merge."""
    chosen: list[SegmentState] = []
    used = 0.0
    for s in tier:
        if (used := used + s.live_bytes) > most_bytes:
            break
        chosen.append(s)
    return chosen
