"""Cleaning in a child process that is killed when a page takes too long, replaced when one kills it."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import socket
import subprocess
import sys
import time
from types import TracebackType

from sixfold.errors import ConfigError, InvariantError
from sixfold.systems.rag.clean.cleaner import CleanerConfig
from sixfold.systems.rag.clean.frames import Frames, decode_reply, encode_request
from sixfold.systems.rag.records import Document, Dropped, RawRecord

__all__ = ["KillableCleaner"]

START_S = 60.0
GOODBYE_S = 2.0
BUFFER_BYTES = 1 << 20
# A fresh interpreter and not a fork: the threads and locks of the parent (a Ray actor has many) stay there.
PROGRAM = "import json, sys; fd, sys.path[:] = json.loads(sys.argv[1]); from {} import serve; serve(fd)"
CHILD = "sixfold.systems.rag.clean.killable_child"


class KillableCleaner:
    """A `Cleaner` that survives its pages: same `clean`, with a deadline and a memory cap for each of them.

    A page past its deadline becomes `Dropped(stage="extract", reason="deadline")`; one that ends the child
    (crash, `memory_bytes` of data exceeded) becomes `reason="crash"`. The next child starts at once and in
    the background. Use as a context manager; not for several threads.
    """

    def __init__(
        self, config: CleanerConfig | None = None, *, deadline_s: float = 10.0, memory_bytes: int = 1 << 30
    ) -> None:
        if deadline_s <= 0:
            raise ConfigError(f"deadline_s is {deadline_s}, expected more than 0")
        self.deadline_s = deadline_s
        self.memory_bytes = memory_bytes
        self._hello = pickle.dumps((config or CleanerConfig(), deadline_s, memory_bytes))
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._frames: Frames | None = None
        self._ready = False

    def __enter__(self) -> KillableCleaner:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the child go; kill it if it does not."""
        if self._socket is not None:
            self._socket.close()  # the child reads the end of its input and leaves
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(GOODBYE_S if self._ready else 0)
            self._kill()
        self._socket = self._frames = None
        self._ready = False

    @property
    def child_pid(self) -> int | None:
        """The process that cleans now."""
        return self._child.pid if self._child else None

    def clean(self, raw: RawRecord) -> Document | Dropped:
        """The document of a record, or why it is dropped.

        Raises InvariantError if the child cannot be started at all.
        """
        frames = self._await_child()
        until_s = time.monotonic() + self.deadline_s
        try:
            frames.send(encode_request(raw), until_s)
            reply = frames.receive(until_s)
        except TimeoutError:
            return self._lost(raw, "deadline", f"more than {self.deadline_s:g} s")
        except OSError:
            return self._lost(raw, "crash", None)
        if reply is None:
            return self._lost(raw, "crash", None)
        return decode_reply(raw, reply)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)  # a page in few switches
        with theirs:
            self._child = subprocess.Popen(  # noqa: S603
                [sys.executable, "-c", PROGRAM.format(CHILD), json.dumps([theirs.fileno(), sys.path])],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is for the parent; the child leaves when it does
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        self._socket, self._frames, self._ready = ours, Frames(ours), False

    def _await_child(self) -> Frames:
        if self._frames is None or self._child is None:
            self._start()
        assert self._frames is not None
        if not self._ready:
            until_s = time.monotonic() + START_S
            try:
                self._frames.send(self._hello, until_s)
                greeting = self._frames.receive(until_s)
            except OSError:
                greeting = None
            if greeting is None:
                code = self._kill()
                self.close()
                raise InvariantError(f"the cleaning process did not start (exit code {code})")
            self._ready = True
        return self._frames

    def _lost(self, raw: RawRecord, reason: str, detail: str | None) -> Dropped:
        code = self._kill(wait_s=0.0 if detail else GOODBYE_S)
        if self._socket is not None:
            self._socket.close()
        self._start()
        return Dropped(raw.url, "extract", reason, detail or _describe(code, self.memory_bytes), raw.source)

    def _kill(self, wait_s: float = 0.0) -> int:
        child = self._child
        if child is None:
            return 0
        try:
            code = child.wait(wait_s)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        self._child = None
        return code


def _describe(code: int, memory_bytes: int) -> str:
    from sixfold.systems.rag.clean.killable_child import EXIT_OUT_OF_MEMORY

    if code == EXIT_OUT_OF_MEMORY:
        return f"more than {memory_bytes} bytes of memory"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
