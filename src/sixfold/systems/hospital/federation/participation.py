"""Partial participation: who takes part in a round, and in how many rounds that makes for each hospital."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["asked_of", "rota", "rounds_of_each"]


def asked_of(sites: int, participation: float) -> int:
    """How many hospitals a round asks: at least three, as of two each would know the other's part of the sum."""
    return min(sites, max(3, round(participation * sites)))


def rounds_of_each(rounds: int, asked: int, sites: int) -> int:
    """The most rounds that any hospital takes part in."""
    return math.ceil(rounds * asked / sites)


def rota(sites: Sequence[str], asked: int, seed: int) -> Callable[[int, Sequence[str]], Sequence[str]]:
    """Who takes part in a round: the next `asked` hospitals in a fixed order, so that all have equally many turns.

    The order is public. It hides nobody, and no privacy is claimed from it; a hospital pays for its own rounds only.
    """
    order = [sites[at] for at in np.random.default_rng(seed).permutation(len(sites))]

    def pick(round_: int, there: Sequence[str]) -> Sequence[str]:
        turn = [order[(round_ * asked + at) % len(order)] for at in range(asked)]
        return [site for site in turn if site in there]

    return pick
