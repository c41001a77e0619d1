"""What a fleet under load answers while its processes are killed one after the other, checked answer by answer.

    python benchmarks/serve_chaos.py [--quick] [--json] [--only VICTIM]

Pages of Debian's documentation in three shards, each held by two replicas; nothing cached. A steady open-loop load at
40 % of the capacity; then kill -9 of one victim; the load goes on until well after the fleet is whole again. Victims:
one replica of a shard, both replicas of a shard, the encoder, the language model's server and its replica (load:
/v1/chat/completions, each answer's quotations checked against its passages), one of two gateways, both gateways, the
HTTP proxy.

Wrong is an answer with status 200 whose passages are not exactly, in their order, those that the same index gives in
this process when the shards that the answer names as missing are lost in one of its three rounds (statistics,
ranking, texts), and the vectors too if it says so. Hung is a request that ends later than its deadline and a second.
Recovery is the time from the kill until the first answer after the last one that was partial, degraded or failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import reduce
from itertools import product
from operator import add
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from common import Row, machine, show
from serve_support import (
    VERSIONS,
    Load,
    Report,
    Sent,
    fleet_of,
    generator,
    pages_index,
    passages_of,
    poisson,
    questions,
    run_load,
    saturated_per_s,
    search_bodies,
)
from sixfold.parts.analyzer import Analyzer
from sixfold.parts.fusion import standard
from sixfold.parts.lexical import Statistics
from sixfold.systems.rag.build_embed import embedder
from sixfold.systems.rag.index.manifest import read_manifest
from sixfold.systems.rag.index.shard import Shard, merge_vectors
from sixfold.systems.rag.retrieve import Retriever, first_run, fuse, merge_lexical
from sixfold.systems.rag.serve.fleet import Fleet, shard_name
from sixfold.systems.rag.serve.settings import Replicas

SHARDS, COPIES, GATEWAYS, K, DEPTH = 3, 2, 2, 10, 100
LOAD_SHARE = 0.4  # of the capacity
DEADLINE_S, GRACE_S = 4.0, 1.0
CHAT_DEADLINE_S, CHAT_RATE = 8.0, 0.4  # the model writes for a second or two
STEADY_S = 4.0  # before the kill
ROUNDS = ("statistics", "rank", "texts")


class Reference:
    """What the index gives in this process, with any shards lost in any round."""

    def __init__(self, index: Path) -> None:
        manifest = read_manifest(index)
        self.shards = [Shard.open(index, number, manifest) for number in range(len(manifest.shards))]
        self._probes = int(manifest.settings.get("probes") or 0) or None
        self._retriever = Retriever(self.shards, embedder().embed_query, probes=self._probes, depth=DEPTH)
        self._analyzer = Analyzer()

    def whole(self, question: str, k: int) -> list[str]:
        """Of all shards, by the library's own retriever."""
        return [passage.chunk_id for passage in self._retriever.search(question, k)]

    def partial(self, question: str, k: int, lost: dict[int, str], vectors: bool) -> list[str]:
        """lost: shard -> the round in which it was lost; vectors: whether the question was embedded."""
        terms = self._analyzer.terms(question)
        asked = [shard for shard in self.shards if lost.get(shard.number) != "statistics"]
        ranked = [shard for shard in asked if lost.get(shard.number) != "rank"]
        runs: dict[Any, Any] = {}
        if terms:
            statistics = reduce(add, (shard.statistics(terms) for shard in asked), Statistics(0, 0, {}))
            runs["lexical"] = merge_lexical((s.lexical(terms, statistics, DEPTH, None) for s in ranked), DEPTH)
        if vectors:
            vector = embedder().embed_query(question)[None, :]
            runs["vector"] = first_run(
                *merge_vectors([s.vector(vector, DEPTH, self._probes, None) for s in ranked], 1, DEPTH)
            )
        fused = [key for key, _ in fuse(runs, standard, DEPTH)] if runs else []
        gone = {key for shard in self.shards if shard.number in lost for key in shard.passages(fused)}
        return [key for key in fused if key not in gone][:k]

    def agrees(self, question: str, k: int, found: Sequence[str], missing: Sequence[int], vectors: bool) -> bool:
        """Whether these are the passages for the question when those shards are missing."""
        if not missing and vectors:
            return list(found) == self.whole(question, k)
        for rounds in product(ROUNDS, repeat=len(missing)):
            if self.partial(question, k, dict(zip(missing, rounds, strict=True)), vectors) == list(found):
                return True
        return False


@dataclass
class Outcome:
    """What became of one victim and of the requests around its death."""

    name: str
    report: Report
    killed_s: float  # seconds of the load
    returned_s: float | None  # until another process had its place
    deadline_s: float
    checked: int = 0
    partial: int = 0
    by_words: int = 0  # not embedded in time
    wrong: list[str] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)  # of partial answers: share of the whole answer they lack
    beyond: list[float] = field(default_factory=list)  # the same of passages of shards that did answer

    @property
    def hung(self) -> int:
        return sum(one.latency_s > self.deadline_s + GRACE_S for one in self.report.sent)

    @property
    def recovery_s(self) -> float:
        """0 if no answer suffered; infinity if the last one still does."""
        after = sorted((one for one in self.report.sent if one.ended_s >= self.killed_s), key=lambda one: one.ended_s)
        bad = [at for at, one in enumerate(after) if not suffices(one)]
        if not bad:
            return 0.0
        if bad[-1] + 1 >= len(after):
            return float("inf")
        return after[bad[-1] + 1].ended_s - self.killed_s

    @property
    def failed(self) -> dict[str, int]:
        return {outcome: count for outcome, count in self.report.outcomes().items() if outcome != "200"}


def suffices(one: Sent) -> bool:
    """Whole, embedded, and by the model if that was asked for."""
    return one.whole and not {"vectors", "generation"} & set(one.degraded)


def check_search(outcome: Outcome, reference: Reference) -> None:
    """Every answer of /v1/search against the same index in this process."""
    for one in outcome.report.sent:
        if not one.ok:
            continue
        question = one.body["question"]
        found = [hit["chunk_id"] for hit in one.body["data"]]
        missing = [shard["shard"] for shard in one.body["coverage"]["shards"] if shard["state"] != "answered"]
        vectors = "vectors" not in one.degraded
        _judge(outcome, reference, question, found, missing, vectors)


def check_chat(outcome: Outcome, reference: Reference) -> None:
    """Every answer of /v1/chat/completions: its passages as above, its quotations within its passages."""
    for one in outcome.report.sent:
        if not one.ok:
            continue
        told = one.body["sixfold"]
        found = [passage["chunk_id"] for passage in told["passages"]]
        missing = [shard["shard"] for shard in told["coverage"]["shards"] if shard["state"] != "answered"]
        _judge(outcome, reference, one.body["question"], found, missing, "vectors" not in one.degraded)
        texts = {passage["chunk_id"]: passage["text"] for passage in told["passages"]}
        for note in one.body["choices"][0]["message"]["annotations"]:
            span = texts.get(note["chunk_id"], "")[note["passage_start"] : note["passage_end"]]
            if not span or span != note["quote"]:
                outcome.wrong.append(f"cites {note['quote'][:60]!r}, which is not in passage {note['chunk_id']}")


def _judge(
    outcome: Outcome, reference: Reference, question: str, found: list[str], missing: list[int], vectors: bool
) -> None:
    outcome.checked += 1
    outcome.partial += bool(missing)
    outcome.by_words += not vectors
    if not reference.agrees(question, K, found, missing, vectors):
        outcome.wrong.append(f"{question!r}: missing {missing}, vectors {vectors}, got {found}")
    if missing and vectors:
        whole = reference.whole(question, K)
        gone = {key for number in missing for key in reference.shards[number].passages(whole)}
        outcome.lost.append(sum(key not in found for key in whole) / max(1, len(whole)))
        left = [key for key in whole if key not in gone]
        outcome.beyond.append(sum(key not in found for key in left) / max(1, len(left)))


class Chaos:
    """One fleet, one generator, several victims."""

    def __init__(self, pool: ProcessPoolExecutor, fleet: Fleet, reference: Reference, asked: list[str]) -> None:
        self.pool, self.fleet, self.reference, self.asked = pool, fleet, reference, asked
        self.sent = 0

    def kill(
        self, name: str, victims: Callable[[], list[int]], count: int, rate: float, seconds: float, *, chat: bool
    ) -> Outcome:
        """A steady load around the death of the first `count` of some processes."""
        deadline_s = CHAT_DEADLINE_S if chat else DEADLINE_S
        arrivals = poisson(rate, seconds, seed=self.sent)
        if chat:
            path = "/v1/chat/completions"
            bodies: tuple[Any, ...] = tuple(
                {"messages": [{"role": "user", "content": q}], "k": K, "mode": "generated", "deadline_s": deadline_s}
                for q in self.asked
            )
        else:
            path, bodies = "/v1/search", search_bodies(self.asked, K, deadline_s)
        load = Load(self.fleet.address, path, bodies, arrivals, deadline_s + 10, first=self.sent, keep=True)
        self.sent += len(arrivals)
        before = victims()
        assert len(before) >= count, f"{name}: found processes {before}, expected {count}"
        running: Future[Report] = self.pool.submit(run_load, load)
        time.sleep(STEADY_S)
        for pid in before[:count]:
            os.kill(pid, signal.SIGKILL)
        killed_s = time.monotonic()
        returned_s = None
        while not running.done():
            if returned_s is None and len(set(victims()) - set(before)) >= count:
                returned_s = time.monotonic() - killed_s
            time.sleep(0.1)
        report = running.result()
        for at, one in enumerate(report.sent):
            if one.ok:
                one.body["question"] = self.asked[one.number % len(self.asked)]
            report.sent[at] = one
        outcome = Outcome(name, report, killed_s - report.began_s, returned_s, deadline_s)
        (check_chat if chat else check_search)(outcome, self.reference)
        print(
            f"{name}: {outcome.checked} checked, {len(outcome.wrong)} wrong, {outcome.hung} hung, "
            f"recovery {outcome.recovery_s:.1f} s, {report.outcomes()}",
            file=sys.stderr,
        )
        if os.environ.get("SERVE_CHAOS_TRACE"):
            for one in report.sent:
                told = one.body.get("sixfold", one.body) if one.ok else {}
                words = (told.get("mode"), told.get("fallback"), one.degraded)
                print(f"  {one.due_s:6.2f} {one.latency_s:6.2f} {one.outcome} {one.whole} {words}", file=sys.stderr)
        for wrong in outcome.wrong[:5]:
            print(f"  {wrong}", file=sys.stderr)
        self.settle()
        return outcome

    def settle(self, timeout_s: float = 60.0) -> None:
        """Wait until a few answers in a row are whole."""
        good, end_s = 0, time.monotonic() + timeout_s
        while good < 3 and time.monotonic() < end_s:
            body = search_bodies(self.asked[:1], K, DEADLINE_S)
            try:
                (one,) = run_load(Load(self.fleet.address, "/v1/search", body, timeout_s=10)).sent
                good = good + 1 if suffices(one) else 0
            except OSError:
                good = 0
            time.sleep(0.3)


def children_of(pids: Sequence[int]) -> list[int]:
    """The processes that others have started."""
    import psutil

    found = []
    for pid in pids:
        with suppress(psutil.Error):
            found += [child.pid for child in psutil.Process(pid).children()]
    return found


def proxy_pids() -> list[int]:
    """The processes that take HTTP in."""
    import psutil

    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::ProxyActor"):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def rows_of(outcome: Outcome) -> list[Row]:
    """Wrong, hung, recovery, and what was lost."""
    name, sent = outcome.name, len(outcome.report.sent)
    returned = "not seen" if outcome.returned_s is None else f"{outcome.returned_s:.1f} s"
    failed = ", ".join(f"{outcome}: {count}" for outcome, count in outcome.failed.items()) or "none"
    lines = [
        Row(f"{name}: wrong answers", len(outcome.wrong), "", target=0, passed=not outcome.wrong,
            note=f"{outcome.checked} answers checked: {outcome.partial} partial, {outcome.by_words} without vectors"),
        Row(f"{name}: hung requests", outcome.hung, "", target=0, passed=outcome.hung == 0,
            note=f"of {sent}; the longest took {max(one.latency_s for one in outcome.report.sent):.2f} s, "
            f"deadline {outcome.deadline_s:g} s"),
        Row(f"{name}: recovery", outcome.recovery_s, "s", passed=outcome.recovery_s != float("inf"),
            note=f"a process in its place after {returned}; requests not answered: {failed}"),
    ]  # fmt: skip
    if outcome.lost:
        lost, beyond = (sum(of) / len(of) for of in (outcome.lost, outcome.beyond))
        lines.append(
            Row(f"{name}: recall@{K} lost in partial answers", lost, "", note=f"n={len(outcome.lost)}; of passages of "
                f"shards that answered {beyond:.4f}, by scores that are relative to what was found")
        )  # fmt: skip
    return lines


def measure(quick: bool, only: str | None) -> list[Row]:
    index = pages_index(600, SHARDS)
    passages = passages_of(index)
    asked = questions(passages, 4_000, seed=1)
    reference = Reference(index)
    same = sum(reference.whole(q, K) == reference.partial(q, K, {}, True) for q in asked[:50])
    assert same == 50, "the reference of partial answers does not give the retriever's whole ones"
    seconds = 20.0 if quick else 30.0
    outcomes = []
    with (
        generator() as pool,
        fleet_of(
            index, replicas=Replicas(gateway=GATEWAYS, shard=COPIES), generate=True, deadline_s=DEADLINE_S
        ) as fleet,
    ):
        chaos = Chaos(pool, fleet, reference, asked)
        capacity = saturated_per_s(pool, fleet, search_bodies(asked[-150:], K, 10.0))
        rate = LOAD_SHARE * capacity
        print(f"capacity about {capacity:.1f}/s, load {rate:.1f}/s", file=sys.stderr)

        def of(*names: str) -> Callable[[], list[int]]:
            return lambda: [pid for name in names for pid in fleet.pids(name)]

        victims: list[tuple[str, Callable[[], list[int]], int, float, bool]] = [  # how many, seconds, chat
            ("one replica of a shard", of(shard_name(0, 0)), 1, 1.0, False),
            ("both replicas of a shard", of(*(shard_name(1, copy) for copy in range(COPIES))), COPIES, 1.0, False),
            ("encoder", of("embed"), 1, 1.0, False),
            ("server of the language model", lambda: children_of(fleet.pids("model")), 1, 1.5, True),
            ("replica of the language model", of("model"), 1, 1.5, True),
            ("one gateway of two", of("gateway"), 1, 1.0, False),
            ("both gateways", of("gateway"), GATEWAYS, 1.5, False),
            ("HTTP proxy", proxy_pids, 1, 1.5, False),
        ]
        for name, pids, count, longer, chat in victims:
            if only is None or only in name:
                at_rate = CHAT_RATE if chat else rate
                outcomes.append(chaos.kill(name, pids, count, at_rate, longer * seconds, chat=chat))
    about = (
        f"{len(passages)} passages, {SHARDS} shards x {COPIES} replicas, {GATEWAYS} gateways; closed loop of 8; load "
        f"here {rate:.1f}/s, kill -9 after {STEADY_S:g} of at least {seconds:g} s; load {os.getloadavg()[0]:.1f}"
    )
    return [
        Row("capacity of /v1/search", capacity, "1/s", note=about),
        *(row for outcome in outcomes for row in rows_of(outcome)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="20 s a victim instead of 30")
    parser.add_argument("--only", help="victims with this in their name")
    options = parser.parse_args()
    about = machine(*VERSIONS, "xllamacpp")
    rows = measure(options.quick, options.only)
    show("serve_chaos", about, rows, as_json=options.json)
    return 0 if all(row.passed is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
