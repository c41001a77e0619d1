"""The headline: the fastest row with quality inside its gate and efficiency E(p) >= 0.70."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sixfold.study.row import Row
from sixfold.study.stage import Gate

__all__ = ["Headline", "pick_headline"]


@dataclass(frozen=True, slots=True)
class Headline:
    """The row that a study is quoted by; `row` is None when none qualifies, and `reason` says why."""

    row: Row | None
    baseline: Row
    reason: str

    def to_json(self) -> dict[str, Any]:
        """The headline as `study --json` prints it and the manifest keeps it."""
        base = {"reason": self.reason, "baseline_wall_s": self.baseline.wall_s}
        if self.row is None:
            return {"workers": None, **base}
        return {
            "stage": self.row.stage,
            "workers": self.row.workers,
            "wall_s": self.row.wall_s,
            "speedup": self.row.speedup(self.baseline),
            "efficiency": self.row.efficiency(self.baseline),
            "quality": self.row.quality,
            "quality_metric": self.row.quality_metric,
            "cost_usd": self.row.cost_usd,
            "cost_ratio": self.row.cost_ratio(self.baseline),
            **base,
        }


def pick_headline(
    rows: Iterable[Row],
    baseline: Row,
    gate: Gate,
    min_efficiency: float = 0.70,
    *,
    admits: Callable[[Row], bool] = lambda row: True,
) -> Headline:
    """The fastest of `rows` that passes the gate at an efficiency of at least `min_efficiency`.

    `admits` is a further gate: a pipeline's total is inside only where each of its stages is.
    """
    candidates = [row for row in rows if not row.is_baseline]
    if not candidates:
        return Headline(None, baseline, "nothing but the baseline was measured")
    same_model = [row for row in candidates if gate.admits(row, baseline) and admits(row)]
    if not same_model:
        best = max(candidates, key=lambda row: -math.inf if math.isnan(row.quality) else row.quality)
        floor = baseline.quality - gate.tolerance
        if gate.admits(best, baseline):
            return Headline(None, baseline, "no row is inside the quality gate of every stage")
        return Headline(
            None, baseline, f"no row is inside the quality gate: best {best.quality:.4g}, floor {floor:.4g}"
        )
    efficient = [row for row in same_model if row.efficiency(baseline) >= min_efficiency]
    if not efficient:
        best_efficiency = max(row.efficiency(baseline) for row in same_model)
        return Headline(
            None,
            baseline,
            f"no row reaches E >= {min_efficiency:.2f}: best {best_efficiency:.2f}; stay on one process",
        )
    fastest = min(efficient, key=lambda row: (row.wall_s / row.work, row.processors))
    return Headline(fastest, baseline, f"fastest of {len(efficient)} rows inside both gates")
