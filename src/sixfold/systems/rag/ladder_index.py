"""Stage "index": documents are divided among shards, none of which could hold them all."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from sixfold.axes import Axis
from sixfold.design.laws.scaling import amdahl_time_s, whole_tasks_imbalance
from sixfold.errors import CapacityError
from sixfold.files import read_json
from sixfold.parts.analyzer import Analyzer
from sixfold.parts.fusion import Run
from sixfold.study import (
    BASELINE,
    Check,
    Context,
    Forecast,
    Measurement,
    Outcome,
    Prediction,
    Row,
    Trial,
    output_folder,
)
from sixfold.systems.rag.build_chunks import kept_documents
from sixfold.systems.rag.build_clean import CleanReport
from sixfold.systems.rag.build_folder import BuildFolder
from sixfold.systems.rag.build_index import SegmentJob, index_bytes, planned_shards, write_shard
from sixfold.systems.rag.build_steps import cut, fit_shards, kept_text_bytes, write_segments
from sixfold.systems.rag.crew import Crew, RayCrew, SerialCrew
from sixfold.systems.rag.index.segment import IndexedChunk, SegmentInfo
from sixfold.systems.rag.index.segment_reader import SegmentReader
from sixfold.systems.rag.index.shard import Shard
from sixfold.systems.rag.known_items import KnownItem, known_items
from sixfold.systems.rag.ladder_clean import corpus_folder, kept_digests
from sixfold.systems.rag.retrieve import Retriever

__all__ = [
    "baseline_passages",
    "checks",
    "corpus_over_capacity",
    "predict",
    "predicted_ratio",
    "queries",
    "run",
    "spare_queries",
]

STAGE = "index"
_NO_LIMIT = 1 << 62
_TOP = 10


def run(trial: Trial) -> Measurement:
    """Cut the documents into passages and index them; quality is the share of queries answered alike.

    The baseline makes one index of everything. The others may put at most `capacity_share` of its size into
    one shard, and use as many shards as the law says.
    """
    context, single = trial.context, trial.workers == BASELINE
    source, folder = corpus_folder(context), BuildFolder(trial.folder / "build")
    parts = len(source.read_plan()[2])
    capacity = _NO_LIMIT if single else _capacity_bytes(context)
    shards = 1 if single else planned_shards(_text_bytes(context), _capacity_bytes(context), with_vectors=False)
    crew: Crew
    if single:
        crew = SerialCrew(Axis.DATA)
    else:
        context.lab()
        crew = RayCrew(trial.workers, Axis.DATA)

    def advance(step: str, done: int, total: int) -> None:
        context.emit("progress", step=step, done=done, total=total)

    crew.warm_up(_warm)

    def attempt(shards: int) -> tuple[int, list[SegmentInfo | None]]:
        passages = cut(folder, crew, advance, shards, source=source)
        paths = [trial.folder / "segments" / f"{shard:04d}" for shard in range(shards)]
        return passages, write_segments(folder, crew, advance, paths, parts, capacity, with_vectors=False)

    def undo() -> None:
        for name in ("build", "segments"):
            shutil.rmtree(trial.folder / name)

    documents = 1 if single else len(kept_digests(source))
    began = time.perf_counter()
    shards, (passages, written) = fit_shards(shards, documents, attempt, undo)
    wall_s = time.perf_counter() - began
    readings = crew.readings()
    crew.close()
    sizes = [info.total_bytes for info in written if info is not None]
    return Measurement(
        wall_s=wall_s,
        readings=readings,
        work=passages,
        work_unit="passages",
        quality=1.0 if single else _identical(context, trial),
        quality_metric=f"share of queries whose top {_TOP} are those of the single index",
        extra={
            "shards": float(shards),
            "tasks": float(parts + shards),
            "index_bytes": float(sum(sizes)),
            "largest_shard_bytes": float(max(sizes)),
            "capacity_bytes": float(0 if single else capacity),
        },
    )


def predict(context: Context, baseline: Row, workers: int) -> Prediction:
    """Amdahl over what p cores give, with whole shards: the largest share of them is ceil(S / p) / S."""
    shards = planned_shards(_text_bytes(context), _capacity_bytes(context), with_vectors=False)
    uneven = float(whole_tasks_imbalance(shards, workers))
    compute_s = float(amdahl_time_s(baseline.wall_s, 0.0, workers)) / context.profile.ceiling(workers)
    ray = context.profile.ray
    hand_out_s = (baseline.extra["tasks"] + shards) * ray.actor_alpha_s.median / workers if ray is not None else 0.0
    idle_s = compute_s * (uneven - 1) / 2  # about half of the work is by shard, the other half by part
    terms = {"compute": compute_s, "communication": hand_out_s, "idle: whole shards": idle_s}
    law = "T(1) / (p ceiling(p)) + tasks alpha_Ray / p + T(1) / 2p (ceil(S/p) p/S - 1)"
    return Prediction(workers, sum(terms.values()), law, terms)


def predicted_ratio(forecast: Forecast) -> float:
    """N b / M: how many shards' worth the corpus is by the law."""
    context = forecast.context
    return index_bytes(_text_bytes(context), with_vectors=False) / _capacity_bytes(context)


def corpus_over_capacity(outcome: Outcome) -> float:
    """The size of the one index of everything, in shards."""
    return outcome.baseline.extra["index_bytes"] / outcome.last.extra["capacity_bytes"]


def checks(outcome: Outcome) -> Iterable[Check]:
    """No shard above its capacity, the whole does not fit one, and sharded = single."""
    context = outcome.context
    for row in outcome.rows:
        extra = row.extra
        yield Check(
            f"{row.who}: every shard is within its capacity",
            extra["largest_shard_bytes"] <= extra["capacity_bytes"],
            f"largest {extra['largest_shard_bytes']:.0f} bytes of {extra['capacity_bytes']:.0f}, "
            f"{extra['shards']:.0f} shards",
        )
        yield Check(
            f"{row.who}: sharded = single",
            row.quality == 1.0,
            f"top {_TOP} of {len(queries(context))} queries, ids and scores compared exactly",
        )
    yield _whole_is_refused(context)


def queries(context: Context) -> list[KnownItem]:
    """The known items of the corpus: each page's first sentence, which was cut out before indexing."""
    return _known_items(context.work, context.seed)[: context.settings["queries"]]


def spare_queries(context: Context) -> list[KnownItem]:
    """Other known items, for tuning: none of them is ever scored."""
    n = context.settings["queries"]
    return _known_items(context.work, context.seed)[n : 3 * n]


def baseline_passages(context: Context) -> Sequence[IndexedChunk]:
    """Every passage of the corpus in the order of chunk ids, read from the baseline's segment."""
    return _passages(output_folder(context, STAGE, BASELINE) / "segments" / "0000")


def _identical(context: Context, trial: Trial) -> float:
    single = _runs(context, output_folder(context, STAGE, BASELINE) / "segments")
    sharded = _runs(context, trial.folder / "segments")
    return sum(a == b for a, b in zip(single, sharded, strict=True)) / len(single)


def _runs(context: Context, segments: Path) -> list[Run]:
    """The lexical top ten of every query over a folder of segments, one shard each."""
    shards = [
        Shard(number, 1, [(SegmentReader.open(path), None)]) for number, path in enumerate(sorted(segments.iterdir()))
    ]
    retriever = Retriever(shards, _no_vectors)
    runs = [retriever.lexical_run(item.query, _TOP) for item in queries(context)]
    for shard in shards:
        shard.close()
    return runs


def _whole_is_refused(context: Context) -> Check:
    """One shard of the capacity in force must refuse the corpus: the cap is enforced, not only computed."""
    folder = BuildFolder(output_folder(context, STAGE, BASELINE) / "build")
    target = context.work / STAGE / "refused" / "0000"
    capacity = _capacity_bytes(context)
    try:
        write_shard(SegmentJob(folder.path, len(_parts(context)), 0, target, capacity, with_vectors=False))
    except CapacityError as error:
        return Check("one shard refuses the whole corpus", True, str(error))
    return Check("one shard refuses the whole corpus", False, f"it fitted into {capacity} bytes")


def _capacity_bytes(context: Context) -> int:
    """What one shard may hold: a share of the single index, so that the corpus is larger at any length."""
    baseline = output_folder(context, STAGE, BASELINE) / "segments" / "0000" / "segment.json"
    return int(read_json(baseline)["bytes"] * context.settings["capacity_share"])


def _text_bytes(context: Context) -> int:
    """Bytes of clean text of the corpus, duplicates not counted."""
    folder = corpus_folder(context)
    reports = [CleanReport(**read_json(folder.clean_report(part))) for part in _parts(context)]
    return kept_text_bytes(reports, read_json(folder.drop_counts))


def _parts(context: Context) -> range:
    return range(len(corpus_folder(context).read_plan()[2]))


@lru_cache(maxsize=4)
def _known_items(work: Path, seed: int) -> list[KnownItem]:
    folder = BuildFolder(work / "crawl-clean-dedup" / f"p{BASELINE}-0" / "build")
    parts = range(len(folder.read_plan()[2]))
    summaries: dict[str, str] = {}
    for part in parts:
        summaries |= read_json(folder.known_items(part))
    documents = [document for part in parts for document in kept_documents(folder, part)]
    return known_items(documents, seed, len(documents), summaries)


@lru_cache(maxsize=1)
def _passages(segment: Path) -> Sequence[IndexedChunk]:
    from sixfold.systems.rag.index.segment_reader import indexed_chunk

    return [indexed_chunk(row) for row in pq.read_table(segment / "chunks.parquet").to_pylist()]


def _warm(_: int) -> None:
    Analyzer().terms("warm up")


def _no_vectors(_: str) -> npt.NDArray[np.float32]:
    raise AssertionError("the lexical leg embeds nothing")
