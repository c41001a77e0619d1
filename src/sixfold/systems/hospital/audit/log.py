"""What a party did, in the order in which it did it: a chain of signed entries that others witness."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sixfold.errors import InvariantError
from sixfold.files import append_json_line, json_text, read_json_lines
from sixfold.systems.hospital.keys import key_text, signed_by

__all__ = ["GENESIS", "WITNESS", "AuditLog", "entry_bytes", "head_bytes", "valid_head"]

GENESIS = "genesis"
WITNESS = "witness"
NOTHING = "0" * 64  # stands before the first entry
_TEXT = 400  # letters of a fact

Fact = str | int | float | bool


@dataclass(slots=True)
class AuditLog:
    """An append-only file of JSON lines {index, time, actor, kind, facts, previous, hash, signature}.

    Each entry's hash covers the one before; the actor signs the hash. A party that rewrites its past changes its head,
    which others have written into their own logs (`witness`). Facts are counts and names, never records.
    """

    path: Path
    key: Ed25519PrivateKey
    actor: str
    _index: int = field(default=-1, init=False)
    _hash: str = field(default=NOTHING, init=False)
    _witnessed: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for entry in read_json_lines(self.path):
            self._index, self._hash = int(entry["index"]), str(entry["hash"])
            if entry["kind"] == WITNESS:
                self._witnessed[entry["facts"]["party"]] = int(entry["facts"]["index"])

    def append(self, kind: str, facts: Mapping[str, Fact], time_s: float) -> None:
        """Write one entry; the first one is preceded by the genesis, which binds actor and key.

        Raises InvariantError for facts that are not names and numbers: rows do not belong into a log.
        """
        for name, fact in facts.items():
            if not isinstance(fact, Fact) or (isinstance(fact, str) and len(fact) > _TEXT):
                raise InvariantError(f"{kind}: {name} is not a name or a number")
        if self._index < 0 and kind != GENESIS:
            self.append(GENESIS, {"key": key_text(self.key)}, time_s)
        entry = {
            "index": self._index + 1,
            "time": round(time_s, 3),
            "actor": self.actor,
            "kind": kind,
            "facts": dict(facts),
            "previous": self._hash,
        }
        digest = hashlib.sha256(entry_bytes(entry)).hexdigest()
        signature = self.key.sign(digest.encode()).hex()
        append_json_line(self.path, {**entry, "hash": digest, "signature": signature})
        self._index, self._hash = self._index + 1, digest

    def signed_head(self) -> dict[str, Any]:
        """The last entry's index and hash, signed: what others write down."""
        signature = self.key.sign(head_bytes(self.actor, self._index, self._hash)).hex()
        return {"index": self._index, "hash": self._hash, "signature": signature}

    def witness(self, party: str, head: Any, roster: Mapping[str, Ed25519PublicKey], time_s: float) -> None:
        """Write down another party's head, once for each; one that it did not sign is written down as false."""
        if not valid_head(party, head, roster):
            self.append("false_head", {"party": str(party)[:_TEXT]}, time_s)
        elif head["index"] > self._witnessed.get(party, -1) and party != self.actor:
            facts = {"party": party, "index": head["index"], "hash": head["hash"], "signature": head["signature"]}
            self.append(WITNESS, facts, time_s)
            self._witnessed[party] = head["index"]


def entry_bytes(entry: Mapping[str, Any]) -> bytes:
    """What an entry's hash covers: all of it but hash and signature."""
    covered = {name: entry[name] for name in ("index", "time", "actor", "kind", "facts", "previous")}
    return json_text(covered).encode()


def head_bytes(party: str, index: int, digest: str) -> bytes:
    """What a party signs as its head."""
    return f"sixfold head 1\n{party}\n{index}\n{digest}".encode()


def valid_head(party: Any, head: Any, roster: Mapping[str, Ed25519PublicKey]) -> bool:
    """Whether it is a head that this party signed, of an entry: that of an empty log says nothing about a later one."""
    match party, head:
        case str(), {"index": int(index), "hash": str(digest), "signature": str(signature)} if party in roster:
            entry = index >= 0 and re.fullmatch("[0-9a-f]{64}", digest) is not None
            return entry and signed_by(roster[party], signature, head_bytes(party, index, digest))
    return False
