"""A balance from its first run to its result, in a folder: joint and alone in turns, together, then again.

Every run is appended to trials.jsonl as soon as it has ended. To resume, the same steps are taken again and runs
that are kept are told instead of made: the searches come to the state that they were in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sixfold.design.checklist import Design
from sixfold.errors import ConfigError, InputError, first_line
from sixfold.files import append_json_line, read_json_lines, replace_json
from sixfold.study.balance import Balance, BalanceTrial, Knobs, Measure, best_of, by_axis, defaults
from sixfold.study.balance_result import BalanceResult, judge
from sixfold.study.balance_search import KnobSearch

__all__ = ["BalanceFolder", "BalanceOptions", "run_balance"]


@dataclass(frozen=True, slots=True)
class BalanceOptions:
    """trials: runs of the joint search, and of each axis alone. budget_s: of all runs, without preparation.

    repeats: runs of the start and of the best of both ways at the end.
    """

    trials: int = 10
    budget_s: float | None = None
    seed: int = 0
    repeats: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.trials <= 10_000:
            raise ConfigError(f"got {self.trials} trials, expected 1 to 10000")
        if not 1 <= self.repeats <= 100:
            raise ConfigError(f"got {self.repeats} repeats, expected 1 to 100")
        if self.budget_s is not None and not 0 < self.budget_s < math.inf:
            raise ConfigError(f"got a budget of {self.budget_s} s, expected above 0")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"got seed {self.seed}, expected 0 to {2**32 - 1}")

    def to_json(self) -> dict[str, Any]:
        """As it goes into the manifest."""
        return {"trials": self.trials, "budget_s": self.budget_s, "seed": self.seed, "repeats": self.repeats}


class BalanceFolder:
    """manifest.json, trials.jsonl, balance.json, balance.html."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials_path = path / "trials.jsonl"
        self.result_path = path / "balance.json"
        self.page_path = path / "balance.html"

    def trials(self) -> list[BalanceTrial]:
        """The runs that are kept, in order; InputError names a line that is none."""
        kept = []
        for line, record in enumerate(read_json_lines(self.trials_path), start=1):
            try:
                kept.append(BalanceTrial.from_json(record))
            except InputError as error:
                raise InputError(str(error), path=self.trials_path, line=line) from None
        return kept


def run_balance(
    folder: BalanceFolder,
    design: Design,
    balance: Balance,
    measure: Measure,
    options: BalanceOptions,
    *,
    told: Callable[[BalanceTrial, int], None] = lambda trial, planned: None,
    clock: Callable[[], float] = time.perf_counter,
) -> BalanceResult:
    """Go through all runs, those kept in the folder first, and write balance.json. told: after each run.

    Raises InputError when a kept run is not what the search asks for: another seed, other knobs, another Optuna.
    """
    return _Run(folder, design, balance, measure, options, told, clock).all()


class _Run:
    def __init__(
        self,
        folder: BalanceFolder,
        design: Design,
        balance: Balance,
        measure: Measure,
        options: BalanceOptions,
        told: Callable[[BalanceTrial, int], None],
        clock: Callable[[], float],
    ) -> None:
        self._folder, self._balance, self._measure, self._options = folder, balance, measure, options
        self._told, self._clock = told, clock
        self._kept = folder.trials()
        self._trials: list[BalanceTrial] = []
        self._start = defaults(design)
        self._axes = by_axis(design)
        seeds = balance.seeds(design)
        if unknown := {name for one in seeds for name in one} - self._start.keys():
            raise ConfigError(f"a seed names the knob {min(unknown)!r}, which design.yaml does not declare")
        self._searches = {"joint": KnobSearch(design.knobs, self._start, balance, seeds, options.seed)}
        for at, (axis, moved) in enumerate(self._axes.items(), start=1):
            self._searches[f"alone:{axis.value}"] = KnobSearch(moved, self._start, balance, seeds, options.seed + at)
        self._last = 1 + 3 * options.repeats  # what follows the searches: together, and the candidates again

    def all(self) -> BalanceResult:
        """Every phase in order."""
        start = self._one("start", 0, self._start)
        for search in self._searches.values():
            search.ask()
            search.tell(start)
        for number in range(self._options.trials):
            if self._spent(len(self._searches)):
                break
            for phase, search in self._searches.items():  # in turns: whatever drifts, drifts for all of them
                search.tell(self._one(phase, number, search.ask()))
        alone = {phase: self._best(phase) for phase in self._searches if phase != "joint"}
        merged = dict(self._start)
        for axis, moved in self._axes.items():
            if (best := alone[f"alone:{axis.value}"]) is not None:
                merged.update({name: best.knobs[name] for name in moved})
        self._one("together", 0, merged)
        separate = [trial for trial in self._trials if trial.phase == "together" or trial.phase.startswith("alone:")]
        found = {
            "joint": best_of([t for t in self._trials if t.phase in ("joint", "start")], self._balance),
            "start": best_of([start], self._balance),
            "alone": best_of([start, *separate], self._balance),
        }
        candidates = {name: trial for name, trial in found.items() if trial is not None}
        for number in range(self._options.repeats):
            for name, trial in candidates.items():
                self._one(f"confirm:{name}", number, trial.knobs)
        if self._kept:
            raise InputError("more trials are kept than this search makes", path=self._folder.trials_path)
        result = judge(self._trials, self._balance, candidates, finished=True)
        replace_json(self._folder.result_path, result.to_json(self._balance))
        return result

    def _best(self, phase: str) -> BalanceTrial | None:
        return best_of([trial for trial in self._trials if trial.phase in (phase, "start")], self._balance)

    def _spent(self, runs: int) -> bool:
        """Whether so many more runs, and those at the end, would go beyond the budget."""
        if self._options.budget_s is None:
            return False
        usual_s = median(trial.seconds for trial in self._trials)
        return sum(trial.seconds for trial in self._trials) + (runs + self._last) * usual_s > self._options.budget_s

    def _one(self, phase: str, number: int, knobs: Knobs) -> BalanceTrial:
        trial = self._replayed(phase, number, knobs) if self._kept else self._made(phase, number, dict(knobs))
        self._trials.append(trial)
        self._told(trial, 1 + self._options.trials * len(self._searches) + self._last)
        return trial

    def _replayed(self, phase: str, number: int, knobs: Knobs) -> BalanceTrial:
        kept = self._kept.pop(0)
        if (kept.phase, kept.number, kept.knobs) != (phase, number, dict(knobs)):
            raise InputError(
                f"trial {len(self._trials) + 1} is {kept.phase} {kept.number}, expected {phase} {number} with the "
                "knobs that this search asks for: the folder is of another search, begin a new one",
                path=self._folder.trials_path,
            )
        return kept

    def _made(self, phase: str, number: int, knobs: dict[str, float]) -> BalanceTrial:
        began_s = self._clock()
        metrics: dict[str, float] = {}
        error = None
        try:
            metrics = {name: float(value) for name, value in self._measure(knobs).items()}
            error = _unfit(metrics, self._balance.metrics)
        except Exception as raised:  # a setting that does not work is a finding; Ctrl-C is not an Exception
            error = f"{type(raised).__name__}: {first_line(raised)}"
        trial = BalanceTrial(phase, number, knobs, {} if error else metrics, round(self._clock() - began_s, 3), error)
        append_json_line(self._folder.trials_path, trial.to_json())
        return trial


def _unfit(metrics: Mapping[str, float], needed: Sequence[str]) -> str | None:
    """Why the metrics cannot be judged; None when they can."""
    wrong = [name for name in needed if not math.isfinite(metrics.get(name, math.nan))]
    return f"no finite {', '.join(wrong)}" if wrong else None
