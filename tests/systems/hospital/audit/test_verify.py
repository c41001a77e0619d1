"""Promises of the audit logs: whatever is edited, left out, put in or reordered afterwards is found and named."""

import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.errors import InvariantError
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.audit.verify import Verified, verify_logs

PARTIES = ("coordinator", "north", "south")
KEYS = {name: Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b".")) for name in PARTIES}
ROSTER = {name: key.public_key() for name, key in KEYS.items()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three logs of a few rounds, each with the heads of the others, and two entries that nobody has seen."""
    folder = tmp_path_factory.mktemp("logs")
    logs = {name: AuditLog(folder / f"{name}.jsonl", KEYS[name], name) for name in PARTIES}
    for round_ in range(3):
        for name in PARTIES:
            logs[name].append("contribution", {"round": round_, "records": 30, "epsilon_after": 0.1}, 1.0 + round_)
        for name in PARTIES:
            for other in PARTIES:
                logs[name].witness(other, logs[other].signed_head(), ROSTER, 1.5 + round_)
    logs["north"].append("refusal", {"why": "no permit"}, 9.0)
    logs["north"].append("refusal", {"why": "no permit"}, 9.1)
    return folder


def paths(folder: Path) -> dict[str, Path]:
    return {name: folder / f"{name}.jsonl" for name in PARTIES}


def check(folder: Path) -> Verified:
    return verify_logs(paths(folder), ROSTER)


def copy(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(written, tmp_path_factory.mktemp("copy") / "logs"))


def test_logs_as_they_were_written_have_no_findings(written: Path) -> None:
    verified = check(written)
    assert verified.findings == ()
    assert verified.unwitnessed["north"] >= 2


@settings(max_examples=60)
@given(st.data())
def test_any_changed_byte_is_found(
    written: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = copy(written, tmp_path_factory)
    path = paths(folder)[data.draw(st.sampled_from(PARTIES))]
    text = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(text) - 2))
    line = 1 + text.count(b"\n", 0, at)
    text[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(text)
    assert any((finding.file, finding.line) == (str(path), line) for finding in check(folder).findings)


def test_a_letter_that_becomes_a_capital_is_found_wherever_it_is(written: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "logs"))
    path = folder / "south.jsonl"
    text = path.read_bytes()
    line = text.split(b"\n")[3]
    start = text.index(line)
    for at in (at for at, letter in enumerate(line, start) if chr(letter).isalpha()):
        path.write_bytes(text[:at] + text[at : at + 1].swapcase() + text[at + 1 :])
        assert any(finding.line == 4 for finding in check(folder).findings), f"byte {at}"


@pytest.mark.parametrize("name", PARTIES)
def test_an_entry_that_fits_but_was_signed_by_somebody_else_is_found(written: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "logs"))
    stranger = Ed25519PrivateKey.from_private_bytes(b"x" * 32)
    forged = AuditLog(paths(folder)[name], KEYS[name], name)
    forged.key = stranger  # index, previous and hash are right
    forged.append("contribution", {"round": 9, "records": 3}, 9.5)
    lines = len(forged.path.read_bytes().splitlines())
    assert [(f.file, f.line, f.what) for f in check(folder).findings] == [
        (str(forged.path), lines, f"{name} did not sign it")
    ]


@pytest.mark.parametrize(
    "line",
    [
        b'{"index":"\\ud800"}',
        b"[" * 100_000,
        b"\xff",
        b"",
        b"NaN",
        b'{"index":1,"index":1}',
        json.dumps({**dict.fromkeys(("actor", "kind", "previous", "hash", "signature"), "\ud800"), "index": 1,
                    "time": 1.0, "facts": {}}, separators=(",", ":")).encode(),
    ],
)  # fmt: skip
def test_no_line_stops_the_verifier(written: Path, tmp_path: Path, line: bytes) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "logs"))
    path = folder / "south.jsonl"
    count = len(path.read_bytes().splitlines())
    path.write_bytes(path.read_bytes() + line + b"\n")
    assert (str(path), count + 1) in {(finding.file, finding.line) for finding in check(folder).findings}


@pytest.mark.parametrize("party", ["north", "nobody", 3])
def test_a_witness_cannot_accuse_a_party_by_a_head_of_its_empty_log(
    written: Path, tmp_path: Path, party: object
) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "logs"))
    empty = AuditLog(tmp_path / "empty.jsonl", KEYS["north"], "north").signed_head()
    log = AuditLog(folder / "south.jsonl", KEYS["south"], "south")
    log.append("witness", {"party": party, **empty}, 9.0)  # type: ignore[dict-item]
    assert {finding.file for finding in check(folder).findings} == {str(log.path)}


def test_logs_of_the_same_name_are_told_apart(written: Path, tmp_path: Path) -> None:
    for name, path in paths(written).items():
        (tmp_path / name).mkdir()
        shutil.copy(path, tmp_path / name / "audit.jsonl")
    logs = {name: tmp_path / name / "audit.jsonl" for name in PARTIES}
    logs["south"].write_bytes(logs["south"].read_bytes().replace(b'"records":30', b'"records":31', 1))
    assert {finding.file for finding in verify_logs(logs, ROSTER).findings} == {str(logs["south"])}


@settings(max_examples=60)
@given(st.data())
def test_deleted_swapped_repeated_and_foreign_lines_are_found(
    written: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = copy(written, tmp_path_factory)
    name = data.draw(st.sampled_from(PARTIES))
    path = paths(folder)[name]
    lines = path.read_bytes().splitlines()
    seen = len(lines) - check(folder).unwitnessed[name]
    at = data.draw(st.integers(0, seen - 1))
    match data.draw(st.sampled_from(["delete", "swap", "repeat", "foreign", "cut"])):
        case "delete":
            del lines[at]
        case "swap":
            other = data.draw(st.integers(0, len(lines) - 1).filter(lambda place: place != at))
            lines[at], lines[other] = lines[other], lines[at]
        case "repeat":
            lines.insert(at, lines[at])
        case "foreign":
            other = next(party for party in PARTIES if party != name)
            lines.insert(at, paths(folder)[other].read_bytes().splitlines()[0])
        case "cut":
            lines = lines[:at]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    findings = check(folder).findings
    assert any(finding.file == str(path) for finding in findings), findings


def test_a_past_rewritten_with_the_right_key_is_found_by_the_others(written: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "logs"))
    path = folder / "south.jsonl"
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    forged = AuditLog(path, KEYS["south"], "south")
    for entry in entries[1:]:
        facts = {**entry["facts"], "records": 3} if entry["kind"] == "contribution" else entry["facts"]
        forged.append(entry["kind"], facts, entry["time"])
    assert any("rewritten" in finding.what for finding in check(folder).findings)


def test_what_nobody_has_seen_can_be_cut_off_and_nothing_else(written: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "logs"))
    unseen = check(folder).unwitnessed["north"]
    path = folder / "north.jsonl"
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"".join(line + b"\n" for line in lines[:-unseen]))
    assert check(folder).findings == ()
    path.write_bytes(b"".join(line + b"\n" for line in lines[: -unseen - 1]))
    assert any("cut off" in finding.what for finding in check(folder).findings)


def test_a_missing_log_and_a_party_of_no_roster_are_found(written: Path) -> None:
    logs = paths(written)
    assert any("missing" in f.what for f in verify_logs({"north": logs["north"]}, ROSTER).findings)
    assert any("roster" in f.what for f in verify_logs({**logs, "east": logs["north"]}, ROSTER).findings)


@pytest.mark.parametrize("kind", ["folder", "loop", "gone"])
def test_a_log_that_cannot_be_read_is_a_finding_and_the_others_are_checked(
    written: Path, tmp_path: Path, kind: str
) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "logs"))
    path = paths(folder)["south"]
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    verified = check(folder)
    assert [finding.file for finding in verified.findings] == [str(path)]
    assert "cannot be read" in verified.findings[0].what
    assert (verified.entries["south"], verified.unwitnessed["south"]) == (0, 0)
    north = paths(folder)["north"]
    north.write_bytes(north.read_bytes().replace(b'"records":30', b'"records":31', 1))
    assert {finding.file for finding in check(folder).findings} == {str(path), str(north)}


@pytest.mark.parametrize("shown", ["first", "second", "none"])
def test_a_party_that_shows_each_of_two_a_log_of_its_own_is_found(written: Path, tmp_path: Path, shown: str) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "logs"))
    logs = {name: AuditLog(path, KEYS[name], name) for name, path in paths(folder).items()}
    other = AuditLog(Path(shutil.copy(logs["south"].path, tmp_path / "other.jsonl")), KEYS["south"], "south")
    for log, witness, records in ((logs["south"], "north", 30), (other, "coordinator", 3)):
        log.append("contribution", {"round": 3, "records": records}, 9.0)
        logs[witness].witness("south", log.signed_head(), ROSTER, 9.1)
    if shown == "second":
        shutil.copy(other.path, logs["south"].path)
    known = {name: path for name, path in paths(folder).items() if shown != "none" or name != "south"}
    findings = [str(finding) for finding in verify_logs(known, ROSTER).findings]
    assert any("south" in text and "equivocation" in text for text in findings)
    assert sum("coordinator and north saw" in text for text in findings) == 1
    assert sum("rewritten" in text for text in findings) == (shown != "none")


def test_both_of_two_heads_of_one_entry_are_written_down_by_one_witness(tmp_path: Path) -> None:
    north = AuditLog(tmp_path / "north.jsonl", KEYS["north"], "north")
    for name in ("one", "two", "one"):
        south = AuditLog(tmp_path / f"{name}.jsonl", KEYS["south"], "south")
        if not south.path.exists():
            south.append("started", {"as": name}, 1.0)
        for _ in range(2):
            north.witness("south", south.signed_head(), ROSTER, 2.0)
        north = AuditLog(north.path, KEYS["north"], "north")  # what it knows, it knows after a restart
    assert north.path.read_text().count('"kind":"witness"') == 2
    findings = verify_logs({"north": north.path}, ROSTER).findings
    assert [f.what for f in findings if "equivocation" in f.what] == [
        "equivocation: it signed 2 different entries 1, which north saw"
    ]


def test_an_older_head_is_written_down_too_once(tmp_path: Path) -> None:
    south, north = (AuditLog(tmp_path / f"{name}.jsonl", KEYS[name], name) for name in ("south", "north"))
    heads = []
    for time_s in (1.0, 2.0):
        south.append("started", {}, time_s)
        heads.append(south.signed_head())
    for head in (heads[1], heads[0], heads[1], heads[0]):
        north.witness("south", head, ROSTER, 3.0)
    assert north.path.read_text().count('"kind":"witness"') == 2


def test_what_a_party_says_of_itself_is_no_witness(written: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(written, tmp_path / "logs"))
    unseen = check(folder).unwitnessed["north"]
    log = AuditLog(paths(folder)["north"], KEYS["north"], "north")
    log.witness("north", log.signed_head(), ROSTER, 9.0)
    assert check(folder).unwitnessed["north"] == unseen
    log.append("witness", {"party": "north", **log.signed_head()}, 9.0)
    assert check(folder).unwitnessed["north"] == unseen + 1


def test_a_head_that_was_not_signed_is_written_down_as_false(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "north.jsonl", KEYS["north"], "north")
    log.witness("south", {"index": 4, "hash": "0" * 64, "signature": "00" * 64}, ROSTER, 1.0)
    assert '"false_head"' in (tmp_path / "north.jsonl").read_text()


@pytest.mark.parametrize("facts", [{"rows": [1.0, 2.0]}, {"note": "x" * 1000}, {"nothing": None}])
def test_rows_do_not_belong_into_a_log(tmp_path: Path, facts: dict[str, object]) -> None:
    with pytest.raises(InvariantError, match="not a name or a number"):
        AuditLog(tmp_path / "log.jsonl", KEYS["north"], "north").append("contribution", facts, 1.0)  # type: ignore[arg-type]
