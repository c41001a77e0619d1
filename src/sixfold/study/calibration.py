"""What finished runs say of a machine that its probe did not: what a message costs in real work.

A prediction of a stage is a sum of terms. One factor is fitted, of the machine and not of a stage: it multiplies every
term of communication, because a real call carries more than the probe's empty one. How well it transfers is measured on
stages that were not used for the fit: those with one law are left out together, in turns. A second factor for
computation beside other workers was tried and left out: on stages that it was not fitted to it made predictions worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from sixfold.errors import InputError
from sixfold.lab.profile import Calibration, Profile, Reading
from sixfold.study.row import Row
from sixfold.study.run_folder import RunFolder

__all__ = ["Calibrated", "Observation", "calibrate", "observations"]

_MOST = 100.0  # no factor is taken to be further from 1
_MATTERS = 0.05  # of a prediction: a term below says more of the meter than of the machine


@dataclass(frozen=True, slots=True)
class Observation:
    """A stage at p workers of one run: the terms of its prediction, and the median of what was measured and metered."""

    run: str
    stage: str
    law: str
    workers: int
    compute_s: float
    communication_s: float
    other_s: float
    measured_s: float
    metered_communication_s: float

    def predicted_s(self, message: float = 1.0) -> float:
        """The prediction with a factor; as it was made without."""
        return self.compute_s + self.communication_s * message + self.other_s


@dataclass(frozen=True, slots=True)
class Calibrated:
    """message: fitted to all stages. before, after: mean |predicted / measured - 1|; `after` of each stage with a
    factor that was fitted without it and those that share its law.
    """

    message: float
    before: float
    after: float
    stages: tuple[dict[str, Any], ...]
    runs: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def apply(self, profile: Profile) -> Profile:
        """The profile with the fitted machine. One that was calibrated before starts again from what was probed."""
        probed = profile.probed
        ray = probed.ray
        if ray is not None:
            link = ray.object_link
            ray = ray.model_copy(
                update={
                    "task_alpha_s": _scaled(ray.task_alpha_s, self.message),
                    "task_s": _scaled(ray.task_s, self.message),
                    "actor_alpha_s": _scaled(ray.actor_alpha_s, self.message),
                    "object_link": link.model_copy(update={"alpha_s": _scaled(link.alpha_s, self.message)}),
                }
            )
        told = Calibration(message=self.message, runs=self.runs, probed=probed.to_json())
        return probed.model_copy(update={"ray": ray, "calibration": told})


def observations(folders: Sequence[RunFolder]) -> list[Observation]:
    """Every prediction of some runs that was tested. Runs that were made with a calibrated profile are refused.

    Raises InputError for a run without predictions, or of another machine than the first.
    """
    found: list[Observation] = []
    machine: Any = None
    for folder in folders:
        profile = folder.manifest().get("profile") or {}
        if profile.get("calibration"):
            raise InputError(
                "was predicted with a calibrated profile: expected runs with the probe's", path=folder.path
            )
        machine = machine or profile.get("machine")
        if profile.get("machine", {}).get("cpu_model") != (machine or {}).get("cpu_model"):
            raise InputError("is of another machine than the first run", path=folder.path)
        panel = folder.panel()
        mine = []
        for event in folder.events("prediction"):
            row = panel.median(event["stage"], event["workers"])
            if row is not None:
                mine.append(_observation(folder.path.name, event, row))
        if not mine:
            raise InputError("has no prediction that was tested", path=folder.path)
        found += mine
    return found


def calibrate(observed: Sequence[Observation]) -> Calibrated:
    """Fit the factor, and measure it on stages it was not fitted to. ValueError without observations of two laws."""
    laws = list(dict.fromkeys(one.law for one in observed))
    if len(laws) < 2:
        raise ValueError(f"got stages of {len(laws)} law, expected two at least: one to fit, one to test")
    stages: list[dict[str, Any]] = []
    befores, afters = [], []
    for law in laws:
        message = _fit([one for one in observed if one.law != law])
        for one in (one for one in observed if one.law == law):
            before = one.predicted_s() / one.measured_s - 1.0
            after = one.predicted_s(message) / one.measured_s - 1.0
            befores.append(abs(before))
            afters.append(abs(after))
            stages.append(
                {"run": one.run, "stage": one.stage, "workers": one.workers, "measured_s": one.measured_s,
                 "before": before, "after": after, "message": message}
            )  # fmt: skip
    message = _fit(observed)
    runs = tuple(dict.fromkeys(one.run for one in observed))
    return Calibrated(message, float(np.mean(befores)), float(np.mean(afters)), tuple(stages), runs)


def _fit(observed: Sequence[Observation]) -> float:
    """The median of metered over predicted communication, of the stages to which it matters; 1 where there is none."""
    factors = [
        one.metered_communication_s / one.communication_s
        for one in observed
        if one.communication_s > _MATTERS * one.predicted_s() and one.metered_communication_s > 0
    ]
    return min(max(median(factors), 1.0 / _MOST), _MOST) if factors else 1.0


def _observation(run: str, event: dict[str, Any], row: Row) -> Observation:
    terms = {name: float(value) for name, value in event["terms"].items()}
    compute_s = sum(value for name, value in terms.items() if name.startswith("compute"))
    communication_s = sum(value for name, value in terms.items() if name.startswith("communication"))
    return Observation(
        run=run,
        stage=event["stage"],
        law=event["law"],
        workers=event["workers"],
        compute_s=compute_s,
        communication_s=communication_s,
        other_s=sum(terms.values()) - compute_s - communication_s,
        measured_s=row.wall_s,
        metered_communication_s=row.communication_s,
    )


def _scaled(reading: Reading, factor: float) -> Reading:
    values = [value * factor for value in (reading.min, reading.median, reading.max)]
    return Reading(median=median(values), min=min(values), max=max(values), n=reading.n)
