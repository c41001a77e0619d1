"""What a run folder says, put in order for a report: rungs, totals, predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sixfold.errors import InputError, InvariantError
from sixfold.study.milestone import Prediction, Verdict
from sixfold.study.row import BASELINE, TOTAL, Panel, Row
from sixfold.study.run_folder import RunFolder

if TYPE_CHECKING:
    from sixfold.lab.profile import Profile

__all__ = ["Record", "Rung", "cost_ratio", "mapping", "predicted_speedup", "records", "speedup"]

_WHOLE = "baseline"  # the stage name of the one baseline of an alternative ladder
_PIPELINE = "pipeline"


@dataclass(frozen=True)
class Rung:
    """One stage of the ladder with everything that is known of it so far; a rung not reached has no rows."""

    name: str
    removes: str
    axis: str
    milestone: str  # as the manifest words it: the metric, the comparator and the target
    verdict: Verdict | None
    baseline: Row | None
    rows: tuple[Row, ...]  # the median repeat of each worker count, ascending
    repeats: tuple[Row, ...]  # all of them
    predictions: Mapping[int, Prediction]

    @property
    def last(self) -> Row | None:
        """The row with the most workers."""
        return self.rows[-1] if self.rows else None


@dataclass(frozen=True)
class Record:
    """A run as its folder holds it. Fields that an unfinished run has not written are empty."""

    path: str  # runs/NAME: how the run is named on the command line
    manifest: Mapping[str, Any]
    panel: Panel
    verdicts: Sequence[Verdict]
    events: Sequence[Mapping[str, Any]]
    damage: str | None  # what could not be read of the events

    @staticmethod
    def read(folder: RunFolder) -> Record:
        """Read a run, finished or not; InputError if its manifest, panel or milestones are broken."""
        events: list[Mapping[str, Any]] = []
        damage = None
        try:
            events.extend(event for event in folder.events() if isinstance(event, dict))
        except InputError as error:  # a writer died and another one went on behind it: keep what was before
            damage = str(error).replace(str(folder.path), folder.path.name)
        where = folder.path.resolve()
        return Record(
            path=f"{where.parent.name}/{where.name}".lstrip("/"),
            manifest=folder.manifest(),
            panel=folder.panel(),
            verdicts=folder.verdicts(),
            events=events,
            damage=damage,
        )

    @property
    def status(self) -> str:
        """created, running, interrupted, failed or finished."""
        return str(self.manifest.get("status", "created"))

    @property
    def is_pipeline(self) -> bool:
        """Whether the stages add up to the whole; else each rung is the whole work again."""
        return str(self.manifest.get("composition", _PIPELINE)) == _PIPELINE

    @property
    def tolerance(self) -> float:
        """How far quality may fall below the baseline's."""
        return float(mapping(self.manifest.get("gate")).get("tolerance", 0.0))

    @property
    def min_efficiency(self) -> float:
        """The efficiency a row needs to be a headline."""
        return float(self.manifest.get("min_efficiency", 0.70))

    @cached_property
    def rungs(self) -> tuple[Rung, ...]:
        """The ladder in its order, with the stages that were asked for or not reached among them."""
        described = {str(stage["name"]): stage for stage in records(self.manifest.get("stages")) if "name" in stage}
        names = [*described, *(n for n in self.panel.stages() if n not in described and n != _WHOLE)]
        verdicts = {verdict.stage: verdict for verdict in self.verdicts}
        return tuple(
            Rung(
                name=name,
                removes=str(described.get(name, {}).get("removes", "")),
                axis=str(described.get(name, {}).get("axis", "")),
                milestone=str(described.get(name, {}).get("milestone", "")),
                verdict=verdicts.get(name),
                baseline=self.baseline_of(name),
                rows=tuple(self.panel.medians(name)),
                repeats=tuple(row for row in self.panel if row.stage == name and not row.is_baseline),
                predictions=self._predictions(name),
            )
            for name in names
        )

    @cached_property
    def whole(self) -> Rung | None:
        """A pipeline added up over the stages that were judged; None for a ladder of alternatives."""
        names = [verdict.stage for verdict in self.verdicts]
        if not self.is_pipeline or not names:
            return None
        unscaled = {str(s.get("name")) for s in records(self.manifest.get("stages")) if s.get("scales") is False}
        rows = self.panel.totals(names, unscaled)
        baseline = next((row for row in rows if row.is_baseline), None)
        if baseline is None:
            return None
        counts = [row.workers for row in rows if not row.is_baseline]
        foreseen = [self._predictions(name) for name in names]
        predictions = {}
        for p in counts:  # a stage that does not scale takes as long at any p
            parts = [part.get(1 if name in unscaled else p) for name, part in zip(names, foreseen, strict=True)]
            known = [part.wall_s for part in parts if part is not None]
            if len(known) == len(names):
                predictions[p] = Prediction(p, sum(known), "the sum over the stages")
        scaled = tuple(row for row in rows if not row.is_baseline)
        return Rung("whole pipeline", "", "", "", None, baseline, scaled, scaled, predictions)

    def baseline_of(self, stage: str) -> Row | None:
        """The single process that a stage is held against."""
        if stage == TOTAL:
            return self.whole.baseline if self.whole else None
        return self.panel.median(stage, BASELINE) or self.panel.median(_WHOLE, BASELINE)

    @cached_property
    def profile(self) -> Profile | None:
        """The readings of the machine that the predictions used; None where the manifest holds none."""
        from pydantic import ValidationError

        from sixfold.lab.profile import Profile

        try:
            return Profile.model_validate(dict(mapping(self.manifest.get("profile"))))
        except ValidationError:
            return None

    def ceiling(self, workers: int) -> float | None:
        """The efficiency that the cores alone allow at `workers`, from that profile."""
        return self.profile.ceiling(workers) if self.profile and workers >= 1 else None

    def baselines(self) -> list[Row]:
        """One row for each part of the baseline that was measured, in order."""
        return [row for name in self.panel.stages() if (row := self.panel.median(name, BASELINE)) is not None]

    def events_of(self, kind: str) -> list[Mapping[str, Any]]:
        """The events of one kind, in the order in which they happened."""
        return [event for event in self.events if event.get("event") == kind]

    def why_not_headline(self, row: Row, baseline: Row) -> str | None:
        """The gate that keeps a row from being the headline, in words; None inside both gates."""
        if row.stage == TOTAL:  # inside only where each of its stages is
            for name in [verdict.stage for verdict in self.verdicts]:
                part = self.panel.median(name, row.workers) or self.panel.median(name, 1)
                base = self.panel.median(name, BASELINE)
                if part is not None and base is not None and (why := self._outside_gate(part, base)):
                    return f"{name} is {why}"
        elif why := self._outside_gate(row, baseline):
            return why
        efficiency = speedup(row, baseline) / row.processors
        if not efficiency >= self.min_efficiency:
            got = "E cannot be said" if math.isnan(efficiency) else f"E {efficiency:.3f}"
            return f"{got}: below {self.min_efficiency:.2f}"
        return None

    def _outside_gate(self, row: Row, baseline: Row) -> str | None:
        if row.quality_metric != baseline.quality_metric:
            return f"outside the quality gate: {row.quality_metric}, not {baseline.quality_metric}"
        floor = baseline.quality - self.tolerance
        if not row.quality >= floor:
            return f"outside the quality gate: {row.quality:.4g} < {floor:.4g}"
        return None

    def _predictions(self, stage: str) -> dict[int, Prediction]:
        found: dict[int, Prediction] = {}
        for event in self.events_of("prediction"):
            if event.get("stage") == stage and "workers" in event and "wall_s" in event:
                terms = {str(k): float(v) for k, v in mapping(event.get("terms")).items()}
                workers = int(event["workers"])
                found[workers] = Prediction(workers, float(event["wall_s"]), str(event.get("law", "")), terms)
        return dict(sorted(found.items()))


def speedup(row: Row, baseline: Row) -> float:
    """S(p) for the same work; NaN where the two are not of one kind or the baseline did nothing."""
    try:
        return row.speedup(baseline)
    except (ZeroDivisionError, InvariantError):
        return math.nan


def cost_ratio(row: Row, baseline: Row) -> float:
    """C(p) / C(1) for the same work; NaN where that cannot be said."""
    try:
        return row.cost_ratio(baseline)
    except ZeroDivisionError:
        return math.nan


def predicted_speedup(prediction: Prediction, rung: Rung) -> float | None:
    """S(p) that a prediction stands for, for the same work as the baseline's."""
    if rung.baseline is None or prediction.wall_s <= 0:
        return None
    measured = next((row for row in rung.rows if row.workers == prediction.workers), rung.baseline)
    if not (rung.baseline.work and measured.work):
        return None
    return (rung.baseline.wall_s / rung.baseline.work) / (prediction.wall_s / measured.work)


def mapping(value: object) -> Mapping[str, Any]:
    """`value` if it is a mapping, else an empty one: an unfinished manifest has holes."""
    return value if isinstance(value, Mapping) else {}


def records(value: object) -> list[Mapping[str, Any]]:
    """The mappings of a list, or none."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, (list, tuple)) else []
