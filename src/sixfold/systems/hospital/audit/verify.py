"""Offline verification of the logs of a federation: whatever was edited, left out, put in or reordered is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sixfold.files import json_text
from sixfold.systems.hospital.audit.log import GENESIS, NOTHING, WITNESS, entry_bytes, valid_head
from sixfold.systems.hospital.keys import key_text, signed_by

__all__ = ["Finding", "Verified", "verify_logs"]

_FIELDS = {"index", "time", "actor", "kind", "facts", "previous", "hash", "signature"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written; `line` is None for what concerns a whole file.

    file: its path, or the party whose log is missing.
    """

    file: str
    line: int | None
    what: str

    def __str__(self) -> str:
        return f"{self.file}{'' if self.line is None else f':{self.line}'}: {self.what}"


@dataclass(frozen=True, slots=True)
class Verified:
    """entries: of each party's log. unwitnessed: entries behind the last head that another party wrote down.

    Cutting those off is the one change that nobody can notice.
    """

    findings: tuple[Finding, ...]
    entries: Mapping[str, int]
    unwitnessed: Mapping[str, int]


def verify_logs(logs: Mapping[str, Path], roster: Mapping[str, Ed25519PublicKey]) -> Verified:
    """Check every party's chain and signatures, and what the parties wrote down of each other.

    logs: of each party, its file. A party of the roster without a log, and a head that a log does not have, are
    findings.
    """
    findings: list[Finding] = []
    chains: dict[str, list[dict[str, Any]]] = {}
    for party, path in sorted(logs.items()):
        if party not in roster:
            findings.append(Finding(str(path), None, f"{party} is not in the roster"))
            continue
        chains[party], found = _chain(party, path, roster[party])
        findings.extend(found)
    findings.extend(Finding(party, None, "its log is missing") for party in sorted(set(roster) - set(logs)))
    seen: dict[str, int] = {}
    for witness, chain in chains.items():
        for line, entry in enumerate(chain, start=1):
            if entry["kind"] != WITNESS:
                continue
            facts = entry["facts"]
            party, index = facts.get("party"), facts.get("index")
            if not valid_head(party, facts, roster):
                findings.append(Finding(str(logs[witness]), line, f"a head of {party} that it did not sign"))
                continue
            seen[party] = max(seen.get(party, -1), index)
            held = chains.get(party)
            if held is None:
                continue
            if index >= len(held):
                what = f"cut off: {witness} saw entry {index}, the last one is {len(held) - 1}"
                findings.append(Finding(str(logs[party]), None, what))
            elif held[index].get("hash") != facts["hash"]:
                what = f"rewritten: entry {index} is not the one that {witness} saw"
                findings.append(Finding(str(logs[party]), index + 1, what))
    return Verified(
        tuple(dict.fromkeys(findings)),
        {party: len(chain) for party, chain in chains.items()},
        {party: len(chain) - 1 - seen.get(party, -1) for party, chain in chains.items()},
    )


def _chain(party: str, path: Path, key: Ed25519PublicKey) -> tuple[list[dict[str, Any]], list[Finding]]:
    """The entries of one log, and what is wrong with them, up to the first line that is not an entry."""
    findings: list[Finding] = []
    chain: list[dict[str, Any]] = []
    previous = NOTHING
    for line, text in enumerate(_lines(path), start=1):
        entry = _entry(text)
        if entry is None:
            return chain, [*findings, Finding(str(path), line, "not an entry of a log")]
        digest = hashlib.sha256(entry_bytes(entry)).hexdigest()
        wrong = [
            what
            for what, broken in (
                (f"index {entry['index']}, expected {line - 1}", entry["index"] != line - 1),
                ("it does not follow the entry before it", entry["previous"] != previous),
                ("its hash is not that of what it says", entry["hash"] != digest),
                (f"{party} did not sign it", not signed_by(key, entry["signature"], entry["hash"].encode())),
                (f"an entry of {entry['actor']}", entry["actor"] != party),
            )
            if broken
        ]
        if line == 1 and (entry["kind"] != GENESIS or entry["facts"].get("key") != key_text(key)):
            wrong.append("it does not begin with the genesis of this party")
        findings.extend(Finding(str(path), line, what) for what in wrong)
        chain.append(entry)
        previous = entry["hash"]
    if not chain:
        findings.append(Finding(str(path), None, "empty"))
    return chain, findings


def _lines(path: Path) -> Iterable[bytes]:
    data = path.read_bytes() if path.exists() else b""
    lines = data.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def _entry(text: bytes) -> dict[str, Any] | None:
    """An entry exactly as it was written; JSON that says the same in other letters is not the entry."""
    try:
        entry = json.loads(text)
        if json_text(entry).encode() != text:
            return None
    except (ValueError, RecursionError):  # also of letters that are not Unicode, and of brackets without end
        return None
    if not isinstance(entry, dict) or entry.keys() != _FIELDS or not isinstance(entry["facts"], dict):
        return None
    texts = all(isinstance(entry[name], str) for name in ("actor", "kind", "previous", "hash", "signature"))
    numbers = isinstance(entry["index"], int) and isinstance(entry["time"], int | float)
    return entry if texts and numbers else None
