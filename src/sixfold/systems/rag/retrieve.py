"""Ask an index: scatter to the shards, gather, fuse, and return passages with their sources.

Lexical search takes two rounds: the statistics of all shards are summed, then every shard scores with the
sum, so the result is that of one single index. Writing an answer from the passages is somebody else's work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError
from sixfold.parts.analyzer import Analyzer
from sixfold.parts.fusion import Run, standard
from sixfold.parts.vectors import fewest_probes, recall
from sixfold.systems.rag.index.filters import Filter
from sixfold.systems.rag.index.scatter import ShardHandle, wait_all
from sixfold.systems.rag.index.segment import IndexedChunk
from sixfold.systems.rag.index.shard import Ids, Scores, merge_vectors
from sixfold.systems.rag.records import Source

__all__ = ["Fusion", "Leg", "Passage", "Retriever", "ShardHandle", "first_run", "fuse", "merge_lexical", "to_passages"]

Leg = Literal["lexical", "vector"]


class Fusion(Protocol):
    """One of `parts.fusion`, or anything that is called like it."""

    def __call__(self, runs: Sequence[Run], /, *, depth: int) -> Run:
        """Several runs become one; of each, at most `depth` results are looked at."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """One result: the text, where it comes from, and why it is here."""

    chunk_id: str
    doc_id: str
    url: str
    title: str
    language: str
    text: str
    start: int  # characters into the document's text
    end: int
    source: Source
    score: float  # after fusion
    lexical_score: float | None  # BM25; None if that leg did not find it
    vector_score: float | None  # inner product with the query
    shard: int


class Retriever:
    """Searches all shards of one generation of an index."""

    def __init__(
        self,
        shards: Sequence[ShardHandle],
        embed_query: Callable[[str], npt.NDArray[np.float32]],
        *,
        analyzer: Analyzer | None = None,
        fusion: Fusion = standard,
        probes: int | None = None,
        depth: int = 100,
    ) -> None:
        """embed_query: text -> [d]. probes: None searches exactly; otherwise see `tune`.

        fusion: one of parts.fusion, or any function of runs; depth: results of each leg that it sees.
        """
        if not shards:
            raise ConfigError("got no shards, expected at least one")
        if depth < 1:
            raise ConfigError(f"got depth={depth}, expected at least 1")
        self._shards = list(shards)
        self._embed_query = embed_query
        self._analyzer = analyzer or Analyzer()
        self._fusion = fusion
        self.probes = probes
        self._depth = depth

    def search(
        self,
        question: str,
        k: int = 10,
        *,
        where: Filter | None = None,
        legs: Sequence[Leg] = ("lexical", "vector"),
    ) -> list[Passage]:
        """The k best passages for a question, best first, ties by chunk_id; fewer if there are no more.

        Raises ConfigError: k below 1, or no leg to search with.
        """
        if k < 1 or not legs:
            raise ConfigError(f"got k={k}, legs={list(legs)}, expected at least 1 of each")
        depth = max(k, self._depth)
        runs: dict[Leg, Run] = {}
        if "lexical" in legs:
            runs["lexical"] = self.lexical_run(question, depth, where)
        if "vector" in legs:
            runs["vector"] = self.vector_run(question, depth, where)
        return self._passages(fuse(runs, self._fusion, depth)[:k], runs)

    def lexical_run(self, question: str, k: int, where: Filter | None = None) -> Run:
        """The k best (chunk_id, BM25 score): those of a single index, to the last bit."""
        terms = self._analyzer.terms(question)
        if not terms:
            return []
        statistics = reduce(add, self._gather("statistics", terms))
        return merge_lexical(self._gather("lexical", terms, statistics, k, where), k)

    def vector_run(self, question: str, k: int, where: Filter | None = None) -> Run:
        """The k best (chunk_id, inner product) for one question."""
        return first_run(*self.search_vectors(self._embed_query(question)[None, :], k, self.probes, where))

    def search_vectors(
        self,
        queries_qd: npt.NDArray[np.float32],
        k: int,
        probes: int | None = None,
        where: Filter | None = None,
    ) -> tuple[Scores, Ids]:
        """Scores [q, k] and chunk ids [q, k] (UTF-8 bytes) for many queries at once; see `Shard.vector`."""
        return self.begin_vectors(queries_qd, k, probes, where)()

    def begin_vectors(
        self,
        queries_qd: npt.NDArray[np.float32],
        k: int,
        probes: int | None = None,
        where: Filter | None = None,
    ) -> Callable[[], tuple[Scores, Ids]]:
        """As `search_vectors`, but returns at once: the shards work while the next batch is prepared."""
        waiting = [shard.begin("vector", queries_qd, k, probes, where) for shard in self._shards]
        return lambda: merge_vectors(wait_all(waiting), len(queries_qd), k)

    def tune(
        self, queries_qd: npt.NDArray[np.float32], k: int = 10, target_recall: float = 0.99, most: int = 4096
    ) -> int:
        """The smallest number of probes, one for all segments, with this recall@k against the exact scan.

        Sets `probes` and returns it. Use questions like those to come, and none that will be scored. The
        default is one point below exact.
        """
        _, exact_qk = self.search_vectors(queries_qd, k)

        def recall_at(probes: int) -> float:
            return recall(self.search_vectors(queries_qd, k, probes)[1], exact_qk)

        self.probes = fewest_probes(recall_at, target_recall, most)
        return self.probes

    def _gather(self, method: str, *args: Any) -> list[Any]:
        return wait_all([shard.begin(method, *args) for shard in self._shards])

    def _passages(self, fused: Run, runs: Mapping[Leg, Run]) -> list[Passage]:
        found: dict[str, tuple[int, IndexedChunk]] = {}
        # Every shard is asked: which of them has a chunk costs a binary search, and no bookkeeping here.
        for shard, chunks in zip(self._shards, self._gather("passages", [key for key, _ in fused]), strict=True):
            found.update({key: (shard.number, chunk) for key, chunk in chunks.items()})
        return to_passages(fused, found, runs)


def merge_lexical(runs: Iterable[Run], k: int) -> Run:
    """The k best of the shards' lexical runs, best first, ties by chunk_id."""
    return sorted((item for run in runs for item in run), key=lambda item: (-item[1], item[0]))[:k]


def first_run(scores_qk: Scores, ids_qk: Ids) -> Run:
    """What a vector search found for the first of its queries."""
    return [(key.decode(), float(score)) for key, score in zip(ids_qk[0].tolist(), scores_qk[0], strict=True) if key]


def fuse(runs: Mapping[Leg, Run], fusion: Fusion, depth: int) -> Run:
    """One ranking of the legs' rankings; a single leg's is left as it is."""
    return fusion(list(runs.values()), depth=depth) if len(runs) > 1 else next(iter(runs.values()))


def to_passages(fused: Run, found: Mapping[str, tuple[int, IndexedChunk]], runs: Mapping[Leg, Run]) -> list[Passage]:
    """The passages of a ranking with the scores of both legs; found: chunk_id -> (shard, passage)."""
    lexical, vector = dict(runs.get("lexical", [])), dict(runs.get("vector", []))
    passages = []
    for key, score in fused:
        number, at = found[key]
        chunk = at.chunk
        passages.append(
            Passage(
                chunk_id=key,
                doc_id=chunk.doc_id,
                url=at.url,
                title=at.title,
                language=at.language,
                text=chunk.text,
                start=chunk.start,
                end=chunk.end,
                source=at.source,
                score=score,
                lexical_score=lexical.get(key),
                vector_score=vector.get(key),
                shard=number,
            )
        )
    return passages
