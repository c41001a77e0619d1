"""One entry of a log: its exact text, what its hash covers, and what ties it to the entry before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sixfold.files import json_text
from sixfold.systems.hospital.keys import key_text

__all__ = ["GENESIS", "NOTHING", "WITNESS", "entry_bytes", "entry_from", "faults"]

GENESIS = "genesis"
WITNESS = "witness"
NOTHING = "0" * 64  # stands before the first entry
_COVERED = ("index", "time", "actor", "kind", "facts", "previous")


def entry_bytes(entry: Mapping[str, Any]) -> bytes:
    """What an entry's hash covers: all of it but hash and signature."""
    return json_text({name: entry[name] for name in _COVERED}).encode()


def entry_from(text: bytes) -> dict[str, Any] | None:
    """An entry exactly as it was written; JSON that says the same in other letters is not the entry."""
    try:
        entry = json.loads(text)
        if json_text(entry).encode() != text:
            return None
    except (ValueError, RecursionError):  # also of letters that are not Unicode, and of brackets without end
        return None
    if not isinstance(entry, dict) or entry.keys() != {*_COVERED, "hash", "signature"}:
        return None
    texts = all(isinstance(entry[name], str) for name in ("actor", "kind", "previous", "hash", "signature"))
    numbers = isinstance(entry["index"], int) and isinstance(entry["time"], int | float)
    return entry if texts and numbers and isinstance(entry["facts"], dict) else None


def faults(
    entry: Mapping[str, Any], index: int, before: Mapping[str, Any] | None, actor: str, key: Ed25519PublicKey
) -> list[str]:
    """Why it is not this actor's entry of this index after that one; its signature is not looked at."""
    checks = (
        (f"index {entry['index']}, expected {index}", entry["index"] != index),
        ("it does not follow the entry before it", entry["previous"] != (before["hash"] if before else NOTHING)),
        ("its hash is not that of what it says", entry["hash"] != hashlib.sha256(entry_bytes(entry)).hexdigest()),
        (f"an entry of {entry['actor']}", entry["actor"] != actor),
        (
            "it does not begin with the genesis of this party",
            index == 0 and (entry["kind"] != GENESIS or entry["facts"].get("key") != key_text(key)),
        ),
    )
    return [what for what, broken in checks if broken]
