"""How a federation learns: an algorithm says what sites compute, and steps with nothing but the sum of answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sixfold.systems.hospital.cohort import Cohort

__all__ = ["Algorithm", "Contribution", "LocalWork", "Order", "State", "Total"]

Arrays = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Order:
    """What every site is asked to compute in one round: a named local work on broadcast arrays.

    length: of the vector that comes back. per_record: the answer is a sum over records of vectors whose L2 norm is at
    most settings["clip"], so that noise can be calibrated to it; other work may not be combined with privacy.
    """

    work: str
    arrays: Arrays
    settings: Mapping[str, float | int | str]
    length: int
    per_record: bool = False


@dataclass(frozen=True, slots=True)
class Contribution:
    """A site's answer: the vector to be summed, and what the site keeps for itself until the next round."""

    vector: NDArray[np.float64]
    kept: Arrays = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Total:
    """The sum over the sites that took part, and how many they were."""

    vector: NDArray[np.float64]
    sites: int


@dataclass(frozen=True, slots=True)
class State:
    """Where training stands: plain arrays, so that a checkpoint is nothing but them."""

    round: int
    arrays: Arrays


class Algorithm(Protocol):
    """Pure: no clock, no randomness but the seed, no I/O. The same object runs in every transport."""

    @property
    def rounds(self) -> int:
        """After how many rounds training is over."""

    def init(self, seed: int) -> State:
        """The state before the first round."""

    def order(self, state: State) -> Order:
        """What the sites do next."""

    def step(self, state: State, total: Total) -> State:
        """The state after a round in which `total` came back."""


class LocalWork(Protocol):
    """What a site computes over its own (featurised, complete) records; `kept` is what it returned the last time."""

    def __call__(self, order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution: ...
