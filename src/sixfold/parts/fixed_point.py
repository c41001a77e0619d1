"""Numbers as whole numbers modulo 2^ring_bits, so that a sum of them is exact and can be masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError

__all__ = ["FixedPoint"]


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """x becomes the whole number nearest to x 2^scale_bits; negative ones are in two's complement.

    parties: how many values are summed at most. Noise that is added to an encoded value uses up the same headroom.
    Raises ConfigError when not even one unit of each party would fit.
    """

    ring_bits: int
    scale_bits: int
    parties: int

    def __post_init__(self) -> None:
        if self.ring_bits not in (32, 64):
            raise ConfigError(f"got ring_bits={self.ring_bits}, expected 32 or 64")
        if not 0 <= self.scale_bits <= self.ring_bits or self.parties < 1:
            raise ConfigError(
                f"got scale_bits={self.scale_bits}, parties={self.parties}, expected 0 to {self.ring_bits}, 1 or more"
            )
        if self._most < 1:
            raise ConfigError(f"{self.parties} parties do not fit into {self.ring_bits} bits: use a larger ring")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of encoded values: unsigned, little endian."""
        return np.dtype(f"<u{self.ring_bits // 8}")

    @property
    def limit(self) -> float:
        """The largest |x| that can be encoded: sums of as many values as there are parties cannot wrap."""
        return self._most_float / 2.0**self.scale_bits

    def encode(self, x: NDArray[np.float64]) -> NDArray[Any]:
        """Whole numbers of the same shape; InputError for what is not finite or beyond the limit: nothing saturates."""
        scaled = np.rint(np.asarray(x, dtype=np.float64) * 2.0**self.scale_bits)
        largest = float(np.max(np.abs(scaled), initial=0.0))
        if not largest <= self._most_float:  # also true of NaN
            raise InputError(
                f"got a value of magnitude {largest / 2.0**self.scale_bits:g}, expected finite ones of at most "
                f"{self.limit:g}: {self.parties} values of {self.ring_bits} bits at 2^-{self.scale_bits} hold no more"
            )
        return scaled.astype(np.int64).astype(self.dtype)

    def decode(self, total: NDArray[Any]) -> NDArray[np.float64]:
        """What a sum of encoded values stands for: exact up to 2^53 units, the nearest float64 beyond.

        Raises InputError for another type of array than `encode` gives.
        """
        if total.dtype != self.dtype:
            raise InputError(f"got an array of {total.dtype}, expected {self.dtype}")
        signed = total.view(f"<i{self.ring_bits // 8}")
        return signed.astype(np.float64) / 2.0**self.scale_bits

    @property
    def _most(self) -> int:
        """Units of one party."""
        return int((2 ** (self.ring_bits - 1) - 1) // self.parties)

    @property
    def _most_float(self) -> float:
        """The largest float64 that is not above it."""
        most = float(self._most)
        return most if int(most) <= self._most else float(np.nextafter(most, 0.0))
