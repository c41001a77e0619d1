"""What coordinator and hospitals say to each other: kinds of messages, and orders as plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from sixfold.errors import InputError
from sixfold.parts.array_codec import unpack
from sixfold.parts.secure_sum_plan import SecureSumPlan
from sixfold.systems.hospital.federation.job import Job
from sixfold.systems.hospital.train.algorithm import Order

__all__ = ["LIMIT_BYTES", "Phase", "order_digest", "order_from", "order_to", "sum_plan"]

LIMIT_BYTES = 64 << 20  # of one message; longer vectors come in pieces


class Phase(IntEnum):
    """The steps of a round, in their order: a message of an earlier step than the last one is a replay."""

    OFFER = 0  # the job; answered by yes or by reasons
    ORDER = 1  # what to compute; answered by keys for the masks, or by the vector where nothing is masked
    SHARE = 2  # everybody's keys; answered by encrypted shares of one's own secrets
    MASK = 3  # one's neighbours' shares; answered by the masked vector
    CONFIRM = 4  # whose vectors came; answered by a signature under that list
    UNMASK = 5  # everybody's signatures; answered by the shares that take the masks off the sum
    FETCH = 6  # a piece of a long vector
    REPORT = 7  # a model to be judged on one's own patients; answered by aggregates
    RELEASE = 8  # a model with its evidence; answered by a signature and what is compared with from now on
    WATCH = 9  # a period; answered by counts of its patients
    ANSWER = 10  # a person's decision on an alarm


def order_to(order: Order) -> dict[str, Any]:
    """An order as plain values."""
    return {
        "work": order.work,
        "arrays": {name: np.asarray(array, dtype=np.float64) for name, array in sorted(order.arrays.items())},
        "settings": dict(sorted(order.settings.items())),
        "length": order.length,
        "per_record": order.per_record,
    }


def order_from(packed: Any) -> Order:
    """An order from a message; InputError when it is not one."""
    match unpack(packed, LIMIT_BYTES) if isinstance(packed, bytes) else None:
        case {
            "work": str(work),
            "arrays": dict(arrays),
            "settings": dict(settings),
            "length": int(length),
            "per_record": bool(per_record),
        } if length >= 1 and all(isinstance(array, np.ndarray) for array in arrays.values()):
            return Order(work, arrays, settings, length, per_record)
    raise InputError("not an order", field="order")


def order_digest(packed_order: bytes) -> str:
    """What stands for an order: the same round asked twice must ask the same."""
    return hashlib.sha256(packed_order).hexdigest()


def sum_plan(job: Job, round_: int, attempt: int, parties: Sequence[str], length: int) -> SecureSumPlan:
    """The secure sum of one attempt: as many parties may drop out as leave the job's minimum, and a majority.

    Its session is a hash of the job and the attempt: no two attempts share keys or masks.
    """
    chosen = tuple(sorted(parties))
    session = hashlib.sha256("\0".join([job.digest, str(round_), str(attempt), *chosen]).encode()).digest()
    dropped = min(len(chosen) - job.minimum_sites, (len(chosen) - job.colluding - 1) // 2)
    return SecureSumPlan.of(
        session, chosen, dropped=dropped, colluding=job.colluding, ring_bits=job.ring_bits, length=length
    )
