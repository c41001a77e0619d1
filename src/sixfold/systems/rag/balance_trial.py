"""One run of `balance` for rag: a fleet with these knobs; questions, answers and new documents at fixed rates."""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from sixfold.parts.arrivals import poisson_arrivals
from sixfold.parts.http_load import HttpLoad, http_load
from sixfold.parts.load import OK, open_loop
from sixfold.parts.ranking import Run, evaluate
from sixfold.study.balance import Knobs
from sixfold.systems.rag.balance_source import Source
from sixfold.systems.rag.known_items import known_item_qrels
from sixfold.systems.rag.serve.settings import Replicas, ServeSettings

__all__ = ["Trials"]

_K, _DEADLINE_S = 10, 5.0
_OBJECTIVE_S = 1.0  # an answer within it is good
_ZIPF = 1.1  # how often the r-th question comes: r ** -this
_LATE_S = 20.0  # a document that is not found by then counts as this
_LOOK_S = 0.1  # between two looks for a document whose receipt has come
_MEASURE = "nDCG@10"


class Trials:
    """Measures values of the knobs."""

    def __init__(self, work: Path, source: Source, seed: int, load: Mapping[str, float]) -> None:
        self._work, self._source, self._seed, self._load = work, source, seed, load
        self._exact = self._of_exact_search()

    def __call__(self, knobs: Knobs) -> dict[str, float]:
        """One fleet from its start to its end. Raises RuntimeError where nothing can be said of it."""
        from sixfold.systems.rag.serve.fleet import start_fleet
        from sixfold.systems.rag.serve.operate import wait_until_ready

        index = self._work / "trial"
        shutil.rmtree(index, ignore_errors=True)
        shutil.copytree(self._source.divided(int(knobs["index_shards"])), index, symlinks=True)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        settings = ServeSettings(
            index,
            port=port,
            replicas=Replicas(shard=int(knobs["shard_replicas"])),
            concurrency=int(knobs["concurrency"]),
            cached_questions=int(knobs["cached_questions"]),
            probes=int(knobs["probes"]),
            fused_depth=int(knobs["fused_depth"]),
            embed_batch=int(knobs["embed_batch"]),
            model_threads=int(knobs["model_threads"]),
            ingest_share=knobs["ingest_share"],
        )
        with start_fleet(settings) as fleet:
            wait_until_ready(fleet)
            return asyncio.run(self._ask(fleet.address))

    async def _ask(self, address: str) -> dict[str, float]:
        load, rng, asked = self._load, np.random.default_rng(self._seed), self._source.questions
        share = np.arange(1, len(asked) + 1) ** -_ZIPF
        arrivals = poisson_arrivals(load["rate_per_s"], load["load_s"], self._seed).tolist()
        drawn = rng.choice(len(asked), size=len(arrivals), p=share / share.sum())
        answers = poisson_arrivals(load["answers_per_s"], load["load_s"], self._seed + 1).tolist()

        def search(number: int) -> tuple[str, Any]:
            return "/v1/search", _search(asked[drawn[number]])

        def answer(number: int) -> tuple[str, Any]:
            question = asked[number % len(asked)]
            body = {"messages": [{"role": "user", "content": question}], "mode": "auto", "deadline_s": _DEADLINE_S}
            return "/v1/chat/completions", body

        async with http_load(address, search) as http, http_load(address, answer) as chat:
            quality = await self._quality(http)
            await self._hand_in(http, "warm", 1)  # the writer loads its model
            async with asyncio.TaskGroup() as group:
                searching = group.create_task(open_loop(arrivals, http.send, objective_s=_OBJECTIVE_S))
                group.create_task(open_loop(answers, chat.send, objective_s=_DEADLINE_S))
                n = max(1, round(load["documents_per_s"] * load["load_s"]))
                ingesting = group.create_task(self._hand_in(http, "fresh", n))
            found, report = ingesting.result(), searching.result()
        if not report.latency[OK].count:
            raise RuntimeError(f"no question was answered: {report.outcomes}")
        unanswered = report.offered - report.latency[OK].count
        # Of everything that was offered: what was refused or failed is as late as can be.
        p99_s = report.latency[OK].quantile_s(0.99) if unanswered <= 0.01 * report.offered else _DEADLINE_S
        return {
            "p99_s": p99_s,
            "p50_s": report.latency[OK].quantile_s(0.5),
            "lag_s": median(found),
            "longest_lag_s": max(found),
            "quality": quality,
            "goodput_per_s": report.goodput_per_s(),
            "unanswered": float(unanswered),
            "generator_limited": float(report.generator_limited),
        }

    async def _quality(self, http: HttpLoad) -> float:
        """nDCG@10 of known items before the load begins, over that of an exact search; each is asked once, uncached."""
        runs: dict[str, Run] = {}
        for item in self._source.items:
            answer = await http.ask("/v1/search", _search(item.query))
            if answer.status != 200:
                raise RuntimeError(f"status {answer.status} for {item.query!r}")
            runs[item.query] = _pages((hit["url"], hit["score"]) for hit in answer.body["data"])
        return self._score(runs) / self._exact

    def _of_exact_search(self) -> float:
        """What one process comes to that reads every vector and fuses at its usual depth."""
        from sixfold.systems.rag.build_embed import embedder
        from sixfold.systems.rag.index.shard import Shard
        from sixfold.systems.rag.retrieve import Retriever

        retriever = Retriever([Shard.open(self._source.divided(1), 0)], embedder().embed_query)
        found = {item.query: retriever.search(item.query, _K) for item in self._source.items}
        return self._score({q: _pages((one.url, one.score) for one in passages) for q, passages in found.items()})

    def _score(self, runs: Mapping[str, Run]) -> float:
        return evaluate(known_item_qrels(self._source.items), runs, [_MEASURE], self._seed)[_MEASURE].value

    async def _hand_in(self, http: HttpLoad, name: str, n: int) -> list[float]:
        """Documents at the rate of the load: seconds from handing each in to the first answer with it.

        The receipt comes when questions ought to find a document; it counts from the first one that does.
        """
        draw = random.Random(f"{self._seed} {name}")
        words = ["zq" + "".join(draw.choice("bcdfghjkmpqvwxz") for _ in range(10)) for _ in range(n)]
        documents = [self._source.document(word, draw) for word in words]

        async def give(at: int) -> float:
            await asyncio.sleep(at / self._load["documents_per_s"])
            began_s = time.perf_counter()
            receipt = await http.ask("/v1/documents", {"documents": [documents[at]]})
            if receipt.status != 200 or receipt.body["fates"][0]["fate"] != "added":
                raise RuntimeError(f"a document was not taken in: {receipt.status} {receipt.body}")
            while (took_s := time.perf_counter() - began_s) < _LATE_S:
                answer = await http.ask("/v1/search", _search(words[at]))
                if answer.status == 200 and any(hit["url"] == documents[at]["url"] for hit in answer.body["data"]):
                    return time.perf_counter() - began_s
                await asyncio.sleep(_LOOK_S)
            return took_s

        return list(await asyncio.gather(*(give(at) for at in range(n))))


def _pages(hits: Iterable[tuple[str, float]]) -> Run:
    """Pages by their best passage."""
    best: dict[str, float] = {}
    for url, score in hits:
        best.setdefault(url, score)
    return list(best.items())


def _search(question: str) -> dict[str, Any]:
    return {"query": question, "k": _K, "deadline_s": _DEADLINE_S}
