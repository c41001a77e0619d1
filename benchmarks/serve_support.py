"""What the benchmarks of the serving fleet share: an index, questions to it, a fleet, and a load from another process.

The load comes from a process of its own, so that the fleet, its driver and the generator do not share one
interpreter; it keeps what every request came to, by the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402 - after the threads are pinned

from common import REPOSITORY  # noqa: E402
from debian_warc import debian_warc  # noqa: E402
from sixfold.lab.lab import Lab  # noqa: E402
from sixfold.parts.arrivals import poisson_arrivals  # noqa: E402
from sixfold.parts.http_load import http_load  # noqa: E402
from sixfold.parts.load import OK, open_loop  # noqa: E402
from sixfold.systems.rag.index.manifest import Manifest, publish, read_manifest, sweep  # noqa: E402
from sixfold.systems.rag.index.segment import IndexedChunk, write_segment  # noqa: E402
from sixfold.systems.rag.index.segment_reader import SegmentReader  # noqa: E402
from sixfold.systems.rag.serve.fleet import Fleet, start_fleet  # noqa: E402
from sixfold.systems.rag.serve.operate import wait_until_ready  # noqa: E402
from sixfold.systems.rag.serve.settings import ServeSettings  # noqa: E402

WARM_UP = 24  # questions: enough for the hedging and the pace to know what is usual
NICENESS = -15  # of the generator, where this is allowed: it must not wait for the cores that it keeps busy
VERSIONS = ("ray", "fastapi", "torch", "faiss-cpu", "aiohttp")


# The index.


def pages_index(pages: int, shards: int) -> Path:
    """An index of pages of Debian's documentation in so many shards, built once; read only."""
    out = REPOSITORY / "bench-data" / f"serve-{pages}-{shards}"
    if (out / "whole").exists():
        return out
    print(f"making {out}", file=sys.stderr)
    from sixfold.axes import Axis
    from sixfold.systems.rag.build import build
    from sixfold.systems.rag.build_folder import BuildSettings
    from sixfold.systems.rag.crew import SerialCrew

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    crew = SerialCrew(Axis.DATA)
    settings = BuildSettings(preset="documentation")
    build([str(debian_warc(pages).resolve())], out, settings, crew, lambda *_: None)
    crew.close()
    _divide(out, shards)
    (out / "whole").touch()
    return out


def _divide(index: Path, shards: int) -> None:
    """Publish the same passages in so many shards, a document in one of them; vectors are copied."""
    from sixfold.systems.rag.build_chunks import shard_of

    now = read_manifest(index)
    rows = [row for name in now.segments for row in _rows(index, name)]
    rows.sort(key=lambda row: row[0].chunk.chunk_id)
    names = []
    for number in range(shards):
        mine = [row for row in rows if shard_of(row[0].chunk.doc_id, shards) == number]
        vectors = iter([vector for _, vector in mine])
        write_segment(
            index / "segments" / f"divided-{number:04d}",
            (at for at, _ in mine),
            lambda texts, vectors=vectors: np.stack([next(vectors) for _ in texts]),
        )
        names.append((f"divided-{number:04d}",))
    publish(index, Manifest(now.generation + 1, tuple(names), {}, now.settings))
    sweep(index)


def _rows(index: Path, segment: str) -> Iterator[tuple[IndexedChunk, Any]]:
    reader = SegmentReader.open(index / "segments" / segment)
    assert reader.vectors is not None
    return zip(reader.read(list(range(len(reader)))), reader.vectors.vectors, strict=True)


def passages_of(index: Path) -> list[IndexedChunk]:
    """All passages of the newest generation, whatever was deleted."""
    manifest = read_manifest(index)
    readers = [SegmentReader.open(index / "segments" / name) for name in manifest.segments]
    return [at for reader in readers for at in reader.read(list(range(len(reader))))]


def questions(passages: Sequence[IndexedChunk], n: int, seed: int = 0) -> list[str]:
    """n different questions: a few words in a row of a passage, as those who half remember a page type them."""
    draw = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < n:
        words = re.findall(r"[A-Za-z][a-z]{2,}", draw.choice(passages).chunk.text)
        if len(words) >= 8:
            at = draw.randrange(len(words) - 7)
            found[" ".join(words[at : at + draw.randint(4, 8)])] = None
    return list(found)


# The fleet.


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def fleet_of(index: Path, **settings: Any) -> Iterator[Fleet]:
    """A fleet on a Ray of its own: ready, and warm by some questions."""
    chosen: dict[str, Any] = {"cached_questions": 0, "writes": False, "generate": False} | settings
    with ExitStack() as stack:
        stack.enter_context(Lab.local(workers=2))
        fleet = stack.enter_context(start_fleet(ServeSettings(index, port=free_port(), **chosen)))
        wait_until_ready(fleet)
        asked = questions(passages_of(index), WARM_UP, seed=999)
        run_load(Load(fleet.address, "/v1/search", tuple({"query": q, "deadline_s": 5.0} for q in asked), in_flight=2))
        yield fleet


# The load.


@dataclass(frozen=True)
class Load:
    """Requests of one path: request n has body n modulo their number, and is due at `arrivals_s[n]`.

    Without arrivals every body is sent once, `in_flight` at a time. `keep`: the answers are wanted, not only what
    they came to.
    """

    address: str
    path: str
    bodies: tuple[Any, ...]
    arrivals_s: Sequence[float] = ()
    timeout_s: float = 30.0
    in_flight: int = 1
    first: int = 0  # number of the first request
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """What one request came to. Seconds are from the beginning of the load; without arrivals it was due when sent."""

    number: int
    due_s: float
    latency_s: float  # from when it was due to the last byte
    outcome: str  # the status, "no connection" or "timeout"
    whole: bool = False  # 200, and every shard answered
    degraded: tuple[str, ...] = ()
    retry_after: str | None = None
    body: Any = None

    @property
    def ended_s(self) -> float:
        return self.due_s + self.latency_s

    @property
    def ok(self) -> bool:
        return self.outcome == "200"


@dataclass
class Report:
    """What a load came to."""

    began_s: float  # by the monotonic clock, which all processes of a machine share
    sent: list[Sent] = field(default_factory=list)  # in the order of the requests
    lag_p99_s: float = 0.0  # by how much requests were sent later than due
    generator_limited: bool = False

    def goodput_per_s(self, objective_s: float, first_s: float, end_s: float) -> float:
        """Whole answers within the objective, a second, to what was due in [first_s, end_s)."""
        good = sum(one.whole and one.latency_s <= objective_s for one in self.sent if first_s <= one.due_s < end_s)
        return good / (end_s - first_s)

    def quantile_s(self, q: float) -> float:
        """Of the latency of all answers with status 200."""
        latencies = [one.latency_s for one in self.sent if one.ok]
        return float(np.quantile(latencies, q)) if latencies else float("nan")

    def outcomes(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for one in self.sent:
            counts[one.outcome] = counts.get(one.outcome, 0) + 1
        return dict(sorted(counts.items()))


def run_load(load: Load) -> Report:
    """Send a load from this process."""
    with suppress(OSError):
        if os.environ.get("SIXFOLD_GENERATOR"):
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    return asyncio.run(_run(load))


async def _run(load: Load) -> Report:
    loop = asyncio.get_running_loop()
    sent: dict[int, Sent] = {}
    async with http_load(load.address, lambda n: ("", None), timeout_s=load.timeout_s) as http:
        await http.ask("/healthz", None)
        began_s = loop.time()

        async def one(at: int, due_s: float) -> str:
            number = load.first + at
            body, more = None, {}
            try:
                answer = await http.ask(load.path, load.bodies[number % len(load.bodies)])
                outcome, body = str(answer.status), answer.body
                more["retry_after"] = answer.headers.get("Retry-After")
            except TimeoutError:
                outcome = "timeout"
            except (OSError, ValueError):
                outcome = "no connection"
            if outcome == "200" and isinstance(body, dict):
                told = body.get("sixfold") or body
                more["whole"] = told.get("coverage", {}).get("percent") == 100
                more["degraded"] = tuple(told.get("degraded", ()))
                if str(told.get("fallback")).startswith(("failed", "late")) and "generation" not in more["degraded"]:
                    more["degraded"] += ("generation",)  # the model was asked, and did not answer
            latency_s = loop.time() - began_s - due_s
            sent[at] = Sent(number, due_s, latency_s, outcome, **more, body=body if load.keep else None)
            return OK if outcome == "200" else outcome

        report = Report(began_s)
        if len(load.arrivals_s):
            due_s = [float(at) for at in load.arrivals_s]
            loop_began_s = loop.time() - began_s
            told = await open_loop(
                due_s, lambda at: one(at, due_s[at] + loop_began_s), objective_s=load.timeout_s, most_in_flight=8_192
            )
            report.lag_p99_s = told.lag.quantile_s(0.99) if told.lag.count else 0.0
            report.generator_limited = told.generator_limited
        else:
            free = asyncio.Semaphore(load.in_flight)

            async def in_turn(at: int) -> None:
                async with free:
                    await one(at, loop.time() - began_s)

            await asyncio.gather(*(in_turn(at) for at in range(len(load.bodies))))
    report.sent = [sent[at] for at in sorted(sent)]
    return report


@contextmanager
def generator() -> Iterator[ProcessPoolExecutor]:
    """A process for `run_load`, with priority over the fleet where that is allowed."""
    os.environ["SIXFOLD_GENERATOR"] = "1"
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(os.getpid).result()
            yield pool
    finally:
        os.environ.pop("SIXFOLD_GENERATOR", None)


def search_bodies(asked: Sequence[str], k: int, deadline_s: float) -> tuple[dict[str, Any], ...]:
    """Requests of /v1/search."""
    return tuple({"query": question, "k": k, "deadline_s": deadline_s} for question in asked)


def saturated_per_s(pool: ProcessPoolExecutor, fleet: Fleet, bodies: Sequence[Any], in_flight: int = 8) -> float:
    """Answers a second when `in_flight` requests are always under way: a first guess of the capacity."""
    report: Report = pool.submit(
        run_load, Load(fleet.address, "/v1/search", tuple(bodies), in_flight=in_flight)
    ).result()
    ended_s = max(one.ended_s for one in report.sent)
    return sum(one.ok for one in report.sent) / ended_s


def poisson(rate_per_s: float, seconds: float, seed: int) -> tuple[float, ...]:
    """Arrivals as a tuple that crosses processes."""
    return tuple(poisson_arrivals(rate_per_s, seconds, seed).tolist())
