"""What every law demands of its arguments: finite numbers in their range, as arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Floats", "at_least", "positive", "within"]

Floats = NDArray[np.float64]


def within(name: str, value: ArrayLike, low: float, high: float) -> Floats:
    """Return the value as an array; ValueError when any of it is outside [low, high] or not a number."""
    array = np.asarray(value, dtype=np.float64)
    if not np.all((array >= low) & (array <= high)):
        raise ValueError(f"got {name}={value!r}, expected {low:g} to {high:g}")
    return array


def at_least(name: str, value: ArrayLike, low: float) -> Floats:
    """Return the value as an array; ValueError when any of it is below `low` or not finite."""
    array = np.asarray(value, dtype=np.float64)
    if not np.all(np.isfinite(array) & (array >= low)):
        raise ValueError(f"got {name}={value!r}, expected finite and at least {low:g}")
    return array


def positive(name: str, value: ArrayLike) -> Floats:
    """Return the value as an array; ValueError when any of it is not above 0 or not finite."""
    array = np.asarray(value, dtype=np.float64)
    if not np.all(np.isfinite(array) & (array > 0.0)):
        raise ValueError(f"got {name}={value!r}, expected finite and above 0")
    return array
