"""Promise of the transports: the same hospitals, job and secrets give the same model bit for bit, however carried."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hospital_folders import audit_logs, make_hospitals, train

from sixfold.lab.lab import Lab
from sixfold.systems.hospital.audit.verify import verify_logs
from sixfold.systems.hospital.hospital_folder import open_hospital
from sixfold.systems.hospital.provision import COORDINATOR, load_kit
from sixfold.systems.hospital.transport.flower_coordinator import open_flower
from sixfold.systems.hospital.transport.flower_processes import HospitalProcesses, LinkProcesses
from sixfold.systems.hospital.transport.ray_transport import RayTransport
from sixfold.systems.hospital.transport.transport import InProcess, Transport

ROUNDS = 2


@contextmanager
def flower(home: Path, names: tuple[str, ...]) -> Iterator[Transport]:
    keys = {name: (home / "kits" / name / "node.pub").read_bytes() for name in names}
    opener = "sixfold.systems.hospital.hospital_folder:open_hospital"
    with LinkProcesses(home / "kits" / COORDINATOR, home / "link", keys) as link:
        started = [HospitalProcesses(home / "kits" / n, home / n / "run", opener, home / n, link.door) for n in names]
        try:
            for hospital in started:
                hospital.start()
            with open_flower(link.link, keys) as transport:
                assert transport.wait_online(names, 90.0) == set(names)
                yield transport
        finally:
            for hospital in started:
                hospital.stop()


@pytest.mark.ray
def test_in_this_process_over_ray_and_over_flower_the_model_is_the_same(tmp_path: Path, ray_lab: Lab) -> None:
    names = make_hospitals(tmp_path / "kept")
    models = {}
    for kind in ("in process", "ray", "flower"):
        home = Path(shutil.copytree(tmp_path / "kept", tmp_path / kind.replace(" ", "-")))
        folders = {name: home / name for name in names}
        if kind == "in process":
            models[kind] = train(home, names, InProcess({n: open_hospital(f) for n, f in folders.items()}), ROUNDS)
        elif kind == "ray":
            with RayTransport(open_hospital, folders) as transport:
                models[kind] = train(home, names, transport, ROUNDS)
        else:
            with flower(home, names) as transport:
                models[kind] = train(home, names, transport, ROUNDS)
        roster = load_kit(home / "kits" / COORDINATOR, COORDINATOR).roster
        assert verify_logs(audit_logs(home, names), roster).findings == ()
    assert np.abs(np.frombuffer(models["in process"])).max() > 0
    assert models["ray"] == models["in process"]
    assert models["flower"] == models["in process"]
