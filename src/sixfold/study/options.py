"""What a user may choose about a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sixfold.errors import ConfigError
from sixfold.study.stage import Length, Stage, System

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """What a user may choose; all of it is in the manifest, so that a run can be repeated."""

    workers: tuple[int, ...] = (1, 2)
    length: Length = Length.DEFAULT
    seed: int = 0
    stage: str | None = None
    keep_going: bool = False
    address: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.workers or any(p < 1 for p in self.workers) or len(set(self.workers)) < len(self.workers):
            raise ConfigError(f"workers must be distinct counts of at least 1, got {list(self.workers)}")
        object.__setattr__(self, "workers", tuple(sorted(self.workers)))

    def resolve(self, system: System) -> dict[str, Any]:
        """Every setting of a study of `system`: its own for this length, changed as the user asked.

        Raises ConfigError for a setting that the system does not have, or a repeat count below 1.
        """
        known = {"repeats": 1, **system.lengths[self.length]}
        if unknown := self.settings.keys() - known.keys():
            raise ConfigError(
                f"{system.name} has no setting {min(unknown)!r}; its settings are {', '.join(sorted(known))}"
            )
        settings = {**known, **self.settings}
        if not isinstance(settings["repeats"], int) or settings["repeats"] < 1:
            raise ConfigError(f"repeats must be a whole number of at least 1, got {settings['repeats']!r}")
        return settings

    def stages_of(self, system: System) -> list[Stage]:
        """The stages to climb, in order; ConfigError for one that the system does not have."""
        if self.stage is None:
            return list(system.stages)
        if (stage := system.stage(self.stage)) is None:
            names = ", ".join(stage.name for stage in system.stages)
            raise ConfigError(f"{system.name} has no stage {self.stage!r}; its stages are {names}")
        return [stage]

    def to_json(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        return {**asdict(self), "length": self.length.value, "workers": list(self.workers)}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Options:
        """Read back from a manifest; ConfigError when a field is missing, unknown or of another kind."""
        names = {f.name for f in fields(Options)}
        try:
            if odd := names ^ record.keys():
                raise ConfigError(f"the options of this run do not fit this version: {sorted(odd)[0]}")
            return Options(**{**record, "length": Length(record["length"]), "workers": tuple(record["workers"])})
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"the options of this run cannot be read: {error}") from None
