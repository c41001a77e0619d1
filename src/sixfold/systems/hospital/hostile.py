"""Hospitals that do not keep to the protocol: what they say of their patients, to see which rules stand it."""

# Shapes: K honest hospitals, P parameters.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sixfold.parts.byzantine_attacks import (
    a_little_is_enough,
    hiding_deviation,
    inner_product_manipulation,
    label_flip,
    sign_flip,
)
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.federation.contribution import Contribute, Encoded, contribute, fixed_point
from sixfold.systems.hospital.federation.job import Job
from sixfold.systems.hospital.train.algorithm import Arrays, Order

__all__ = ["STRENGTH", "Attack", "hostile"]

STRENGTH = 10.0  # of the manipulated inner product: one hostile hospital outweighs nine honest ones


class Attack(StrEnum):
    """What hostile hospitals agree on."""

    SIGN_FLIP = "sign_flip"  # the opposite of the honest mean
    INNER_PRODUCT = "inner_product"  # STRENGTH times the opposite
    LITTLE = "a_little_is_enough"  # just within the spread of the honest
    LABEL_FLIP = "label_flip"  # the protocol, on exchanged outcomes


@dataclass(frozen=True, slots=True)
class _Told:
    """Knows the vectors of all honest hospitals, which is more than a hospital can know."""

    attack: Attack
    honest: tuple[Cohort, ...]
    hostile: int

    def __call__(self, job: Job, order: Order, cohort: Cohort, kept: Arrays, secret: bytes, round_: int) -> Encoded:
        coder = fixed_point(job)
        honest_KD = np.stack(
            [coder.decode(contribute(job, order, one, {}, secret, round_).values) for one in self.honest]
        )
        said = honest_KD.mean(axis=0)
        P = len(order.arrays["theta"])
        said[:P] = self._update(honest_KD[:, :P])
        limit = coder.limit
        return Encoded(coder.encode(np.clip(said, -limit, limit)), {}, len(cohort))

    def _update(self, honest_KP: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.attack is Attack.SIGN_FLIP:
            return sign_flip(honest_KP)
        if self.attack is Attack.INNER_PRODUCT:
            return inner_product_manipulation(honest_KP, STRENGTH)
        deviation = hiding_deviation(len(honest_KP) + self.hostile, self.hostile)
        return a_little_is_enough(honest_KP, -deviation)


def hostile(attack: Attack, honest: Sequence[Cohort], hostile: int) -> Contribute:
    """What stands in for `contribute` at each of `hostile` hospitals.

    honest: the patients of all others. Only the update is false, the first numbers of a vector, as many as there are
    parameters; counts are those of an honest hospital, since negative ones would cancel. So it fits work whose vector
    begins with the update, and that keeps nothing from round to round. norm_bound and noise are ignored.
    """
    if attack is Attack.LABEL_FLIP:
        return _flipped
    return _Told(attack, tuple(honest), hostile)


def _flipped(job: Job, order: Order, cohort: Cohort, kept: Arrays, secret: bytes, round_: int) -> Encoded:
    return contribute(job, order, replace(cohort, y_N=label_flip(cohort.y_N)), kept, secret, round_)
