"""The method: baseline, stages, predictions before runs, the meter, the panel and the headline.

The names are loaded when they are first used: a worker that wants only `span` need not load the runner.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sixfold.study.headline import Headline, pick_headline
    from sixfold.study.meter import Breakdown, Meter, Part, Reading, breakdown, metered, span
    from sixfold.study.milestone import Check, Comparator, Milestone, Prediction, Verdict
    from sixfold.study.options import Options
    from sixfold.study.row import BASELINE, TOTAL, Panel, Row
    from sixfold.study.run_folder import RunFolder
    from sixfold.study.runner import StudyResult, run_study, summarise
    from sixfold.study.stage import (
        Composition,
        Context,
        Forecast,
        Gate,
        Length,
        Measurement,
        Outcome,
        Stage,
        System,
        Trial,
        output_folder,
    )

__all__ = [
    "BASELINE",
    "TOTAL",
    "Breakdown",
    "Check",
    "Comparator",
    "Composition",
    "Context",
    "Forecast",
    "Gate",
    "Headline",
    "Length",
    "Measurement",
    "Meter",
    "Milestone",
    "Options",
    "Outcome",
    "Panel",
    "Part",
    "Prediction",
    "Reading",
    "Row",
    "RunFolder",
    "Stage",
    "StudyResult",
    "System",
    "Trial",
    "Verdict",
    "breakdown",
    "metered",
    "output_folder",
    "pick_headline",
    "run_study",
    "span",
    "summarise",
]

_MODULES = ("meter", "milestone", "row", "stage", "options", "headline", "run_folder", "runner")


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module_name in _MODULES:  # the lightest first
            module = importlib.import_module(f"{__name__}.{module_name}")
            if name in getattr(module, "__all__", ()):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
