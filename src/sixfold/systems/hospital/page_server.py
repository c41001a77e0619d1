"""Serves the operator's page of a coordinator's folder, and the record that it shows; nothing can be changed by it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response

from sixfold import __version__
from sixfold.errors import UserError
from sixfold.files import json_text
from sixfold.parts.page_app import PAGE_HEADERS, mount_page, names_loopback
from sixfold.systems.hospital.page_state import page_state

__all__ = ["create_app"]


def create_app(folder: Path, *, loopback: bool = True, clock: Callable[[], float] = time.time) -> FastAPI:
    """loopback: only requests that name this machine's loopback are answered."""
    app = FastAPI(title="Sixfold hospital", version=__version__, docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if loopback and not names_loopback(request.headers.get("host", "")):
            response = _json({"error": "this page answers on loopback only, under that name"}, 403)
        else:
            response = await call_next(request)
        for name, value in PAGE_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.get("/api/state")
    def state(request: Request) -> Response:
        """Everything that the page shows; 304 when nothing has changed, 500 with the reason when it cannot be read."""
        try:
            record = page_state(folder, clock())
        except UserError as error:
            return _json({"error": str(error)}, 500)
        # the seconds that went by since the last change are no change
        still = {**record, "trainings": [{**each, "quiet_s": 0} for each in record["trainings"] or []]}
        tag = f'"{hashlib.sha256(json_text(still).encode()).hexdigest()[:32]}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        response = _json(record, 200)
        response.headers["etag"] = tag
        return response

    mount_page(app, "hospital")
    return app


def _json(record: object, status: int) -> Response:
    return Response(json_text(record), status, {"cache-control": "no-cache"}, media_type="application/json")
