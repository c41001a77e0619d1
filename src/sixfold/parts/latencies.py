"""Durations in a high-dynamic-range histogram: every quantile to three digits, in memory that does not grow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sixfold.errors import ConfigError

if TYPE_CHECKING:
    from hdrh.histogram import HdrHistogram

__all__ = ["LONGEST_S", "Latencies"]

LONGEST_S = 3_600.0  # what takes longer counts as this
_UNITS_PER_S = 1_000_000
_DIGITS = 3


class Latencies:
    """Durations from a microsecond to an hour (G. Tene's HdrHistogram); those of several processes can be added up."""

    def __init__(self) -> None:
        from hdrh.histogram import HdrHistogram

        self._histogram: HdrHistogram = HdrHistogram(1, int(LONGEST_S * _UNITS_PER_S), _DIGITS)
        self._total_us = 0  # of all durations: the library's mean walks over every bucket

    def record(self, duration_s: float) -> None:
        """Add one duration, at least 0."""
        duration_us = max(1, round(min(duration_s, LONGEST_S) * _UNITS_PER_S))
        self._histogram.record_value(duration_us)
        self._total_us += duration_us

    def add(self, other: Latencies) -> None:
        """Add all that `other` holds."""
        self._histogram.add(other._histogram)
        self._total_us += other._total_us

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._histogram.get_total_count())

    def quantile_s(self, q: float) -> float:
        """The duration that a share `q` of all does not exceed, within 0.1 %; NaN when there are none."""
        return self._quantiles_s([q])[0]

    def _quantiles_s(self, levels: Sequence[float]) -> list[float]:
        """Several quantiles for one pass over the histogram, which is most of the work."""
        for q in levels:
            if not 0 <= q <= 1:
                raise ConfigError(f"q: got {q}, expected 0 to 1")
        if not self.count:
            return [math.nan] * len(levels)
        # the library would round the rank: p90 of six would leave out the slowest
        percents = [100 * max(1, math.ceil(q * self.count)) / self.count for q in levels]
        values = self._histogram.get_percentile_to_value_dict(percents)
        return [float(values[percent]) / _UNITS_PER_S for percent in percents]

    @property
    def longest_s(self) -> float:
        """The longest of all, within 0.1 %; NaN when there are none."""
        return self.quantile_s(1.0)

    @property
    def mean_s(self) -> float:
        """The mean; NaN when there are none."""
        return self._total_us / self.count / _UNITS_PER_S if self.count else math.nan

    def to_json(self) -> dict[str, Any]:
        """Count, mean and the quantiles that services are judged by, in seconds; None where there is nothing."""
        quantiles = {"p50_s": 0.5, "p90_s": 0.9, "p99_s": 0.99, "p99.9_s": 0.999, "max_s": 1.0}
        found_s = self._quantiles_s(list(quantiles.values()))
        values = {"mean_s": self.mean_s} | dict(zip(quantiles, found_s, strict=True))
        return {"count": self.count} | {name: None if math.isnan(v) else v for name, v in values.items()}

    def encode(self) -> bytes:
        """The whole histogram in HdrHistogram's interchange format."""
        return bytes(self._histogram.encode())
