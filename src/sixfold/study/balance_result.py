"""What a balance came to: the chosen knobs, the price of contention, and whether either is more than noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from sixfold.study.balance import Balance, BalanceTrial, best_of, front_of
from sixfold.units import quantity

__all__ = ["BalanceResult", "Confirmed", "judge"]


_FOUND_BY = {"joint": "the joint search", "alone": "tuning axes alone", "start": "the start"}


@dataclass(frozen=True, slots=True)
class Confirmed:
    """One candidate measured again: medians, and the least and the most of the objective."""

    candidate: str
    phase: str  # which search found it
    knobs: dict[str, float]
    metrics: dict[str, float]
    least: float
    most: float
    runs: int
    failed: int
    held: bool  # whether the medians hold every limit

    def to_json(self) -> dict[str, Any]:
        """The candidate as it goes into balance.json."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True)
class BalanceResult:
    """Everything that is said of a balance."""

    finished: bool
    chosen: Confirmed | None  # the best of the candidates that were measured again
    candidates: tuple[Confirmed, ...]
    best: dict[str, BalanceTrial]  # of each search, by phase
    front: list[BalanceTrial]
    price: float | None  # what is lost by tuning axes alone, as a share of the joint best
    within_noise: bool | None  # whether the repeats of the two overlap
    seconds: float
    runs: int
    failed: int

    def sentence(self, balance: Balance) -> str:
        """The result in words."""
        if self.chosen is None:
            return "nothing was confirmed: the run was cut short, or every trial failed"
        chosen, goal = self.chosen, balance.objective
        value = f"{balance.said(goal.metric)} {quantity(chosen.metrics[goal.metric], goal.unit)}"
        said = f"{_FOUND_BY[chosen.candidate]} gives the best that was measured again: {value}"
        if not chosen.held:
            return f"no candidate held every limit; {_FOUND_BY[chosen.candidate]} came nearest: {value}"
        held = {one.candidate for one in self.candidates if one.held}
        if self.price is None:
            lost = " and ".join(_FOUND_BY[name] for name in ("joint", "alone") if name not in held)
            return f"{said}; no price of contention, as {lost} came to nothing that holds every limit"
        noise = ", which is within the noise of the repeats" if self.within_noise else ""
        return f"{said}; tuning axes alone costs {self.price:+.1%}, the price of contention{noise}"

    def to_json(self, balance: Balance) -> dict[str, Any]:
        """balance.json."""
        return {
            "finished": self.finished,
            "sentence": self.sentence(balance),
            "objective": balance.objective.metric,
            "unit": balance.objective.unit,
            "second": balance.second.metric,
            "limits": [str(limit) for limit in balance.limits],
            "chosen": None if self.chosen is None else self.chosen.to_json(),
            "price_of_contention": self.price,
            "within_noise": self.within_noise,
            "candidates": [one.to_json() for one in self.candidates],
            "best": {phase: trial.to_json() for phase, trial in self.best.items()},
            "front": [trial.to_json() for trial in self.front],
            "runs": self.runs,
            "failed": self.failed,
            "seconds": self.seconds,
        }


def judge(
    trials: Sequence[BalanceTrial], balance: Balance, candidates: Mapping[str, BalanceTrial], finished: bool
) -> BalanceResult:
    """The result of all runs so far. candidates: what is, or will be, measured again in phase "confirm:NAME"."""
    phases = dict.fromkeys(trial.phase for trial in trials)
    searches = [phase for phase in phases if not phase.startswith("confirm:")]
    found = {phase: best_of([trial for trial in trials if trial.phase == phase], balance) for phase in searches}
    confirmed = [
        one for name, trial in candidates.items() if (one := _confirmed(name, trial, trials, balance)) is not None
    ]
    metric = balance.objective.metric
    held = [one for one in confirmed if one.held]
    chosen = min(held, key=lambda one: one.metrics[metric], default=None) or min(
        confirmed, key=lambda one: _missed(one, balance), default=None
    )
    named = {one.candidate: one for one in held}
    price = within = None
    if "joint" in named and "alone" in named:
        joint, alone = named["joint"], named["alone"]
        price = alone.metrics[metric] / joint.metrics[metric] - 1 if joint.metrics[metric] > 0 else None
        within = joint.least <= alone.most and alone.least <= joint.most
    return BalanceResult(
        finished=finished,
        chosen=chosen,
        candidates=tuple(confirmed),
        best={phase: trial for phase, trial in found.items() if trial is not None},
        front=front_of(trials, balance),
        price=price,
        within_noise=within,
        seconds=sum(trial.seconds for trial in trials),
        runs=len(trials),
        failed=sum(trial.error is not None for trial in trials),
    )


def _confirmed(name: str, found: BalanceTrial, trials: Sequence[BalanceTrial], balance: Balance) -> Confirmed | None:
    """Only the repeats count: the run by which it was found was the luckiest of many."""
    again = [trial for trial in trials if trial.phase == f"confirm:{name}"]
    ran = [trial for trial in again if trial.error is None]
    if not ran:
        return None
    metrics = {metric: median(trial.metrics[metric] for trial in ran) for metric in ran[0].metrics}
    values = [trial.metrics[balance.objective.metric] for trial in ran]
    held = all(limit.excess(metrics) <= 0 for limit in balance.limits)
    return Confirmed(
        name, found.phase, found.knobs, metrics, min(values), max(values), len(ran), len(again) - len(ran), held
    )


def _missed(one: Confirmed, balance: Balance) -> float:
    return sum(max(0.0, limit.excess(one.metrics)) for limit in balance.limits)
