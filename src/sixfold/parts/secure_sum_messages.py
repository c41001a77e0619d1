"""Messages of a secure sum as bytes: fixed sizes, signed, bound to their plan, step and sender.

    advert          signature, public key for masks, public key for shares, commitment to the own mask's seed
    shares          signature, (number of the receiver, two encrypted shares) ...
    masked          signature, set of the neighbours whose masks are in it, vector; signed: set and hash of the vector
    confirmation    signature under the set of survivors
    unmasking       signature, (number of the owner, share) ...

The server forwards: records of (number of the sender, advert); of (number of the sender, two encrypted shares); the
confirmations with the first parts of neighbours' masked vectors. A set is a bit for each party of the plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from enum import IntEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sixfold.parts.secure_sum_plan import SecureSumPlan, SecureSumRefused
from sixfold.parts.shamir import SHARE_BYTES

__all__ = [
    "ADVERT_BYTES",
    "KEY_BYTES",
    "SEALED_BYTES",
    "SIGNATURE_BYTES",
    "Step",
    "joined",
    "joined_confirmations",
    "masked_head",
    "masked_statement",
    "names_of",
    "opened",
    "parted",
    "parted_confirmations",
    "set_bytes",
    "set_of",
    "signed",
]

SIGNATURE_BYTES = 64
KEY_BYTES = 32
DIGEST_BYTES = 32
ADVERT_BYTES = SIGNATURE_BYTES + 2 * KEY_BYTES + DIGEST_BYTES
SEALED_BYTES = 2 * SHARE_BYTES + 16  # with the tag of AES-GCM
_NUMBER_BYTES = 2


class Step(IntEnum):
    """What a signature is under: a message of one step is not one of another."""

    ADVERT = 1
    SHARES = 2
    MASKED = 3
    CONFIRMATION = 4
    UNMASKING = 5


def signed(key: Ed25519PrivateKey, plan: SecureSumPlan, step: Step, sender: str, statement: bytes) -> bytes:
    """The signature under a statement."""
    return key.sign(_text(plan, step, sender, statement))


def opened(
    roster: Mapping[str, Ed25519PublicKey], plan: SecureSumPlan, step: Step, sender: str, data: bytes, size: int
) -> bytes:
    """The statement of a message that starts with its signature and is `size` bytes long in all."""
    if not isinstance(data, bytes) or len(data) != size:
        got = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise SecureSumRefused(f"{sender}: got {got} as {step.name.lower()}, expected {size} bytes")
    statement = data[SIGNATURE_BYTES:]
    try:
        roster[sender].verify(data[:SIGNATURE_BYTES], _text(plan, step, sender, statement))
    except InvalidSignature:
        raise SecureSumRefused(
            f"{sender}: the {step.name.lower()} is not signed by {sender} for this session: replayed or changed"
        ) from None
    return statement


def _text(plan: SecureSumPlan, step: Step, sender: str, statement: bytes) -> bytes:
    number = plan.numbers[sender].to_bytes(_NUMBER_BYTES, "big")  # its name is in the digest
    return b"sixfold secure sum 1\0" + plan.digest + bytes([step]) + number + statement


def set_bytes(plan: SecureSumPlan) -> int:
    """Of a set of parties."""
    return (len(plan.parties) + 7) // 8


def set_of(plan: SecureSumPlan, names: Iterable[str]) -> bytes:
    """A set of parties, as bytes."""
    return sum(1 << plan.numbers[name] for name in set(names)).to_bytes(set_bytes(plan), "little")


def names_of(plan: SecureSumPlan, data: bytes) -> tuple[str, ...]:
    """The parties of a set, in their order."""
    bits = int.from_bytes(data, "little")
    if len(data) != set_bytes(plan) or bits >> len(plan.parties):
        raise SecureSumRefused(f"got a set of {len(data)} bytes that is not one of {len(plan.parties)} parties")
    return tuple(name for at, name in enumerate(plan.parties) if bits >> at & 1)


def joined(plan: SecureSumPlan, items: Mapping[str, bytes]) -> bytes:
    """One item of each of some parties, all of the same size."""
    numbers = plan.numbers
    return b"".join(numbers[name].to_bytes(_NUMBER_BYTES, "big") + items[name] for name in sorted(items))


def parted(plan: SecureSumPlan, data: bytes, size: int, allowed: Collection[str], what: str) -> dict[str, bytes]:
    """What was joined: at most one item of `size` bytes of each party that is allowed."""
    step = _NUMBER_BYTES + size
    if not isinstance(data, bytes) or len(data) % step or len(data) > step * len(allowed):
        got = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise SecureSumRefused(f"got {got} of {what}, expected at most {len(allowed)} times {step} bytes")
    items, last = dict[str, bytes](), -1
    for start in range(0, len(data), step):
        number = int.from_bytes(data[start : start + _NUMBER_BYTES], "big")
        if not last < number < len(plan.parties) or plan.parties[number] not in allowed:
            raise SecureSumRefused(f"got {what} of party number {number}: out of order, or not one that is expected")
        items[plan.parties[number]] = data[start + _NUMBER_BYTES : start + step]
        last = number
    return items


def masked_statement(partners: bytes, vector: memoryview) -> bytes:
    """What is signed of a masked vector: whose masks are in it, as a set, and the hash of it."""
    return partners + hashlib.sha256(vector).digest()


def masked_head(plan: SecureSumPlan) -> int:
    """Bytes of a signed statement of a masked vector."""
    return SIGNATURE_BYTES + set_bytes(plan) + DIGEST_BYTES


def joined_confirmations(
    plan: SecureSumPlan, confirmations: Mapping[str, bytes], statements: Mapping[str, bytes]
) -> bytes:
    """Confirmations by their signers, and the signed statements of masked vectors of a receiver's partners."""
    return len(confirmations).to_bytes(2, "big") + joined(plan, confirmations) + joined(plan, statements)


def parted_confirmations(
    plan: SecureSumPlan, data: bytes, survivors: Collection[str], partners: Collection[str]
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What was joined; signers are survivors, statements are of partners."""
    head = 2
    if not isinstance(data, bytes) or len(data) < head:
        raise SecureSumRefused("got nothing, expected confirmations")
    split = head + int.from_bytes(data[:head], "big") * (_NUMBER_BYTES + SIGNATURE_BYTES)
    confirmations = parted(plan, data[head:split], SIGNATURE_BYTES, survivors, "confirmations")
    return confirmations, parted(plan, data[split:], masked_head(plan), partners, "masked vectors")
