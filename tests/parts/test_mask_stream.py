"""Promises of mask_stream: masks are the keystream of a real cipher, and what is added can be taken off again."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import InvariantError
from sixfold.parts.mask_stream import add_masks

KEYS = st.lists(st.binary(min_size=32, max_size=32), max_size=4, unique=True)


@pytest.mark.parametrize("dtype", ["<u4", "<u8"])
@pytest.mark.parametrize("length", [1, 3, 1_000, 70_001, 140_000])  # below and beyond one buffer
def test_a_mask_is_aes_256_of_the_counter(dtype: str, length: int) -> None:
    key = bytes(range(32))
    values = np.zeros(length, dtype=dtype)
    add_masks(values, [key])
    blocks = -(-values.nbytes // 16)
    counters = b"".join(block.to_bytes(16, "big") for block in range(blocks))
    encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    assert values.tobytes() == encrypt.update(counters)[: values.nbytes]


@given(KEYS, KEYS, st.sampled_from(["<u4", "<u8"]), st.integers(1, 50))
def test_masks_that_are_added_and_subtracted_leave_the_values(
    added: list[bytes], subtracted: list[bytes], dtype: str, length: int
) -> None:
    values = np.arange(length, dtype=dtype) - np.array(3, dtype=dtype)
    masked = values.copy()
    add_masks(masked, added, subtracted)
    add_masks(masked, subtracted, added)
    assert masked.tolist() == values.tolist()


def test_two_parties_of_a_pair_cancel() -> None:
    one, other = np.full(5, 7, dtype="<u4"), np.full(5, 2**32 - 2, dtype="<u4")
    add_masks(one, [b"k" * 32])
    add_masks(other, (), [b"k" * 32])
    assert (one + other).tolist() == [5] * 5


def test_keys_that_agree_in_32_bits_or_in_their_folded_words_give_unrelated_masks() -> None:
    base = np.arange(8, dtype="<u4")
    same_low = base.copy()
    same_low[7] ^= 1
    same_fold = base.copy()  # the exclusive or of all eight words is the same
    same_fold[[0, 1]] ^= 1 << 9
    masks = []
    for key in (base, same_low, same_fold):
        mask = np.zeros(4_096, dtype="<u4")
        add_masks(mask, [key.tobytes()])
        masks.append(mask)
    for other in masks[1:]:
        differing_bits = np.bitwise_count(masks[0] ^ other).mean()
        assert abs(differing_bits - 16) < 0.3


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(4, dtype="<i4"),
        np.zeros(4, dtype=">u4"),
        np.zeros(4, dtype=np.float64),
        np.zeros((2, 2), dtype="<u4"),
        np.zeros(8, dtype="<u4")[::2],
    ],
)
def test_other_arrays_are_refused(values: np.ndarray) -> None:
    with pytest.raises(InvariantError, match="contiguous"):
        add_masks(values, [bytes(32)])


@pytest.mark.parametrize("size", [0, 4, 16, 31, 33])
def test_short_keys_are_refused(size: int) -> None:
    with pytest.raises(InvariantError, match="key"):
        add_masks(np.zeros(4, dtype="<u4"), [bytes(size)])
