"""Which hospitals are summed with each other: all of them, or random groups that each of them can compute.

Groups are for rules that hold against hostile hospitals: the rule compares what the groups say on average, so that
it has to see each group's sum. That leaks more than one sum over all:

- a hospital hides among its group only, and hospitals of its group that work together with the coordinator see the
  rest of it. What a job promises (`minimum_sites`, `colluding`, the hospitals over which noise is split) has to hold in
  every group that can be drawn, and a job of which it does not is refused; so it does not matter that a coordinator
  can change a job's wording until it likes the draw.
- over rounds, vectors change slowly. As long as groups stay the same, sums tell of a group's mean and of who was
  missing. With `regroup` they are drawn anew in every round, and after as many rounds as make as many different sums
  as there are hospitals, a vector that hardly changed can be solved for. Only noise (a mechanism) stands against that.

What regrouping is good for: hostile hospitals that share a group with the same honest ones silence these for the whole
training; redrawn groups only for a round at a time.
"""

from __future__ import annotations

from sixfold.parts.random_groups import random_groups
from sixfold.systems.hospital.federation.job import Job

__all__ = ["group_of", "groups_of"]


def groups_of(job: Job, round_: int) -> tuple[tuple[str, ...], ...]:
    """The groups of a round, of all hospitals of the job: who is missing has dropped out of its group.

    The same in every attempt, so that no two different groups of one round ever overlap.
    """
    if job.groups < 2:
        return (tuple(sorted(job.sites)),)
    draw = f"{job.digest} {round_ if job.regroup else 0}".encode()
    return tuple(tuple(sorted(group)) for group in random_groups(job.sites, job.groups, draw))


def group_of(job: Job, round_: int, site: str) -> tuple[str, ...]:
    """The group of one of the job's hospitals."""
    return next(group for group in groups_of(job, round_) if site in group)
