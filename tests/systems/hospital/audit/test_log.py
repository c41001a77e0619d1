"""Promises of one party's log: it goes on where it stopped, and what others say of themselves cannot break it."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sixfold.systems.hospital.audit.log import GENESIS, WITNESS, AuditLog, head_bytes, valid_head
from sixfold.systems.hospital.audit.verify import verify_logs
from sixfold.systems.hospital.keys import key_text, signed_by

NORTH = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
SOUTH = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
ROSTER = {"north": NORTH.public_key(), "south": SOUTH.public_key()}


def entries(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_first_entry_binds_the_actor_to_its_key(tmp_path: Path) -> None:
    AuditLog(tmp_path / "north.jsonl", NORTH, "north").append("started", {}, 1.0)
    first, second = entries(tmp_path / "north.jsonl")
    assert (first["kind"], first["facts"], first["actor"]) == (GENESIS, {"key": key_text(NORTH)}, "north")
    assert (second["index"], second["previous"]) == (1, first["hash"])


def test_a_log_that_is_opened_again_goes_on_and_witnesses_nothing_twice(tmp_path: Path) -> None:
    path, south = tmp_path / "north.jsonl", AuditLog(tmp_path / "south.jsonl", SOUTH, "south")
    south.append("started", {}, 1.0)
    for time_s in (2.0, 3.0):
        log = AuditLog(path, NORTH, "north")
        log.append("started", {}, time_s)
        log.witness("south", south.signed_head(), ROSTER, time_s)
    assert [entry["kind"] for entry in entries(path)] == [GENESIS, "started", WITNESS, "started"]
    assert verify_logs({"north": path, "south": south.path}, ROSTER).findings == ()


@pytest.mark.parametrize("left", [1, 40, -2, -1])
def test_a_line_that_a_killed_writer_left_is_mended_by_the_next_entry(tmp_path: Path, left: int) -> None:
    path = tmp_path / "north.jsonl"
    AuditLog(path, NORTH, "north").append("started", {}, 1.0)
    whole = path.read_bytes()
    AuditLog(path, NORTH, "north").append("contribution", {"round": 1}, 2.0)
    path.write_bytes(whole + path.read_bytes()[len(whole) :][:left])  # -1: all of it but its newline
    AuditLog(path, NORTH, "north").append("started", {}, 3.0)
    assert verify_logs({"north": path}, {"north": ROSTER["north"]}).findings == ()
    assert [entry["time"] for entry in entries(path)] == [1.0, 1.0, *([2.0] if left == -1 else []), 3.0]


def signed(index: int, digest: str) -> dict[str, object]:
    """A head that south really signed, whatever it says."""
    return {"index": index, "hash": digest, "signature": SOUTH.sign(head_bytes("south", index, digest)).hex()}


@pytest.mark.parametrize(
    "head",
    [
        signed(-1, "0" * 64),  # of an empty log: whoever kept it could accuse south of having rewritten its past
        signed(5, "a" * 1000),  # longer than a fact may be: would stop the log that writes it down
        signed(5, "A" * 64),
        signed(5, "\n" * 64),
        {**signed(5, "a" * 64), "index": 6},
        {**signed(5, "a" * 64), "signature": str(signed(5, "a" * 64)["signature"]).upper()},
        {**signed(5, "a" * 64), "signature": f"{signed(5, 'a' * 64)['signature']}{' ' * 500}"},
        {"index": 5, "hash": "\ud800" * 64, "signature": "00" * 64},
        {"index": "5", "hash": "a" * 64, "signature": "00" * 64},
        {},
        None,
        [5],
    ],
)
def test_what_is_no_head_of_an_entry_is_written_down_as_false(tmp_path: Path, head: object) -> None:
    path = tmp_path / "north.jsonl"
    AuditLog(path, NORTH, "north").witness("south", head, ROSTER, 1.0)
    assert [entry["kind"] for entry in entries(path)] == [GENESIS, "false_head"]


@pytest.mark.parametrize("party", [[], {}, None, 3, "east"])
def test_only_a_party_of_the_roster_has_heads(party: object) -> None:
    assert valid_head("south", signed(5, "a" * 64), ROSTER)
    assert not valid_head(party, signed(5, "a" * 64), ROSTER)


def test_a_signature_has_one_text() -> None:
    signature = SOUTH.sign(b"content").hex()
    assert signed_by(ROSTER["south"], signature, b"content")
    pairs = " ".join(signature[at : at + 2] for at in range(0, len(signature), 2))
    for other in (signature.upper(), pairs, f"{signature}\n", signature[:-2], ""):
        assert not signed_by(ROSTER["south"], other, b"content")
