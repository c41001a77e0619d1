"""Promises of the logs of a federation that was killed midway: they verify; no change of what was witnessed does.

The tamperer may be the party itself: with its own key it writes a whole other past, in which every hash and every
signature is right.
"""

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from federation_run import Federation, a_job, cohorts
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.files import json_text
from sixfold.systems.hospital.audit.entry import NOTHING, entry_bytes
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.audit.verify import Verified, verify_logs
from sixfold.systems.hospital.keys import private_key
from sixfold.systems.hospital.provision import COORDINATOR
from sixfold.systems.hospital.train.choose import make_algorithm

SITES = ("site0", "site1", "site2")
PARTIES = (COORDINATOR, *SITES)
Entry = dict[str, Any]


class Ran:
    """The logs of a federation that has run, and everybody's keys."""

    def __init__(self, folder: Path) -> None:
        def kill(site: str, request: bytes, handle: Callable[[bytes], bytes]) -> bytes:
            """Twice: what it did is in its log, its answer never leaves, and it starts again."""
            nonlocal count
            count += 1
            answer = handle(request)
            if count in (12, 29):
                federation.restart(site)
                return b""
            return answer

        count = 0
        federation = Federation(folder, cohorts(3), change=kill)
        federation.coordinator().run(a_job(SITES), make_algorithm("newton", 3, {"rounds": 2}), seed=0)
        self.logs, self.roster = federation.logs, dict(federation.roster)
        self.keys = {name: private_key(folder / "kits" / name / "signing.key") for name in PARTIES}
        self.verified = verify_logs(self.logs, self.roster)

    def seen(self, party: str) -> int:
        """The last entry of a party that somebody else has seen."""
        return self.verified.entries[party] - 1 - self.verified.unwitnessed[party]

    def check(self, party: str, path: Path) -> Verified:
        """Verify with another file in the place of one log."""
        return verify_logs({**self.logs, party: path}, self.roster)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(tmp_path_factory.mktemp("federation"))


def test_the_logs_of_a_federation_that_was_killed_midway_verify(ran: Ran) -> None:
    assert ran.verified.findings == ()
    assert all(ran.seen(party) >= 10 for party in PARTIES)


def entries(path: Path) -> list[Entry]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def write(path: Path, chain: list[Entry], key: Ed25519PrivateKey | None, *, linked: bool) -> None:
    """Write entries as they are; linked: with indices and hashes that fit; key: also signed."""
    previous = NOTHING
    with path.open("wb") as file:
        for index, entry in enumerate(chain):
            made = dict(entry)
            if linked:
                made |= {"index": index, "previous": previous}
                made["hash"] = previous = hashlib.sha256(entry_bytes(made)).hexdigest()
            if key is not None:
                made["signature"] = key.sign(made["hash"].encode()).hex()
            file.write(json_text(made).encode() + b"\n")


def edited(data: st.DataObject, entry: Entry) -> Entry:
    """The entry with another time, kind or fact."""
    what = data.draw(st.sampled_from(["time", "kind", *entry["facts"]]), label="field")
    if what == "time":
        return {**entry, "time": entry["time"] + data.draw(st.sampled_from([-1.0, 0.001, 1e6]))}
    if what == "kind":
        others = {"started", "contribution", "refusal", "witness", "model", ""} - {entry["kind"]}
        return {**entry, "kind": data.draw(st.sampled_from(sorted(others)))}
    fact = entry["facts"][what]
    other = not fact if isinstance(fact, bool) else fact + 1 if isinstance(fact, int | float) else f"{fact}x"
    return {**entry, "facts": {**entry["facts"], what: other}}


@settings(max_examples=100)
@given(data=st.data())
def test_no_single_change_before_the_last_witnessed_entry_is_missed_and_nobody_else_is_accused(
    ran: Ran, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    party = data.draw(st.sampled_from(PARTIES), label="party")
    chain = entries(ran.logs[party])
    change = data.draw(st.sampled_from(["edit", "delete", "repeat", "insert", "swap", "cut"]), label="change")
    last = ran.seen(party) - (change in ("repeat", "insert"))  # a copy of the last one is behind it
    at = data.draw(st.integers(0, last), label="entry")
    match change:
        case "edit":
            chain[at] = edited(data, chain[at])
        case "delete":
            del chain[at]
        case "repeat":
            chain.insert(at, chain[at])
        case "insert":
            other = data.draw(st.sampled_from(PARTIES), label="from")
            foreign = data.draw(st.sampled_from(entries(ran.logs[other])))
            chain.insert(at, {**foreign, "actor": party})
        case "swap":
            other = data.draw(st.integers(0, len(chain) - 1).filter(lambda place: place != at), label="with")
            chain[at], chain[other] = chain[other], chain[at]
        case "cut":
            del chain[at:]
    path = tmp_path_factory.mktemp("changed") / "audit.jsonl"
    mode = data.draw(st.sampled_from(["as it is", "with hashes that fit", "by the party itself"]), label="written")
    write(path, chain, ran.keys[party] if mode == "by the party itself" else None, linked=mode != "as it is")
    assert {finding.file for finding in ran.check(party, path).findings} == {str(path)}


def test_a_log_written_again_as_it_was_is_the_same(ran: Ran, tmp_path: Path) -> None:
    for party in PARTIES:
        write(tmp_path / party, entries(ran.logs[party]), ran.keys[party], linked=True)
        assert (tmp_path / party).read_bytes() == ran.logs[party].read_bytes()


@settings(max_examples=40)
@given(data=st.data())
def test_cut_in_the_middle_of_a_line_it_is_found_also_when_the_party_has_gone_on(
    ran: Ran, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    party = data.draw(st.sampled_from(PARTIES), label="party")
    whole = ran.logs[party].read_bytes()
    lines = whole.splitlines(keepends=True)
    last = sum(map(len, lines[: ran.seen(party) + 1])) - 1  # its line is whole without the newline
    path = tmp_path_factory.mktemp("cut") / "audit.jsonl"
    path.write_bytes(whole[: data.draw(st.integers(0, last - 1), label="bytes")])
    assert {finding.file for finding in ran.check(party, path).findings} == {str(path)}
    AuditLog(path, ran.keys[party], party).append("started", {}, 99.0)
    found = ran.check(party, path).findings
    assert {finding.file for finding in found} == {str(path)}
    assert all("cut off" in finding.what or "rewritten" in finding.what for finding in found)


@settings(max_examples=40)
@given(data=st.data())
def test_torn_behind_the_last_head_that_left_it_goes_on_and_verifies(
    ran: Ran, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """kill -9 while an entry is written: nobody has seen it, nothing left with it."""
    party = data.draw(st.sampled_from(PARTIES), label="party")
    path = Path(shutil.copy(ran.logs[party], tmp_path_factory.mktemp("torn") / "audit.jsonl"))
    log = AuditLog(path, ran.keys[party], party)
    told = log.signed_head()
    known = len(path.read_bytes())
    for time_s in range(data.draw(st.integers(1, 3), label="entries")):
        log.append("contribution", {"round": 9}, float(time_s))
    path.write_bytes(path.read_bytes()[: known + data.draw(st.integers(0, len(path.read_bytes()) - known))])
    again = AuditLog(path, ran.keys[party], party)
    again.append("started", {}, 99.0)
    assert ran.check(party, path).findings == ()
    assert entries(path)[told["index"]]["hash"] == told["hash"]


def test_a_torn_last_line_is_said_to_be_one(ran: Ran, tmp_path: Path) -> None:
    path = Path(shutil.copy(ran.logs["site1"], tmp_path / "audit.jsonl"))
    count = len(entries(path))
    AuditLog(path, ran.keys["site1"], "site1").append("started", {}, 99.0)
    path.write_bytes(path.read_bytes()[:-40])
    (finding,) = ran.check("site1", path).findings
    assert (finding.line, "torn" in finding.what) == (count + 1, True)


def test_killed_at_any_moment_a_process_has_every_entry_whose_head_it_told(tmp_path: Path) -> None:
    """A real kill -9 of a process that writes and tells its heads as fast as it can; eight times in a row."""
    path, key = tmp_path / "north.jsonl", Ed25519PrivateKey.from_private_bytes(b"n" * 32)
    roster: dict[str, Ed25519PublicKey] = {"north": key.public_key()}
    heads: list[dict[str, Any]] = []
    for least in range(1, 9):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                log = AuditLog(path, key, "north")
                while True:
                    log.append("contribution", {"round": 1, "records": 30}, 1.0)
                    log.append("unmask", {"round": 1}, 2.0)
                    os.write(writer, json.dumps(log.signed_head()).encode() + b"\n")
            finally:
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader, "rb") as told:
            heads += [json.loads(told.readline()) for _ in range(least)]
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            heads += [json.loads(line) for line in told if line.endswith(b"\n")]
    AuditLog(path, key, "north").append("started", {}, 3.0)
    verified = verify_logs({"north": path}, roster)
    assert verified.findings == ()
    chain = entries(path)
    assert len(heads) >= 36
    assert all(chain[head["index"]]["hash"] == head["hash"] for head in heads)
