"""A privacy budget on disk: a round is paid for before it is computed, once, and not at all if it is too dear."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sixfold.errors import ConfigError, InputError, UserError
from sixfold.files import append_json_line, read_json_lines
from sixfold.parts.privacy_mechanism import Budget, Mechanism, epsilon_of

__all__ = ["BudgetSpent", "PrivacyLedger"]


class BudgetSpent(UserError):  # noqa: N818  what it says of the budget
    """A round would cost more privacy than is left; nothing was written, and nothing may be computed."""


@dataclass(frozen=True, slots=True)
class PrivacyLedger:
    """An append-only file of what was charged; processes that share it wait for each other.

    Entries are never removed, not even for a round that failed: its noise may have been seen.
    """

    path: Path
    budget: Budget

    def charge(self, key: str, mechanism: Mechanism) -> float:
        """Charge one round under `key`, and return the epsilon that is then spent; a key is charged once, ever.

        Raises BudgetSpent when it would exceed the budget, ConfigError when the key was charged for another mechanism.
        """
        with self._alone():
            charged = dict(self.history())
            if (known := charged.get(key)) is not None:
                if known != mechanism:
                    raise ConfigError(f"{key} was charged for {known}, got {mechanism}: a round does not change")
                spent = self._epsilon(charged.values())
            else:
                spent = self._epsilon([*charged.values(), mechanism])
                if not spent <= self.budget.epsilon:
                    raise BudgetSpent(
                        f"round {key[-40:]} would bring epsilon to {spent:.4g} of {self.budget.epsilon:g} at "
                        f"delta={self.budget.delta:g}: the budget is spent"
                    )
                append_json_line(self.path, {"key": key, **asdict(mechanism)})
            # also of a known key: whoever wrote it may have died before it was on the disk
            _to_disk(self.path)
            _to_disk(self.path.parent)
            return spent

    def spent(self) -> float:
        """The epsilon of all that was charged."""
        return self._epsilon(mechanism for _, mechanism in self.history())

    def history(self) -> Iterator[tuple[str, Mechanism]]:
        """Every charge, in order. Raises InputError, with file and line, for what is not one."""
        for number, record in enumerate(read_json_lines(self.path), start=1):
            try:
                key = record.pop("key")
                charged = Mechanism(**record)
            except (TypeError, KeyError, AttributeError, ConfigError) as error:
                raise InputError(f"not a charge: {error}", path=self.path, line=number) from None
            if not isinstance(key, str):
                raise InputError(f"got the key {key!r}, expected a text", path=self.path, line=number)
            yield key, charged

    def _epsilon(self, rounds: Iterable[Mechanism]) -> float:
        return epsilon_of(rounds, self.budget.delta, self.budget.accounting)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
