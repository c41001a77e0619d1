"""Promise of the transports: the same hospitals, job and secrets give the same model bit for bit, however carried."""

import datetime
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from sixfold.lab.lab import Lab
from sixfold.parts.privacy_mechanism import Budget, Mechanism, noise_for
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.audit.verify import verify_logs
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.federation.coordinator import Coordinator
from sixfold.systems.hospital.federation.job import Job, Output
from sixfold.systems.hospital.hospital_folder import lay_out, open_hospital
from sixfold.systems.hospital.keys import key_text, private_key
from sixfold.systems.hospital.policy.permit import Permit, Purpose, sign_permit
from sixfold.systems.hospital.provision import COORDINATOR, load_kit, provision
from sixfold.systems.hospital.train.choose import make_algorithm
from sixfold.systems.hospital.transport.flower_coordinator import open_flower
from sixfold.systems.hospital.transport.flower_processes import HospitalProcesses, LinkProcesses
from sixfold.systems.hospital.transport.ray_transport import RayTransport
from sixfold.systems.hospital.transport.transport import Deadline, InProcess, Transport

NOW = datetime.datetime.now(datetime.UTC)
BUDGET = Budget(1.0, 1e-3)
ROUNDS = 2


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hospitals of the embedded four, each with its folder, kit and secret."""
    home = tmp_path_factory.mktemp("hospitals")
    cohorts = [heart.complete_cases(heart.read_embedded())[at] for at in (0, 1, 3)]
    provision(home / "kits", [cohort.site for cohort in cohorts], ["127.0.0.1", "localhost"], NOW)
    founder = private_key(home / "kits" / "founder" / "founder.key")
    permit = Permit(
        id="P-1",
        dataset="hearts",
        purpose=Purpose.SCIENTIFIC_RESEARCH,
        holder="a test",
        issued_by="a test",
        not_before=NOW - datetime.timedelta(days=1),
        expires=NOW + datetime.timedelta(days=1),
        outputs=("model_update",),
        features=heart.VARIABLES,
        minimum_cohort=10,
        minimum_sites=2,
        epsilon=BUDGET.epsilon,
        delta=BUDGET.delta,
    )
    for at, cohort in enumerate(cohorts):
        folder = home / cohort.site
        lay_out(
            folder,
            cohort,
            heart.held_out(cohort),
            dataset="hearts",
            table=("p.csv", "p.parquet", "p.sqlite")[at],
            mapping={name: {"column": name} for name in cohort.features},
            permit=sign_permit(permit, founder),
            trusted=(key_text(founder),),
        )
        shutil.copytree(home / "kits" / cohort.site, folder / "kit")
        (folder / "state").mkdir()
        (folder / "state" / "secret").write_bytes(bytes([at + 1]) * 32)
    return home


def train(home: Path, names: tuple[str, ...], transport: Transport) -> bytes:
    """The parameters of a private, masked federation; every log verifies."""
    job = Job(
        federation="same",
        permit="P-1",
        dataset="hearts",
        purpose="scientific-research",
        output=Output.MODEL_UPDATE,
        features=heart.VARIABLES,
        sites=names,
        minimum_sites=2,
        matrix="heart",
        mechanism=Mechanism(1.0, noise_for(BUDGET, ROUNDS), 2),
        budget=BUDGET,
    )
    kit = load_kit(home / "kits" / COORDINATOR, COORDINATOR)
    log = AuditLog(home / COORDINATOR / "audit.jsonl", kit.signing_key, COORDINATOR)
    coordinator = Coordinator(kit, transport, home / COORDINATOR, log, Deadline(60.0))
    algorithm = make_algorithm("dp_gradient", 13, {"rounds": ROUNDS, "clip": 1.0, "expected_batch": 400.0})
    theta_P = coordinator.run(job, algorithm, seed=0).state.arrays["theta"]
    logs = {name: home / name / "state" / "audit.jsonl" for name in names}
    assert verify_logs({**logs, COORDINATOR: home / COORDINATOR / "audit.jsonl"}, kit.roster).findings == ()
    assert np.abs(theta_P).max() > 0
    return theta_P.tobytes()


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
def test_in_this_process_over_ray_and_over_flower_the_model_is_the_same(
    hospitals: Path, tmp_path: Path, ray_lab: Lab
) -> None:
    names = tuple(sorted(path.parent.name for path in hospitals.glob("*/hospital.yaml")))
    models = {}
    for kind in ("in process", "ray", "flower"):
        home = Path(shutil.copytree(hospitals, tmp_path / kind.replace(" ", "-")))
        folders = {name: home / name for name in names}
        if kind == "in process":
            models[kind] = train(home, names, InProcess({n: open_hospital(f) for n, f in folders.items()}))
        elif kind == "ray":
            with RayTransport(open_hospital, folders) as transport:
                models[kind] = train(home, names, transport)
        else:
            with flower(home, names) as transport:
                models[kind] = train(home, names, transport)
    assert models["ray"] == models["in process"]
    assert models["flower"] == models["in process"]
