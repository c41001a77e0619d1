"""What the page shows beside answers: passages, their originals, the index, its builds, what became of a URL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Query
from fastapi.responses import HTMLResponse, StreamingResponse

from sixfold.errors import InputError
from sixfold.systems.rag.build_progress import build_progress
from sixfold.systems.rag.index.segment import IndexedChunk
from sixfold.systems.rag.operate import run_why
from sixfold.systems.rag.original import CONTENT_SECURITY_POLICY, original_page
from sixfold.systems.rag.serve.errors import ApiError
from sixfold.systems.rag.serve.index_facts import index_facts
from sixfold.systems.rag.serve.service import Service
from sixfold.systems.rag.sources import read_record

__all__ = ["add_index_routes"]

_PASSAGE_S = 5.0
_EVERY_S = 1.0
ChunkId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


def add_index_routes(app: FastAPI, service: Service) -> None:
    """GET routes; nothing here changes anything."""
    index = service.settings.index
    facts: dict[int, dict[str, Any]] = {}

    async def find(chunk_id: str) -> tuple[int, IndexedChunk]:
        found = await service.search.passage(chunk_id, service.generation(), _PASSAGE_S)
        if found is None:
            raise ApiError(404, f"no passage {chunk_id} in generation {service.generation().number}", code="not_found")
        return found

    @app.get("/v1/passages/{chunk_id}", tags=["index"])
    async def passage(chunk_id: ChunkId) -> dict[str, Any]:
        """One passage and where it comes from."""
        shard, at = await find(chunk_id)
        chunk = asdict(at.chunk)
        return chunk | {
            "url": at.url, "title": at.title, "language": at.language, "source": asdict(at.source), "shard": shard,
        }  # fmt: skip

    @app.get("/v1/passages/{chunk_id}/original", tags=["index"], response_class=HTMLResponse)
    async def original(
        chunk_id: ChunkId,
        start: Annotated[int | None, Query(ge=0)] = None,
        end: Annotated[int | None, Query(ge=0)] = None,
        theme: Literal["light", "dark"] | None = None,
    ) -> HTMLResponse:
        """The page that a passage was taken from, without anything that acts, the passage marked in it.

        start, end: characters of the passage that are cited.
        """
        _, at = await find(chunk_id)
        try:
            record = await asyncio.to_thread(read_record, at.source)
        except InputError as error:
            raise ApiError(404, f"its record cannot be read again: {error}", code="not_found") from None
        cited = (start, end) if start is not None and end is not None else None
        page = await asyncio.to_thread(original_page, record, at.chunk.text, cited, theme)
        return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    @app.get("/v1/index", tags=["index"])
    async def about() -> dict[str, Any]:
        """Shards, hosts and languages of the generation in use."""
        generation = service.generation()
        if generation.number not in facts:
            facts.clear()
            facts[generation.number] = await asyncio.to_thread(index_facts, index, generation)
        return facts[generation.number]

    @app.get("/v1/why", tags=["index"])
    async def why(url: Annotated[str, Query(min_length=1, max_length=2_000)]) -> dict[str, Any]:
        """What became of every record of a URL: kept, or dropped by which rule."""
        if "://" not in url:  # the command takes names of files as well, which are no business of a caller
            raise ApiError(400, "url: expected one with a scheme, such as https://", param="url")
        try:
            records = await asyncio.to_thread(run_why, url, index)
        except InputError as error:
            raise ApiError(404, str(error), code="not_found") from None
        return {"url": url, "records": records}

    @app.get("/v1/builds", tags=["index"])
    async def builds() -> dict[str, Any]:
        """How far the builds of the index are."""
        return {"builds": await asyncio.to_thread(build_progress, index)}

    @app.get("/v1/builds/events", tags=["index"], response_class=StreamingResponse)
    async def events() -> StreamingResponse:
        """The same as server-sent events, whenever it changes."""

        async def follow() -> AsyncIterator[str]:
            before = ""
            while True:
                now = json.dumps({"builds": await asyncio.to_thread(build_progress, index)})
                yield f"data: {now}\n\n" if now != before else ": unchanged\n\n"
                before = now
                await asyncio.sleep(_EVERY_S)

        return StreamingResponse(follow(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
