"""Promises of one party's log: it goes on where it stopped, and what others say of themselves cannot break it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sixfold.errors import InputError
from sixfold.systems.hospital.audit.entry import GENESIS, WITNESS
from sixfold.systems.hospital.audit.log import AuditLog, head_bytes, valid_head
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


def three(path: Path) -> list[bytes]:
    """The lines of a log of three entries."""
    for kind in ("started", "contribution"):
        AuditLog(path, NORTH, "north").append(kind, {"round": 1}, 2.0)
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("change", "line", "what"),
    [
        (lambda lines: [lines[0], lines[2]], 2, "index 2, expected 1"),
        (lambda lines: [lines[0], lines[1], lines[1], lines[2]], 3, "index 1, expected 2"),
        (lambda lines: [lines[0], lines[2], lines[1]], 2, "index 2, expected 1"),
        (lambda lines: [lines[0], lines[1].replace(b'"round":1', b'"round":2'), lines[2]], 2, "hash"),
        (lambda lines: [lines[0], b"not an entry\n", lines[2]], 2, "not an entry"),
        (lambda lines: [lines[0], b"\n", *lines[1:]], 2, "not an entry"),
        (lambda lines: [*lines, b"{}"], 4, "not an entry"),  # whole: it is no torn line, and would be kept
        (lambda lines: [lines[0], b"\xff" + lines[1], lines[2]], 2, "not an entry"),
        (lambda lines: lines[1:], 1, "index 1, expected 0"),
    ],
)
def test_a_broken_log_is_named_at_the_start_and_left_as_it_is(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], line: int, what: str
) -> None:
    path = tmp_path / "north.jsonl"
    broken = b"".join(change(three(path)))
    path.write_bytes(broken)
    with pytest.raises(InputError, match=what) as caught:
        AuditLog(path, NORTH, "north")
    assert (caught.value.path, caught.value.line) == (path, line)
    assert path.read_bytes() == broken


def test_the_log_of_another_party_or_another_key_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "north.jsonl"
    three(path)
    for key, actor in ((SOUTH, "north"), (NORTH, "south")):
        with pytest.raises(InputError, match=r"north\.jsonl:1: "):
            AuditLog(path, key, actor)
    with pytest.raises(InputError, match="cannot be read"):
        AuditLog(tmp_path, NORTH, "north")


def test_every_entry_is_on_the_disk_before_its_head_is_signed_and_once_for_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "north.jsonl"
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    log = AuditLog(path, NORTH, "north")
    log.signed_head()
    for _ in range(3):
        log.append("started", {}, 1.0)
    assert synced == []
    for _ in range(2):
        log.signed_head()
    assert synced == [str(path), str(path.parent)]  # the file, and that there is one
    log.append("started", {}, 1.0)
    log.signed_head()
    assert synced[2:] == [str(path)]
    AuditLog(path, NORTH, "north").signed_head()  # a killed process may not have come to it
    assert str(path) in synced[3:]


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
