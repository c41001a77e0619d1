"""A round of four sites without training: our transports beside Flower's own FedAvg, same sites and bytes in one run.

    python benchmarks/hospital_rounds.py [--quick] [--json]

The peer is a bare Flower deployment with its defaults: SuperLink, SuperNodes, a ServerApp with FedAvg and a ClientApp
that sends back what it got, over TLS. Ours are whole rounds of a federation whose hospitals do the same: signed,
logged, checkpointed; in the plain, as FedAvg is, and as a masked sum, for which there is no peer. Over Flower they go
through the processes of a real federation: doors of mutual TLS, SuperNodes that have to authenticate, sites that stay
up. Wall time from the end of a round to the end of the next.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from statistics import median
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before numpy is imported

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import numpy as np  # noqa: E402

from common import Row, machine, show  # noqa: E402
from hospital_rounds_site import open_hospital  # noqa: E402
from sixfold.lab.lab import Lab  # noqa: E402
from sixfold.systems.hospital.audit.log import AuditLog  # noqa: E402
from sixfold.systems.hospital.federation.coordinator import Coordinator, RoundRecord  # noqa: E402
from sixfold.systems.hospital.federation.job import Job, Output, Protection  # noqa: E402
from sixfold.systems.hospital.provision import COORDINATOR, load_kit, provision  # noqa: E402
from sixfold.systems.hospital.train.algorithm import Order, State, Total  # noqa: E402
from sixfold.systems.hospital.transport.flower_coordinator import open_flower  # noqa: E402
from sixfold.systems.hospital.transport.flower_processes import (  # noqa: E402
    HospitalProcesses,
    LinkProcesses,
    free_port,
)
from sixfold.systems.hospital.transport.ray_transport import RayTransport  # noqa: E402
from sixfold.systems.hospital.transport.transport import Deadline, InProcess, Transport  # noqa: E402

Measured = dict[tuple[Protection, int], list[float]]
FLOWER = "over Flower"
SITES = ("north", "south", "east", "west")
LENGTHS = (20, 1_000_000)  # of float64
MOST_HERE, MOST_FLOWER = 0.5, 1.1  # of the time of Flower's own loop
DEADLINE = Deadline(120.0)
READY_S = 120.0
OFFLINE = "--disable-runtime-dependency-installation"
APP = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "bare"
version = "1.0.0"
license = "Apache-2.0"
dependencies = []
[tool.flwr.app]
publisher = "peer"
[tool.flwr.app.components]
serverapp = "flower_fedavg:server"
clientapp = "flower_fedavg:client"
[tool.flwr.app.config]
"""


@dataclass(frozen=True, slots=True)
class Nothing:
    """An algorithm that passes a vector round."""

    length: int
    rounds: int

    def init(self, seed: int) -> State:
        return State(0, {"theta": np.random.default_rng(seed).normal(size=self.length)})

    def order(self, state: State) -> Order:
        return Order("nothing", {"theta": state.arrays["theta"]}, {}, self.length)

    def step(self, state: State, total: Total) -> State:
        return State(state.round + 1, {"theta": total.vector / total.sites})


def federations_s(home: Path, kind: str, transport: Transport, rounds: int) -> Measured:
    """Seconds of each round but the first, for each protection and each length of the vector."""
    kit = load_kit(home / "kits" / COORDINATOR, COORDINATOR)
    log = AuditLog(home / COORDINATOR / "audit.jsonl", kit.signing_key, COORDINATOR)
    found: Measured = {}
    for protection, length in product(Protection, LENGTHS):
        ends_s: list[float] = []

        def watch(record: RoundRecord, ends_s: list[float] = ends_s) -> None:
            assert record.counted == tuple(sorted(SITES)), record.why
            ends_s.append(time.perf_counter())

        job = Job(
            federation=f"{kind}-{protection.value}-{length}", permit="none", dataset="synthetic",
            purpose="scientific-research", output=Output.MODEL_UPDATE, features=("x",), sites=tuple(sorted(SITES)),
            minimum_sites=len(SITES), protection=protection,
        )  # fmt: skip
        coordinator = Coordinator(kit, transport, home / COORDINATOR, log, DEADLINE, watch=watch)
        coordinator.run(job, Nothing(length, rounds + 1), seed=0)
        found[protection, length] = [later_s - earlier_s for earlier_s, later_s in pairwise(ends_s)]
    return found


def over_flower(home: Path, rounds: int) -> Measured:
    """Rounds over the processes of a federation."""
    kits = home / "kits"
    keys = {name: (kits / name / "node.pub").read_bytes() for name in SITES}
    opener = "hospital_rounds_site:open_hospital"
    with LinkProcesses(kits / COORDINATOR, home / "link", keys) as link, ExitStack() as hospitals:
        for name in SITES:
            folder = home / name
            hospitals.enter_context(HospitalProcesses(kits / name, folder, opener, folder, link.door))
        with open_flower(link.link, keys) as transport:
            assert transport.wait_online(SITES, READY_S) == set(SITES)
            return federations_s(home, "flower", transport, rounds)


def over_ray(home: Path, rounds: int) -> Measured:
    """The same between this process and an actor for each site."""
    with Lab.local(workers=2), RayTransport(open_hospital, {name: home / name for name in SITES}) as transport:
        return federations_s(home, "ray", transport, rounds)


def in_process(home: Path, rounds: int) -> Measured:
    """The same in one process."""
    transport = InProcess({name: open_hospital(home / name) for name in SITES})
    return federations_s(home, "in-process", transport, rounds)


def bare_flower(home: Path, rounds: int) -> dict[int, list[float]]:
    """Seconds of each round of FedAvg as Flower runs it, for each length of the vector."""
    kit, port, home = home / "kits" / COORDINATOR, free_port(), home / "bare"
    tls = ("--ssl-certfile", kit / "tls.crt", "--ssl-keyfile", kit / "tls.key", "--ssl-ca-certfile", kit / "ca.crt")
    with ExitStack() as processes:
        link = ("flower-superlink", "--host", "127.0.0.1", "--port", port, *tls, OFFLINE)
        processes.enter_context(_process(home / "superlink", *link))
        for name in SITES:
            to = ("--superlink", f"127.0.0.1:{port}", "--root-certificates", kit / "ca.crt")
            runtime = ("--host", "127.0.0.1", "--port", free_port())
            processes.enter_context(_process(home / name, "flower-supernode", *to, *runtime))
        return {length: _fedavg_s(home, f"127.0.0.1:{port}", kit / "ca.crt", length, rounds) for length in LENGTHS}


@contextmanager
def _process(folder: Path, *command: object) -> Iterator[None]:
    """One of Flower's commands, ended with all that it started."""
    folder.mkdir(parents=True)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # it starts commands of its own
        "FLWR_HOME": str(folder / "flwr"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
    }
    program = Path(sys.executable).parent / str(command[0])
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            [str(program), *map(str, command[1:])],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _fedavg_s(home: Path, address: str, ca: Path, length: int, rounds: int) -> list[float]:
    """Hand the app to the SuperLink and wait until it has written down its times."""
    import httpx
    from flwr.cli.build import build_fab_from_files
    from flwr.common.serde import fab_to_proto
    from flwr.proto.control_pb2 import StartRunRequest
    from flwr.supercore.constant import NOOP_FEDERATION_ID
    from flwr.supercore.control import ControlHttpClient
    from flwr.supercore.fab import Fab
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor

    out = home / f"{length}.json"
    settings = {"length": length, "rounds": rounds + 1, "nodes": len(SITES), "out": str(out)}
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    source = HERE / "peers" / "flower_fedavg.py"
    app, _ = build_fab_from_files({"pyproject.toml": (APP + lines).encode(), source.name: source})
    fab = fab_to_proto(Fab(hashlib.sha256(app).hexdigest(), app, {}))
    interceptors = [RuntimeVersionHttpInterceptor(component_name="flwr CLI")]
    until_s = time.monotonic() + READY_S
    while True:
        try:
            with ControlHttpClient.from_server_address(address, False, ca.read_bytes(), interceptors) as control:
                control.StartRun(StartRunRequest(fab=fab, federation=NOOP_FEDERATION_ID))
            break
        except httpx.TransportError:  # not up yet
            if time.monotonic() > until_s:
                raise
            time.sleep(0.5)
    until_s = time.monotonic() + READY_S + 60.0 * rounds
    while not out.exists():
        if time.monotonic() > until_s:
            sys.exit(f"flower's own loop did not end: {(home / 'superlink' / 'log').read_text()[-2000:]}")
        time.sleep(0.2)
    _, *ends_s = json.loads(out.read_text())  # the first is when the loop began
    return [later_s - earlier_s for earlier_s, later_s in pairwise(ends_s)]


def rows(measured: Mapping[str, Measured], peer: Mapping[int, list[float]]) -> list[Row]:
    """Each of ours beside Flower's own loop; masks over Flower have no target, as Flower's loop has none."""
    found = []
    for length, kind, protection in product(LENGTHS, measured, Protection):
        spent_s, theirs_s = measured[kind][protection, length], median(peer[length])
        most = MOST_HERE if kind != FLOWER else MOST_FLOWER if protection is Protection.PLAIN else None
        ratio = median(spent_s) / theirs_s
        name = f"{protection.value} round {kind}, {8 * length:,} bytes a site"
        note = f"median of {len(spent_s)}; peer: FedAvg in the plain, median of {len(peer[length])}"
        passed = None if most is None else ratio <= most
        found.append(Row(name, median(spent_s), "s", theirs_s, ratio, most, passed, note))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rounds = 2 if options.quick else 7
    about: dict[str, Any] = machine("flwr", "ray")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    home = Path(tempfile.mkdtemp(prefix="hospital-rounds-"))
    try:
        provision(home / "kits", SITES, ["127.0.0.1"], datetime.datetime.now(datetime.UTC))
        peer = bare_flower(home, rounds)
        ours = {
            FLOWER: over_flower(home, rounds),
            "over Ray": over_ray(home, 3 * rounds),
            "in one process": in_process(home, 3 * rounds),
        }
    finally:
        shutil.rmtree(home, ignore_errors=True)
    found = rows(ours, peer)
    show("hospital_rounds", about, found, as_json=options.json)
    return 0 if all(row.passed is not False for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
