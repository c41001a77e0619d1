"""What is promised to each record, and what is done to keep it: checked against each other before anything is read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sixfold.errors import ConfigError

__all__ = ["Accounting", "Budget", "Mechanism", "Sampler", "epsilon_of", "noise_for", "rounds_allowed"]

_ROUNDED_UP = 1e-3  # of the multiplier: what calibration may miss by, on the safe side
_MOST_ROUNDS = 1_000_000
_MOST_ON_GRID = 50.0  # epsilon: beyond it a grid of losses takes minutes, and nobody is protected anyway

Counts = tuple[tuple[tuple[float, float], int], ...]  # ((sampling, noise multiplier), rounds), sorted


_OTHER_BATCHES = "a fixed-size or shuffled batch is another mechanism"


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
        object.__setattr__(self, "accounting", _one_of(Accounting, self.accounting, "nothing else adds up rounds"))
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
        object.__setattr__(self, "sampler", _one_of(Sampler, self.sampler, _OTHER_BATCHES))
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
                f"for as such; {_OTHER_BATCHES}"
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

    Raises ConfigError when no noise up to 10^6 is enough, or there is nothing to protect.
    """
    if rounds < 1 or not 0 < sampling <= 1:
        raise ConfigError(f"got rounds={rounds}, sampling={sampling:g}, expected at least 1, and within (0, 1]")
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
def _epsilon(counts: Counts, delta: float, accounting: Accounting) -> float:
    import dp_accounting

    if accounting is Accounting.RDP:
        return _renyi_epsilon(counts, delta)
    if all(sampling == 1.0 for (sampling, _), _ in counts):
        # Gaussians compose to one Gaussian: exact, and a thousand times faster than its distribution on a grid. Source:
        # Dong, Roth and Su, "Gaussian differential privacy", JRSS B 84(1), 2022, corollary 2.
        precision = sum(rounds / noise**2 for (_, noise), rounds in counts)
        return float(dp_accounting.get_epsilon_gaussian(precision**-0.5, delta))
    if (bound := _renyi_epsilon(counts, delta)) > _MOST_ON_GRID:
        return bound
    from dp_accounting.pld import privacy_loss_distribution

    total = privacy_loss_distribution.identity()
    for (sampling, noise), rounds in counts:
        total = total.compose(_loss_of_a_round(sampling, noise).self_compose(rounds))
    return float(total.get_epsilon_for_delta(delta))


@lru_cache(maxsize=8)
def _loss_of_a_round(sampling: float, noise: float) -> Any:
    """Kept, as it takes ten times as long as to compose it."""
    from dp_accounting.pld import privacy_loss_distribution

    return privacy_loss_distribution.from_gaussian_mechanism(noise, sampling_prob=sampling)


def _renyi_epsilon(counts: Counts, delta: float) -> float:
    import dp_accounting
    from absl import logging
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant()
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # it warns of orders that it leaves out; the others bound epsilon as well
    try:
        for (sampling, noise), rounds in counts:
            event = dp_accounting.GaussianDpEvent(noise)
            sampled = dp_accounting.PoissonSampledDpEvent(sampling, event)
            accountant.compose(event if sampling == 1.0 else sampled, rounds)
        return float(accountant.get_epsilon(delta))
    finally:
        logging.set_verbosity(verbosity)


def _one_of(kinds: type[StrEnum], value: str, why: str) -> StrEnum:
    try:
        return kinds(value)
    except ValueError:
        raise ConfigError(f"got {value!r}, expected one of: {', '.join(kinds)}; {why}") from None
