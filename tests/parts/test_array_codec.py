"""Promises of array_codec: what is packed comes back, and bytes from outside are refused, never executed."""

import contextlib

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sixfold.errors import InputError
from sixfold.parts.array_codec import DEPTH, pack, unpack

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_plain_values_come_back(value: object) -> None:
    data = pack(value)
    assert unpack(data, len(data)) == value


@given(
    st.sampled_from(["f8", "f4", "i8", "i4", "u8", "u4", "u1", "?"]).flatmap(
        lambda kind: arrays(np.dtype(kind), array_shapes(min_dims=0, max_dims=4, max_side=4))
    )
)
def test_arrays_come_back_with_type_and_shape(array: np.ndarray) -> None:
    back = unpack(pack({"a": array}), 10_000)["a"]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == np.ascontiguousarray(array).tobytes()


def test_an_array_from_a_message_may_be_written_to() -> None:
    back = unpack(pack(np.zeros(3)), 100)
    back += 1.0
    assert back.tolist() == [1.0, 1.0, 1.0]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    with contextlib.suppress(InputError):
        unpack(data, 200)


@pytest.mark.parametrize(
    "header",
    [["<f8", [2**40]], ["<f8", [-1]], ["O", [1]], ["<f8", [1, 1, 1, 1, 1]], ["<f8"], "x", ["<f8", ["1"]], ["|V8", [1]]],
)
def test_an_array_whose_header_lies_is_refused(header: object) -> None:
    data = msgpack.packb(msgpack.ExtType(1, msgpack.packb(header) + bytes(8)))
    with pytest.raises(InputError, match="not a packed value"):
        unpack(data, 1000)


@pytest.mark.parametrize("value", [object(), {1: 2}, np.array(["a"]), np.zeros((1,) * 5), 2**70, {"a": {object()}}])
def test_what_cannot_be_packed_is_said(value: object) -> None:
    with pytest.raises(InputError, match="cannot be packed"):
        pack(value)


def test_limits_of_size_and_depth() -> None:
    with pytest.raises(InputError, match="expected at most 4"):
        unpack(pack("long text"), 4)
    nested: object = 1
    for _ in range(DEPTH + 2):
        nested = [nested]
    with pytest.raises(InputError, match="nested deeper"):
        pack(nested)
    with pytest.raises(InputError, match="nested deeper"):
        unpack(msgpack.packb(nested), 1000)
