"""When to ask a second replica: after the first has taken longer than most do (Dean & Barroso, The tail at scale,
CACM 56(2), 2013, "hedged requests"). No clock and no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from sixfold.errors import ConfigError

__all__ = ["Hedging"]

_WINDOW = 256  # latest answers that the quantile is of
_FEWEST = 20  # before that many were seen nothing is known of the tail
_EVERY = 16  # answers after which the quantile is computed anew


@dataclass
class Hedging:
    """The latency of one group of replicas, and how often the second of them may be asked.

    quantile: of the latencies seen, after which a second request goes out. most_extra: second requests a first one,
    on average; without a bound hedges would double the load when all replicas are slow.
    """

    quantile: float = 0.95
    most_extra: float = 0.1
    _seen_s: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW), init=False)
    _delay_s: float | None = field(default=None, init=False)
    _since: int = field(default=0, init=False)
    _tokens: float = field(default=1.0, init=False)

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1 or not 0 <= self.most_extra <= 1:
            raise ConfigError(
                f"got quantile={self.quantile}, most_extra={self.most_extra}, expected within (0, 1) and [0, 1]"
            )

    def record(self, latency_s: float) -> None:
        """A first request was answered after this long."""
        self._seen_s.append(latency_s)
        self._tokens = min(_WINDOW * self.most_extra, self._tokens + self.most_extra)
        self._since += 1
        if len(self._seen_s) >= _FEWEST and (self._delay_s is None or self._since >= _EVERY):
            self._delay_s, self._since = float(np.quantile(self._seen_s, self.quantile)), 0

    @property
    def known(self) -> bool:
        """Whether enough answers were seen to tell what is late."""
        return self._delay_s is not None

    @property
    def delay_s(self) -> float | None:
        """After how long to ask a second replica; None: not yet known, or hedged too often of late."""
        return self._delay_s if self._tokens >= 1 else None

    def spend(self) -> None:
        """A second request goes out."""
        self._tokens -= 1
