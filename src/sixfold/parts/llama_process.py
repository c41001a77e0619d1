"""The child process that serves a language model through llama.cpp: `python -m sixfold.parts.llama_process`.

Reads one line of JSON from its standard input (settings and key: a command line could be read by others), writes
one line of JSON with its address to standard output, and serves until its standard input ends. That happens when
its parent closes it or ceases to exist, however it does so.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["main", "server_parameters"]

_HTTP_THREADS_SPARE = 14  # a request that waits for a slot holds one
_LOOK_S = 2.0  # for a parent that is gone, though a fork of it still holds our standard input open
_CLIENT_S = 60  # for a client to send, and to take, the next bytes


def main() -> int:
    """Serve until standard input ends; 1 if the model cannot be loaded, with the reason on standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to deal with
    parent = os.getppid()
    settings = json.loads(_first_line())
    _stand_back(settings["nice"])
    try:
        import xllamacpp

        server = xllamacpp.Server(server_parameters(settings))
    except Exception as error:  # the bindings raise RuntimeError for most, but promise nothing
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
        return 1
    print(json.dumps({"address": server.listening_address}), flush=True)
    # From here llama.cpp reports only what clients did wrong, and would fill whatever holds its reports.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    while os.getppid() == parent and (not select.select([0], [], [], _LOOK_S)[0] or os.read(0, 4_096)):
        pass
    os._exit(0)  # there is nothing to save, and an orderly end would wait for the answers in progress


def server_parameters(settings: dict[str, Any]) -> Any:
    """Settings as `LlamaServer` sends them -> xllamacpp's parameters."""
    import xllamacpp

    p = xllamacpp.CommonParams()
    p.model.path = settings["file"]
    p.model_alias = {settings["name"]}  # else answers name the file
    p.n_parallel = settings["slots"]
    p.n_ctx = settings["slots"] * settings["context_tokens"]
    p.n_batch = p.n_ubatch = 512
    for cpu in (p.cpuparams, p.cpuparams_batch):
        cpu.n_threads = settings["threads"]
    p.cache_prompt = True  # a slot keeps its last prompt; the next one computes what differs
    p.cache_ram_mib = 0  # the default would keep up to 8 GiB of former prompts
    p.fit_params = False
    p.ctx_shift = False  # an answer ends at the end of its context instead of forgetting its prompt
    p.n_predict = settings["context_tokens"]  # of a request that names no bound
    p.hostnames = ["127.0.0.1"]
    p.port = settings["port"]
    p.api_keys = [settings["api_key"]]
    p.cors_origins = ""
    p.ui = False
    p.endpoint_metrics = p.endpoint_slots = True
    p.n_threads_http = settings["slots"] + _HTTP_THREADS_SPARE
    p.timeout_read = p.timeout_write = _CLIENT_S
    p.verbosity = 0
    return p


def _first_line() -> bytes:
    """The first line of standard input and nothing beyond it: what waits in a buffer would not wake `select`."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line


def _stand_back(nice: int) -> None:
    """Take a lower priority than other processes.

    Where the kernel groups processes by session (sched_autogroup), niceness counts within a session only: this
    process has one of its own, and its group gets the same niceness.
    """
    os.nice(nice)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(nice))


if __name__ == "__main__":
    sys.exit(main())
