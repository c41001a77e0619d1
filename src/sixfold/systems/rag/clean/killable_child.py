"""The child of a killable cleaner: pages in, documents or reasons out; it never outlives its parent."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import socket
from contextlib import suppress

from sixfold.systems.rag.clean.cleaner import Cleaner, CleanerConfig
from sixfold.systems.rag.clean.frames import Frames, decode_request, encode_reply
from sixfold.systems.rag.clean.language import identify

__all__ = ["EXIT_OUT_OF_MEMORY", "serve"]

EXIT_OUT_OF_MEMORY = 71


def serve(fd: int) -> None:
    """Clean what comes until the other side closes. Exits with EXIT_OUT_OF_MEMORY when the cap was met."""
    frames = Frames(socket.socket(fileno=fd))
    hello = frames.receive()
    if hello is None:
        return
    config: CleanerConfig
    config, deadline_s, memory_bytes = pickle.loads(hello)  # noqa: S301 (from the parent, never from a page)
    cleaner = Cleaner(config)
    identify("Load the model before the first page is timed.")
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ConnectionError):  # the parent went in the middle of a frame
        frames.send(b"ready")
        while (request := frames.receive()) is not None:
            # If the parent died while a page hangs inside C code, nobody is left to kill this process but the
            # kernel: SIGALRM's default action ends it, with or without the interpreter's consent.
            signal.setitimer(signal.ITIMER_REAL, 2 * deadline_s + 1)
            try:
                reply = encode_reply(cleaner.clean(decode_request(request)))
            except MemoryError:
                os._exit(EXIT_OUT_OF_MEMORY)
            signal.setitimer(signal.ITIMER_REAL, 0)
            frames.send(reply)
