"""The HTTP interface of a gateway: OpenAI's where that has a shape for it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from prometheus_client import CONTENT_TYPE_LATEST

from sixfold import __version__
from sixfold.parts.page_app import mount_page
from sixfold.systems.rag.retrieve import Passage
from sixfold.systems.rag.serve.errors import ApiError, install_error_handlers
from sixfold.systems.rag.serve.middleware import Doorkeeper, Journal
from sixfold.systems.rag.serve.routes_chat import add_chat_routes
from sixfold.systems.rag.serve.routes_index import add_index_routes
from sixfold.systems.rag.serve.routes_writes import add_write_routes
from sixfold.systems.rag.serve.schema import EmbeddingsRequest, SearchRequest
from sixfold.systems.rag.serve.service import Service

__all__ = ["create_app"]


def create_app(service: Service, *, token: str | None = None) -> FastAPI:
    """The application around one service. It follows the index as long as it runs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(service.generations.follow())
        try:
            yield
        finally:
            following.cancel()

    app = FastAPI(
        title="Sixfold rag", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Questions to an index of passages, answered with the exact spans that bear the answer out.",
    )  # fmt: skip
    install_error_handlers(app)
    _health(app, service)
    _search(app, service)
    _embeddings(app, service)
    add_chat_routes(app, service)
    add_index_routes(app, service)
    add_write_routes(app, service)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> RedirectResponse:
        return RedirectResponse("/docs.html")

    mount_page(app, "rag")
    app.add_middleware(Doorkeeper, token=token, loopback=service.settings.loopback)
    app.add_middleware(Journal, metrics=service.metrics)
    return app


def _health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", tags=["operation"])
    async def healthz() -> dict[str, str]:
        """The gateway runs."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operation"])
    async def readyz() -> dict[str, Any]:
        """Questions can be answered; 503 until a generation of the index is in use."""
        return {"status": "ready", "generation": service.generation().number}

    @app.get("/metrics", tags=["operation"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        """This gateway's metrics in Prometheus's text format."""
        return Response(service.metrics.render(), media_type=CONTENT_TYPE_LATEST)


def _search(app: FastAPI, service: Service) -> None:
    @app.post("/v1/search", tags=["retrieval"])
    async def search(request: SearchRequest) -> dict[str, Any]:
        """The k best passages, and how much of the index they were chosen from."""
        deadline = service.deadline(request.deadline_s)
        async with service.admitted("search", deadline):
            retrieved = await service.retrieve(request.query, request.k, request.filters.to_filter(), deadline)
        found = retrieved.found
        return {
            "object": "list",
            "data": [_result(rank, passage) for rank, passage in enumerate(found.passages, start=1)],
            "coverage": found.coverage.to_json(),
            "degraded": list(retrieved.degraded),
            "generation": found.generation,
            "cached": retrieved.cached,
            "timings_s": retrieved.seconds,
        }


def _embeddings(app: FastAPI, service: Service) -> None:
    @app.post("/v1/embeddings", tags=["models"])
    async def embeddings(request: EmbeddingsRequest) -> dict[str, Any]:
        """Vectors of texts, as the index has them."""
        texts = [request.input] if isinstance(request.input, str) else request.input
        deadline = service.deadline(None)
        async with service.admitted("embeddings", deadline):
            left_s = deadline - asyncio.get_running_loop().time()
            try:
                vectors = await asyncio.wait_for(service.embed(texts), left_s)
            except TimeoutError:
                raise ApiError(503, "the encoder did not answer in time", code="timeout", retry_after_s=1) from None
        if request.dimensions not in (None, vectors.shape[1]):
            raise ApiError(400, f"dimensions: these vectors have {vectors.shape[1]}", param="dimensions")
        encode: Callable[[Any], Any] = (
            (lambda vector: vector.tolist())
            if request.encoding_format == "float"
            else (lambda vector: base64.b64encode(vector.astype("<f4").tobytes()).decode())
        )
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": at, "embedding": encode(vector)} for at, vector in enumerate(vectors)
            ],
            "model": request.model,
            "usage": {
                "prompt_tokens": sum(len(text) for text in texts) // 4,
                "total_tokens": sum(len(text) for text in texts) // 4,
            },
        }


def _result(rank: int, passage: Passage) -> dict[str, Any]:
    return {"object": "search.result", "rank": rank, **asdict(passage)}
