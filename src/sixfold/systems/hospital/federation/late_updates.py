"""A hospital's work that came too late for the sum of its round: discounted, it goes into that of the next.

A vector of counts and of updates times counts is discounted as a whole, so that the average stays one, in which records
that were late count for less. One that is late again takes what it carries with it, discounted once more: by `late` to
the power of its staleness. That weights fall with staleness is from Xie et al., "Asynchronous federated optimization",
2019, and Nguyen et al., "Federated learning with buffered asynchronous aggregation", AISTATS 2022; the power is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sixfold.errors import InputError
from sixfold.systems.hospital.federation.contribution import Encoded, fixed_point
from sixfold.systems.hospital.federation.job import Job
from sixfold.systems.hospital.federation.site_state import RoundRefused, SiteState

__all__ = ["AVERAGED", "late_vector", "with_late"]

# Whose sums are averages by counts that are in them, wherever a hospital stood when it began. A gradient or a Hessian
# of another point is none; control variates and heads belong to a round that was counted.
AVERAGED = frozenset({"local_sgd"})


def late_vector(
    job: Job, work: str, round_: int, site: str, state: SiteState, previous: Mapping[str, Any]
) -> Encoded | None:
    """The vector of an earlier round that is in no sum, if that is certain; else None, or if late ones are dropped.

    previous: the last round that was used, and whose vectors were in it. What it does not tell, such as of a round
    before it, is taken as counted; so is a round that this hospital signed to be in, whatever it is told later.
    Raises RoundRefused where late vectors were asked for and mean nothing.
    """
    if not job.late:
        return None
    if work not in AVERAGED:
        raise RoundRefused(f"{work} is no average: a vector of an earlier round cannot be added to it")
    used, sites = int(previous.get("round", -1)), previous.get("sites", ())
    known, stood = state.stands()
    if known < 0 or known >= round_ or known < used or (known == used and site in sites) or site in stood:
        return None
    return state.kept_vector()


def with_late(job: Job, now: Encoded, late: Encoded) -> Encoded:
    """This round's vector and the late one, discounted; this round's alone if the job's numbers do not hold both."""
    coder = fixed_point(job)
    try:
        values = coder.encode(coder.decode(now.values) + job.late * coder.decode(late.values))
    except InputError:
        return now
    return replace(now, values=values, late=True)
