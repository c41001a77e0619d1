"""What a proxy remembers of refusals, so that it need not pass on what would be refused again.

A service that refuses a request says after which time the same would fit (`parts.admission`). Until then a request of
the same kind with the same time or less left would not fit either: to pass it on costs the service work that it is
short of. No clock and no I/O: the running proxy and a simulation call the same code.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Backpressure"]

_MOST_KINDS = 64
_MOST_BUDGETS = 32


@dataclass
class Backpressure:
    """The refusals that still hold, by kind of request. Times are of any one clock.

    most_s: no refusal holds longer, whatever the service said: what it said may be of a process that has died.
    """

    most_s: float = 5.0
    _until_s: dict[str, dict[float, float]] = field(default_factory=dict, init=False)

    def refused(self, kind: str, budget_s: float, now_s: float, retry_after_s: float) -> None:
        """The service refused a request that had `budget_s`; the same would fit after `retry_after_s`."""
        until_s = now_s + min(max(retry_after_s, 0.0), self.most_s)
        if kind not in self._until_s and len(self._until_s) >= _MOST_KINDS:
            live = {k: held for k, held in self._until_s.items() if max(held.values()) > now_s}
            if len(live) >= _MOST_KINDS:
                return
            self._until_s = live
        held = self._until_s.setdefault(kind, {})
        kept = {b: t for b, t in held.items() if t > now_s and (b > budget_s or t > until_s)}
        if len(kept) < _MOST_BUDGETS:
            kept[budget_s] = max(until_s, kept.get(budget_s, 0.0))
        if kept:
            self._until_s[kind] = kept

    def wait_s(self, kind: str, budget_s: float, now_s: float) -> float:
        """How long a request with `budget_s` would be refused from now on; 0 for one that may be passed on."""
        held = self._until_s.get(kind, {})
        return max((until_s - now_s for b, until_s in held.items() if b >= budget_s and until_s > now_s), default=0.0)
