"""What a hospital's side of a federation may ask of its patients."""

from __future__ import annotations

from typing import Protocol

from sixfold.systems.hospital.cohort import Arrived, Cohort
from sixfold.systems.hospital.federation.job import Job

__all__ = ["Records"]


class Records(Protocol):
    """The only way to a hospital's patients: every call decides anew whether the job may read them."""

    def admit(self, job: Job) -> Cohort:
        """The patients that this job may compute over; raises a UserError with the reasons why not."""

    def arrived(self, job: Job, period: int) -> Arrived | None:
        """Those who came in a period after a release, decided upon in the same way; None if it has no table yet."""
