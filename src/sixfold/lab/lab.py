"""Where distributed work runs: a Ray started on this machine, or a Ray cluster that already exists.

Several emulated hosts on one machine, and chaos (kills, partitions, slow links), will be further ways to
make a `Lab`; what runs on one asks only for its `workers` and never for its kind.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sixfold.errors import ConfigError, PrerequisiteError, first_line
from sixfold.lab.local_ray import (
    LOOPBACK_SETTING,
    RAY_SETTINGS,
    THREAD_PINS,
    end_children_of,
    object_store_bytes,
    restore,
    short_temp_dir,
    token,
    usable_cores,
)

__all__ = ["Lab", "mask_address"]

_CONNECT_TIMEOUT_S = 5.0


class Lab:
    """A running Ray and the number of workers that may be used on it.

    Make one with `Lab.local` or `Lab.connect`; use it as a context manager, or call `close`. It shuts down
    only what it started: on a Ray that this process was already using, closing changes nothing. After a
    kill -9 of the process, workers and their memory go at once; two idle agents of Ray take a minute.
    """

    def __init__(self, *, kind: str, address: str, workers: int, owned: bool) -> None:
        self.kind = kind
        self.workers = workers
        self._address = address
        self._owned = owned
        self._temp_dir: Path | None = None
        self._saved_env: dict[str, str | None] = {}

    @classmethod
    def local(cls, workers: int) -> Lab:
        """Start Ray on this machine with `workers` worker slots, reachable over loopback only.

        More workers than cores are allowed, for tests of correctness; `oversubscribed` then says that their
        times mean nothing. A Ray that this process already uses is shared when it has enough slots.

        Raises:
            ConfigError: fewer than one worker, or the Ray in use has too few.
            PrerequisiteError: Ray is missing or did not start.
        """
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise ConfigError(f"got workers={workers!r}, expected a whole number of at least 1")
        ray = _import_ray()
        if ray.is_initialized():
            slots = int(ray.cluster_resources().get("CPU", 0))
            if slots < workers:
                raise ConfigError(
                    f"ray already runs in this process with {slots} workers, {workers} were asked for: "
                    "close that lab first or start it with more"
                )
            return cls(kind="local", address="local", workers=workers, owned=False)
        lab = cls(kind="local", address="local", workers=workers, owned=True)
        try:
            lab._start_local(ray)
        except BaseException as error:  # also a Ctrl-C half-way: leave no process behind
            lab.close()
            if isinstance(error, Exception):
                raise PrerequisiteError(
                    f"ray did not start on this machine ({first_line(error)}): check free memory and disk, "
                    "then try `python -c 'import ray; ray.init()'`"
                ) from error
            raise
        return lab

    @classmethod
    def connect(cls, address: str, *, workers: int | None = None) -> Lab:
        """Join the Ray cluster at `address` ("host:port" or "auto" on one of its
        nodes, "ray://host:port" from elsewhere, which asks for the package ray[client]).

        `workers` defaults to every CPU slot of the cluster. Nothing is uploaded: `sixfold`, in the same
        version, has to be installed on the nodes. A cluster with token authentication needs its
        RAY_AUTH_MODE and RAY_AUTH_TOKEN in the environment.

        Raises:
            ConfigError: a malformed address, nobody answers there, or it has fewer slots than `workers`.
            PrerequisiteError: Ray is missing.
        """
        _require_listener(address)
        ray = _import_ray()
        if ray.is_initialized():
            raise ConfigError("ray already runs in this process: close that lab before joining a cluster")
        lab = cls(kind="cluster", address=address, workers=0, owned=True)
        lab._set_env(RAY_SETTINGS)
        try:
            ray.init(
                address=address,
                runtime_env={"env_vars": dict(THREAD_PINS)},
                logging_level=logging.ERROR,
                log_to_driver=False,
                _skip_env_hook=True,
            )
            slots = int(ray.cluster_resources().get("CPU", 0))
        except BaseException as error:
            lab.close()
            if isinstance(error, Exception):
                raise ConfigError(
                    f"could not join the ray cluster at {mask_address(address)} ({first_line(error)}): "
                    "check its version and its token (RAY_AUTH_MODE, RAY_AUTH_TOKEN)"
                ) from error
            raise
        if workers is not None and not 1 <= workers <= slots:
            lab.close()
            raise ConfigError(f"got workers={workers}, the cluster has {slots} slots")
        lab.workers = slots if workers is None else workers
        return lab

    @property
    def oversubscribed(self) -> bool:
        """Whether there are more workers than cores to run them, so that speed-up cannot be measured."""
        return self.kind == "local" and self.workers > usable_cores()

    def describe(self) -> dict[str, Any]:
        """Return what a report has to say about where it ran; addresses are masked."""
        ray = _import_ray()
        nodes = [node for node in ray.nodes() if node["Alive"]] if ray.is_initialized() else []
        return {
            "kind": self.kind,
            "address": self._address if self.kind == "local" else mask_address(self._address),
            "workers": self.workers,
            "oversubscribed": self.oversubscribed,
            "nodes": len(nodes),
            "node_cpus": sorted(int(node["Resources"].get("CPU", 0)) for node in nodes),
            "ray_version": ray.__version__,
        }

    def close(self) -> None:
        """Shut down what this lab started; a second call does nothing."""
        if not self._owned:
            return
        self._owned = False
        try:
            _import_ray().shutdown()
        finally:
            for name, value in self._saved_env.items():
                restore(name, value)
            if self._temp_dir is not None:
                end_children_of(self._temp_dir)
                shutil.rmtree(self._temp_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_local(self, ray: Any) -> None:
        # The worker processes inherit this environment, which (unlike a runtime environment) lets Ray start
        # them before the first task asks.
        self._set_env({**RAY_SETTINGS, **THREAD_PINS, **token(), LOOPBACK_SETTING: "0"})
        self._saved_env["RAY_AUTH_MODE"] = os.environ.get("RAY_AUTH_MODE")  # Ray sets it
        constants = ray._private.ray_constants
        allowed, constants.ENABLE_RAY_CLUSTER = constants.ENABLE_RAY_CLUSTER, False  # read at Ray's import
        self._temp_dir = short_temp_dir()
        try:
            ray.init(
                address="local",
                num_cpus=self.workers,
                num_gpus=0,
                include_dashboard=False,
                object_store_memory=object_store_bytes(),
                logging_level=logging.ERROR,
                log_to_driver=False,
                _temp_dir=str(self._temp_dir),
                _skip_env_hook=True,
            )
        finally:
            constants.ENABLE_RAY_CLUSTER = allowed
        for name in THREAD_PINS:  # this process keeps its own setting: the pins were for the workers
            restore(name, self._saved_env.pop(name))

    def _set_env(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            self._saved_env[name] = os.environ.get(name)
            os.environ[name] = value


def mask_address(address: str) -> str:
    """Return an address with its host hidden: `ray://10.0.0.7:10001` becomes `ray://***:10001`."""
    scheme, separator, rest = address.rpartition("://")
    _, colon, port = rest.rpartition(":")
    return address if address == "auto" else f"{scheme}{separator}***{colon}{port if colon else ''}"


def _import_ray() -> Any:
    for name, value in RAY_SETTINGS.items():  # some are read when Ray is imported
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise PrerequisiteError(f"ray cannot be imported ({first_line(error)}): pip install 'ray>=2.50,<3'") from error
    return ray


def _require_listener(address: str) -> None:
    """Refuse an address at once where nobody listens; Ray would retry for a minute."""
    if address == "auto":
        return
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not host or not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"got address {address!r}, expected host:port, ray://host:port or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise ConfigError(
            f"nobody answers at {address} ({error.strerror or error}): start a cluster with "
            "`ray start --head` and pass the address it prints"
        ) from error
