"""Errors of the service in the shape of OpenAI's API."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from sixfold.errors import ConfigError, InputError, UserError
from sixfold.parts.serve_proxy import RETRY_AFTER_MS
from sixfold.systems.rag.serve.gate import OverloadedError
from sixfold.systems.rag.serve.tracing import trace_id

__all__ = ["ApiError", "error_response", "install_error_handlers", "to_api_error"]

_log = logging.getLogger("sixfold.rag.serve")
_TYPES = {
    401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error",
    503: "overloaded_error",
}  # fmt: skip


class ApiError(Exception):
    """What a client is told."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None, retry_after_s: float = 0
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.retry_after_s = retry_after_s

    def to_json(self) -> dict[str, Any]:
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "api_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def headers(self) -> Mapping[str, str]:
        if self.status not in (429, 503):
            return {}
        headers = {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}
        if self.code == "overloaded":  # what the proxy may say in our stead until then
            headers[RETRY_AFTER_MS] = str(math.ceil(self.retry_after_s * 1e3))
        return headers


def to_api_error(error: BaseException) -> ApiError:
    """What a client is told of any failure; one that is ours is logged and not shown."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, OverloadedError):
        return ApiError(503, str(error), code="overloaded", retry_after_s=error.retry_after_s)
    if isinstance(error, InputError | ConfigError | UserError):
        return ApiError(400, str(error), code="invalid_value")
    _log.error("trace %s: %s", trace_id(), type(error).__name__, exc_info=error)
    return ApiError(500, f"an error of the service; its log has more under trace {trace_id()}", code="internal_error")


def error_response(error: ApiError) -> JSONResponse:
    return JSONResponse(error.to_json(), status_code=error.status, headers=dict(error.headers()))


def install_error_handlers(app: FastAPI) -> None:
    """Answer every failure in the one shape."""

    async def any_error(_: Request, error: Exception) -> JSONResponse:
        return error_response(to_api_error(error))

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first: Mapping[str, Any] = error.errors()[0] if error.errors() else {}
        place = [str(part) for part in first.get("loc", ())[1:]]  # the first says body, query or path
        if first.get("type") == "json_invalid":
            return error_response(ApiError(400, "the body is not JSON", code="invalid_json"))
        # What was sent is not repeated: it may be huge, or text that cannot be encoded.
        field = ".".join(place)[:200].encode("utf-8", "replace").decode() or None
        message = f"{field}: {first.get('msg', 'invalid')}" if field else str(first.get("msg", "invalid"))
        return error_response(ApiError(400, message, param=field, code="invalid_value"))

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        response = error_response(ApiError(error.status_code, str(error.detail)))
        response.headers.update(error.headers or {})
        return response

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    for kind in (ApiError, UserError, OverloadedError, Exception):
        app.add_exception_handler(kind, any_error)
