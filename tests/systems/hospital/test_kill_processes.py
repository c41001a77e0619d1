"""Promise: kill -9 of a hospital, the coordinator or both, at any moment, costs nothing but time."""

import random
import shutil
import time
from pathlib import Path

import party_processes
import pytest
from hospital_folders import BUDGET, audit_logs, make_hospitals
from party_processes import Parties

from sixfold.parts.privacy_ledger import PrivacyLedger
from sixfold.systems.hospital.audit.verify import verify_logs
from sixfold.systems.hospital.provision import COORDINATOR, load_kit

ROUNDS, KILLS = 6, 8
SEED = 5


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    home = tmp_path_factory.mktemp("hospitals")
    return home, make_hospitals(home)


@pytest.fixture(scope="module")
def whole(hospitals: tuple[Path, tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, float]:
    """The model of a federation that nobody killed, and the bytes that a round adds to the logs."""
    kept, names = hospitals
    home = Path(shutil.copytree(kept, tmp_path_factory.mktemp("whole") / "home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(party_processes.__file__).parent), prepend=":")
        with Parties(home, names, ROUNDS) as parties:
            assert not parties.work()
            return (home / "model.bin").read_bytes(), parties.logged_bytes / ROUNDS


@pytest.mark.parametrize("who", ["coordinator", "a hospital", "both"])
def test_killed_at_any_moment_it_ends_with_the_same_bits_and_each_round_is_paid_for_once(
    hospitals: tuple[Path, tuple[str, ...]], whole: tuple[bytes, float], tmp_path: Path, who: str
) -> None:
    kept, names = hospitals
    model, of_a_round = whole
    home = Path(shutil.copytree(kept, tmp_path / "home"))
    rng = random.Random(SEED)
    kills = 0
    with Parties(home, names, ROUNDS) as parties:
        while kills < KILLS and parties.work(rng.uniform(0.1, 1.0) * of_a_round):
            time.sleep(rng.uniform(0.0, 0.01))  # not always when a log was just written
            hospital = rng.choice(names)
            victims = {"coordinator": (COORDINATOR,), "a hospital": (hospital,), "both": (hospital, COORDINATOR)}[who]
            parties.kill(*victims)
            kills += 1
            parties.start(*victims)
        assert not parties.work()
    assert kills >= KILLS // 2
    # every sum is over all hospitals, and a round that is repeated has the noise that it had
    assert (home / "model.bin").read_bytes() == model
    for name in names:
        for book in (home / name / "state" / "privacy").glob("*.jsonl"):
            ledger = PrivacyLedger(book, BUDGET)
            charged = [key for key, _ in ledger.history()]
            assert len(charged) == len(set(charged)) == ROUNDS, book
            assert ledger.spent() <= BUDGET.epsilon
    roster = load_kit(home / "kits" / COORDINATOR, COORDINATOR).roster
    assert verify_logs(audit_logs(home, names), roster).findings == ()
