"""Messages between parties that know one another's keys: signed, addressed, bound to one place in a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass

import msgpack
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sixfold.errors import UserError

__all__ = ["SIGNATURE_BYTES", "Header", "MessageRefused", "open_sealed", "seal"]

SIGNATURE_BYTES = 64
_TEXT = 200  # letters of a name
_FIELDS = 8  # the header's seven and the body
_PURPOSE = b"sixfold message 1\0"  # what these signatures are for: nothing else that a key signs begins like this


class MessageRefused(UserError):  # noqa: N818  not always a mistake of anybody
    """A message is not from whom, to whom or for what it should be; it is not answered."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a body is and where it belongs. kind: text that both sides know. round, attempt, phase: from 0."""

    federation: str
    sender: str
    recipient: str
    kind: str
    round: int
    attempt: int
    phase: int


def seal(key: Ed25519PrivateKey, header: Header, body: bytes) -> bytes:
    """The message: a signature, then header and body."""
    content: bytes = msgpack.packb([*astuple(header), body], use_bin_type=True)
    return key.sign(_PURPOSE + content) + content


def open_sealed(data: bytes, keys: Mapping[str, Ed25519PublicKey], me: str, limit_bytes: int) -> tuple[Header, bytes]:
    """The header and body of a message to `me`, from one of those whose `keys` are known.

    Raises MessageRefused for one that is too long, not a message, not signed by its sender, or for somebody else.
    """
    if len(data) > limit_bytes:
        raise MessageRefused(f"got a message of {len(data)} bytes, expected at most {limit_bytes}")
    signature, content = data[:SIGNATURE_BYTES], data[SIGNATURE_BYTES:]
    match _fields(content):
        case [str(federation), str(sender), str(to), str(kind), int(round_), int(attempt), int(phase), bytes(body)]:
            header = Header(federation, sender, to, kind, round_, attempt, phase)
        case _:
            raise MessageRefused("got bytes that are not a message")
    if max(map(len, (federation, sender, to, kind))) > _TEXT or min(round_, attempt, phase) < 0:
        raise MessageRefused("got a header that is out of bounds")
    if sender not in keys:
        raise MessageRefused(f"got a message of {sender!r}, who is not in the roster")
    try:
        keys[sender].verify(signature, _PURPOSE + content)
    except InvalidSignature:
        raise MessageRefused(f"got a message that {sender} did not sign") from None
    if to != me:
        raise MessageRefused(f"got a message to {to!r}, expected one to {me}")
    return header, body


def _fields(content: bytes) -> list[object]:
    """What stands in a flat array of eight; nothing of it is trusted yet, so lists in it may hold nothing.

    Bytes of which each is an empty list or map would take seventy times their length in memory.
    """
    if content[:1] != bytes([0x90 + _FIELDS]):  # an array of so many, in msgpack
        return []
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=len(content), max_array_len=0, max_map_len=0, max_ext_len=0)
    unpacker.feed(memoryview(content)[1:])
    try:
        fields = [unpacker.unpack() for _ in range(_FIELDS)]
    except (ValueError, msgpack.UnpackException):
        return []
    return fields if unpacker.tell() == len(content) - 1 else []
