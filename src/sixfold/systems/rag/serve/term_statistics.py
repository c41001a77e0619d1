"""Statistics of terms by shard, kept for one generation: a term's need not be asked for twice.

They are what the shard said, so that scores do not depend on what is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from sixfold.parts.lexical import Statistics

__all__ = ["TermStatistics"]

_MOST_TERMS = 50_000


class TermStatistics:
    """What each shard said of each term, of the newest generation asked about."""

    def __init__(self, most: int = _MOST_TERMS) -> None:
        self._most = most
        self._generation = -1
        self._collections: dict[int, tuple[int, int]] = {}  # shard -> its passages and terms in all
        self._frequencies: OrderedDict[tuple[int, str], int] = OrderedDict()

    def known(self, generation: int, shard: int, terms: Sequence[str]) -> Statistics | None:
        """The statistics of a shard, if all of it is known."""
        if generation != self._generation or shard not in self._collections:
            return None
        keys = [(shard, term) for term in terms]
        if not all(key in self._frequencies for key in keys):
            return None
        for key in keys:
            self._frequencies.move_to_end(key)
        documents, length = self._collections[shard]
        return Statistics(documents, length, {term: self._frequencies[shard, term] for term in terms})

    def keep(self, generation: int, answers: Iterable[tuple[int, Statistics]]) -> None:
        """Keep what shards said; of a newer generation it replaces all that is older."""
        if generation < self._generation:
            return
        if generation > self._generation:
            self._generation = generation
            self._collections.clear()
            self._frequencies.clear()
        for shard, statistics in answers:
            self._collections[shard] = (statistics.documents, statistics.total_length)
            for term, frequency in statistics.frequencies.items():
                self._frequencies[shard, term] = frequency
                self._frequencies.move_to_end((shard, term))
        while len(self._frequencies) > self._most:
            self._frequencies.popitem(last=False)
