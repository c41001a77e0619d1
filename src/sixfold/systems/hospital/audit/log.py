"""What a party did, in the order in which it did it: a chain of signed entries that others witness."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sixfold.errors import InputError, InvariantError
from sixfold.files import append_json_line
from sixfold.systems.hospital.audit.entry import GENESIS, NOTHING, WITNESS, entry_bytes, entry_from, faults
from sixfold.systems.hospital.keys import key_text, signed_by

__all__ = ["AuditLog", "head_bytes", "valid_head"]

_TEXT = 400  # letters of a fact

Fact = str | int | float | bool


@dataclass(slots=True)
class AuditLog:
    """An append-only file of JSON lines {index, time, actor, kind, facts, previous, hash, signature}.

    Each entry's hash covers the one before; the actor signs the hash. A party that rewrites its past changes its head,
    which others have written into their own logs (`witness`). Facts are counts and names, never records. Opening one
    whose chain is broken raises InputError with its line: what is appended to it could never be verified.
    """

    path: Path
    key: Ed25519PrivateKey
    actor: str
    _index: int = field(default=-1, init=False)
    _hash: str = field(default=NOTHING, init=False)
    _on_disk: int = field(default=-1, init=False)  # the last entry that is sure to outlive a power cut
    _witnessed: set[tuple[str, int, str]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        before = None
        for line, text in enumerate(_whole_lines(self.path), start=1):
            entry = entry_from(text)
            found = ["not an entry of a log"]
            if entry is not None:
                found = faults(entry, line - 1, before, self.actor, self.key.public_key())
            if entry is None or found:
                what = f"{found[0]}: this log was changed or damaged, and nothing is appended to it: verify it first"
                raise InputError(what, path=self.path, line=line)
            self._index, self._hash, before = line - 1, entry["hash"], entry
            match entry:
                case {"kind": "witness", "facts": {"party": str(party), "index": int(index), "hash": str(digest)}}:
                    self._witnessed.add((party, index, digest))

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

    def sync(self) -> None:
        """Have all entries on the disk, at once; does nothing when they are."""
        if self._on_disk == self._index:
            return
        _sync(self.path)
        if self._on_disk < 0:
            _sync(self.path.parent)  # a new file's name
        self._on_disk = self._index

    def signed_head(self) -> dict[str, Any]:
        """The last entry's index and hash, signed: what others write down.

        All entries are on the disk before: a party whose power is cut would otherwise come back with another past than
        the one that it signed.
        """
        self.sync()
        signature = self.key.sign(head_bytes(self.actor, self._index, self._hash)).hex()
        return {"index": self._index, "hash": self._hash, "signature": signature}

    def witness(self, party: str, head: Any, roster: Mapping[str, Ed25519PublicKey], time_s: float) -> None:
        """Write down another party's head, once for each; one that it did not sign is written down as false.

        Two of one index are both written down: they show that the party keeps two logs.
        """
        if not valid_head(party, head, roster):
            self.append("false_head", {"party": str(party)[:_TEXT]}, time_s)
        elif (seen := (party, head["index"], head["hash"])) not in self._witnessed and party != self.actor:
            facts = {"party": party, "index": head["index"], "hash": head["hash"], "signature": head["signature"]}
            self.append(WITNESS, facts, time_s)
            self._witnessed.add(seen)


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


def _whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of a log without the torn last one of a killed writer, which the next entry cuts off."""
    try:
        *lines, tail = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    yield from lines
    try:
        json.loads(tail)
    except ValueError:
        return
    yield tail  # whole but for its newline


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
