"""Step four of a build: a vector for every passage, none of them computed twice."""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from sixfold.errors import ConfigError
from sixfold.parts.embedder import Embedder
from sixfold.parts.embedding_cache import EmbeddingCache
from sixfold.systems.rag.build_folder import BuildFolder

__all__ = ["EmbedJob", "embed_part", "embedder", "vectors_beside"]

_MOST_WRITERS = 256


@dataclass(frozen=True, slots=True)
class EmbedJob:
    """The passages of one part; `cache` holds the vectors of every text that was ever embedded."""

    build: Path
    part: int
    cache: Path


def vectors_beside(chunks: Path) -> Path:
    """The file with the vectors of a file of passages, in its order."""
    return chunks.with_suffix(".npy")


def embed_part(job: EmbedJob) -> int:
    """Embed the passages of a part; returns how many. Files that are there already are left alone."""
    model = embedder()
    cache = _cache(job.cache, model.model_id)
    cache.refresh()
    passages = 0
    for chunks in sorted(BuildFolder(job.build).chunks(job.part).glob("*.parquet")):
        texts: Sequence[str] = pq.read_table(chunks, columns=["text"])["text"].to_pylist()
        passages += len(texts)
        target = vectors_beside(chunks)
        if target.exists():
            continue
        vectors: npt.NDArray[np.float32] = cache.embed(texts, model.embed)
        partial = target.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, vectors, allow_pickle=False)
        partial.replace(target)
    return passages


@lru_cache(maxsize=1)
def embedder() -> Embedder:
    """The model, loaded once a process, in the precision that is fastest on this processor."""
    return Embedder.load()


_caches: dict[tuple[Path, str], EmbeddingCache] = {}  # one at most


def _cache(folder: Path, model_id: str) -> EmbeddingCache:
    """The cache in use. Every process writes files of its own: under the first name that nobody holds."""
    if (folder, model_id) not in _caches:
        _close_caches()
        for number in range(_MOST_WRITERS):
            try:
                _caches[folder, model_id] = EmbeddingCache(folder, model_id, writer=f"w{number}")
                break
            except ConfigError:
                continue
        else:
            raise ConfigError(f"process {os.getpid()} found {_MOST_WRITERS} others writing to {folder}")
    return _caches[folder, model_id]


@atexit.register
def _close_caches() -> None:
    while _caches:
        _caches.popitem()[1].close()
