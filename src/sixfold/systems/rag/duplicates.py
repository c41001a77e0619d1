"""The rules of deduplication as pure functions over tables of rows; dedup.py says where the tables lie.

A row is one document: `part` and `row` say where its text lies, `rank` is its place in the total order
(everything published before everything new, then the order of publication or of the input). Rows that are
published have negative ranks, new ones have not.

Shapes: N rows, B bands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sixfold.systems.rag.clean.minhash import BANDS, PERMUTATIONS, band_hashes
from sixfold.systems.rag.shingles import jaccard

__all__ = [
    "Fate",
    "Rows",
    "Verified",
    "band_entries",
    "candidate_pairs",
    "compared_rows",
    "same_text",
    "same_url",
    "verify",
]


class ShinglesAt(Protocol):
    """(S) The shingles of the document at (part, row)."""

    def __getitem__(self, place: tuple[int, int], /) -> NDArray[np.uint64]: ...


KEYS = ("high", "low")
PLACE = ("rank", "part", "row")


class Fate(IntEnum):
    """What becomes of a row whose URL or text another row has as well."""

    SUPERSEDED = 0  # published, and the same URL has a newer text
    SAME_URL = 1  # new, and an earlier new row has the same URL
    SAME_TEXT = 2  # new, and an earlier row has the same text


@dataclass(frozen=True, slots=True)
class Rows:
    """(N) Where rows lie and where they stand in the total order."""

    rank: NDArray[np.int64]
    part: NDArray[np.int64]
    row: NDArray[np.int64]

    @staticmethod
    def of(table: pa.Table) -> Rows:
        """The rows of a table with those three columns."""
        return Rows(*(table[name].to_numpy() for name in PLACE))

    def columns(self, prefix: str = "") -> dict[str, NDArray[np.int64]]:
        """The three columns of a table."""
        return {prefix + "rank": self.rank, prefix + "part": self.part, prefix + "row": self.row}

    def take(self, chosen: NDArray[np.intp]) -> Rows:
        """The rows at these positions."""
        return Rows(self.rank[chosen], self.part[chosen], self.row[chosen])


def same_url(entries: pa.Table) -> pa.Table:
    """The fates of rows that share a URL: columns part, row, fate, kept_part, kept_row.

    Of the published rows the last one counts, of the new ones the first. If their texts are the same the new
    row is SAME_TEXT, else the published one is SUPERSEDED. Earlier published rows are SUPERSEDED too, later
    new rows are SAME_URL. `entries` has the URL's hash (high, low), the text's (text_high, text_low), and
    the rows.
    """
    order, starts, group = _groups(entries)
    rows = Rows.of(entries).take(order)
    texts = [entries["text_" + name].to_numpy()[order] for name in KEYS]
    n = len(order)
    ends = np.append(starts[1:], n)
    old = rows.rank < 0
    first_new = np.add.reduceat(old, starts) + starts if n else starts  # published rows sort before new ones
    has_old, has_new = first_new > starts, first_new < ends
    last_old_of, first_new_of = (first_new - 1)[group], first_new[group]
    safe = np.minimum(first_new_of, n - 1)
    unchanged = np.logical_and.reduce([t[last_old_of] == t[safe] for t in texts])
    unchanged &= (has_old & has_new)[group]
    at = np.arange(n)
    fate = np.full(n, -1)
    kept = np.zeros(n, np.int64)
    newer = old & (at < last_old_of)
    fate[newer], kept[newer] = Fate.SUPERSEDED, last_old_of[newer]
    changed = old & (at == last_old_of) & has_new[group] & ~unchanged
    fate[changed], kept[changed] = Fate.SUPERSEDED, first_new_of[changed]
    repeated = ~old & (at > first_new_of)
    fate[repeated], kept[repeated] = Fate.SAME_URL, first_new_of[repeated]
    still = ~old & (at == first_new_of) & unchanged
    fate[still], kept[still] = Fate.SAME_TEXT, last_old_of[still]
    return _fates(rows, fate, kept)


def same_text(entries: pa.Table) -> pa.Table:
    """The fates (see `same_url`) of new rows whose text an earlier row has; `entries` has its hash."""
    order, starts, group = _groups(entries)
    rows = Rows.of(entries).take(order)
    first = starts[group] if len(order) else order
    fate = np.where((rows.rank >= 0) & (np.arange(len(order)) > first), Fate.SAME_TEXT, -1)
    return _fates(rows, fate, first)


def band_entries(signatures: Iterable[bytes], rows: Rows) -> pa.Table:
    """The N B entries (hash, rank, part, row) of rows with a signature, B for each."""
    listed = list(signatures)
    signed = np.array([i for i, s in enumerate(listed) if s], np.intp)
    matrix = np.frombuffer(b"".join(listed), "<u4").reshape(-1, PERMUTATIONS)
    hashes = band_hashes(matrix).reshape(-1)
    repeated = rows.take(np.repeat(signed, BANDS))
    return pa.table({"hash": hashes, **repeated.columns()})


def candidate_pairs(entries: pa.Table, representatives: int) -> pa.Table:
    """The distinct pairs of an earlier row and a later new one that have to be compared.

    The rows with one hash are a bucket. Each is paired with the `representatives` earliest rows of its
    bucket, so a bucket of n rows gives at most n times as many pairs, however large it is.
    """
    rows = Rows.of(entries)
    order = np.lexsort((rows.row, rows.part, rows.rank, entries["hash"].to_numpy()))
    hashes = entries["hash"].to_numpy()[order]
    starts, group = _runs([hashes])
    place = np.arange(len(order)) - starts[group] if len(order) else order
    is_new = rows.rank[order] >= 0
    later, earlier = [order[:0]], [order[:0]]
    for k in range(representatives):
        chosen = np.flatnonzero((place > k) & is_new)
        later.append(order[chosen])
        earlier.append(order[starts[group[chosen]] + k])
    one, other = rows.take(np.concatenate(later)), rows.take(np.concatenate(earlier))
    columns = {**one.columns(), **other.columns("kept_")}
    return distinct_pairs(pa.table(columns))


def distinct_pairs(pairs: pa.Table) -> pa.Table:
    """Each pair once, by the later row's place and then by the rank of the earlier one."""
    names = ("part", "row", "kept_rank", "kept_part", "kept_row")
    values = [pairs[name].to_numpy() for name in names]
    order = np.lexsort(values[::-1])
    starts, _ = _runs([v[order] for v in values])
    return pairs.take(pa.array(order[starts]))


def compared_rows(pairs: pa.Table) -> pa.Table:
    """The rows (part, row) on both sides of some pairs, each once."""
    both = {name: pa.chunked_array([*pairs[name].chunks, *pairs["kept_" + name].chunks]) for name in ("part", "row")}
    return pa.table(both).group_by(["part", "row"]).aggregate([])


@dataclass(frozen=True, slots=True)
class Verified:
    """A near duplicate: its row, the place of the earliest document that it repeats, and their Jaccard."""

    row: int
    kept_part: int
    kept_row: int
    jaccard: float


def verify(pairs: pa.Table, shingles_at: ShinglesAt, threshold: float) -> list[Verified]:
    """The near duplicates among the later rows of distinct, sorted pairs, by the earliest match of each."""
    found: list[Verified] = []
    columns = (pairs[name].to_pylist() for name in ("part", "row", "kept_part", "kept_row"))
    for part, row, kept_part, kept_row in zip(*columns, strict=True):
        if found and found[-1].row == row:
            continue
        similarity = jaccard(shingles_at[part, row], shingles_at[kept_part, kept_row])
        if similarity >= threshold:
            found.append(Verified(row, kept_part, kept_row, similarity))
    return found


def _groups(entries: pa.Table) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """(the order by key and then rank, where in it each group of one key starts, the group of each)."""
    rows = Rows.of(entries)
    high, low = (entries[name].to_numpy() for name in KEYS)
    order = np.lexsort((rows.row, rows.part, rows.rank, low, high))
    return (order, *_runs([high[order], low[order]]))


def _runs(sorted_columns: list[NDArray[np.generic]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    n = len(sorted_columns[0])
    edge = np.zeros(n, np.bool_)
    edge[:1] = True
    for column in sorted_columns:
        edge[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(edge), np.cumsum(edge) - 1


def _fates(rows: Rows, fate: NDArray[np.int64], kept: NDArray[np.int64]) -> pa.Table:
    chosen = np.flatnonzero(fate >= 0)
    kept_rows = rows.take(kept[chosen])
    return pa.table(
        {
            "part": rows.part[chosen],
            "row": rows.row[chosen],
            "fate": fate[chosen],
            "kept_part": kept_rows.part,
            "kept_row": kept_rows.row,
        }
    )
