"""Retrieval by the fleet: three rounds to the shards, under one deadline, with whatever shards answer.

    1  statistics of the question's terms, unless they are known, while the question is embedded
    2  BM25 with the statistics of all shards, and the nearest vectors
    3  the texts of the best

Statistics and results of a shard that answers are those of `retrieve.Retriever`: with all shards so is the ranking.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from sixfold.parts.analyzer import Analyzer
from sixfold.parts.fusion import Run, standard
from sixfold.parts.lexical import Statistics
from sixfold.systems.rag.index.filters import Filter
from sixfold.systems.rag.index.segment import IndexedChunk
from sixfold.systems.rag.index.shard import merge_vectors
from sixfold.systems.rag.retrieve import Fusion, Leg, Passage, first_run, fuse, merge_lexical, to_passages
from sixfold.systems.rag.serve.coverage import Coverage, ShardState
from sixfold.systems.rag.serve.generations import Generation
from sixfold.systems.rag.serve.scatter import Calls, Copy, Gathered, Group, Lost, scatter
from sixfold.systems.rag.serve.term_statistics import TermStatistics

__all__ = ["FleetSearch", "Found"]

Vector = npt.NDArray[np.float32]
EmbedQuery = Callable[[str], Awaitable[Vector]]
_DEPTH = 100  # results of each leg that the fusion sees
_SHARES = {"statistics": 0.35, "rank": 0.6, "texts": 1.0}  # of the time left that a round may take
_REFILLS = 2  # further rounds for the texts of passages, after a shard died between finding them and giving them


@dataclass(frozen=True, slots=True)
class Found:
    """What a question found, and how."""

    passages: list[Passage]
    coverage: Coverage
    generation: int
    statistics: Statistics  # of the question's terms over what answered
    lexical_only: bool  # the question could not be embedded in time
    slowest_shard_s: float  # the sum over the rounds of the slowest shard that answered
    seconds: dict[str, float] = field(default_factory=dict)  # by round


class FleetSearch:
    """Searches the shards of a generation through their replicas."""

    def __init__(
        self,
        groups: Sequence[Group[Copy]],
        embed_query: EmbedQuery,
        *,
        analyzer: Analyzer | None = None,
        fusion: Fusion = standard,
        depth: int = _DEPTH,
        probes: int | None = None,
    ) -> None:
        """Shard n is held by group n modulo their number, so that a new shard has a place from the start.

        depth: results of each leg that the fusion sees. probes: instead of those that the index was tuned to.
        """
        self.groups = list(groups)
        self._embed_query = embed_query
        self._analyzer = analyzer or Analyzer()
        self._fusion = fusion
        self._depth, self._probes = depth, probes
        self._terms = TermStatistics()
        self._encoder_silent = False  # it failed or was late when it was last asked
        self._encoder_probed = False  # and a question is finding out whether it still is

    async def search(
        self,
        question: str,
        k: int,
        generation: Generation,
        *,
        wait_s: float,
        where: Filter | None = None,
        legs: Sequence[Leg] = ("lexical", "vector"),
        counted: Sequence[str] = (),
    ) -> Found:
        """The k best passages within `wait_s` seconds, of the shards that answer in that time.

        counted: terms whose statistics are wanted beside those of the question.
        A question that cannot be embedded in half of the time is searched by its words.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + wait_s
        seconds: dict[str, float] = {}
        lost: dict[int, Lost] = {}
        slowest_s = 0.0
        depth = max(k, self._depth)

        async def ask(name: str, calls: Calls) -> dict[int, list[Any]]:
            nonlocal slowest_s
            began_s = time.perf_counter()  # the loop's own clock may tick in milliseconds only
            gathered = await self._ask(generation.number, calls, _SHARES[name] * (end_s - loop.time()))
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began_s
            lost.update(gathered.lost)
            slowest_s += gathered.slowest_s
            return gathered.results

        terms = self._analyzer.terms(question) if "lexical" in legs else []
        embedding = asyncio.ensure_future(self._embed(question, wait_s / 2)) if "vector" in legs else None
        try:
            alive: Sequence[int] = range(len(generation.manifest.shards))
            statistics = Statistics(0, 0, {})
            asked = list(dict.fromkeys([*terms, *counted]))
            if asked:
                known = {n: self._terms.known(generation.number, n, asked) for n in alive}
                unknown = [n for n, said in known.items() if said is None]
                if unknown:
                    answered = await ask("statistics", {n: [("statistics", (asked,))] for n in unknown})
                    said_now = {n: results[0] for n, results in answered.items()}
                    self._terms.keep(generation.number, said_now.items())
                    known |= said_now
                statistics = reduce(add, (said for said in known.values() if said is not None), statistics)
                alive = [n for n in alive if n not in lost]
            began_s = time.perf_counter()
            vector = await embedding if embedding is not None else None
            seconds["embed"] = time.perf_counter() - began_s
        finally:
            if embedding is not None:
                embedding.cancel()
        calls: list[tuple[str, Any]] = []
        if terms:
            calls.append(("lexical", (terms, statistics, depth, where)))
        if vector is not None:
            calls.append(("vector", (vector[None, :], depth, self._probes or generation.probes, where)))
        ranked = await ask("rank", dict.fromkeys(alive, calls)) if calls else {}
        runs: dict[Leg, Run] = {}
        if terms:
            runs["lexical"] = merge_lexical((results[0] for results in ranked.values()), depth)
        if vector is not None:
            runs["vector"] = first_run(*merge_vectors([results[-1] for results in ranked.values()], 1, depth))
        home = _homes(ranked, bool(terms), vector is not None)
        fused = fuse(runs, self._fusion, depth) if runs else []
        found: dict[str, tuple[int, IndexedChunk]] = {}
        for _ in range(1 + _REFILLS):
            best = [item for item in fused if home[item[0]] not in lost][:k]
            wanted: dict[int, list[str]] = {}
            for key, _score in best:
                if key not in found:
                    wanted.setdefault(home[key], []).append(key)
            if not wanted:
                break
            texts = await ask("texts", {n: [("passages", (keys,))] for n, keys in wanted.items()})
            for n, results in texts.items():
                found.update({key: (n, chunk) for key, chunk in results[0].items()})
        best = [item for item in fused if item[0] in found and home[item[0]] not in lost][:k]
        return Found(
            passages=to_passages(best, found, runs),
            coverage=Coverage.of(generation.sizes, {n: (at.state, at.reason) for n, at in lost.items()}),
            generation=generation.number,
            statistics=statistics,
            lexical_only=vector is None and "vector" in legs,
            slowest_shard_s=slowest_s,
            seconds=seconds,
        )

    async def passage(self, chunk_id: str, generation: Generation, wait_s: float) -> tuple[int, IndexedChunk] | None:
        """One passage and its shard; None if no shard that answers has it."""
        calls = {n: [("passages", ([chunk_id],))] for n in range(len(generation.manifest.shards))}
        gathered = await self._ask(generation.number, calls, wait_s)
        found = ((shard, results[0].get(chunk_id)) for shard, results in gathered.results.items())
        return next(((shard, chunk) for shard, chunk in found if chunk is not None), None)

    async def _ask(self, generation: int, calls: Calls, wait_s: float) -> Gathered:
        """One message to each group that holds one of these shards; results and losses by shard."""
        by_group: dict[int, dict[int, Sequence[tuple[str, Any]]]] = {}
        for shard, of in calls.items():
            by_group.setdefault(shard % len(self.groups), {})[shard] = of
        if wait_s <= 0:
            return Gathered({}, dict.fromkeys(calls, Lost(ShardState.LATE, "the time was up before it was asked")), 0.0)
        groups = {number: self.groups[number] for number in by_group}
        gathered = await scatter(groups, lambda number, copy: copy.call(generation, by_group[number]), wait_s=wait_s)
        results = {shard: answer for of in gathered.results.values() for shard, answer in of.items()}
        lost = {
            shard: gathered.lost[number] for number, of in by_group.items() if number in gathered.lost for shard in of
        }
        return Gathered(results, lost, gathered.slowest_s)

    async def _embed(self, question: str, wait_s: float) -> Vector | None:
        probing = self._encoder_silent
        if probing and self._encoder_probed:
            return None  # one question at a time waits for an encoder that is silent, the others are not held up
        self._encoder_probed = probing
        try:
            vector = await asyncio.wait_for(self._embed_query(question), wait_s)
            self._encoder_silent = False
            return vector
        except Exception:  # the encoder is late, gone or broken: the words are still there
            self._encoder_silent = True
            return None
        finally:
            if probing:
                self._encoder_probed = False


def _homes(ranked: Mapping[int, list[Any]], lexical: bool, vector: bool) -> dict[str, int]:
    """chunk_id -> the shard that found it."""
    homes: dict[str, int] = {}
    for shard, results in ranked.items():
        if lexical:
            homes.update({key: shard for key, _ in results[0]})
        if vector:
            homes.update({key: shard for key, _ in first_run(*results[-1])})
    return homes
