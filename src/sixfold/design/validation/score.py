"""Predictions held against measurements: error, beside that of a constant, and what deciding by them costs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

__all__ = ["Case", "Family", "score"]


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement that had to be predicted.

    baseline: what a constant utilisation, fitted to the calibration rows, predicts. group: the cases among which a
    user would choose (same model, machine count and batch); None where there is nothing to choose.
    """

    id: str
    source: str
    measured: float
    predicted: float
    baseline: float
    group: Hashable = None


@dataclass(frozen=True, slots=True)
class Family:
    """What one law makes of one kind of measurement; errors are relative, .08 is 8 %.

    bias: median of predicted / measured - 1. regret: measured value of the configuration that is predicted to be best
    over that of the best measured one, - 1; of every group with at least two cases. None where there is none.
    """

    name: str
    rows: int
    mape: float
    median: float
    bias: float
    baseline_mape: float
    regret_mean: float | None = None
    regret_max: float | None = None
    target: str = ""  # in words, with the numbers
    passed: bool | None = None
    note: str = ""  # what was left out and why, and what the prediction rests on
    cases: tuple[Case, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Without its cases."""
        return {name: value for name, value in asdict(self).items() if name != "cases"}


def score(
    name: str,
    cases: Sequence[Case],
    *,
    lower_is_better: bool = True,
    target: str = "",
    passes: Callable[[Family], bool] | None = None,
    note: str = "",
) -> Family:
    """Hold cases against their measurements. Raises ValueError without cases, or for one measured at 0 or below."""
    if not cases:
        raise ValueError(f"{name}: no cases, expected at least one")
    measured, predicted, baseline = (
        np.array([getattr(case, field) for case in cases], dtype=np.float64)
        for field in ("measured", "predicted", "baseline")
    )
    if not np.all(np.isfinite(measured) & (measured > 0)):
        raise ValueError(f"{name}: a measurement is not above 0")
    ratios = predicted / measured
    regrets = _regrets(cases, lower_is_better)
    family = Family(
        name=name,
        rows=len(cases),
        mape=float(np.mean(np.abs(ratios - 1))),
        median=float(np.median(np.abs(ratios - 1))),
        bias=float(np.median(ratios) - 1),
        baseline_mape=float(np.mean(np.abs(baseline / measured - 1))),
        regret_mean=float(np.mean(regrets)) if regrets else None,
        regret_max=float(max(regrets)) if regrets else None,
        target=target,
        note=note,
        cases=tuple(cases),
    )
    if passes is None:
        return family
    return replace(family, passed=passes(family))


def _regrets(cases: Sequence[Case], lower_is_better: bool) -> list[float]:
    groups: dict[Hashable, list[Case]] = {}
    for case in cases:
        if case.group is not None:
            groups.setdefault(case.group, []).append(case)
    regrets = []
    for of in groups.values():
        if len(of) < 2:
            continue
        if lower_is_better:
            chosen, best = min(of, key=lambda c: c.predicted), min(of, key=lambda c: c.measured)
            regrets.append(chosen.measured / best.measured - 1)
        else:
            chosen, best = max(of, key=lambda c: c.predicted), max(of, key=lambda c: c.measured)
            regrets.append(best.measured / chosen.measured - 1)
    return regrets
