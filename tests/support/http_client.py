"""Asking a service over real HTTP, as a caller without any library of ours would."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any


class Client:
    """Asks over HTTP; a status of 0 is a connection that was refused or broken off."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(
        self, path: str, body: Any = None, *, headers: dict[str, str] | None = None, raw: bytes | None = None
    ) -> tuple[int, dict[str, str], Any]:
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.address + path, data, {"Content-Type": "application/json", **(headers or {})}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, _lower(response.headers), _content(response)
        except urllib.error.HTTPError as error:
            return error.code, _lower(error.headers), _content(error)
        except OSError:
            return 0, {}, None

    def wait_until_ready(self, timeout_s: float = 60) -> None:
        end = time.monotonic() + timeout_s
        while self.ask("/readyz")[0] != 200:
            assert time.monotonic() < end, "the service did not become ready"
            time.sleep(0.1)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _content(response: Any) -> Any:
    content = response.read()
    return json.loads(content) if response.headers.get_content_type() == "application/json" else content.decode()
