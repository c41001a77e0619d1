"""Embeddings and reranking by models behind a URL, checked before anything believes them.

`EndpointEmbedder` stands in for `parts.embedder.Embedder`: `embed`, `embed_query`, `model_id`. The request shapes are
OpenAI's `/v1/embeddings` and the `/v1/rerank` that Jina, Cohere, vLLM and llama.cpp have in common.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError
from sixfold.parts.loop_thread import LoopThread
from sixfold.parts.model_errors import ModelAnswerError
from sixfold.parts.model_http import ModelHttp
from sixfold.parts.retry import RetryPolicy

__all__ = ["EndpointEmbedder", "EndpointReranker"]

Vectors = npt.NDArray[np.float32]


class EndpointEmbedder:
    """Encodes passages and queries elsewhere; `close` it, or use it as a context manager. Safe for several threads.

    dimension: of the index's vectors; None takes that of the first answer. text_prefix, query_prefix: what the model
    was trained to see before a passage and before a question. deadline_s: of one request of `batch_texts`.

    Raises ConfigError for a URL, key or number that cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        model: str = "",
        *,
        dimension: int | None = None,
        batch_texts: int = 32,
        text_prefix: str = "",
        query_prefix: str = "",
        deadline_s: float = 60.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        if batch_texts < 1 or deadline_s <= 0 or (dimension is not None and dimension < 1):
            raise ConfigError(
                f"got batch_texts={batch_texts}, deadline_s={deadline_s}, dimension={dimension},"
                " expected at least 1, above 0, and at least 1"
            )
        self.dimension = dimension
        self.model = model
        # Not the URL: the same model may be served elsewhere tomorrow, and vectors are kept under this name.
        self.model_id = f"endpoint/{model}" + (f"/{text_prefix!r}" if text_prefix else "")
        self._text_prefix, self._query_prefix = text_prefix, query_prefix
        self._batch_texts, self._deadline_s = batch_texts, deadline_s
        self._http = ModelHttp(base_url, api_key, retry=retry)
        self._loop = LoopThread("embeddings")

    def __repr__(self) -> str:
        return f"EndpointEmbedder({self._http.base_url!r}, model={self.model!r}, dimension={self.dimension})"

    def __enter__(self) -> EndpointEmbedder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections and end its thread."""
        self._loop.close(self._http.close())

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors [n, d] float32 of texts, `batch_texts` a request. Not from within an event loop.

        Raises ConfigError if the model's dimension is not the index's, and the errors of `model_errors`.
        """
        return self._loop.submit(self._embed(texts, self._text_prefix, self._deadline_s)).result()

    def embed_query(self, text: str) -> Vectors:
        """Unit vector [d] float32 of one question. Raises as `embed` does."""
        vector: Vectors = self._loop.submit(self._embed([text], self._query_prefix, self._deadline_s)).result()[0]
        return vector

    async def embed_async(self, texts: Sequence[str], deadline_s: float | None = None) -> Vectors:
        """As `embed`, from within an event loop. deadline_s: of each request."""
        return await self._elsewhere(self._embed(texts, self._text_prefix, deadline_s or self._deadline_s))

    async def embed_query_async(self, text: str, deadline_s: float | None = None) -> Vectors:
        """As `embed_query`, from within an event loop."""
        vector: Vectors = (
            await self._elsewhere(self._embed([text], self._query_prefix, deadline_s or self._deadline_s))
        )[0]
        return vector

    async def _elsewhere(self, work: Coroutine[Any, Any, Vectors]) -> Vectors:
        return await asyncio.wrap_future(self._loop.submit(work))

    async def _embed(self, texts: Sequence[str], prefix: str, deadline_s: float) -> Vectors:
        blocks = [np.empty((0, self.dimension or 0), dtype=np.float32)] if not texts else []
        for at in range(0, len(texts), self._batch_texts):
            batch = [prefix + text for text in texts[at : at + self._batch_texts]]
            body = {"model": self.model, "input": batch, "encoding_format": "float"}
            answer = await self._http.post("/embeddings", body, deadline_s)
            blocks.append(self._checked(answer, len(batch)))
        return np.concatenate(blocks)

    def _checked(self, answer: Mapping[str, Any], count: int) -> Vectors:
        """Unit vectors [count, d] of an answer, in the order of the texts."""
        where = self._http.base_url
        rows = _by_index(answer.get("data"), "embedding", count, where)
        try:
            vectors_nd = np.asarray(rows, dtype=np.float64)
        except (ValueError, TypeError, OverflowError):
            vectors_nd = np.empty(0)
        if vectors_nd.ndim != 2 or not vectors_nd.shape[1]:
            raise ModelAnswerError(f"{where} sent embeddings that are not {count} lists of as many numbers each")
        dimension = vectors_nd.shape[1]
        if self.dimension is None:
            self.dimension = dimension
        if dimension != self.dimension:
            raise ConfigError(
                f"{self.model or where} gives vectors of {dimension} numbers, expected {self.dimension}; "
                "name the model that the index was built with, or build it again"
            )
        with np.errstate(over="ignore"):
            lengths_n = np.linalg.norm(vectors_nd, axis=1)
        if not np.isfinite(lengths_n).all() or not (lengths_n > 0).all():
            raise ModelAnswerError(f"{where} sent an embedding without a direction (zero, or not finite)")
        vectors: Vectors = (vectors_nd / lengths_n[:, None]).astype(np.float32)
        return vectors


class EndpointReranker:
    """Scores passages for a question elsewhere; `close` it, in the loop that it is used in.

    Raises ConfigError for a URL or key that cannot be used.
    """

    def __init__(
        self, base_url: str, api_key: str | None = None, model: str = "", *, retry: RetryPolicy | None = None
    ) -> None:
        self.model = model
        self._http = ModelHttp(base_url, api_key, retry=retry)

    def __repr__(self) -> str:
        return f"EndpointReranker({self._http.base_url!r}, model={self.model!r})"

    async def __aenter__(self) -> EndpointReranker:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()

    async def scores(self, query: str, texts: Sequence[str], deadline_s: float = 5.0) -> list[float]:
        """The relevance of each text to the query, in the order of the texts; higher is better.

        Raises the errors of `model_errors`; ModelAnswerError if a text has no score, or two.
        """
        if not texts:
            return []
        body = {"model": self.model, "query": query, "documents": list(texts), "top_n": len(texts)}
        answer = await self._http.post("/rerank", body, deadline_s)
        found = _by_index(answer.get("results"), "relevance_score", len(texts), self._http.base_url)
        if not all(isinstance(score, int | float) and isfinite(score) for score in found):
            raise ModelAnswerError(f"{self._http.base_url} sent a relevance score that is no finite number")
        return [float(score) for score in found]


def _by_index(items: Any, name: str, count: int, where: str) -> list[Any]:
    """The field `name` of items in the order of their `index`; each of 0..count-1 must be there once."""
    found: dict[int, Any] = {}
    for item in items if isinstance(items, list) else ():
        index = item.get("index") if isinstance(item, dict) else None
        if isinstance(index, int) and 0 <= index < count and index not in found and name in item:
            found[index] = item[name]
    if len(found) != count or len(items) != count:
        raise ModelAnswerError(f"{where} did not send one {name} for each of {count} texts")
    return [found[index] for index in range(count)]
