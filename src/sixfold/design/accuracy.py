"""How far predictions were from measurements, by family: `validation/accuracy.json`, written by `design validate "
"--write`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sixfold.files import read_json

__all__ = ["ACCURACY_PATH", "Band", "accuracies", "band"]

ACCURACY_PATH = Path(__file__).parent / "validation" / "accuracy.json"
_UNMEASURED = 0.5


@dataclass(frozen=True, slots=True)
class Band:
    """Around a prediction x: from x / (1 + width) to x (1 + width), and what the width rests on."""

    width: float
    basis: str

    def around(self, value: float) -> tuple[float, float]:
        """The lower and the upper end."""
        return value / (1.0 + self.width), value * (1.0 + self.width)


@cache
def accuracies(path: Path = ACCURACY_PATH) -> dict[str, dict[str, Any]]:
    """What each family scored when it was last held against all published rows; empty if it never was."""
    return {family["name"]: family for family in read_json(path)["families"]} if path.exists() else {}


def band(families: tuple[str, ...]) -> Band:
    """The widest mean error among some families; half of the value where nothing was measured."""
    known = [accuracies()[name] for name in families if name in accuracies()]
    if not known:
        return Band(_UNMEASURED, "assumed: no published measurement was held against these laws")
    worst = max(known, key=lambda family: float(family["mape"]))
    basis = f"mean error of {worst['name']!r} over {worst['rows']} published measurements"
    return Band(float(worst["mape"]), basis)
