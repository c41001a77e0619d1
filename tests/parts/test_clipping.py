"""Promises of clipping: rows are no longer than the bound, short ones stay, and the sensitivity covers rounding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sixfold.errors import ConfigError, InputError
from sixfold.parts.clipping import clip_rows, integer_sensitivity

ROWS = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.floats(-1e6, 1e6))


@given(ROWS, st.floats(1e-3, 1e3))
def test_long_rows_get_the_norm_and_short_ones_stay(rows: np.ndarray, norm: float) -> None:
    clipped, share = clip_rows(rows, norm)
    before, after = np.linalg.norm(rows, axis=1), np.linalg.norm(clipped, axis=1)
    assert (after <= norm * (1 + 1e-12)).all()
    short = before <= norm
    assert (clipped[short] == rows[short]).all()
    assert after[~short] == pytest.approx(norm)
    assert share == pytest.approx((~short).mean())
    along = np.sum(clipped * rows, axis=1)  # the direction stays
    assert along == pytest.approx(after * before, rel=1e-9, abs=1e-300)


def test_no_rows_are_no_rows() -> None:
    clipped, share = clip_rows(np.zeros((0, 3)), 1.0)
    assert clipped.shape == (0, 3)
    assert share == 0.0


@pytest.mark.parametrize("norm", [0.0, -1.0, float("inf"), float("nan")])
def test_a_norm_that_bounds_nothing_is_refused(norm: float) -> None:
    with pytest.raises(ConfigError, match="clipping norm"):
        clip_rows(np.ones((1, 1)), norm)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e200])  # the square of the last is infinite
def test_a_row_that_no_scaling_bounds_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="row 1 has the length"):
        clip_rows(np.array([[1.0], [bad]]), 1.0)


@given(st.integers(0, 2**31), st.floats(0.01, 10), st.integers(1, 8), st.integers(1, 30), st.booleans())
def test_one_record_moves_a_rounded_sum_by_no_more_than_the_sensitivity(
    seed: int, clip: float, scale_bits: int, dimensions: int, halves: bool
) -> None:
    rng = np.random.default_rng(seed)
    scale, rows = 2.0**scale_bits, rng.normal(size=(20, dimensions)) * clip
    if halves:  # as far from a whole number as can be: rounding moves each coordinate most
        rows[:-1] = (np.floor(rows[:-1] * scale) + 0.5) / scale
    clipped, _ = clip_rows(rows, clip)
    with_, without = clipped.sum(axis=0), clipped[:-1].sum(axis=0)
    moved = np.rint(with_ * scale) - np.rint(without * scale)
    assert np.linalg.norm(moved) <= integer_sensitivity(clip, scale, dimensions)


def test_the_bound_is_nearly_reached() -> None:
    """Every coordinate just over one half: a little more of each rounds up to a whole unit more."""
    dimensions, scale = 400, 1.0
    without = np.full(dimensions, 0.49)
    record = np.full(dimensions, 0.02)
    moved = np.rint(without + record) - np.rint(without)
    bound = integer_sensitivity(float(np.linalg.norm(record)), scale, dimensions)
    assert 0.95 * bound < np.linalg.norm(moved) <= bound
