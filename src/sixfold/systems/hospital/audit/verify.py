"""Offline verification of the logs of a federation: whatever was edited, left out, put in or reordered is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sixfold.systems.hospital.audit.entry import WITNESS, entry_from, faults
from sixfold.systems.hospital.audit.log import valid_head
from sixfold.systems.hospital.keys import signed_by

__all__ = ["Finding", "Verified", "verify_logs"]


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

    logs: of each party, its file. A party of the roster without a log, a log that cannot be read, a head that a log
    does not have, and two heads of one index are findings.
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
    found, last = _witnessed(logs, roster, chains)
    return Verified(
        tuple(dict.fromkeys([*findings, *found])),
        {party: len(chain) for party, chain in chains.items()},
        {party: max(0, len(chain) - 1 - last.get(party, -1)) for party, chain in chains.items()},
    )


def _witnessed(
    logs: Mapping[str, Path], roster: Mapping[str, Ed25519PublicKey], chains: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[list[Finding], dict[str, int]]:
    """What is wrong with the heads that parties wrote down; the last entry of each that somebody else has seen."""
    findings: list[Finding] = []
    last: dict[str, int] = {}
    seen: dict[tuple[str, int], dict[str, str]] = {}  # (party, index) -> hash -> who saw it first
    for witness, chain in chains.items():
        for line, entry in enumerate(chain, start=1):
            if entry["kind"] != WITNESS:
                continue
            facts = entry["facts"]
            party = facts.get("party")
            if not valid_head(party, facts, roster):
                findings.append(Finding(str(logs[witness]), line, f"a head of {party} that it did not sign"))
                continue
            index, digest = facts["index"], facts["hash"]
            seen.setdefault((party, index), {}).setdefault(digest, witness)
            if party != witness:  # what only it says of itself can be cut off with the rest
                last[party] = max(last.get(party, -1), index)
            held = chains.get(party)
            if not held:
                continue
            if index >= len(held):
                what = f"cut off: {witness} saw entry {index}, the last one is {len(held) - 1}"
                findings.append(Finding(str(logs[party]), None, what))
            elif held[index]["hash"] != digest:
                what = f"rewritten: entry {index} is not the one that {witness} saw"
                findings.append(Finding(str(logs[party]), index + 1, what))
    for (party, index), witnesses in seen.items():
        if len(witnesses) > 1:
            who = " and ".join(sorted(set(witnesses.values())))
            what = f"equivocation: it signed {len(witnesses)} different entries {index}, which {who} saw"
            findings.append(Finding(str(logs.get(party, party)), index + 1, what))
    return findings, last


def _chain(party: str, path: Path, key: Ed25519PublicKey) -> tuple[list[dict[str, Any]], list[Finding]]:
    """The entries of one log, and what is wrong with them, up to the first line that is not an entry."""
    findings: list[Finding] = []
    chain: list[dict[str, Any]] = []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        return chain, [Finding(str(path), None, f"cannot be read: {error.strerror}")]
    whole = lines[-1] == b""
    if whole:
        del lines[-1]
    for line, text in enumerate(lines, start=1):
        entry = entry_from(text)
        if entry is None:
            torn = not whole and line == len(lines)
            what = "a torn last line, as a killed writer leaves it: its next start mends it"
            return chain, [*findings, Finding(str(path), line, what if torn else "not an entry of a log")]
        wrong = faults(entry, line - 1, chain[-1] if chain else None, party, key)
        if not signed_by(key, entry["signature"], entry["hash"].encode()):
            wrong.append(f"{party} did not sign it")
        findings.extend(Finding(str(path), line, what) for what in wrong)
        chain.append(entry)
    if not chain:
        findings.append(Finding(str(path), None, "empty"))
    return chain, findings
