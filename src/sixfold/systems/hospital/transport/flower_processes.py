"""Starts and ends Flower's processes: a SuperLink with the door in front of it, and a hospital's SuperNode and site.

A hospital is three processes: the door through which it leaves with its certificate, the SuperNode, and the site that
answers. All but the coordinator's door listen on loopback only; all log into files and have their own FLWR_HOME.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from sixfold.errors import PrerequisiteError
from sixfold.files import read_json, replace_json
from sixfold.locks import alone
from sixfold.systems.hospital.transport.flower_coordinator import Link, register

__all__ = ["HospitalProcesses", "LinkProcesses", "Processes", "free_port"]

_START_S = 60.0  # until a SuperLink listens: most of it is Python's imports
_STOP_S = 5.0
_HOST = "127.0.0.1"
_PIDS, _LOCK = "processes.json", "processes.lock"
_KEY_FILE = "executor.key"  # shared by SuperLink and coordinator, and by SuperNode and site
_PACKAGE = "sixfold.systems.hospital.transport"
_SUPERLINK = "from flwr.superlink.cli.flower_superlink import flower_superlink as run; run()"  # it has no `python -m`


class Processes:
    """Child processes of one party. Use as a context manager, or call `start` and `stop`.

    They outlive a kill -9 of this process: a federation does not end with the terminal that started it. Who starts
    them again in the same folder ends them first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._held = contextlib.ExitStack()

    def start(self) -> Self:
        """Start all of them.

        Raises PrerequisiteError with the last words of one that did not, ConfigError when another process of this
        machine runs them.
        """
        self._held.enter_context(alone(self.folder / _LOCK, f"runs the party of {self.folder}"))
        self._end_left()
        if not (key := self.folder / _KEY_FILE).exists():
            key.touch(mode=0o600)
            key.write_bytes(secrets.token_bytes(32))
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        raise NotImplementedError

    def ended(self) -> tuple[str, ...]:
        """Which of them have ended by themselves."""
        return tuple(name for name, child in self._running if child.poll() is not None)

    def _end_left(self) -> None:
        """End what was started in this folder by a process that was killed: it would hold our ports."""
        path = self.folder / _PIDS
        for pid, began in read_json(path) if path.exists() else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                left = psutil.Process(pid)
                if left.create_time() == began:  # else another process has its number by now
                    os.killpg(pid, signal.SIGKILL)
                    left.wait(_STOP_S)

    def stop(self) -> None:
        """End what was started; a second call does nothing."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9 what was started: a crash."""
        self._end(signal.SIGKILL)

    def restart(self) -> Self:
        """Start again, from the same folder; what still runs is ended first."""
        self.stop()
        return self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, name: str, *command: object, port: int | None = None) -> None:
        """Start one process; when it has a port, wait until it listens there."""
        environment = {
            **os.environ,
            "FLWR_HOME": str(self.folder / "flwr"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - our own interpreter, with our modules and Flower's
                [sys.executable, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        self._running.append((name, child))
        left = [[running.pid, psutil.Process(running.pid).create_time()] for _, running in self._running]
        replace_json(self.folder / _PIDS, left)
        until = time.monotonic() + _START_S
        while port is not None:
            with contextlib.suppress(OSError):
                socket.create_connection((_HOST, port), timeout=1.0).close()
                return
            if child.poll() is not None or time.monotonic() > until:
                raise PrerequisiteError(f"{name} did not start: {self._last_words(name)}")
            time.sleep(0.1)

    def _door(self, side: str, kit: Path, listen: tuple[str, int], to: tuple[str, int]) -> None:
        places = [f"{host}:{port}" for host, port in (listen, to)]
        self._run("door", "-m", f"{_PACKAGE}.mutual_tls", side, kit, *places, port=listen[1])

    def _last_words(self, name: str) -> str:
        lines = (self.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "no reason given"

    def _end(self, how: signal.Signals) -> None:
        children, self._running = [child for _, child in reversed(self._running)], []
        if how == signal.SIGKILL:
            for child in children:
                _signal(child, how)
        for child in children:  # one after the other: a SuperNode takes its leave through a door that is still there
            _signal(child, how)
            try:
                child.wait(timeout=_STOP_S)
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)
                child.wait()
        (self.folder / _PIDS).unlink(missing_ok=True)
        self._held.close()


class LinkProcesses(Processes):
    """A SuperLink that knows these hospitals' SuperNodes, and the door that hospitals come through.

    kit: the coordinator's: tls.crt (for 127.0.0.1 too), tls.key, ca.crt. node_keys: a hospital's name -> its
    SuperNode's public key in OpenSSH's format. door: where hospitals connect; port 0 for a free one. Started again in
    the same folder, it remembers its runs.
    """

    def __init__(
        self, kit: Path, folder: Path, node_keys: Mapping[str, bytes], door: tuple[str, int] = (_HOST, 0)
    ) -> None:
        super().__init__(folder)
        self._kit, self._node_keys = kit, dict(node_keys)
        self.door = (door[0], door[1] or free_port())
        self._port = free_port()

    @property
    def link(self) -> Link:
        """What the coordinator opens."""
        return Link(f"{_HOST}:{self._port}", self._kit / "ca.crt", self.folder / _KEY_FILE)

    def _start(self) -> None:
        kit = self._kit
        self._run(
            "superlink",
            *("-c", _SUPERLINK, "--host", _HOST, "--port", str(self._port)),
            *("--ssl-certfile", kit / "tls.crt", "--ssl-keyfile", kit / "tls.key", "--ssl-ca-certfile", kit / "ca.crt"),
            *("--isolation", "process", "--superexec-auth-secret-file", self.folder / _KEY_FILE),
            *("--database", self.folder / "state.db", "--enable-supernode-auth"),
            "--disable-runtime-dependency-installation",
            port=self._port,
        )
        register(self.link, self._node_keys)  # before the door opens: a SuperNode that is not known gives up
        self._door("inner", kit, self.door, (_HOST, self._port))


class HospitalProcesses(Processes):
    """A hospital's door, SuperNode and site.

    kit: tls.crt, tls.key, ca.crt, and node.key in OpenSSH's format. opener: "package.module:function", which gets
    `site_folder` and returns the site's `bytes -> bytes`. door: the coordinator's. pause_s: between two questions of an
    idle SuperNode to the SuperLink.
    """

    def __init__(
        self, kit: Path, folder: Path, opener: str, site_folder: Path, door: tuple[str, int], pause_s: float = 0.25
    ) -> None:
        super().__init__(folder)
        self._kit, self._opener, self._site_folder = kit, opener, site_folder
        self._far_door, self._pause_s = door, pause_s

    def _start(self) -> None:
        kit, key = self._kit, self.folder / _KEY_FILE
        near_door, runtime = (_HOST, free_port()), free_port()
        self._door("outer", kit, near_door, self._far_door)
        self._run(
            "supernode",
            *("-m", f"{_PACKAGE}.flower_supernode", str(self._pause_s)),
            *("--superlink", f"{_HOST}:{near_door[1]}", "--root-certificates", kit / "ca.crt"),
            *("--auth-supernode-private-key", kit / "node.key", "--host", _HOST, "--port", str(runtime)),
            *("--isolation", "process", "--superexec-auth-secret-file", key),
        )
        site = (self._opener, self._site_folder, f"{_HOST}:{runtime}", key)
        self._run("site", "-m", f"{_PACKAGE}.flower_site", *site)


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _signal(child: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Signal a child and what it started: each leads a group of its own."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, how)
