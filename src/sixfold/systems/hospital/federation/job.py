"""What a federation is about to do, as every hospital is told before anything else: it may be refused as a whole."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from sixfold.errors import ConfigError, InputError
from sixfold.parts.array_codec import pack
from sixfold.parts.privacy_mechanism import Budget, Mechanism
from sixfold.parts.random_groups import group_sizes
from sixfold.parts.robust_rules import RobustRule, least_groups

__all__ = ["Job", "Output", "Protection", "Split", "output_of"]

_MOST_SITES = 1_000


class Protection(StrEnum):
    """How a hospital's vector travels."""

    PLAIN = "plain"  # the coordinator sees each site's vector
    MASKED = "masked"  # the coordinator can only compute the sum


class Output(StrEnum):
    """What leaves the hospitals; a permit lists those that it allows."""

    STATISTICS = "statistics"
    MODEL_UPDATE = "model_update"
    METRICS = "metrics"


_OF_WORK = {"score_histograms": Output.METRICS, "statistics": Output.STATISTICS}


def output_of(work: str) -> Output:
    """What the answer to a local work is, whatever a job calls it: permits, masks and noise hang on that."""
    return _OF_WORK.get(work, Output.MODEL_UPDATE)


class Split(StrEnum):
    """Which of its patients a hospital computes over."""

    TRAIN = "train"
    TEST = "test"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Job:
    """One federation: who asks for what, under which permit, and how it is protected.

    scale_bits: a number x is sent as the whole number x 2^scale_bits, modulo 2^ring_bits. minimum_sites: fewer are
    never summed, in a group neither. colluding: how many hospitals may work together with the coordinator without
    learning more than the sum. matrix: how variables become columns; none for the variables themselves. trained: the
    digest of the job whose kept parameters are used. replaces: the digest of the release that the trained model is to
    replace. mechanism, budget: record-level differential privacy; both or neither. groups, rule: into how many random
    groups hospitals are divided, each with a sum of its own, and how these are combined; 0 or 1 and the sum for one sum
    over all. hostile: how many groups the rule holds against. regroup: groups are drawn anew in every round; what that
    tells is in `grouping`. norm_bound: a hospital scales its vector down to this L2 norm for each of its records, 0 for
    none; it keeps outliers of hospitals that follow the protocol in bounds, a hostile one ignores it. late: the weight
    that a vector which came too late for its round has in the next; 0 drops it. Raises ConfigError when the parts
    contradict each other.
    """

    federation: str
    permit: str
    dataset: str
    purpose: str
    output: Output
    features: tuple[str, ...]
    sites: tuple[str, ...]
    split: Split = Split.TRAIN
    protection: Protection = Protection.MASKED
    ring_bits: int = 64
    scale_bits: int = 24
    minimum_sites: int = 2
    colluding: int = 0
    matrix: str = ""
    trained: str = ""
    replaces: str = ""
    mechanism: Mechanism | None = None
    budget: Budget | None = None
    groups: int = 0
    rule: RobustRule = RobustRule.SUM
    hostile: int = 0
    regroup: bool = False
    norm_bound: float = 0.0
    late: float = 0.0
    settings: Mapping[str, float | int | str] = field(default_factory=dict)  # of the algorithm, for the record

    def __post_init__(self) -> None:
        # both name files at the hospitals
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", self.federation):
            raise ConfigError(f"got the federation {self.federation[:80]!r}, expected letters, digits and ._- only")
        for name in ("trained", "replaces"):
            if not re.fullmatch(r"([0-9a-f]{64})?", getattr(self, name)):
                raise ConfigError(f"{name}: expected a digest, or nothing")
        if not 1 <= self.minimum_sites <= len(self.sites) <= _MOST_SITES:
            raise ConfigError(
                f"{self.federation}: got {len(self.sites)} sites and a minimum of {self.minimum_sites}, "
                f"expected 1 <= minimum <= sites <= {_MOST_SITES}"
            )
        if self.output is Output.STATISTICS and self.matrix:
            raise ConfigError(f"{self.federation}: statistics are of the variables themselves, expected no matrix")
        if len(set(self.sites)) != len(self.sites):
            raise ConfigError(f"{self.federation}: a site is named twice")
        if self.protection is Protection.MASKED and self.minimum_sites < 2:
            raise ConfigError(f"{self.federation}: a masked sum over one site is that site's vector: ask for two")
        self._check_groups()
        if not 0 <= self.norm_bound < math.inf:
            raise ConfigError(f"{self.federation}: got norm_bound={self.norm_bound:g}, expected 0 or a finite bound")
        if self.norm_bound and self.mechanism is not None:
            raise ConfigError(f"{self.federation}: a mechanism clips every record: it does not cover a norm_bound")
        if not 0 <= self.late <= 1:
            raise ConfigError(f"{self.federation}: got late={self.late:g}, expected 0 to 1")
        if self.late and self.mechanism is not None:
            raise ConfigError(f"{self.federation}: a late vector has the noise of one hospital only: drop it, late=0")
        if (self.mechanism is None) != (self.budget is None):
            raise ConfigError(f"{self.federation}: a mechanism and its budget go together")
        if self.mechanism is None:
            return
        honest = self.minimum_sites - self.colluding if self.protection is Protection.MASKED else 1
        if self.mechanism.contributors > honest:
            raise ConfigError(
                f"{self.federation}: the noise is split over {self.mechanism.contributors} hospitals, but only that of "
                f"{honest} is sure to be in what the coordinator sees"
            )

    def _check_groups(self) -> None:
        if self.groups < 2 and self.rule is RobustRule.SUM and not self.hostile and not self.regroup:
            return
        if not 2 <= self.groups <= len(self.sites) or self.rule is RobustRule.SUM:
            raise ConfigError(
                f"{self.federation}: got groups={self.groups} and the rule {self.rule}, expected 2 to "
                f"{len(self.sites)} groups and another rule than the sum, or neither groups nor anything hostile"
            )
        if self.groups < (least := least_groups(self.rule, self.hostile)):
            raise ConfigError(
                f"{self.federation}: got {self.groups} groups, {self.rule} needs {least} against {self.hostile} hostile"
            )
        smallest = min(group_sizes(len(self.sites), self.groups))
        if smallest < self.minimum_sites:
            raise ConfigError(
                f"{self.federation}: {self.groups} groups leave {smallest} hospitals in one, "
                f"{self.minimum_sites} are the least: ask for fewer groups"
            )
        if self.protection is Protection.MASKED and smallest - self.colluding < 2:
            raise ConfigError(
                f"{self.federation}: a group of {smallest} does not hide a hospital from {self.colluding} others"
            )

    @property
    def digest(self) -> str:
        """What stands for this job in messages and logs: SHA-256 of all of it."""
        return hashlib.sha256(pack(self.to_json())).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain values, for messages and files."""
        record = {**asdict(self), "settings": dict(sorted(self.settings.items()))}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in record.items()}

    @staticmethod
    def from_json(record: Any) -> Job:
        """Read a job back; InputError when a field is missing, unknown or of another kind."""
        try:
            mechanism, budget = record["mechanism"], record["budget"]
            return Job(
                **{
                    **record,
                    "output": Output(record["output"]),
                    "split": Split(record["split"]),
                    "protection": Protection(record["protection"]),
                    "rule": RobustRule(record["rule"]),
                    "features": tuple(map(str, record["features"])),
                    "sites": tuple(map(str, record["sites"])),
                    "mechanism": None if mechanism is None else Mechanism(**mechanism),
                    "budget": None if budget is None else Budget(**budget),
                }
            )
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise InputError(f"not a job: {type(error).__name__}: {str(error)[:120]}", field="job") from None

    @property
    def judging(self) -> Job:
        """The job in which hospitals judge what this one trained on patients that it did not see."""
        return replace(
            self,
            output=Output.METRICS,
            split=Split.TEST,
            protection=Protection.MASKED,
            trained=self.digest,
            mechanism=None,
            budget=None,
            late=0.0,
        )

    def with_sites(self, sites: tuple[str, ...]) -> Job:
        """The same job among other sites, such as those that accepted it."""
        return replace(self, sites=tuple(sorted(sites)))
