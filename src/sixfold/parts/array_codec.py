"""Plain values and arrays as bytes, for messages and checkpoints: MessagePack with one extra type, read strictly."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np

from sixfold.errors import InputError

__all__ = ["DEPTH", "pack", "unpack"]

_ARRAY = 1  # the MessagePack extension type of an array: its header, packed, and its bytes
_DTYPES = ("<f8", "<f4", "<i8", "<i4", "<u8", "<u4", "|u1", "|b1")
_DIMENSIONS = 4
DEPTH = 16  # of nested lists and mappings


def pack(value: Any) -> bytes:
    """Bytes of None, bools, whole numbers, floats, text, bytes, lists, mappings with text keys, and arrays of numbers.

    Raises InputError for anything else. Equal values give equal bytes if their mappings are in the same order.
    """
    try:
        data: bytes = msgpack.packb(_plain(value, DEPTH), use_bin_type=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"cannot be packed: {error}") from None
    return data


def unpack(data: bytes, limit_bytes: int) -> Any:
    """The value of `pack`; InputError when the bytes are more than the limit or not ours, whatever they contain."""
    if len(data) > limit_bytes:
        raise InputError(f"got {len(data)} bytes, expected at most {limit_bytes}")
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=True, ext_hook=_array)  # its limits follow the length
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise InputError(f"not a packed value: {str(error)[:120]}") from None
    _shallow(value, DEPTH)
    return value


def _plain(value: Any, depth: int) -> Any:
    if depth < 0:
        raise ValueError(f"nested deeper than {DEPTH}")
    if isinstance(value, np.ndarray):
        whole = np.ascontiguousarray(value)
        kind = whole.dtype.newbyteorder("<").str if whole.dtype.itemsize > 1 else whole.dtype.str
        if kind not in _DTYPES or value.ndim > _DIMENSIONS:
            raise ValueError(f"an array of {value.dtype} with {value.ndim} dimensions")
        header = msgpack.packb([kind, list(value.shape)])
        return msgpack.ExtType(_ARRAY, header + whole.astype(kind, copy=False).tobytes())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a key that is not text")
        return {key: _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise TypeError(f"a {type(value).__name__}")


def _array(code: int, data: bytes) -> np.ndarray[Any, np.dtype[Any]]:
    if code != _ARRAY:
        raise ValueError(f"extension type {code}")
    reader = msgpack.Unpacker(max_buffer_size=max(1, len(data)))
    reader.feed(data)
    header = reader.unpack()
    match header:
        case [str(kind), [*shape]] if kind in _DTYPES and len(shape) <= _DIMENSIONS:
            if not all(isinstance(n, int) and n >= 0 for n in shape):
                raise ValueError("the shape of an array")
        case _:
            raise ValueError("the header of an array")
    # the length is checked by numpy: a header cannot make it allocate more than what was sent
    return np.frombuffer(data, dtype=kind, offset=reader.tell()).reshape(shape).copy()


def _shallow(value: Any, depth: int) -> None:
    if depth < 0:
        raise InputError(f"not a packed value: nested deeper than {DEPTH}")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise InputError("not a packed value: a key that is not text")
        for item in value.values():
            _shallow(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _shallow(item, depth - 1)
