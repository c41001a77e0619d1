"""Stage "retrieve": a question is scattered to every shard, and lists of neighbours replace the exact scan.

Latency needs more vectors than one can embed in a study's time. So the shards of this stage hold the corpus's
own vectors and, up to `vectors`, synthetic ones drawn around them; latency and recall are measured on those
and labelled synthetic. Rankings and their quality are measured on the corpus's own passages alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from sixfold.axes import Axis
from sixfold.design.laws.communication import scatter_gather_time_s
from sixfold.design.laws.data import ivf_distances_per_query
from sixfold.files import read_json, replace_json
from sixfold.parts.ranking import evaluate
from sixfold.parts.vectors import recall
from sixfold.study import (
    BASELINE,
    Check,
    Context,
    Forecast,
    Measurement,
    Outcome,
    Part,
    Prediction,
    Reading,
    Row,
    Trial,
    output_folder,
)
from sixfold.systems.rag.build_chunks import shard_of
from sixfold.systems.rag.build_embed import embedder
from sixfold.systems.rag.index.actor import RayShard, start_shards
from sixfold.systems.rag.index.manifest import Manifest, publish
from sixfold.systems.rag.index.segment import IndexedChunk, write_segment
from sixfold.systems.rag.index.shard import Shard
from sixfold.systems.rag.known_items import known_item_qrels
from sixfold.systems.rag.ladder_clean import corpus_folder
from sixfold.systems.rag.ladder_embed import vectors_path
from sixfold.systems.rag.ladder_index import baseline_passages, queries, spare_queries
from sixfold.systems.rag.records import Chunk, Source, document_id
from sixfold.systems.rag.retrieve import Retriever

__all__ = ["checks", "latency_ratio", "predict", "predicted_latency_ratio", "run"]

STAGE = "retrieve"
_TOP = 10
_DEPTH = 100  # passages of a ranking that are turned into a ranking of pages
_NEIGHBOURS = 5  # of a real vector, towards one of which a synthetic one is drawn
_NOISE = 0.1  # length of the noise added to it: no two are the same
_ROUNDED = 0.5  # bytes of a vector in a list (bfloat16) over those that the exact scan reads (float32)
_WITHIN = 0.01  # of the exact recall@10
# Around a real vector lie many synthetic ones, so a query finds all of its ten or none: what 200 tuning queries do not
# miss one in a hundred others may. Half as many probes again cost time and make that rare.
_SPARE_PROBES = 1.5
_ALMOST_ALL = 0.999  # ties may swap a neighbour; one of 200 queries missed is five times as much
_FEWEST_TO_TUNE = 50

Vectors = npt.NDArray[np.float32]


def run(trial: Trial) -> Measurement:
    """Scan for every query exactly, in one process or over p shards; and approximately, over the shards.

    The row is the exact scan, the same work at every p. The approximate one is beside it, in `extra`.
    """
    single = trial.workers == BASELINE
    shards = 1 if single else trial.workers
    asked = _query_vectors(trial.context)
    corpus, padded = trial.folder / "index", trial.folder / "padded"
    _write_index(corpus, _corpus(trial.context), shards)
    if trial.workers == 1:  # one shard is one shard, whoever holds it
        padded = output_folder(trial.context, STAGE, BASELINE, trial.repeat) / "padded"
    else:
        _write_index(padded, _padded(trial.context), shards)
    if single:
        handles: list[Shard] | list[RayShard] = [Shard.open(padded, 0, in_memory=True)]
        real: list[Shard] | list[RayShard] = [Shard.open(corpus, 0)]
    else:
        trial.context.lab()
        # Both sets of shards wait idle while the other works: half a slot each.
        handles = start_shards(padded, in_memory=True, cpus=0.5)
        real = start_shards(corpus, cpus=0.5)
    try:
        retriever = Retriever(handles, _already_embedded)
        exact_s, exact_ids = _latencies(retriever, asked, None)
        began = [shard.reading() for shard in handles if isinstance(shard, RayShard)]
        exact_s, exact_ids = _latencies(retriever, asked, None)
        ended = [shard.reading() for shard in handles if isinstance(shard, RayShard)]
        probes = math.ceil(_SPARE_PROBES * retriever.tune(_tuning_queries(trial.context), _TOP, _ALMOST_ALL))
        approximate_s, approximate_ids = _latencies(retriever, asked, probes)
        quality, rankings = _quality(trial.context, real)
    finally:
        for shard in (*handles, *real):
            shard.stop() if isinstance(shard, RayShard) else shard.close()
    replace_json(trial.folder / "rankings.json", rankings)
    np.save(trial.folder / "exact.npy", exact_ids, allow_pickle=False)
    if trial.workers == max(trial.context.workers):
        _keep(trial, corpus)
    wall_s = float(sum(exact_s))
    return Measurement(
        wall_s=wall_s,
        readings=_readings(wall_s, began, ended),
        work=len(asked),
        work_unit="queries",
        quality=quality,
        quality_metric="nDCG@10 of known items, fused",
        extra={
            "vectors (synthetic but for the corpus's)": float(trial.context.settings["vectors"]),
            "exact_p50_s": median(exact_s),
            "exact_p99_s": float(np.quantile(exact_s, 0.99)),
            "approximate_p50_s": median(approximate_s),
            "approximate_p99_s": float(np.quantile(approximate_s, 0.99)),
            "probes": float(probes),
            "recall_at_10": recall(approximate_ids, exact_ids),
        },
    )


def predict(context: Context, baseline: Row, workers: int) -> Prediction:
    """The exact scan is bound by memory bandwidth, which p cores share; then one scatter and one gather a query."""
    profile = context.profile
    one, every = profile.core_memory_bytes_per_s.median, profile.all_core_memory_bytes_per_s.median
    scan_s = baseline.wall_s / min(workers, max(1.0, every / one))
    exchange_s = baseline.work * _exchange_s(context, workers)
    return Prediction(
        workers,
        scan_s + exchange_s,
        "T(1) / min(p, bandwidth of all cores / of one) + queries (scatter + gather)",
        {"compute": scan_s, "communication": exchange_s},
    )


def predicted_latency_ratio(forecast: Forecast) -> float:
    """Bytes of the centroids and probed lists of a shard over those of all vectors, plus the exchange.

    The single index was tuned in the baseline; a shard is taken to need the same share of its lists.
    """
    n, p = forecast.context.settings["vectors"], forecast.last.workers
    lists = _lists(n / p)
    probes = forecast.baseline.extra["probes"] * lists / _lists(n)
    scanned = float(ivf_distances_per_query(n / p, probes, lists)) - lists
    exact_s = forecast.baseline.wall_s / forecast.baseline.work
    return float((lists + scanned * _ROUNDED) / n + _exchange_s(forecast.context, p) / exact_s)


def _lists(vectors: float) -> int:
    """What `parts.ivf` cuts so many vectors into."""
    return max(1, round(4 * math.sqrt(vectors)))


def latency_ratio(outcome: Outcome) -> float:
    """Median latency of the sharded approximate search over that of the single exact scan."""
    return outcome.last.extra["approximate_p50_s"] / outcome.baseline.extra["exact_p50_s"]


def checks(outcome: Outcome) -> Iterable[Check]:
    """Recall within a point of exact, and sharded = unsharded for the exact scan and for whole rankings."""
    context = outcome.context
    base = output_folder(context, STAGE, BASELINE)
    exact, rankings = np.load(base / "exact.npy"), read_json(base / "rankings.json")
    for row in outcome.rows:
        folder = output_folder(context, STAGE, row.workers, row.repeat)
        yield Check(
            f"{row.who}: recall@10 within one point of exact",
            row.extra["recall_at_10"] >= 1 - _WITHIN,
            f"{row.extra['recall_at_10']:.4f} with {row.extra['probes']:.0f} probes over "
            f"{context.settings['vectors']} vectors (synthetic but for the corpus's)",
        )
        same = bool(np.array_equal(np.load(folder / "exact.npy"), exact))
        yield Check(
            f"{row.who}: exact scan sharded = unsharded",
            same,
            f"top {_TOP} of {len(exact)} queries",
        )
        yield Check(
            f"{row.who}: fused rankings sharded = unsharded",
            read_json(folder / "rankings.json") == rankings,
            f"top {_DEPTH} passages of {len(rankings)} queries, ids compared",
        )


def _exchange_s(context: Context, workers: int) -> float:
    """One scatter and one gather over p Ray actors."""
    ray = context.profile.ray
    if ray is None:
        return 0.0
    beta = ray.object_link.beta_s_per_byte.median
    return float(scatter_gather_time_s(workers, 4 * 384, _TOP * 36, ray.actor_alpha_s.median, beta))


def _latencies(retriever: Retriever, asked: Vectors, probes: int | None) -> tuple[list[float], npt.NDArray[np.bytes_]]:
    """Seconds of every query, one after the other, and what it found."""
    seconds, found = [], []
    for query in asked:
        began = time.perf_counter()
        _, ids = retriever.search_vectors(query[None, :], _TOP, probes)
        seconds.append(time.perf_counter() - began)
        found.append(ids[0].astype("S32"))
    return seconds, np.array(found)


def _readings(wall_s: float, began: list[Reading], ended: list[Reading]) -> list[Reading]:
    """One reading a shard: what it computed; what the slowest did not compute was the exchange."""
    key = (Axis.INFERENCE, Part.COMPUTE)
    if not ended:
        return [Reading(wall_s, {key: wall_s})]
    busy = [min(wall_s, b.part_s(Part.COMPUTE) - a.part_s(Part.COMPUTE)) for a, b in zip(began, ended, strict=True)]
    exchange = wall_s - max(busy)
    return [Reading(wall_s, {key: b, (Axis.INFERENCE, Part.COMMUNICATION): exchange}) for b in busy]


def _quality(context: Context, shards: list[Shard] | list[RayShard]) -> tuple[float, dict[str, list[str]]]:
    """nDCG@10 over pages of the fused ranking, and the ranking of passages itself."""
    retriever = Retriever(shards, embedder().embed_query)
    items = queries(context)
    runs: dict[str, list[tuple[str, float]]] = {}
    rankings: dict[str, list[str]] = {}
    for done, item in enumerate(items, start=1):
        passages = retriever.search(item.query, _DEPTH)
        rankings[item.query] = [passage.chunk_id for passage in passages]
        pages: dict[str, float] = {}
        for passage in passages:  # a page is as good as its best passage
            pages.setdefault(passage.url, passage.score)
        runs[item.query] = list(pages.items())
        context.emit("progress", done=done, total=len(items))
    estimate = evaluate(known_item_qrels(items), runs, ["nDCG@10"], context.seed)["nDCG@10"]
    return estimate.value, rankings


def _write_index(folder: Path, passages: list[tuple[IndexedChunk, Vectors]], shards: int) -> None:
    """Publish passages, in the order of their ids, over so many shards."""
    names: list[tuple[str, ...]] = []
    for shard in range(shards):
        mine = [(chunk, vector) for chunk, vector in passages if shard_of(chunk.chunk.doc_id, shards) == shard]
        if mine:
            vectors = iter([vector for _, vector in mine])
            write_segment(
                folder / "segments" / f"{shard:04d}",
                (chunk for chunk, _ in mine),
                lambda texts, vectors=vectors: np.stack([next(vectors) for _ in texts]),  # type: ignore[misc]
            )
            names.append((f"{shard:04d}",))
    publish(folder, Manifest(1, tuple(names)))


def _corpus(context: Context) -> list[tuple[IndexedChunk, Vectors]]:
    return list(zip(baseline_passages(context), np.load(vectors_path(context, BASELINE)), strict=True))


def _padded(context: Context) -> list[tuple[IndexedChunk, Vectors]]:
    """The corpus's vectors, and synthetic ones around them up to `vectors`; texts are empty, only vectors count."""
    real = np.load(vectors_path(context, BASELINE))
    rng = np.random.default_rng(context.seed)
    extra = max(0, context.settings["vectors"] - len(real))
    synthetic = _between_neighbours(real, extra, rng)
    every = np.concatenate([real, synthetic])[: context.settings["vectors"]]
    nowhere = Source("synthetic", 0, "")
    chunks = []
    for at in range(len(every)):
        key = document_id(f"synthetic:{at}")
        chunks.append((IndexedChunk(Chunk(key, key, 0, 0, 0, ""), "synthetic:", "", "en", nowhere), every[at]))
    return sorted(chunks, key=lambda pair: pair[0].chunk.chunk_id)


def _between_neighbours(real: Vectors, n: int, rng: np.random.Generator) -> Vectors:
    """n vectors [n, d], each somewhere between a real one and one of its nearest, so that they keep the shape
    of the real ones (SMOTE: Chawla et al., JAIR 16, 2002)."""
    one, k = rng.integers(0, len(real), n), min(_NEIGHBOURS, len(real) - 1)
    place, other = rng.random((n, 1), dtype=np.float32), np.empty(n, dtype=np.int64)
    for first in range(0, len(real), 1_024):
        block = real[first : first + 1_024]
        nearest = np.argpartition(-(block @ real.T), k, axis=1)[:, : k + 1]
        mine = np.flatnonzero((one >= first) & (one < first + len(block)))
        other[mine] = nearest[one[mine] - first, rng.integers(0, k + 1, len(mine))]
    between = real[one] + place * (real[other] - real[one])
    between += rng.standard_normal(between.shape, dtype=np.float32) * np.float32(_NOISE / between.shape[1] ** 0.5)
    synthetic: Vectors = between / np.linalg.norm(between, axis=1, keepdims=True)
    return synthetic


def _query_vectors(context: Context) -> Vectors:
    """The queries whose latency and recall are measured."""
    return _embedded(tuple(item.query for item in queries(context)))


def _tuning_queries(context: Context) -> Vectors:
    """Queries of the same kind; without any to spare, opening words of passages. None of the measured ones."""
    spare = [item.query for item in spare_queries(context)]
    if len(spare) < _FEWEST_TO_TUNE:
        passages = baseline_passages(context)
        step = max(1, len(passages) // _FEWEST_TO_TUNE)
        spare += [" ".join(passage.chunk.text.split()[:9]) for passage in passages[::step]]
    return _embedded(tuple(spare))


@lru_cache(maxsize=4)
def _embedded(texts: tuple[str, ...]) -> Vectors:
    return embedder().embed(texts)


def _keep(trial: Trial, corpus: Path) -> None:
    """Leave the index where `sixfold rag ask` finds it, with the build that tells `why`."""
    target = trial.context.work / "published"
    target.unlink(missing_ok=True)
    target.symlink_to(corpus.relative_to(trial.context.work))
    builds = corpus / "builds"
    builds.mkdir()
    (builds / "0001").symlink_to(corpus_folder(trial.context).path)


def _already_embedded(_: str) -> Vectors:
    raise AssertionError("this retriever is only asked with vectors")
