"""POST /v1/documents and /v1/takedowns: what changes the index while it is being asked."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from fastapi import FastAPI

from sixfold.systems.rag.serve.errors import ApiError
from sixfold.systems.rag.serve.schema import DocumentsRequest, TakedownRequest
from sixfold.systems.rag.serve.service import Service

__all__ = ["add_write_routes"]

_VISIBLE_WITHIN_S = 5.0


def add_write_routes(app: FastAPI, service: Service) -> None:
    """The routes of a fleet that has a writer; on others they answer 501."""

    @app.post("/v1/documents", tags=["writes"])
    async def documents(request: DocumentsRequest) -> dict[str, Any]:
        """Add documents, or replace those of the same URL; the answer comes when questions find them."""
        _require_writer(service)
        for at, document in enumerate(request.documents):
            if (document.html is None) == (document.text is None):
                raise ApiError(400, f"documents.{at}: expected one of html and text", param=f"documents.{at}")
        assert service.writer is not None
        receipt = await service.writer.upsert([document.model_dump() for document in request.documents])
        return receipt | await _visible(service, receipt["generation"])

    @app.post("/v1/takedowns", tags=["writes"])
    async def takedowns(request: TakedownRequest) -> dict[str, Any]:
        """Take down a URL, a host or a pattern: from answers, index, builds, archives and crawls, with a receipt."""
        _require_writer(service)
        assert service.writer is not None
        rule = {"url": request.url, "host": request.host, "pattern": request.pattern}
        receipt = await service.writer.takedown(rule, request.reason)
        return receipt | await _visible(service, receipt["generation"])


def _require_writer(service: Service) -> None:
    if service.writer is None:
        raise ApiError(501, "this fleet was started without writes", code="no_writer")


async def _visible(service: Service, generation: int) -> dict[str, Any]:
    """Wait until this gateway answers from the generation; whether it does, and how long that took."""
    began_s = time.perf_counter()
    while service.generation().number < generation and time.perf_counter() - began_s < _VISIBLE_WITHIN_S:
        await service.generations.refresh()
        await asyncio.sleep(0.005)
    visible = service.generation().number >= generation
    return {"visible": visible, "visible_after_s": round(time.perf_counter() - began_s, 4)}
