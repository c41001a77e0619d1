"""A hospital's vector for one round: sampled, clipped and noised where privacy is asked for, then whole numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil
from typing import Any

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from sixfold.errors import ConfigError
from sixfold.parts.clipping import integer_sensitivity
from sixfold.parts.discrete_gaussian import KeyStream, discrete_gaussian, noise_share_variance
from sixfold.parts.fixed_point import FixedPoint
from sixfold.parts.random_groups import norm_bound
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.federation.job import Job
from sixfold.systems.hospital.train.algorithm import Arrays, Order
from sixfold.systems.hospital.train.local_work import LOCAL_WORK

__all__ = ["Contribute", "Encoded", "contribute", "fixed_point", "site_variance"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """values: whole numbers modulo 2^ring_bits, ready to be masked. records: how many the site computed over.

    late: a vector of an earlier round is in it.
    """

    values: NDArray[Any]
    kept: Arrays
    records: int
    late: bool = False


Contribute = Callable[[Job, Order, Cohort, Arrays, bytes, int], Encoded]  # as `contribute` does


def fixed_point(job: Job) -> FixedPoint:
    """How numbers of this job become whole numbers that cannot wrap when all its sites are summed."""
    return FixedPoint(ring_bits=job.ring_bits, scale_bits=job.scale_bits, parties=len(job.sites))


def site_variance(job: Job, length: int) -> int:
    """The variance, in whole-number units, of the noise that each site adds; 0 without a mechanism.

    Any `contributors` sites together carry the whole of it.
    """
    if job.mechanism is None:
        return 0
    mechanism = job.mechanism
    sensitivity = integer_sensitivity(mechanism.clip, 2.0**job.scale_bits, length)
    total = ceil(Fraction(mechanism.noise_multiplier * sensitivity) ** 2)
    return noise_share_variance(total, mechanism.contributors)


def contribute(job: Job, order: Order, cohort: Cohort, kept: Arrays, secret: bytes, round_: int) -> Encoded:
    """Compute a site's vector; the same inputs give the same bits, whenever and however often a round is repeated.

    secret: 32 bytes that never leave the site: who knows them can predict its noise. Raises ConfigError when the
    order does not fit the job's privacy.
    """
    work = LOCAL_WORK.get(order.work)
    if work is None:
        raise ConfigError(f"no local work {order.work!r}; there are: {', '.join(sorted(LOCAL_WORK))}")
    place = f"{job.digest} {round_}"
    mechanism = job.mechanism
    if mechanism is not None:
        if not order.per_record or float(order.settings.get("clip", np.inf)) != mechanism.clip:
            raise ConfigError(
                f"{order.work} is not a sum over records clipped to {mechanism.clip:g}: "
                "its answer would not be covered by the privacy that was promised"
            )
        drawn = KeyStream(secret, f"sample {place}".encode()).uniform(len(cohort))
        cohort = cohort.take(drawn < mechanism.sampling)
    with _threads("torch" in sys.modules).limit(
        limits=1
    ):  # several threads add in an order of their own, and give other last bits
        contribution = work(order, cohort, kept, _generator(secret, f"work {place}"))
    if contribution.vector.shape != (order.length,):
        raise ConfigError(f"{order.work} gives {len(contribution.vector)} numbers, the order says {order.length}")
    vector = contribution.vector
    if job.norm_bound:
        vector = norm_bound(vector, job.norm_bound * max(1, len(cohort)))
    values = fixed_point(job).encode(vector)
    if variance := site_variance(job, order.length):
        stream = KeyStream(secret, f"noise {place}".encode())
        noise = discrete_gaussian(stream, variance, order.length)
        values = values + noise.astype(np.int64).astype(values.dtype)  # modulo 2^ring_bits, as the sum is
    return Encoded(values, contribution.kept, len(cohort))


@cache
def _threads(with_torch: bool) -> ThreadpoolController:
    """The thread pools of what is loaded: looking for them takes milliseconds, so that it is done once."""
    return ThreadpoolController()


def _generator(secret: bytes, context: str) -> np.random.Generator:
    """For shuffles and the like, which are not relied on for privacy."""
    seed = HKDF(hashes.SHA256(), 32, salt=None, info=context.encode()).derive(secret)
    return np.random.Generator(np.random.PCG64(int.from_bytes(seed, "big")))
