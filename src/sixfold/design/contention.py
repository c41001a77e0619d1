"""What it costs to tune one axis at a time where all of them share one budget: the price of contention."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sixfold.axes import Axis
from sixfold.design.search import Found, worth

__all__ = ["Alone", "Contention", "contention"]


@dataclass(frozen=True, slots=True)
class Alone:
    """The best that turning the choices of one axis only comes to, from the common start.

    over_joint: its value of the objective over the joint optimum's; None where it does not hold. missed: the limit that
    it exceeds most, and how many times.
    """

    axis: Axis
    words: dict[str, str]
    over_joint: float | None
    missed: tuple[str, float] | None


@dataclass(frozen=True, slots=True)
class Contention:
    """alone: of each axis with a choice. together: what each axis chose alone, all in one design.

    price: the cheaper of them that hold over the joint optimum, less 1; None where no axis alone, nor all their choices
    together, do what is asked: then there is no price, only the joint search finds a design at all.
    """

    alone: tuple[Alone, ...]
    together: Alone | None
    price: float | None


def contention(found: Found) -> Contention:
    """Tune each axis alone from the start that its choices state, put the results together, compare with the joint
    best.

    Some design must hold.
    """
    start = {choice.name: choice.start for choice in found.choices}
    axes = list(dict.fromkeys(choice.axis for choice in found.choices if len(choice.values) > 1))
    value = worth(found)
    best = float(np.min(value[found.holds()]))
    combined, alone = dict(start), []
    for axis in axes:
        own = {choice.name for choice in found.choices if choice.axis is axis}
        mask = np.ones(found.size, dtype=np.bool_)
        for name, at in start.items():
            if name not in own:
                mask &= found.columns[name] == at
        at_best = _pick(found, mask)
        combined |= {name: float(found.columns[name][at_best]) for name in own}
        alone.append(_told(found, axis, at_best, best, value))
    mask = np.ones(found.size, dtype=np.bool_)
    for name, at in combined.items():
        mask &= found.columns[name] == at
    together = _told(found, axes[0], _pick(found, mask), best, value) if axes and mask.any() else None
    ratios = [one.over_joint for one in (*alone, together) if one is not None and one.over_joint is not None]
    return Contention(tuple(alone), together, min(ratios) - 1.0 if ratios else None)


def _pick(found: Found, mask: np.ndarray) -> int:
    """The best that holds; if none does, the one that exceeds its limits least."""
    holding = found.best(mask & found.holds())
    if holding is not None:
        return holding
    at = np.flatnonzero(mask)
    return int(at[np.nanargmin(np.nan_to_num(found.shares()[at], nan=np.inf))])


def _told(found: Found, axis: Axis, at: int, best: float, value: np.ndarray) -> Alone:
    shares = {name: float(use.share[at]) for name, use in found.limits.items()}
    worst = max(shares, key=lambda name: shares[name], default=None)
    missed = (worst, shares[worst]) if worst is not None and not shares[worst] <= 1.0 else None
    ratio = None if missed or best <= 0 else float(value[at]) / best
    return Alone(axis, found.words(at), ratio, missed)
