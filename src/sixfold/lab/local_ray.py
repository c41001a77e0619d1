"""What a Ray on this machine needs around it: settings, token, memory, directory, and nothing left over."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = [
    "LOOPBACK_SETTING",
    "RAY_SETTINGS",
    "THREAD_PINS",
    "end_children_of",
    "object_store_bytes",
    "restore",
    "short_temp_dir",
    "token",
    "usable_cores",
]

# One thread a worker: parallelism is the lab's to hand out, and nested threads were seen to cost up to 40x.
THREAD_PINS: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

RAY_SETTINGS: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else a driver under `uv run` uploads its working directory
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # its absence is a FutureWarning
    "RAY_DEDUP_LOGS": "0",
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",  # by default a dead proxy is noticed after half a minute or more
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "sixfold.parts.serve_proxy.middlewares",
}
# Ray has no option for it; where it has no clusters (macOS) a node takes 127.0.0.1 and listens only there.
LOOPBACK_SETTING = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_TEMP_PREFIX = "sixfold-ray-"
_MAX_OBJECT_STORE_BYTES = 512 << 20
_MIN_OBJECT_STORE_BYTES = 80 << 20  # Ray refuses less than 75 MiB


def usable_cores() -> int:
    """Return how many cores this process may run on (containers and `taskset` may allow fewer than exist)."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def token() -> dict[str, str]:
    """Let only this process and its children use the Ray it starts.

    Ray turns its token authentication on by itself for a new local cluster, but would keep the token in a
    file of the user's home. It reads it once a process, so that every lab of a process uses the same one.
    """
    global _process_token
    _process_token = os.environ.get("RAY_AUTH_TOKEN") or _process_token or secrets.token_hex(32)
    return {"RAY_AUTH_TOKEN": _process_token}


_process_token: str | None = None


def object_store_bytes() -> int:
    free_bytes = psutil.virtual_memory().available
    with suppress(OSError):  # without shared memory Ray falls back to its temporary directory
        free_bytes = min(free_bytes, shutil.disk_usage("/dev/shm").free)  # noqa: S108
    return max(_MIN_OBJECT_STORE_BYTES, min(_MAX_OBJECT_STORE_BYTES, free_bytes // 8))


def short_temp_dir() -> Path:
    """Make a directory for Ray's session, and remove those whose process was killed."""
    # Ray puts Unix sockets some 75 characters below it, and their paths may have 107.
    base = Path(tempfile.gettempdir())
    base = base if len(str(base)) <= 12 else Path("/tmp")  # noqa: S108
    for stale in base.glob(f"{_TEMP_PREFIX}*"):
        pid = stale.name.removeprefix(_TEMP_PREFIX).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(stale, ignore_errors=True)  # another user's stays
    return Path(tempfile.mkdtemp(prefix=f"{_TEMP_PREFIX}{os.getpid()}-", dir=base))


def end_children_of(session_dir: Path) -> None:
    """End what a start that was interrupted half-way left behind; Ray forgets those processes."""
    left: list[psutil.Process] = []
    for child in psutil.Process().children():
        if _mentions(child, str(session_dir)):
            with suppress(psutil.NoSuchProcess):
                left += [child, *child.children(recursive=True)]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def _mentions(process: psutil.Process, text: str) -> bool:
    try:
        return any(text in argument for argument in process.cmdline())
    except psutil.Error:
        return False


def restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
