"""Promises of fixed_point: sums of encoded values are exact, and nothing wraps or saturates unseen."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.parts.fixed_point import FixedPoint

CODERS = st.builds(FixedPoint, st.sampled_from([32, 64]), st.integers(0, 24), st.integers(1, 100))


@given(st.data(), CODERS)
def test_the_sum_of_encoded_values_is_the_sum_of_the_rounded_ones(data: st.DataObject, coder: FixedPoint) -> None:
    value = st.floats(-coder.limit, coder.limit, allow_subnormal=False)
    rows = data.draw(st.lists(st.lists(value, min_size=3, max_size=3), min_size=1, max_size=coder.parties))
    total = np.zeros(3, dtype=coder.dtype)
    for row in rows:
        total += coder.encode(np.array(row))
    unit = 2**coder.scale_bits
    units = [sum(round(Fraction(x) * unit) for x in column) for column in zip(*rows, strict=True)]
    assert coder.decode(total).tolist() == [float(Fraction(whole)) / unit for whole in units]


@given(CODERS)
def test_as_many_values_at_the_limit_as_there_are_parties_do_not_wrap(coder: FixedPoint) -> None:
    for sign in (1.0, -1.0):
        total = np.zeros(1, dtype=coder.dtype)
        for _ in range(coder.parties):
            total += coder.encode(np.array([sign * coder.limit]))
        whole = int(coder.encode(np.array([coder.limit]))[0])
        assert coder.decode(total)[0] == sign * float(whole * coder.parties) / 2**coder.scale_bits


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(x: float) -> None:
    with pytest.raises(InputError, match="expected finite"):
        FixedPoint(32, 8, 4).encode(np.array([0.0, x]))


@given(CODERS, st.sampled_from([1.0, -1.0]))
def test_what_is_beyond_the_limit_is_refused_and_not_clipped(coder: FixedPoint, sign: float) -> None:
    beyond = np.nextafter(coder.limit, np.inf) + 1 / 2**coder.scale_bits
    with pytest.raises(InputError, match="expected finite ones of at most"):
        coder.encode(np.array([sign * beyond]))


@pytest.mark.parametrize(
    ("x", "whole"), [(0.25, 0), (0.26, 1), (0.75, 2), (-0.25, 0), (-0.26, 2**32 - 1), (3.0, 6), (-3.0, 2**32 - 6)]
)
def test_values_are_rounded_to_the_nearest_unit_and_halves_to_even(x: float, whole: int) -> None:
    assert FixedPoint(32, 1, 3).encode(np.array([x])).tolist() == [whole]


@pytest.mark.parametrize(
    ("ring_bits", "scale_bits", "parties"), [(16, 8, 2), (32, -1, 2), (32, 33, 2), (32, 8, 0), (32, 8, 2**31)]
)
def test_coders_that_cannot_hold_anything_are_refused(ring_bits: int, scale_bits: int, parties: int) -> None:
    with pytest.raises(ConfigError):
        FixedPoint(ring_bits, scale_bits, parties)


def test_shapes_are_kept_and_empty_arrays_are_allowed() -> None:
    coder = FixedPoint(64, 20, 2)
    assert coder.decode(coder.encode(np.ones((2, 3)))).tolist() == np.ones((2, 3)).tolist()
    assert coder.encode(np.zeros(0)).shape == (0,)


def test_only_what_was_encoded_is_decoded() -> None:
    with pytest.raises(InputError, match="expected uint64"):
        FixedPoint(64, 20, 2).decode(np.zeros(3, dtype=np.uint32))
