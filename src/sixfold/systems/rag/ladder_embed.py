"""Stage "embed": the encoder is replicated, the passages are divided among the replicas."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sixfold.axes import Axis
from sixfold.design.laws.scaling import amdahl_time_s, whole_tasks_imbalance
from sixfold.parts.embedder import DIMENSION, Embedder
from sixfold.study import (
    BASELINE,
    Check,
    Context,
    Measurement,
    Outcome,
    Prediction,
    Row,
    Trial,
    output_folder,
)
from sixfold.systems.rag.crew import RayCrew, SerialCrew
from sixfold.systems.rag.ladder_index import baseline_passages

__all__ = ["checks", "predict", "run", "vectors_path"]

BATCH_PASSAGES = 128  # a unit of work: large enough to fill tiles, small enough to balance
SAMPLE = 48  # passages that are also encoded in single precision, to measure what bf16 costs

Vectors = npt.NDArray[np.float32]


def vectors_path(context: Context, workers: int, repeat: int = 0) -> Path:
    """The vectors [n, 384] of the corpus's passages, in the order of their chunk ids."""
    return output_folder(context, "embed", workers, repeat) / "vectors.npy"


def run(trial: Trial) -> Measurement:
    """Encode every passage of the corpus; quality is the mean cosine to single precision on a sample."""
    passages = [passage.chunk.text for passage in baseline_passages(trial.context)]
    batches = [passages[i : i + BATCH_PASSAGES] for i in range(0, len(passages), BATCH_PASSAGES)]
    if trial.workers == BASELINE:
        crew: SerialCrew | RayCrew = SerialCrew(Axis.INFERENCE)
    else:
        trial.context.lab()
        crew = RayCrew(trial.workers, Axis.INFERENCE)
    vectors = np.empty((len(passages), DIMENSION), dtype=np.float32)
    crew.warm_up(_warm)  # the weights are loaded once in a worker's life, not once a corpus
    began = time.perf_counter()
    for done, (index, part) in enumerate(crew.map(embed_batch, batches), start=1):
        vectors[index * BATCH_PASSAGES : index * BATCH_PASSAGES + len(part)] = part
        trial.context.emit("progress", done=done, total=len(batches))
    wall_s = time.perf_counter() - began
    readings = crew.readings()
    crew.close()
    np.save(vectors_path(trial.context, trial.workers, trial.repeat), vectors, allow_pickle=False)
    return Measurement(
        wall_s=wall_s,
        readings=readings,
        work=len(passages),
        work_unit="passages",
        quality=_cosine_to_fp32(passages, vectors),
        quality_metric="mean cosine to fp32",
        extra={"batches": len(batches), "vector_bytes": float(vectors.nbytes)},
    )


def predict(context: Context, baseline: Row, workers: int) -> Prediction:
    """Amdahl without a serial part, over what p cores of this machine give; a message a batch, and whole batches."""
    compute_s = float(amdahl_time_s(baseline.wall_s, 0.0, workers)) / context.profile.ceiling(workers)
    ray = context.profile.ray
    batches, moved = baseline.extra["batches"], baseline.extra["vector_bytes"]
    communication_s = 0.0
    if ray is not None:
        communication_s = batches * ray.actor_alpha_s.median + float(ray.object_link.beta_s_per_byte) * moved
    idle_s = compute_s * (float(whole_tasks_imbalance(batches, workers)) - 1)
    terms = {"compute": compute_s, "communication": communication_s / workers, "idle: whole batches": idle_s}
    law = "T(1) ceil(B/p) / (B ceiling(p)) + (B alpha + bytes beta) / p"
    return Prediction(workers, sum(terms.values()), law, terms)


def checks(outcome: Outcome) -> Iterable[Check]:
    """Every worker count gives the vectors of the single process, to the last bit."""
    single = np.load(vectors_path(outcome.context, BASELINE))
    for row in outcome.rows:
        other = np.load(vectors_path(outcome.context, row.workers, row.repeat))
        yield Check(
            f"{row.who}: the vectors are those of one process",
            bool(np.array_equal(single, other)),
            f"{len(single)} vectors compared bit for bit, {int((single != other).any(axis=1).sum())} differ",
        )


def embed_batch(texts: Sequence[str]) -> Vectors:
    """One unit of work."""
    return _embedder().embed(texts)


def _warm(_: int) -> None:
    _embedder().embed(["warm up"])


@lru_cache(maxsize=1)
def _embedder() -> Embedder:
    return Embedder.load()


def _cosine_to_fp32(passages: Sequence[str], vectors: Vectors) -> float:
    step = max(1, len(passages) // SAMPLE)
    exact = Embedder.load("fp32").embed(passages[::step])
    return float((exact * vectors[::step]).sum(axis=1).mean())
