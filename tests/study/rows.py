"""Rows for tests, made up but consistent."""

from typing import Any

from sixfold.axes import Axis
from sixfold.study import Row


def make_row(stage: str = "s", workers: int = 1, wall_s: float = 1.0, **changes: Any) -> Row:
    """A row in which everything is compute and every worker costs one dollar a second."""
    values: dict[str, Any] = {
        "axis": Axis.DATA,
        "repeat": 0,
        "compute_s": wall_s,
        "communication_s": 0.0,
        "idle_s": 0.0,
        "rework_s": 0.0,
        "moved_bytes": 0,
        "work": 1.0,
        "work_unit": "page",
        "quality": 1.0,
        "quality_metric": "recall",
        "cost_usd": max(1, workers) * wall_s,
        "config": "c",
    }
    return Row(stage=stage, workers=workers, wall_s=wall_s, **(values | changes))
