"""The method: freeze the baseline; for each stage predict, run, check, judge; stop at the first unmet one."""

from __future__ import annotations

import json
import math
import shutil
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from sixfold.axes import Axis
from sixfold.design.catalog import price
from sixfold.design.checklist import Design, load_design
from sixfold.errors import ConfigError, InputError, InvariantError
from sixfold.files import json_text
from sixfold.lab.lab import Lab
from sixfold.lab.profile import Profile
from sixfold.study.headline import Headline, pick_headline
from sixfold.study.manifest import new_manifest, resumed_manifest
from sixfold.study.meter import breakdown
from sixfold.study.milestone import Prediction, Verdict
from sixfold.study.options import Options
from sixfold.study.row import BASELINE, Row
from sixfold.study.run_folder import RunFolder, config_hash, utc_now
from sixfold.study.stage import (
    WHOLE,
    Composition,
    Context,
    Forecast,
    Length,
    Measurement,
    Outcome,
    Stage,
    System,
    Trial,
)

__all__ = ["Options", "StudyResult", "run_study", "summarise"]

_FULL_CEILING = 0.95  # below this the cores themselves do not double, and E is judged relative to what they give

Listener = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class StudyResult:
    """What a study came to."""

    folder: RunFolder
    verdicts: tuple[Verdict, ...]
    headline: Headline
    expected: int  # milestones that had to be judged for the study to be whole

    @property
    def passed(self) -> bool:
        """Whether every milestone was reached."""
        return len(self.verdicts) == self.expected and all(verdict.passed for verdict in self.verdicts)


def run_study(
    system: System,
    options: Options,
    profile: Profile,
    *,
    runs: Path = Path("runs"),
    resume: RunFolder | None = None,
    again: str | None = None,
    listener: Listener = lambda event: None,
) -> StudyResult:
    """Run `system` in a new folder below `runs`, or finish the interrupted run `resume`.

    Raises ConfigError for a stage or setting that does not exist, and for a `resume` that would mix rows of
    different inputs, settings or machines. Anything that interrupts a study leaves a folder that `resume`
    accepts; rows that were measured are not measured again, predictions that were made are kept.
    """
    return _Runner(system, options, profile, runs, resume, again, listener).run()


class _Runner:
    def __init__(
        self,
        system: System,
        options: Options,
        profile: Profile,
        runs: Path,
        resume: RunFolder | None,
        again: str | None,
        listener: Listener,
    ) -> None:
        self.system, self.options, self.profile, self.listener = system, options, profile, listener
        self.design: Design = load_design(system.design)
        # As the manifest will hold them, so that a run and its repetition are told the same.
        self.settings: dict[str, Any] = json.loads(json_text(options.resolve(system)))
        self.stages = options.stages_of(system)
        worker = price(self.design.worker_price)
        if resume is None:
            self.folder = RunFolder.create(runs, system.name)
            self.manifest = new_manifest(system, options, self.settings, self.design, profile, worker, again)
        else:
            self.folder, self.manifest = resume, resumed_manifest(resume, system, options)
            # The ceilings that its predictions used are those it is judged by.
            try:
                self.profile = Profile.model_validate(self.manifest["profile"])
            except ValueError as error:
                raise InputError(f"not a profile: {error}", path=resume.manifest_path, field="profile") from None
        self.usd_per_worker_s = float(self.manifest["usd_per_worker_s"])
        self.resources = ExitStack()
        self._lab: Lab | None = None

    def run(self) -> StudyResult:
        self.manifest["status"] = "running"
        self.folder.write_manifest(self.manifest)
        self.folder.work.mkdir(exist_ok=True)
        self.emit("created", run=str(self.folder.path), system=self.system.name)
        context = Context(
            work=self.folder.work.resolve(),
            seed=self.options.seed,
            length=self.options.length,
            workers=self.options.workers,
            settings=self.settings,
            design=self.design,
            profile=self.profile,
            emit=self.emit,
            lab=self.lab,
        )
        try:
            with self.resources:
                self.resources.callback(self.system.wrap_up, context)
                self.prepare(context)
                self.freeze_baseline(context)
                verdicts = self.climb(context)
            headline = self.headline(verdicts)
        except BaseException as error:
            self.stop("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", error)
            raise
        self.manifest.update(headline=headline.to_json(), finished_at=utc_now(), status="finished")
        self.folder.write_manifest(self.manifest)
        self.emit("finished", headline=headline.to_json())
        return StudyResult(self.folder, tuple(verdicts), headline, len(self.stages))

    def prepare(self, context: Context) -> None:
        """Have the input made, and refuse to add rows to a panel that was measured on another one."""
        self.emit("prepare", system=self.system.name)
        data = dict(self.system.prepare(context))
        self.config = config_hash(data, self.options.seed, self.settings)
        if (before := self.manifest.get("config", self.config)) != self.config:
            raise ConfigError(
                f"{self.folder.path} was measured on other input, seed or settings "
                f"({before}, now {self.config}): start a new run with --again {self.folder.path}"
            )
        self.manifest.update(data=data, config=self.config)
        self.folder.write_manifest(self.manifest)
        self.panel = self.folder.panel()

    def freeze_baseline(self, context: Context) -> None:
        """Measure the single process once, before any engine is started: predictions rest on that."""
        for name in self.baseline_names():
            self.trial(context, name, BASELINE, 0, self.system.baseline)

    def climb(self, context: Context) -> list[Verdict]:
        verdicts: list[Verdict] = []
        for stage in self.stages:
            predicted = self.predict(context, stage)
            for repeat in range(self.repeats(stage)):
                # A machine's speed drifts by more than what is judged: what is divided by another was measured
                # beside it (docs/decisions/0013).
                self.trial(context, self.baseline_name(stage), BASELINE, repeat, self.system.baseline)
                for workers in stage.worker_counts(self.options.workers):
                    self.trial(context, stage.name, workers, repeat, stage.run)
            verdicts.append(self.judge(context, stage, predicted))
            self.folder.write_verdicts(verdicts)
            if not verdicts[-1].passed and not self.options.keep_going:
                self.emit("stopped", stage=stage.name, reason="its milestone is not met")
                break
        return verdicts

    def predict(self, context: Context, stage: Stage) -> float:
        """Predict a stage's runs and its milestone, and write that down; a resumed run keeps what it has."""
        baseline = self.baseline(stage)
        written = {e["workers"]: e for e in self.folder.events("prediction") if e["stage"] == stage.name}
        predictions = []
        for workers in stage.worker_counts(self.options.workers):
            if (event := written.get(workers)) is not None:
                prediction = Prediction(workers, event["wall_s"], event["law"], event["terms"])
            else:
                prediction = stage.predict(context, baseline, workers)
                if prediction.workers != workers or not 0 <= prediction.wall_s < math.inf:
                    raise InvariantError(f"{stage.name}: not a prediction for p={workers}: {prediction}")
                self.emit("prediction", stage=stage.name, **asdict(prediction))
            predictions.append(prediction)
        for event in self.folder.events("forecast"):
            if event["stage"] == stage.name and event["workers"] == [p.workers for p in predictions]:
                return float(event["predicted"])
        predicted = float(stage.milestone.predict(Forecast(context, baseline, predictions)))
        if not math.isfinite(predicted):
            raise InvariantError(f"{stage.name}: {stage.milestone.metric} was predicted as {predicted}")
        self.emit(
            "forecast",
            stage=stage.name,
            metric=stage.milestone.metric,
            workers=[p.workers for p in predictions],
            predicted=predicted,
        )
        return predicted

    def trial(
        self, context: Context, name: str, workers: int, repeat: int, run: Callable[[Trial], Measurement]
    ) -> None:
        """Run once, unless an earlier session of this run already did."""
        if any(row.repeat == repeat for row in self.panel.of(name, workers)):
            return
        trial = Trial(context, name, workers, repeat)
        shutil.rmtree(trial.folder, ignore_errors=True)
        trial.folder.mkdir(parents=True)
        self.emit("run", stage=name, workers=workers, repeat=repeat)
        measured = run(trial)
        processors = max(1, workers)
        parts = breakdown(measured.wall_s, processors, measured.readings)
        row = Row(
            stage=name,
            axis=self.axis(name),
            workers=workers,
            repeat=repeat,
            **asdict(parts),
            work=float(measured.work),
            work_unit=measured.work_unit,
            quality=float(measured.quality),
            quality_metric=measured.quality_metric,
            cost_usd=processors * measured.wall_s * self.usd_per_worker_s,
            config=self.config,
            extra={key: float(value) for key, value in measured.extra.items()},
        )
        if row.is_baseline and row.work == 0:
            raise InvariantError(f"{name}: the baseline did no work, so that nothing can be held against it")
        self.panel.add(row)
        self.panel.save(self.folder.panel_path)
        self.emit("row", stage=name, workers=workers, repeat=repeat, wall_s=row.wall_s, quality=row.quality)

    def judge(self, context: Context, stage: Stage, predicted: float) -> Verdict:
        outcome = Outcome(context, self.baseline(stage), self.panel.medians(stage.name))
        milestone = stage.milestone
        ceiling = self.profile.ceiling(outcome.last.processors)
        scale, unit = 1.0, milestone.unit
        if milestone.relative_to_ceiling and ceiling < _FULL_CEILING:
            scale, unit = ceiling, f"{milestone.unit}, relative to this machine's ceiling of {ceiling:.3f}"
        value = float(milestone.measure(outcome)) / scale
        checks = tuple(stage.checks(outcome))
        met = milestone.comparator.holds(value, milestone.target)
        verdict = Verdict(
            stage=stage.name,
            metric=milestone.metric,
            comparator=milestone.comparator,
            target=milestone.target,
            predicted=predicted / scale,
            value=value,
            unit=unit,
            passed=met and all(check.holds for check in checks),
            checks=checks,
        )
        self.emit("milestone", **verdict.to_json())
        return verdict

    def headline(self, verdicts: list[Verdict]) -> Headline:
        """Over the whole of a pipeline; over the highest rung reached where each rung is the whole."""
        names = [verdict.stage for verdict in verdicts]
        gate, least = self.system.gate, self.system.min_efficiency
        if self.system.composition is Composition.PIPELINE:
            unscaled = [stage.name for stage in self.system.stages if not stage.scales]
            rows = self.panel.totals(names, unscaled)
            baseline = next(row for row in rows if row.is_baseline)
            return pick_headline(rows, baseline, gate, least, admits=lambda row: self.whole(names, row.workers))
        reached = [verdict.stage for verdict in takewhile(lambda verdict: verdict.passed, verdicts)]
        rows = self.panel.medians(reached[-1]) if reached else []
        return pick_headline(rows, self.baseline(self.stages[0]), gate, least)

    def whole(self, names: list[str], workers: int) -> bool:
        """Whether every one of these parts of a pipeline is inside the gate at p workers."""
        for name in names:
            row = self.panel.median(name, workers) or self.panel.median(name, 1)  # 1: it does not scale
            baseline = self.panel.median(name, BASELINE)
            if row is None or baseline is None or not self.system.gate.admits(row, baseline):
                return False
        return True

    def lab(self) -> Lab:
        if self._lab is None:
            most = max(self.options.workers)
            self.emit("lab", workers=most, address=self.options.address)
            address = self.options.address
            lab = Lab.connect(address, workers=most) if address else Lab.local(workers=most)
            self._lab = self.resources.enter_context(lab)
            self.manifest["lab"] = self._lab.describe()
            self.folder.write_manifest(self.manifest)
        return self._lab

    def baseline_names(self) -> list[str]:
        """A pipeline's baseline is measured part by part, up to the last part that is needed."""
        if self.system.composition is Composition.ALTERNATIVE:
            return [WHOLE]
        names = [stage.name for stage in self.system.stages]
        return names[: names.index(self.stages[-1].name) + 1]

    def baseline_name(self, stage: Stage) -> str:
        return WHOLE if self.system.composition is Composition.ALTERNATIVE else stage.name

    def baseline(self, stage: Stage) -> Row:
        row = self.panel.median(self.baseline_name(stage), BASELINE)
        if row is None:
            raise ConfigError(f"the baseline of {stage.name} was not measured")
        return row

    def axis(self, name: str) -> Axis:
        stage = self.system.stage(name)
        return stage.axis if stage is not None else self.system.stages[0].axis

    def repeats(self, stage: Stage) -> int:
        """How often a stage is run at every p, and its baseline."""
        least = 1 if self.options.length is Length.QUICK else stage.repeats
        return max(least, int(self.settings["repeats"]))

    def emit(self, event: str, /, **fields: Any) -> None:
        """Write an event down and show it; "progress" is only shown."""
        if event == "progress":
            self.listener({"event": event, **fields})
        else:
            self.listener(self.folder.emit(event, **fields))

    def stop(self, status: str, error: BaseException) -> None:
        """Write down how the study ended; a full disk must not hide why."""
        self.manifest["status"] = status
        last = traceback.format_exception_only(error)[-1].strip()
        with suppress(OSError):
            self.folder.write_manifest(self.manifest)
            self.emit(status, error=last)


def summarise(result: StudyResult) -> dict[str, Any]:
    """The object that `study --json` prints."""
    rows = result.folder.panel()
    baseline = [
        {
            "stage": row.stage,
            "wall_s": row.wall_s,
            "quality": row.quality,
            "quality_metric": row.quality_metric,
            "cost_usd": row.cost_usd,
            "work": row.work,
            "work_unit": row.work_unit,
        }
        for name in rows.stages()
        if (row := rows.median(name, BASELINE)) is not None
    ]
    summary: dict[str, Any] = {
        "system": result.folder.manifest()["system"],
        "run": str(result.folder.path),
        "baseline": baseline,
        "milestones": [verdict.to_json() for verdict in result.verdicts],
        "headline": result.headline.to_json(),
        "report": str(result.folder.report_path),
    }
    strict: dict[str, Any] = json.loads(json_text(summary))  # NaN becomes null
    return strict
