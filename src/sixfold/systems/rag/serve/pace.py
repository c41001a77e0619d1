"""How long the steps of an answer take at present, as the service sees it: what `degrade.plan` reckons with."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from sixfold.systems.rag.serve.degrade import Costs

__all__ = ["Pace"]

_WINDOW = 128
_FORGOTTEN_AFTER_S = 30.0
# Until a step has been seen: of a small index and the embedded model on two cores.
_FIRST_S = {"shards": 0.02, "rerank": 0.1, "extract": 0.05, "generation": 1.5}
_READING_SHARE = 0.5


class Pace:
    """The latest durations of each step. Old ones are forgotten, so that what was left out once is tried again."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, float]]] = {}  # when, and how long

    def record(self, step: str, duration_s: float) -> None:
        """A step took this long."""
        self._seen.setdefault(step, deque(maxlen=_WINDOW)).append((time.monotonic(), duration_s))

    def quantile_s(self, step: str, q: float) -> float:
        """Of the latest durations of a step."""
        since = time.monotonic() - _FORGOTTEN_AFTER_S
        seen = [duration_s for at_s, duration_s in self._seen.get(step, ()) if at_s >= since]
        return float(np.quantile(seen, q)) if seen else _FIRST_S[step]

    def costs(self, model_wait_s: float = 0.0) -> Costs:
        """What the steps are expected to take; model_wait_s: until the language model has a slot free."""
        return Costs(
            shards_s=self.quantile_s("shards", 0.5),
            slow_shards_s=self.quantile_s("shards", 0.98),
            rerank_s=self.quantile_s("rerank", 0.9),
            extract_s=self.quantile_s("extract", 0.9),
            generation_s=model_wait_s + self.quantile_s("generation", 0.9),
            reading_share=_READING_SHARE,
        )
