"""Three of the embedded hospitals as folders, with kits and known secrets, and a private, masked job for them."""

import datetime
import shutil
from pathlib import Path

from sixfold.parts.privacy_mechanism import Budget, Mechanism, noise_for
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.data import heart
from sixfold.systems.hospital.federation.coordinator import Coordinator
from sixfold.systems.hospital.federation.job import Job, Output
from sixfold.systems.hospital.hospital_files import lay_out
from sixfold.systems.hospital.keys import key_text, private_key
from sixfold.systems.hospital.policy.permit import Permit, Purpose, sign_permit
from sixfold.systems.hospital.provision import COORDINATOR, load_kit, provision
from sixfold.systems.hospital.train.choose import make_algorithm
from sixfold.systems.hospital.transport.transport import Deadline, Transport

BUDGET = Budget(1.0, 1e-3)


def make_hospitals(home: Path) -> tuple[str, ...]:
    """Write the folders of the hospitals and their kits; the hospitals' names."""
    now = datetime.datetime.now(datetime.UTC)
    cohorts = [heart.complete_cases(heart.read_embedded())[at] for at in (0, 1, 3)]
    provision(home / "kits", [cohort.site for cohort in cohorts], ["127.0.0.1", "localhost"], now)
    founder = private_key(home / "kits" / "founder" / "founder.key")
    permit = Permit(
        id="P-1",
        dataset="hearts",
        purpose=Purpose.SCIENTIFIC_RESEARCH,
        holder="a test",
        issued_by="a test",
        not_before=now - datetime.timedelta(days=1),
        expires=now + datetime.timedelta(days=1),
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
        (folder / "state" / "secret").write_bytes(bytes([at + 1]) * 32)  # the same noise in every copy
    return tuple(sorted(cohort.site for cohort in cohorts))


def train(home: Path, names: tuple[str, ...], transport: Transport, rounds: int, minimum_sites: int = 2) -> bytes:
    """The parameters that a private, masked federation comes to; the noise is what so many rounds need, and no more."""
    job = Job(
        federation="same",
        permit="P-1",
        dataset="hearts",
        purpose="scientific-research",
        output=Output.MODEL_UPDATE,
        features=heart.VARIABLES,
        sites=names,
        minimum_sites=minimum_sites,
        matrix="heart",
        mechanism=Mechanism(1.0, noise_for(BUDGET, rounds), minimum_sites),
        budget=BUDGET,
    )
    kit = load_kit(home / "kits" / COORDINATOR, COORDINATOR)
    log = AuditLog(home / COORDINATOR / "audit.jsonl", kit.signing_key, COORDINATOR)
    coordinator = Coordinator(kit, transport, home / COORDINATOR, log, Deadline(60.0))
    algorithm = make_algorithm("dp_gradient", 13, {"rounds": rounds, "clip": 1.0, "expected_batch": 400.0})
    return coordinator.run(job, algorithm, seed=0).state.arrays["theta"].tobytes()


def audit_logs(home: Path, names: tuple[str, ...]) -> dict[str, Path]:
    """Every party's log."""
    return {COORDINATOR: home / COORDINATOR / "audit.jsonl"} | {n: home / n / "state" / "audit.jsonl" for n in names}
