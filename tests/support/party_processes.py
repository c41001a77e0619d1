"""A federation whose coordinator and hospitals are operating-system processes, to be killed at any moment.

Messages go over Unix sockets. The processes fork from one that has imported everything, so that to start one takes
milliseconds.
"""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from hospital_folders import audit_logs, train

from sixfold.files import replace_bytes
from sixfold.systems.hospital.federation.coordinator import FederationStalled
from sixfold.systems.hospital.hospital_folder import open_hospital
from sixfold.systems.hospital.provision import COORDINATOR
from sixfold.systems.hospital.transport.transport import Deadline

_PROCESSES = get_context("forkserver")
_PROCESSES.set_forkserver_preload(["party_processes", "dp_accounting", "pyarrow.parquet"])
_AGAIN_S = 0.005
_RUNS = 3


class Sockets:
    """A transport to the processes of hospitals; one that is away is asked again until the deadline."""

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places
        self._open: dict[str, Connection] = {}

    def exchange(self, requests: dict[str, bytes], deadline: Deadline) -> dict[str, bytes]:
        until_s = time.monotonic() + deadline.deadline_s
        with ThreadPoolExecutor(len(requests)) as threads:
            found = threads.map(partial(self._ask, until_s=until_s), requests, requests.values())
            return {site: answer for site, answer in zip(requests, found, strict=True) if answer is not None}

    def _ask(self, site: str, request: bytes, until_s: float) -> bytes | None:
        while (left_s := until_s - time.monotonic()) > 0:
            with contextlib.suppress(OSError, EOFError):
                if site not in self._open:
                    self._open[site] = Client(self._places[site], "AF_UNIX")
                self._open[site].send_bytes(request)
                return self._open[site].recv_bytes() if self._open[site].poll(left_s) else None
            self._open.pop(site, None)
            time.sleep(_AGAIN_S)
        return None


def _hospital(folder: Path, place: str) -> None:
    handle = open_hospital(folder)
    with Listener(place, "AF_UNIX") as listener:
        while True:
            with contextlib.suppress(OSError, EOFError), listener.accept() as coordinator:
                while True:
                    coordinator.send_bytes(handle(coordinator.recv_bytes()))


def _coordinator(home: Path, places: dict[str, str], rounds: int) -> None:
    for again in reversed(range(_RUNS)):
        try:
            model = train(home, tuple(sorted(places)), Sockets(places), rounds, minimum_sites=len(places))
        except FederationStalled:  # hospitals died faster than a round takes: it says itself to run it again
            if not again:
                raise
        else:
            replace_bytes(home / "model.bin", model)
            return


class Parties:
    """The coordinator and the hospitals of a folder. Use as a context manager."""

    def __init__(self, home: Path, names: tuple[str, ...], rounds: int) -> None:
        self.home, self.names, self._rounds = home, names, rounds
        self._places = {name: f"\0{home}/{name}" for name in names}  # abstract: a killed process leaves no file
        self._running = {}

    def __enter__(self) -> "Parties":
        self.start(*self.names, COORDINATOR)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.kill()
            process.join()

    def start(self, *parties: str) -> None:
        """Start these parties from their folders."""
        for party in parties:
            target, arguments = _hospital, (self.home / party, self._places.get(party))
            if party == COORDINATOR:
                target, arguments = _coordinator, (self.home, self._places, self._rounds)
            self._running[party] = _PROCESSES.Process(target=target, args=arguments)
            self._running[party].start()

    def kill(self, *parties: str) -> None:
        """kill -9 of all of them at once."""
        for party in parties:
            self._running[party].kill()
        for party in parties:
            self._running[party].join()

    def work(self, logged_bytes: float = float("inf")) -> bool:
        """Wait until so much was added to all logs together, or until the coordinator is done: False, if it is.

        Raises AssertionError when a party ended by itself that should not have.
        """
        enough = self.logged_bytes + logged_bytes
        while self.logged_bytes < enough:
            ended = {party: process.exitcode for party, process in self._running.items() if not process.is_alive()}
            if ended:
                assert ended == {COORDINATOR: 0}, f"ended by themselves, with exit codes: {ended}"
                return False
            time.sleep(0.001)
        return True

    @property
    def logged_bytes(self) -> int:
        """How long the logs are by now."""
        logs = audit_logs(self.home, self.names).values()
        return sum(log.stat().st_size for log in logs if log.exists())
