"""Durations in a high-dynamic-range histogram: every quantile to three digits, in memory that does not grow."""

from __future__ import annotations

import math
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

    def record(self, duration_s: float) -> None:
        """Add one duration, at least 0."""
        self._histogram.record_value(max(1, round(min(duration_s, LONGEST_S) * _UNITS_PER_S)))

    def add(self, other: Latencies) -> None:
        """Add all that `other` holds."""
        self._histogram.add(other._histogram)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._histogram.get_total_count())

    def quantile_s(self, q: float) -> float:
        """The duration that a share `q` of all does not exceed, within 0.1 %; NaN when there are none."""
        if not 0 <= q <= 1:
            raise ConfigError(f"q: got {q}, expected 0 to 1")
        if not self.count:
            return math.nan
        rank = max(1, math.ceil(q * self.count))  # the library would round it: p90 of six would leave out the slowest
        return float(self._histogram.get_value_at_percentile(100 * rank / self.count)) / _UNITS_PER_S

    @property
    def longest_s(self) -> float:
        """The longest of all, within 0.1 %; NaN when there are none."""
        return self.quantile_s(1.0)

    @property
    def mean_s(self) -> float:
        """The mean, within 0.1 %; NaN when there are none."""
        return float(self._histogram.get_mean_value()) / _UNITS_PER_S if self.count else math.nan

    def to_json(self) -> dict[str, Any]:
        """Count, mean and the quantiles that services are judged by, in seconds; None where there is nothing."""
        quantiles = {"p50_s": 0.5, "p90_s": 0.9, "p99_s": 0.99, "p99.9_s": 0.999, "max_s": 1.0}
        values = {"mean_s": self.mean_s} | {name: self.quantile_s(q) for name, q in quantiles.items()}
        return {"count": self.count} | {name: None if math.isnan(v) else v for name, v in values.items()}

    def encode(self) -> bytes:
        """The whole histogram in HdrHistogram's interchange format."""
        return bytes(self._histogram.encode())
