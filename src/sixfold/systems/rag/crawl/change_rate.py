"""How often a page changes, and how often to visit it for that: pure functions of what visits saw.

Sources: J. Cho and H. Garcia-Molina, "Estimating frequency of change", ACM Trans. Internet Technology 3(3), 2003
(the estimators); the same, "Effective page refresh policies for Web crawlers", ACM Trans. Database Systems 28(4), 2003
(freshness and its optimum). Pages change as Poisson processes of their own rates. Legend: [n] visits of one page or
pages of one schedule; rates and frequencies are per second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError

__all__ = ["Visit", "change_rate_hz", "freshness", "regular_change_rate_hz", "visit_frequencies_hz"]

Floats = npt.NDArray[np.float64]
_STEPS = 64  # of a bisection: one for each bit, and some
_NEWTON_STEPS = 2  # from a table that is right to six digits


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit: how long after the one before, and whether the page was another one."""

    after_s: float
    changed: bool

    def __post_init__(self) -> None:
        if not (math.isfinite(self.after_s) and self.after_s > 0):
            raise ConfigError(f"got a visit {self.after_s} s after the one before, expected more than 0")


def regular_change_rate_hz(visits: int, changed: int, interval_s: float) -> float:
    """The bias-reduced rate from `visits` at one interval, of which `changed` saw a change.

    -log((n - X + 0.5) / (n + 0.5)) / I ("Estimating frequency of change", section 4.2); X / (n I) misses changes
    that lie within one interval, and the maximum of the likelihood is infinite for X = n.
    """
    if not 0 <= changed <= visits or visits < 1 or interval_s <= 0:
        raise ConfigError(f"got {changed} changes in {visits} visits every {interval_s} s")
    return -math.log((visits - changed + 0.5) / (visits + 0.5)) / interval_s


def change_rate_hz(visits: Sequence[Visit], prior_hz: float = 0.0) -> float:
    """The rate of change from visits at any intervals; `prior_hz` without visits.

    The rate at which sum over changed of t / (exp(r t) - 1) equals the sum over unchanged of t (section 5 for
    irregular access), where half a visit of the mean interval counts as unchanged beside the others: with equal
    intervals that is `regular_change_rate_hz` to the last digit, and the estimate is finite however often the page had
    changed.
    """
    if not visits:
        return prior_hz
    after_s = np.array([visit.after_s for visit in visits])
    changed_s = after_s[[visit.changed for visit in visits]]
    if not len(changed_s):
        return 0.0
    unchanged_s = float(after_s.sum() - changed_s.sum() + 0.5 * after_s.mean())
    # t / (exp(r t) - 1) falls from 1/r at r t = 0 to 0, so the sum meets `unchanged_s` below this rate.
    low, high = 0.0, len(changed_s) / unchanged_s
    for _ in range(_STEPS):
        middle = (low + high) / 2
        with np.errstate(over="ignore"):
            explained_s = float((changed_s / np.expm1(middle * changed_s)).sum())
        low, high = (middle, high) if explained_s > unchanged_s else (low, middle)
    return (low + high) / 2


def freshness(rates_hz: npt.ArrayLike, visits_hz: npt.ArrayLike) -> Floats:
    """The share of time [n] that the copy of each page is the page, visited at even intervals.

    (f / r) (1 - exp(-r / f)) ("Effective page refresh policies", section 4.2); 0 without visits, 1 without changes.
    """
    r, f = np.broadcast_arrays(np.asarray(rates_hz, np.float64), np.asarray(visits_hz, np.float64))
    out = np.where(r > 0, 0.0, 1.0)
    some = (r > 0) & (f > 0)
    x = np.divide(r, f, where=some, out=np.ones_like(out))
    out[some] = -np.expm1(-x[some]) / x[some]
    return out


def visit_frequencies_hz(rates_hz: npt.ArrayLike, budget_hz: float) -> Floats:
    """How often to visit each page [n] so that the mean freshness is highest with `budget_hz` visits in all.

    With a multiplier m every visited page has the same gain, (1 / r) (1 - (1 + r / f) exp(-r / f)) = m (section 5.3).
    A page whose rate is above 1 / m gets nothing: it would be stale again at once, and so does one that never changes.
    """
    r = np.asarray(rates_hz, np.float64)
    if budget_hz < 0 or not math.isfinite(budget_hz) or (r < 0).any() or not np.isfinite(r).all():
        raise ConfigError("rates and the budget have to be finite and at least 0")
    out = np.zeros_like(r)
    changing = np.flatnonzero(r > 0)
    if not len(changing) or budget_hz == 0:
        return out
    rates = r[changing]
    # m = y / r with y in (0, 1): bisect on the logarithm, since the rates span many magnitudes.
    low, high = math.log(1e-300), -math.log(rates.min())
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _frequencies(rates, math.exp(middle)).sum() > budget_hz else (low, middle)
    above, within = _frequencies(rates, math.exp(low)), _frequencies(rates, math.exp(high))
    # Close to m = 1 / r the frequency falls from r / 40 to 0 within the last digit of m; between the two every gain
    # is the same to that digit, so any mixture of them is as good.
    room, step = budget_hz - within.sum(), above.sum() - within.sum()
    mixed = within + (above - within) * (min(1.0, room / step) if step > 0 else 0.0)
    out[changing] = mixed * (budget_hz / mixed.sum())  # what rounding has left over
    return out


def _frequencies(rates_hz: Floats, multiplier: float) -> Floats:
    """f [n] with (1 - (1 + x) exp(-x)) = m r for x = r / f; 0 where m r is 1 or more."""
    y = multiplier * rates_hz
    out = np.zeros_like(rates_hz)
    visited = y < 1
    target = np.log1p(-y[visited])  # log((1 + x) exp(-x)): it keeps its digits where y comes close to 1
    x = np.interp(-target, -_LOG_GAIN, _X)
    for _ in range(_NEWTON_STEPS):
        x = np.maximum(x + (np.log1p(x) - x - target) * (1 + x) / x, 1e-12)
    x = np.where(target > -1e-12, np.sqrt(-2 * target), x)  # there it is x^2 / 2
    out[visited] = np.divide(rates_hz[visited], x, where=x > 0, out=np.zeros_like(x))
    return out


_X = np.geomspace(1e-7, 800.0, 4_096)  # where Newton's method begins
_LOG_GAIN = np.log1p(_X) - _X
