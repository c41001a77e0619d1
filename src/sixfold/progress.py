"""What a person sees while a ladder is climbed: one line a finished step, a live line for the step at hand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sixfold.study.row import who
from sixfold.study.run_folder import RunFolder

if TYPE_CHECKING:
    from sixfold.study.runner import StudyResult

__all__ = ["LadderProgress"]


class LadderProgress:
    """Listens to a study's events. Everything goes to stderr: stdout is for results."""

    def __init__(self) -> None:
        self.console = Console(file=sys.stderr)
        self.folder: RunFolder | None = None
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            refresh_per_second=3,  # drawing takes from the baseline, which runs in this process
        )
        self._task = self._progress.add_task("starting", total=None)
        self._steps: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "created": self._created,
            "prepare": lambda e: self._begin("preparing the input (not measured)"),
            "prediction": self._prediction,
            "lab": lambda e: self._begin("starting Ray" if e["address"] is None else "joining the cluster"),
            "run": lambda e: self._begin(f"{e['stage']}, {who(e['workers'])}"),
            "row": self._row,
            "progress": self._advance,
            "probe": lambda e: self._begin(f"probing this machine: {e['what']}"),
            "milestone": self._milestone,
            "stopped": lambda e: self.console.print(f"  stopped at {e['stage']}: {e['reason']}"),
            "interrupted": self._interrupted,
            "failed": lambda e: self.console.print(f"  failed: {e['error']}", style="red", markup=False),
        }

    def __enter__(self) -> LadderProgress:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, traceback)

    def __call__(self, event: Mapping[str, Any]) -> None:
        if (show := self._steps.get(event["event"])) is not None:
            show(event)

    def summary(self, result: StudyResult) -> None:
        """The last lines: the headline and where the report is."""
        headline = result.headline
        if headline.row is None:
            self.console.print(f"headline: none; {headline.reason}")
        else:
            row, base = headline.row, headline.baseline
            self.console.print(
                f"headline: {who(row.workers)}, {row.wall_s:.1f} s against {base.wall_s:.1f} s, "
                f"S = {row.speedup(base):.2f}, E = {row.efficiency(base):.2f}, "
                f"{row.quality_metric} {row.quality:.3f}, cost x {row.cost_ratio(base):.2f}"
            )
        passed = sum(verdict.passed for verdict in result.verdicts)
        self.console.print(f"milestones: {passed} of {result.expected} passed")
        print(f"report: {result.folder.report_path}")

    def _created(self, event: Mapping[str, Any]) -> None:
        self.folder = RunFolder(Path(event["run"]))
        self.console.print(f"run: {event['run']}", markup=False)

    def _begin(self, what: str) -> None:
        self._progress.reset(self._task, total=None, description=what)

    def _advance(self, event: Mapping[str, Any]) -> None:
        self._progress.update(self._task, completed=event["done"], total=event["total"])

    def _prediction(self, event: Mapping[str, Any]) -> None:
        self.console.print(
            f"  predicted  {event['stage']:<18} {who(event['workers']):<14} {event['wall_s']:8.2f} s",
            markup=False,
        )

    def _row(self, event: Mapping[str, Any]) -> None:
        self.console.print(
            f"  measured   {event['stage']:<18} {who(event['workers']):<14} {event['wall_s']:8.2f} s",
            markup=False,
        )

    def _milestone(self, event: Mapping[str, Any]) -> None:
        word, style = ("passed", "green") if event["passed"] else ("NOT MET", "red")
        self.console.print(
            f"  {word:<10} {event['stage']:<18} {event['metric']} {event['comparator']} {event['target']:g} "
            f"(predicted {event['predicted']:.3g}, measured {event['value']:.3g} {event['unit']})",
            style=style,
            markup=False,
        )
        for check in event["checks"]:
            mark = "holds" if check["holds"] else "BROKEN"
            self.console.print(f"    {mark}: {check['name']}: {check['detail']}", markup=False, style="dim")

    def _interrupted(self, event: Mapping[str, Any]) -> None:
        if self.folder is not None:
            self.console.print(f"interrupted; go on with: sixfold study --resume {self.folder.path}", markup=False)
