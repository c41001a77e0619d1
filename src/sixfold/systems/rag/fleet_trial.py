"""What the last two stages have in common: a fleet over a trial's index, questions, and where its time went."""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from sixfold.axes import Axis
from sixfold.parts.http_load import http_load
from sixfold.study import BASELINE, Context, Part, Reading, Trial, output_folder
from sixfold.systems.rag.answer.types import Answer
from sixfold.systems.rag.build_chunks import kept_documents
from sixfold.systems.rag.ladder_clean import corpus_folder
from sixfold.systems.rag.qa_items import QaItem, qa_items
from sixfold.systems.rag.serve.answer_json import answer_of
from sixfold.systems.rag.serve.fleet import APPLICATION, Fleet, start_fleet
from sixfold.systems.rag.serve.operate import wait_until_ready
from sixfold.systems.rag.serve.schema import ChatRequest
from sixfold.systems.rag.serve.settings import ServeSettings

__all__ = [
    "Asked",
    "ask_all",
    "body_of",
    "fleet_of",
    "index_of",
    "processes_s",
    "questions",
    "readings_of",
    "request_of",
]

_WARM_UP = 8  # questions that are asked before anything is measured


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to the fleet: what came of it, and when it had come."""

    item: QaItem
    answer: Answer
    coverage_percent: float
    seconds: float


def questions(context: Context) -> list[QaItem]:
    """Questions with known answers, and some without, from the documents of the corpus."""
    return list(_questions(context.work, context.seed, context.settings["questions"]))


@lru_cache(maxsize=2)
def _questions(work: Path, seed: int, n: int) -> tuple[QaItem, ...]:
    from sixfold.systems.rag.build_folder import BuildFolder

    folder = BuildFolder(work / "crawl-clean-dedup" / f"p{BASELINE}-0" / "build")
    parts = range(len(folder.read_plan()[2]))
    return tuple(qa_items((document for part in parts for document in kept_documents(folder, part)), seed, n))


def index_of(trial: Trial) -> Path:
    """A copy of the index that stage "retrieve" made with so many shards: this trial may write to it."""
    source = output_folder(trial.context, "retrieve", trial.workers) / "index"
    target = trial.folder / "index"
    if not target.exists():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("builds"))
        # Its builds say by which rules what is added has to be cleaned.
        (target / "builds").mkdir()
        (target / "builds" / "0001").symlink_to(corpus_folder(trial.context).path.resolve())
    return target


@contextmanager
def fleet_of(trial: Trial, **settings: Any) -> Iterator[Fleet]:
    """A fleet with one group of shards a worker; ready and warm."""
    trial.context.lab()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with start_fleet(ServeSettings(index_of(trial), port=port, groups=trial.workers, **settings)) as fleet:
        wait_until_ready(fleet)
        asyncio.run(ask_all(fleet, questions(trial.context)[:_WARM_UP], 2, mode="extractive"))
        yield fleet


def body_of(question: str, mode: str, deadline_s: float = 20.0) -> dict[str, Any]:
    """A request for an answer."""
    return {"messages": [{"role": "user", "content": question}], "mode": mode, "deadline_s": deadline_s}


async def ask_all(fleet: Fleet, items: Sequence[QaItem], in_flight: int, *, mode: str) -> list[Asked]:
    """Every question once, `in_flight` at a time, answers in their order. Raises ConnectionError for a refusal."""
    asked: dict[int, Asked] = {}
    free = asyncio.Semaphore(in_flight)
    async with http_load(fleet.address, lambda n: ("", None)) as http:

        async def one(at: int, item: QaItem) -> None:
            async with free:
                began_s = time.perf_counter()
                answer = await http.ask("/v1/chat/completions", body_of(item.question, mode))
                took_s = time.perf_counter() - began_s
                if answer.status != 200:
                    raise ConnectionError(f"status {answer.status} for {item.question!r}: {answer.body}")
                coverage = answer.body["sixfold"]["coverage"]["percent"]
                asked[at] = Asked(item, answer_of(answer.body), coverage, took_s)

        async with asyncio.TaskGroup() as group:
            for at, item in enumerate(items):
                group.create_task(one(at, item))
    return [asked[at] for at in range(len(items))]


def processes_s() -> dict[str, float]:
    """CPU seconds so far of the fleet's processes, by what they do: "answer" or "pass on"."""
    spent = {"answer": 0.0, "pass on": 0.0}
    for process in psutil.Process().children(recursive=True):
        try:
            title = (process.cmdline() or [""])[0]
            times = process.cpu_times()
        except psutil.Error:
            continue
        works = title.startswith((f"ray::ServeReplica:{APPLICATION}:shard", f"ray::ServeReplica:{APPLICATION}:embed"))
        spent["answer" if works else "pass on"] += times.user + times.system
    return spent


def readings_of(wall_s: float, workers: int, began: dict[str, float], ended: dict[str, float]) -> list[Reading]:
    """One reading a worker: shards and encoder compute; gateway, proxy and Ray pass on; both by CPU time.

    A fleet has more processes than workers, so that on spare cores they may take more than p x wall: scaled to it.
    """
    spent = {part: (ended[part] - began[part]) / workers for part in began}
    scale = min(1.0, wall_s / sum(spent.values())) if sum(spent.values()) > 0 else 1.0
    seconds = {
        (Axis.INFERENCE, Part.COMPUTE): spent["answer"] * scale,
        (Axis.INFERENCE, Part.COMMUNICATION): spent["pass on"] * scale,
    }
    return [Reading(wall_s, seconds) for _ in range(workers)]


def request_of(question: str) -> ChatRequest:
    """The same request for a service of this process."""
    return ChatRequest.model_validate(body_of(question, "extractive"))
