"""Where a coordinator stands: written before an attempt and after a round, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sixfold.errors import InputError
from sixfold.files import replace_bytes
from sixfold.parts.array_codec import pack, unpack
from sixfold.systems.hospital.federation.job import Job
from sixfold.systems.hospital.train.algorithm import State

__all__ = ["Checkpoint"]

_LIMIT_BYTES = 1 << 32  # of our own file


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """job: its digest. round, attempt: of the exchange with the hospitals, which a failed round may push ahead of
    `state.round`. previous: the last round that was used, and whose vectors were in it.
    """

    job: str
    round: int
    attempt: int
    state: State
    previous: dict[str, Any] | None

    def next_attempt(self) -> Checkpoint:
        """Ask for the same round again."""
        return replace(self, attempt=self.attempt + 1)

    def next_round(self) -> Checkpoint:
        """Give the round up: its vectors are not asked for again."""
        return replace(self, round=self.round + 1, attempt=-1)

    def after(self, state: State, sites: Sequence[str]) -> Checkpoint:
        """The round was summed over `sites`, and training stands at `state`."""
        return Checkpoint(self.job, self.round + 1, -1, state, {"round": self.round, "sites": list(sites)})

    def save(self, folder: Path) -> None:
        """Replace the file."""
        record = {
            "job": self.job,
            "round": self.round,
            "attempt": self.attempt,
            "state_round": self.state.round,
            "arrays": dict(self.state.arrays),
            "previous": self.previous,
        }
        replace_bytes(folder / "checkpoint.bin", pack(record))

    @staticmethod
    def load(folder: Path, job: Job) -> Checkpoint | None:
        """What an earlier process left; InputError if it is not a checkpoint of this job."""
        path = folder / "checkpoint.bin"
        if not path.exists():
            return None
        record = unpack(path.read_bytes(), _LIMIT_BYTES)
        if not isinstance(record, dict) or record.get("job") != job.digest:
            raise InputError("not a checkpoint of this job", path=path)
        state = State(record["state_round"], record["arrays"])
        return Checkpoint(record["job"], record["round"], record["attempt"], state, record["previous"])
