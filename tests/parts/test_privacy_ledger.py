"""Promises of privacy_ledger: paid before computed, once, on the disk, whoever is killed; a broken ledger is named."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sixfold.errors import ConfigError, InputError, UserError
from sixfold.parts.privacy_ledger import BudgetSpent, PrivacyLedger
from sixfold.parts.privacy_mechanism import Accounting, Budget, Mechanism, Sampler, epsilon_of

MECHANISM = Mechanism(1.0, 10.0, 1)
LINE = '{"key":"a","clip":1.0,"noise_multiplier":10.0,"contributors":1,"sampling":1.0,"sampler":"everyone"}'


def ledger(path: Path, epsilon: float = 1.0) -> PrivacyLedger:
    return PrivacyLedger(path, Budget(epsilon, 1e-3))


def test_a_key_is_charged_once_and_a_refusal_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "privacy.jsonl"
    first = ledger(path).charge("round 0", MECHANISM)
    written = path.read_bytes()
    assert ledger(path).charge("round 0", MECHANISM) == ledger(path).spent() == first
    with pytest.raises(ConfigError, match="does not change"):
        ledger(path).charge("round 0", Mechanism(1.0, 20.0, 1))
    with pytest.raises(BudgetSpent, match="the budget is spent") as refused:
        ledger(path).charge("round 1", Mechanism(1.0, 0.1, 1))
    assert isinstance(refused.value, UserError)
    assert path.read_bytes() == written


def test_rounds_of_several_kinds_add_up(tmp_path: Path) -> None:
    book = ledger(tmp_path / "privacy.jsonl", 8.0)
    kinds = [MECHANISM, Mechanism(0.5, 5.0, 3), Mechanism(1.0, 2.0, 1, 0.05, Sampler.POISSON)]
    for at, kind in enumerate(kinds):
        spent = book.charge(f"round {at}", kind)
    assert spent == book.spent() == epsilon_of(kinds, 1e-3, Accounting.PLD)
    assert [kind for _, kind in book.history()] == kinds


def test_a_line_that_lacks_only_its_end_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "privacy.jsonl"
    path.write_text(LINE)
    ledger(path).charge("a", MECHANISM)
    ledger(path).charge("b", MECHANISM)
    assert [key for key, _ in ledger(path).history()] == ["a", "b"]


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "1",
        "null",
        '"a"',
        "{}",
        "not json",
        LINE.replace("everyone", "shuffled"),
        LINE.replace('"a"', "7"),
        LINE.replace("10.0", "null"),  # what strict JSON makes of a NaN
        LINE.replace("10.0", '"ten"'),
        LINE.replace("10.0", "-1"),
        LINE.replace('"clip"', '"clap"'),
    ],
)
def test_a_line_that_is_not_a_charge_is_named_and_nothing_is_charged(tmp_path: Path, line: str) -> None:
    path = tmp_path / "privacy.jsonl"
    path.write_text(f"{LINE}\n{line}\n")
    for attempt in (ledger(path).spent, lambda: ledger(path).charge("b", MECHANISM)):
        with pytest.raises(InputError, match=r"privacy\.jsonl:2: "):
            attempt()
    assert path.read_text() == f"{LINE}\n{line}\n"


def test_a_charge_is_on_the_disk_before_it_is_confirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut after the round was sent would forget that it was paid for."""
    path, synced, fsync = tmp_path / "privacy.jsonl", set[int](), os.fsync

    def seen(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", seen)
    for _ in range(2):  # the second time, somebody else may have written it and died
        synced.clear()
        ledger(path).charge("a", MECHANISM)
        assert {path.stat().st_ino, tmp_path.stat().st_ino} <= synced


CHARGE_UNTIL_KILLED = """
import sys
from pathlib import Path
from sixfold.parts.privacy_ledger import PrivacyLedger
from sixfold.parts.privacy_mechanism import Budget, Mechanism
ledger = PrivacyLedger(Path(sys.argv[1]), Budget(1.0, 1e-3))
for at in range(1000):
    ledger.charge(f"{sys.argv[2]} {at}", Mechanism(1.0, 100.0, 1))
    print(at, flush=True)
"""


def test_what_was_confirmed_is_still_there_after_a_kill(tmp_path: Path) -> None:
    path, confirmed = tmp_path / "privacy.jsonl", set[str]()
    for name, rounds in (("first", 3), ("second", 17)):
        command = [sys.executable, "-c", CHARGE_UNTIL_KILLED, str(path), name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(rounds):
                confirmed.add(f"{name} {process.stdout.readline().strip()}")
            process.send_signal(signal.SIGKILL)
        keys = [key for key, _ in ledger(path).history()]
        assert confirmed <= set(keys)
        assert len(keys) == len(set(keys))
        before = ledger(path).spent()
        assert ledger(path).charge(keys[-1], Mechanism(1.0, 100.0, 1)) == before <= 1.0
