"""What is promised to each record, and what is done to keep it: checked against each other before anything is read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from sixfold.errors import ConfigError

__all__ = ["Accounting", "Budget", "Mechanism", "Sampler", "epsilon_of", "noise_for", "rounds_allowed"]

_ROUNDED_UP = 1e-3  # of the multiplier: what calibration may miss by, on the safe side
_MOST_ROUNDS = 1_000_000


class Sampler(StrEnum):
    """Which records a round computes over."""

    POISSON = "poisson"  # each one independently, with the same probability
    EVERYONE = "everyone"


class Accounting(StrEnum):
    """How the privacy of many rounds is added up."""

    PLD = "pld"  # privacy loss distributions, numerically: the tighter
    RDP = "rdp"  # Renyi divergences: in closed form


@dataclass(frozen=True, slots=True)
class Budget:
    """(epsilon, delta) for every record, over all rounds together. Raises ConfigError out of range."""

    epsilon: float
    delta: float
    accounting: Accounting = Accounting.PLD

    def __post_init__(self) -> None:
        object.__setattr__(self, "accounting", Accounting(self.accounting))
        if not (0 < self.epsilon < math.inf and 0 < self.delta < 1):
            raise ConfigError(
                f"got epsilon={self.epsilon:g}, delta={self.delta:g}, expected above 0, and within (0, 1)"
            )


@dataclass(frozen=True, slots=True)
class Mechanism:
    """Sums of per-record vectors with L2 norm at most `clip`, plus Gaussian noise of `noise_multiplier` x clip.

    sampling: the share of records that a round computes over. contributors: how many sites' noise makes up the whole;
    as many honest ones have to be in every sum. Neighbouring data sets differ by one record, added or removed. Raises
    ConfigError when sampler, clip and noise contradict each other.
    """

    clip: float
    noise_multiplier: float
    contributors: int
    sampling: float = 1.0
    sampler: Sampler = Sampler.EVERYONE

    def __post_init__(self) -> None:
        object.__setattr__(self, "sampler", Sampler(self.sampler))
        if not 0 < self.clip < math.inf:
            raise ConfigError(f"got clip={self.clip:g}, expected above 0 and finite: without it no noise is enough")
        if not 0 < self.noise_multiplier < math.inf:
            raise ConfigError(f"got noise_multiplier={self.noise_multiplier:g}, expected above 0 and finite")
        if self.contributors < 1:
            raise ConfigError(f"got contributors={self.contributors}, expected at least 1")
        if not 0 < self.sampling <= 1:
            raise ConfigError(f"got sampling={self.sampling:g}, expected within (0, 1]")
        if self.sampler is Sampler.EVERYONE and self.sampling < 1:
            raise ConfigError(
                f"got sampling={self.sampling:g} with the sampler {self.sampler}: only Poisson sampling is accounted "
                "for as such; a fixed-size or shuffled batch is another mechanism"
            )


def epsilon_of(rounds: Iterable[Mechanism], delta: float, accounting: Accounting) -> float:
    """The epsilon, at `delta`, of all these rounds together; 0 of none.

    Computed by dp_accounting: Koskela et al., "Computing tight differential privacy guarantees using FFT", AISTATS
    2020 (pld); Mironov, "Renyi differential privacy", IEEE CSF 2017 (rdp).
    """
    counts = Counter((each.sampling, each.noise_multiplier) for each in rounds)
    return _epsilon(tuple(sorted(counts.items())), delta, accounting) if counts else 0.0


def noise_for(budget: Budget, rounds: int, sampling: float = 1.0) -> float:
    """The least noise multiplier, rounded up, with which so many rounds stay within the budget.

    Raises ConfigError when no noise up to 10^6 is enough.
    """
    low, high = 0.0, 1.0
    while _epsilon((((sampling, high), rounds),), budget.delta, budget.accounting) > budget.epsilon:
        low, high = high, 2.0 * high
        if high > 1e6:
            raise ConfigError(f"no noise keeps {rounds} rounds within epsilon={budget.epsilon:g}")
    while high - low > _ROUNDED_UP * high:
        middle = (low + high) / 2.0
        within = _epsilon((((sampling, middle), rounds),), budget.delta, budget.accounting) <= budget.epsilon
        low, high = (low, middle) if within else (middle, high)
    return high


def rounds_allowed(mechanism: Mechanism, budget: Budget) -> int:
    """How many rounds of it the budget pays for; at most a million."""
    key = (mechanism.sampling, mechanism.noise_multiplier)

    def within(rounds: int) -> bool:
        return _epsilon(((key, rounds),), budget.delta, budget.accounting) <= budget.epsilon

    low, high = 0, 1
    while high <= _MOST_ROUNDS and within(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if within(middle) else (low, middle)
    return min(low, _MOST_ROUNDS)


@lru_cache(maxsize=4096)
def _epsilon(counts: tuple[tuple[tuple[float, float], int], ...], delta: float, accounting: Accounting) -> float:
    import dp_accounting

    if accounting is Accounting.PLD and all(sampling == 1.0 for (sampling, _), _ in counts):
        # Gaussians compose to one Gaussian: exact, and a thousand times faster than its distribution on a grid. Source:
        # Dong, Roth and Su, "Gaussian differential privacy", JRSS B 84(1), 2022, corollary 2.
        precision = sum(rounds / noise**2 for (_, noise), rounds in counts)
        return float(dp_accounting.get_epsilon_gaussian(precision**-0.5, delta))
    if accounting is Accounting.PLD:
        from dp_accounting.pld import PLDAccountant as Accountant
    else:
        from dp_accounting.rdp import RdpAccountant as Accountant
    accountant = Accountant()
    for (sampling, noise), rounds in counts:
        event = dp_accounting.GaussianDpEvent(noise)
        accountant.compose(event if sampling == 1.0 else dp_accounting.PoissonSampledDpEvent(sampling, event), rounds)
    return float(accountant.get_epsilon(delta))
