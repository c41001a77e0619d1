"""The embedded language model: llama.cpp's OpenAI-compatible server in a child process, on loopback, with a key.

A child and not a thread: it gets a niceness of its own, OpenMP's waiting is set before the library is loaded, and
an assertion of llama.cpp that ends the process does not end the caller's (docs/decisions/0016).
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from sixfold.errors import InputError, PrerequisiteError
from sixfold.parts.llama_settings import LlamaSettings, model_file
from sixfold.parts.model_errors import ModelUnavailableError

__all__ = ["LlamaServer"]

_LINE_BYTES = 65_536
_STOP_S = 5.0


class LlamaServer:
    """One server; `start` and `stop` it, or use it as a context manager. Safe to use from several threads.

    It ends with this process, however that ends. `base_url` and `api_key` stay the same when it is started again,
    so that clients made before go on.
    """

    def __init__(self, settings: LlamaSettings | None = None) -> None:
        self.settings = settings or LlamaSettings()
        self.api_key = secrets.token_hex(32)
        self._port = 0  # any free one, and then that one again
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"LlamaServer({self.settings.name!r}, port={self._port}, {state})"

    def __enter__(self) -> LlamaServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """For OpenAI's clients. Raises ModelUnavailableError before the first start."""
        if not self._port:
            raise ModelUnavailableError("the language model was not started; call start()", transient=False)
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def running(self) -> bool:
        """Whether its process exists."""
        child = self._child
        return child is not None and child.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process, if it is running."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def start(self, deadline_s: float = 60.0) -> LlamaServer:
        """Start it, or start it again after it ended; returns once the model is loaded. Nothing if it runs.

        Raises:
            PrerequisiteError: the bindings or the model are not installed.
            InputError: the file of weights is missing or damaged.
            ModelUnavailableError: it did not start in time.
        """
        with self._lock:
            if not self.running:
                self._end()
                self._child = self._spawn()
                try:
                    self._port = self._address(self._child, deadline_s)
                except BaseException:
                    self._end()
                    raise
        return self

    def healthy(self, deadline_s: float = 2.0) -> bool:
        """Whether it answers that the model is loaded; an answer does not wait for a slot."""
        if not self.running:
            return False
        connection = HTTPConnection("127.0.0.1", self._port, timeout=deadline_s)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """End it, and the answers that it is writing."""
        with self._lock:
            self._end()

    def _spawn(self) -> subprocess.Popen[bytes]:
        if find_spec("xllamacpp") is None:
            raise PrerequisiteError("the embedded language model needs xllamacpp; run `pip install xllamacpp`")
        file = self.settings.file or model_file()
        if not file.is_file():
            raise InputError("no such file of weights; name a GGUF file", path=file)
        # Threads that find the others' cores taken must not spin for them: a token then took 2 s instead of 20 ms.
        environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "sixfold.parts.llama_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        words = asdict(self.settings) | {"file": str(file), "port": self._port, "api_key": self.api_key}
        assert child.stdin is not None
        with suppress(BrokenPipeError):  # it ended already, and its answer says so
            child.stdin.write(json.dumps(words).encode() + b"\n")
            child.stdin.flush()
        return child

    def _address(self, child: subprocess.Popen[bytes], deadline_s: float) -> int:
        """The port that the child serves on, once it says so."""
        said = _line(child, deadline_s)
        if said is None:
            raise ModelUnavailableError(f"the language model did not start within {deadline_s:g} s")
        if "error" in said:
            file = self.settings.file or model_file()
            raise InputError(f"llama.cpp cannot load this model ({said['error']})", path=file)
        if "address" not in said:
            code = child.wait(_STOP_S)
            raise ModelUnavailableError(f"the language model's process ended while it started (exit code {code})")
        return int(urlsplit(str(said["address"])).port or 0)

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.close()
        with suppress(BrokenPipeError):
            child.stdin.close()
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _line(child: subprocess.Popen[bytes], deadline_s: float) -> dict[str, Any] | None:
    """The object on the first line that a child writes: empty if it ends without one, None if it takes too long."""
    assert child.stdout is not None
    until_s = time.monotonic() + deadline_s
    text = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while b"\n" not in text and len(text) < _LINE_BYTES:
            if not selector.select(max(0.0, until_s - time.monotonic())):
                return None
            chunk = os.read(child.stdout.fileno(), 4_096)
            if not chunk:
                return {}
            text += chunk
    try:
        said = json.loads(text.partition(b"\n")[0])
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
