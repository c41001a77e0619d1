"""An immutable lexical index, scored with BM25 from statistics that the caller supplies.

A shard is scored with the statistics of *all* shards, so that a document's score does not depend on where it
lies; docs/decisions/0006 says why no library is used.

Array legend: n documents, v terms, p postings (one per term and document in which it occurs).
"""

from __future__ import annotations

import json
import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError, InputError
from sixfold.parts.analyzer import Analyzer

__all__ = ["Analyzer", "Bm25", "LexicalIndex", "Statistics"]

FORMAT = "sixfold-lexical-1"
BLOCK_TOKENS = 1 << 20  # tokens that are sorted at once while building
_ARRAYS = ("lengths_n", "term_bytes", "term_ends_v", "posting_ends_v", "documents_p", "counts_p")

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bm25:
    """Okapi BM25 with an idf that is never negative.

    score(d, q) = sum over terms t of q:  qtf idf(t) tf (k1 + 1) / (tf + k1 (1 - b + b |d| / avgdl))
    idf(t) = ln(1 + (N - df + 1/2) / (df + 1/2))

    Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, eq. 3.15, here with
    the factor k1 + 1; the 1 in the logarithm is Lucene's (Kamphuis et al., "Which BM25 do you mean?", 2020).

    Raises ConfigError if k1 is negative or b outside [0, 1].
    """

    k1: float = 1.2
    b: float = 0.75

    def __post_init__(self) -> None:
        if not (self.k1 >= 0 and math.isfinite(self.k1) and 0 <= self.b <= 1):
            raise ConfigError(f"k1 must be >= 0 and b in [0, 1], got k1={self.k1}, b={self.b}")

    def weight(self, documents: int, frequency: int) -> float:
        """idf(t) (k1 + 1) of a term that occurs in `frequency` of `documents`."""
        return math.log1p((documents - frequency + 0.5) / (frequency + 0.5)) * (self.k1 + 1)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What BM25 must know of a collection; the sum over shards is that of the whole."""

    documents: int = 0
    total_length: int = 0  # terms in all documents
    frequencies: dict[str, int] = field(default_factory=dict)  # documents with the term, for each asked about

    def __add__(self, other: Statistics) -> Statistics:
        frequencies = Counter(self.frequencies)
        frequencies.update(other.frequencies)
        return Statistics(self.documents + other.documents, self.total_length + other.total_length, dict(frequencies))


class LexicalIndex:
    """The postings of documents 0..n-1, in memory or mapped from a folder; never changed once built."""

    def __init__(self, arrays: dict[str, Array], analyzer: Analyzer, scoring: Bm25) -> None:
        self.analyzer = analyzer
        self.scoring = scoring
        self._arrays = arrays
        self._lengths_n = arrays["lengths_n"]
        self._term_bytes = arrays["term_bytes"]
        self._term_ends_v = arrays["term_ends_v"]
        self._posting_ends_v = arrays["posting_ends_v"]
        self._documents_p = arrays["documents_p"]
        self._counts_p = arrays["counts_p"]
        self.documents = len(self._lengths_n)
        self.total_length = int(self._lengths_n.sum(dtype=np.int64))

    @classmethod
    def build(cls, texts: Iterable[str], analyzer: Analyzer | None = None, scoring: Bm25 | None = None) -> LexicalIndex:
        """Index texts in one pass; document i is the i-th text.

        Needs memory for the finished index about twice, and for the distinct terms.
        """
        analyzer = analyzer or Analyzer()
        builder = _Builder()
        for text in texts:
            builder.add(analyzer, text)
        return cls(builder.finish(), analyzer, scoring or Bm25())

    def save(self, folder: str | Path) -> None:
        """Write the index into a folder; the same documents give the same bytes."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", self._arrays[name], allow_pickle=False)
        meta = {
            "format": FORMAT,
            "documents": self.documents,
            "total_length": self.total_length,
            "scoring": asdict(self.scoring),
            "analyzer": {"language": self.analyzer.language, "stop_words": sorted(self.analyzer.stop_words)},
        }
        text = json.dumps(meta, indent=1, sort_keys=True) + "\n"
        (folder / "lexical.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> LexicalIndex:
        """Map an index from the folder it was saved in. Raises InputError if it is missing or damaged."""
        folder = Path(folder)
        path = folder / "lexical.json"
        try:
            meta = json.loads(path.read_text(encoding="utf-8"))
            if meta["format"] != FORMAT:
                raise ValueError(f"its format is {meta['format']!r}, expected {FORMAT!r}")
            analyzer = Analyzer(meta["analyzer"]["language"], frozenset(meta["analyzer"]["stop_words"]))
            arrays = {name: _map(folder / f"{name}.npy") for name in _ARRAYS}
            index = cls(arrays, analyzer, Bm25(**meta["scoring"]))
            if (index.documents, index.total_length) != (meta["documents"], meta["total_length"]):
                raise ValueError("its documents are not those it was saved with")
            if not index._fits_together():
                raise ValueError("its files do not fit together")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"not a whole lexical index ({error}); build it again", path=folder) from error
        return index

    def statistics(self, terms: Iterable[str], mask: Mask | None = None) -> Statistics:
        """What this shard adds to the statistics of the collection, for these terms.

        mask: [n] True where the document is live; all are without it.
        """
        frequencies = {}
        for term in sorted(set(terms)):
            documents_t, _ = self._postings(term)
            frequencies[term] = len(documents_t) if mask is None else int(np.count_nonzero(mask[documents_t]))
        if mask is None:
            return Statistics(self.documents, self.total_length, frequencies)
        live_length = int(self._lengths_n.sum(dtype=np.int64, where=mask))
        return Statistics(int(np.count_nonzero(mask)), live_length, frequencies)

    def search(
        self, terms: Iterable[str], statistics: Statistics, k: int, mask: Mask | None = None
    ) -> tuple[Positions, Scores]:
        """The k best live documents that contain a term, best first, ties by position.

        The sum over a document's terms is taken in the order of the terms and every operand comes from the
        document or from `statistics`, so that scores agree to the last bit between any two partitions.
        A merged top k is that of the whole if every shard holds its documents in the order that breaks ties.

        Raises ConfigError if `statistics` was not asked about one of the terms.
        """
        known = statistics.frequencies
        scores_n = np.zeros(self.documents)
        bm25 = self.scoring
        mean_length = statistics.total_length / max(1, statistics.documents)
        for term, times in sorted(Counter(terms).items()):
            if term not in known:
                raise ConfigError(f"the statistics lack the term {term!r}; ask for them with the same terms")
            documents_t, counts_t = self._postings(term)
            if not len(documents_t) or not mean_length:
                continue
            tf = counts_t.astype(np.float64)
            length_norm = self._lengths_n[documents_t] * (bm25.b / mean_length) + (1.0 - bm25.b)
            weight = times * bm25.weight(statistics.documents, known[term])
            scores_n[documents_t] += weight * tf / (tf + bm25.k1 * length_norm)
        if mask is not None:
            scores_n[~mask] = 0.0
        return _top(scores_n, k)

    def _postings(self, term: str) -> tuple[Array, Array]:
        """documents [t] and counts [t] of one term; empty if it does not occur."""
        key = term.encode("utf-8", "surrogatepass")
        at = bisect_left(range(len(self._term_ends_v)), key, key=self._term)
        if at == len(self._term_ends_v) or self._term(at) != key:
            return self._documents_p[:0], self._counts_p[:0]
        span = slice(int(self._posting_ends_v[at - 1]) if at else 0, int(self._posting_ends_v[at]))
        return self._documents_p[span], self._counts_p[span]

    def _term(self, at: int) -> bytes:
        start = int(self._term_ends_v[at - 1]) if at else 0
        return self._term_bytes[start : int(self._term_ends_v[at])].tobytes()

    def _fits_together(self) -> bool:
        def last(ends: Array) -> int:
            return int(ends[-1]) if len(ends) else 0

        return (
            last(self._term_ends_v) == len(self._term_bytes)
            and len(self._term_ends_v) == len(self._posting_ends_v)
            and last(self._posting_ends_v) == len(self._documents_p) == len(self._counts_p)
        )


class _Builder:
    """Collects term occurrences in blocks; each block is sorted by (term, document) and counted."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}  # terms in order of their first occurrence
        self._lengths = array("I")
        self._block = array("I")  # term numbers of the documents since the last flush
        self._first = 0  # the first of these documents
        # Sorted by (term, document): terms, the documents of each, and these documents with their counts.
        self._runs: list[tuple[Array, Array, Array, Array]] = []

    def add(self, analyzer: Analyzer, text: str) -> None:
        numbers, before = self._numbers, len(self._block)
        self._block.extend([numbers.setdefault(term, len(numbers)) for term in analyzer.stream(text)])
        self._lengths.append(len(self._block) - before)
        if len(self._block) >= BLOCK_TOKENS:
            self._flush()

    def _flush(self) -> None:
        lengths = np.array(self._lengths[self._first :])
        keys = np.array(self._block, dtype=np.int64)
        keys <<= 32
        keys |= np.repeat(np.arange(self._first, self._first + len(lengths), dtype=np.int64), lengths)
        keys.sort()
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        counts = np.diff(starts, append=len(keys))
        keys = keys[starts]
        terms, frequencies = np.unique_counts(keys >> 32)
        counts = counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
        self._runs.append((terms, frequencies, keys.astype(np.uint32), counts))
        self._block = array("I")
        self._first = len(self._lengths)

    def finish(self) -> dict[str, Array]:
        """The arrays of the index; terms sorted by their UTF-8 bytes, postings by document."""
        self._flush()
        encoded = [term.encode("utf-8", "surrogatepass") for term in self._numbers]
        self._numbers.clear()
        order = sorted(range(len(encoded)), key=encoded.__getitem__)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        frequencies_v = np.zeros(len(order), dtype=np.int64)
        for terms, frequencies, _, _ in self._runs:
            frequencies_v[rank[terms]] += frequencies
        posting_ends_v = np.cumsum(frequencies_v)
        documents_p = np.empty(int(frequencies_v.sum()), dtype=np.uint32)
        widest = max((counts.dtype for *_, counts in self._runs), key=lambda dtype: dtype.itemsize)
        counts_p = np.empty(len(documents_p), dtype=widest)
        next_v = posting_ends_v - frequencies_v
        self._runs.reverse()
        while self._runs:  # each run is freed as soon as its postings are in place
            terms, frequencies, documents, counts = self._runs.pop()
            # A run holds a term's postings together: they go, in order, to the term's next free places.
            starts = np.cumsum(frequencies) - frequencies
            places = np.arange(len(documents)) + np.repeat(next_v[rank[terms]] - starts, frequencies)
            documents_p[places], counts_p[places] = documents, counts
            next_v[rank[terms]] += frequencies
        sorted_terms = [encoded[i] for i in order]
        return {
            "lengths_n": np.array(self._lengths, dtype=np.uint32),
            "term_bytes": np.frombuffer(b"".join(sorted_terms), dtype=np.uint8),
            "term_ends_v": np.cumsum([len(term) for term in sorted_terms], dtype=np.int64),
            "posting_ends_v": posting_ends_v,
            "documents_p": documents_p,
            "counts_p": counts_p,
        }


def _top(scores_n: Scores, k: int) -> tuple[Positions, Scores]:
    found = np.flatnonzero(scores_n > 0)
    if k <= 0:
        found = found[:0]
    scores = scores_n[found]
    if len(found) > k > 0:
        # Everything that ties with the k-th stays until ties are broken by position.
        keep = scores >= np.partition(scores, len(scores) - k)[len(scores) - k]
        found, scores = found[keep], scores[keep]
    best = np.lexsort((found, -scores))[: max(0, k)]
    return found[best].astype(np.int64), scores[best]


def _map(path: Path) -> Array:
    loaded: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return loaded
