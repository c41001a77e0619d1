"""Where scaling broke: the worker-seconds that p workers lose to one process, and what takes most of them.

p workers pay p x wall seconds for what one process does in T(1). The difference is exactly the sum, over the
four parts of the time, of p x part(p) - part(1); the largest of these is what the stage broke on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sixfold.report.record import Rung
from sixfold.study.meter import Part
from sixfold.study.milestone import Prediction
from sixfold.study.row import Row
from sixfold.units import number, percent, seconds

__all__ = [
    "HOLDS_BELOW",
    "Loss",
    "Outcome",
    "PartLoss",
    "against_prediction",
    "explain",
    "lost_time",
    "part_s",
    "predicted_parts",
]

HOLDS_BELOW = 0.05  # a share of the bill that repeats of the same run differ by: no break is claimed below it
_WORDS: Mapping[Part, str] = {
    Part.COMPUTE: "extra compute",
    Part.COMMUNICATION: "communication",
    Part.IDLE: "idle time",
    Part.REWORK: "rework",
}


class Outcome(StrEnum):
    """What became of a stage's scaling at its most workers."""

    HOLDS = "holds"  # as good as linear
    LOSES = "loses"  # short of linear, inside the efficiency gate
    BROKE = "broke"  # below the efficiency gate
    SUPERLINEAR = "superlinear"


@dataclass(frozen=True, slots=True)
class PartLoss:
    """One part of the time, in worker-seconds for the baseline's work."""

    part: Part
    baseline_s: float
    paid_s: float

    @property
    def lost_s(self) -> float:
        """What p workers spend on it above the single process; negative where they spend less."""
        return self.paid_s - self.baseline_s

    @property
    def words(self) -> str:
        """How a sentence calls it."""
        return _WORDS[self.part]


@dataclass(frozen=True, slots=True)
class Loss:
    """The bill of one stage at its most workers, held against the single process."""

    stage: str
    workers: int
    baseline_s: float
    paid_s: float
    parts: tuple[PartLoss, ...]

    @property
    def lost_s(self) -> float:
        """Worker-seconds above what one process needs."""
        return self.paid_s - self.baseline_s

    @property
    def share(self) -> float:
        """The part of the bill that is lost: 1 - E(p)."""
        return self.lost_s / self.paid_s

    @property
    def largest(self) -> PartLoss:
        """The part that takes most of what is lost."""
        return max(self.parts, key=lambda part: part.lost_s)

    def outcome(self, min_efficiency: float) -> Outcome:
        """What became of scaling, as far as more than the repeats can explain."""
        if self.share < -HOLDS_BELOW:
            return Outcome.SUPERLINEAR
        if self.share < HOLDS_BELOW:
            return Outcome.HOLDS
        return Outcome.LOSES if 1 - self.share >= min_efficiency else Outcome.BROKE


def lost_time(row: Row, baseline: Row) -> Loss | None:
    """Attribute the worker-seconds that `row` loses; None where one of the two did no work."""
    if not (row.work and baseline.work and row.wall_s and baseline.wall_s):
        return None
    scale = row.processors * baseline.work / row.work
    parts = tuple(PartLoss(part, baseline_s=part_s(baseline, part), paid_s=part_s(row, part) * scale) for part in Part)
    return Loss(row.stage, row.processors, baseline.wall_s, row.wall_s * scale, parts)


def explain(loss: Loss, min_efficiency: float) -> str:
    """The loss in words, with its numbers."""
    who = "1 worker" if loss.workers == 1 else f"{loss.workers} workers together"
    bill = (
        f"At p = {loss.workers}, {who} took {seconds(loss.paid_s)} of worker time for what one process does "
        f"in {seconds(loss.baseline_s)}"
    )
    outcome = loss.outcome(min_efficiency)
    if outcome is Outcome.SUPERLINEAR:
        return (
            f"{bill}: less than linear scaling would need (E = {number(1 - loss.share)}). Superlinear "
            "speed-up is a bug report: look for work that the baseline does and the workers do not."
        )
    if outcome is Outcome.HOLDS:
        return f"{bill}: E = {number(1 - loss.share)}, as good as linear."
    largest = loss.largest
    others = sorted((p for p in loss.parts if p is not largest and p.lost_s > 0), key=lambda p: -p.lost_s)
    rest = f"; then {others[0].words}, {seconds(others[0].lost_s)}" if others else ""
    saved = sum(-part.lost_s for part in loss.parts if part.lost_s < 0)
    gained = f" ({seconds(saved)} were won back elsewhere)" if saved > HOLDS_BELOW * loss.lost_s else ""
    return (
        f"{bill}: {seconds(loss.lost_s)} ({percent(loss.share)} of the bill) were lost{gained}. "
        f"{_capital(largest.words)} takes the largest share: {seconds(largest.lost_s)}{rest}."
    )


def predicted_parts(prediction: Prediction) -> dict[Part, float]:
    """The predicted seconds of those terms that name a part of the time."""
    found: dict[Part, float] = {}
    for term, term_s in prediction.terms.items():
        first = term.lower().replace("-", " ").replace("_", " ").split()
        part = next((part for part in Part if first and part.value == first[0]), None)
        if part is not None:
            found[part] = found.get(part, 0.0) + term_s
    return found


def against_prediction(rung: Rung) -> str | None:
    """The measured time held against the predicted one, and the named term that is furthest off."""
    row = rung.last
    prediction = rung.predictions.get(row.workers) if row else None
    if row is None or prediction is None or prediction.wall_s <= 0:
        return None
    error = row.wall_s / prediction.wall_s - 1
    sentence = f"Predicted {seconds(prediction.wall_s)}, measured {seconds(row.wall_s)} ({percent(error, signed=True)})"
    off = {part: part_s(row, part) - term_s for part, term_s in predicted_parts(prediction).items()}
    if not off:
        return f"{sentence}."
    worst = max(off, key=lambda part: abs(off[part]))
    measured_s = part_s(row, worst)
    return (
        f"{sentence}; the term furthest off is {worst.value}: {seconds(measured_s - off[worst])} predicted, "
        f"{seconds(measured_s)} measured."
    )


def part_s(row: Row, part: Part) -> float:
    """Seconds of one part of a row: the mean over its workers."""
    value: float = getattr(row, f"{part.value}_s")
    return value


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
