"""Promises of signed_message: only what the named sender signed for this recipient is opened."""

import tracemalloc

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sixfold.parts.signed_message import SIGNATURE_BYTES, Header, MessageRefused, open_sealed, seal

KEYS = {name: Ed25519PrivateKey.from_private_bytes(name.encode() * 32) for name in "abc"}
ROSTER = {name: key.public_key() for name, key in KEYS.items()}
HEADER = Header("study", "a", "b", "order", 3, 1, 2)


@given(st.binary(max_size=500), st.integers(0, 2**31), st.integers(0, 100))
def test_what_was_sealed_is_opened(body: bytes, round_: int, attempt: int) -> None:
    header = Header("study", "a", "b", "order", round_, attempt, 2)
    assert open_sealed(seal(KEYS["a"], header, body), ROSTER, "b", 10_000) == (header, body)


@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    message = bytearray(seal(KEYS["a"], HEADER, b"the body"))
    at = data.draw(st.integers(0, len(message) - 1))
    message[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MessageRefused):
        open_sealed(bytes(message), ROSTER, "b", 10_000)


@given(st.binary(max_size=200))
def test_bytes_from_nowhere_are_refused(data: bytes) -> None:
    with pytest.raises(MessageRefused):
        open_sealed(data, ROSTER, "b", 10_000)


@pytest.mark.parametrize(
    ("key", "header", "me", "why"),
    [
        ("c", HEADER, "b", "did not sign"),
        ("a", HEADER, "c", "to 'b'"),
        ("a", Header("study", "d", "b", "order", 3, 1, 2), "b", "not in the roster"),
        ("a", Header("study", "a", "b", "order", -1, 1, 2), "b", "out of bounds"),
        ("a", Header("study", "a", "b", "x" * 300, 3, 1, 2), "b", "out of bounds"),
    ],
)
def test_a_message_of_or_for_somebody_else_is_refused(key: str, header: Header, me: str, why: str) -> None:
    with pytest.raises(MessageRefused, match=why):
        open_sealed(seal(KEYS[key], header, b""), ROSTER, me, 10_000)


def test_a_long_message_is_refused_before_it_is_read() -> None:
    with pytest.raises(MessageRefused, match="at most 50"):
        open_sealed(seal(KEYS["a"], HEADER, bytes(100)), ROSTER, "b", 50)


FIELDS: list[object] = ["study", "a", "b", "order", 3, 1, 2, b"the body"]


@pytest.mark.parametrize(
    "fields",
    [
        FIELDS[:-1],
        [*FIELDS, 1],
        [*FIELDS[:-1], [b"the body"]],
        [*FIELDS[:-1], []],
        [*FIELDS[:-1], {}],
        [*FIELDS[:-1], {"body": b""}],
        [*FIELDS[:-1], msgpack.ExtType(5, b"the body")],
        [*FIELDS[:-1], msgpack.Timestamp(0)],
        [*FIELDS[:-1], "the body"],
        [*FIELDS[:-1], None],
        [*FIELDS[:4], 3.0, *FIELDS[5:]],
        dict(enumerate(FIELDS)),
        b"the body",
    ],
)
def test_what_is_signed_but_not_a_header_and_a_body_is_refused(fields: object) -> None:
    content: bytes = msgpack.packb(fields)
    signature = KEYS["a"].sign(b"sixfold message 1\0" + content)
    with pytest.raises(MessageRefused, match="not a message"):
        open_sealed(signature + content, ROSTER, "b", 10_000)


@pytest.mark.parametrize("cut", [1, 8, -1])
def test_a_message_with_something_missing_or_behind_it_is_refused(cut: int) -> None:
    content = seal(KEYS["a"], HEADER, b"the body")[SIGNATURE_BYTES:]
    content = content[:-cut] if cut > 0 else content + b"\0"
    signature = KEYS["a"].sign(b"sixfold message 1\0" + content)
    with pytest.raises(MessageRefused, match="not a message"):
        open_sealed(signature + content, ROSTER, "b", 10_000)


@pytest.mark.parametrize("first", [b"\xdd" + (1 << 20).to_bytes(4, "big"), b"\x98", b"\x98\x98", b"\x98" * 500])
@pytest.mark.parametrize("each", [b"\x80", b"\x90", b"\x98"])
def test_bytes_of_nobody_take_little_more_memory_than_they_have(first: bytes, each: bytes) -> None:
    data = bytes(SIGNATURE_BYTES) + first + each * (1 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(MessageRefused, match="not a message"):
            open_sealed(data, ROSTER, "b", 1 << 21)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * len(data)
