"""Every family of predictions that is held against measurements, and the files that say how far off they were."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from sixfold.design.accuracy import ACCURACY_PATH
from sixfold.design.validation.score import Family
from sixfold.errors import InputError
from sixfold.files import replace_bytes

__all__ = ["MODULES", "all_families", "page", "write"]

MODULES = ("training", "serving", "recommender", "retrieval", "queues", "failures", "coordination")
_INTRODUCTION = """# How far predictions were from measurements

Written by `sixfold design validate --write docs --data ../shared/published`, from published measurements (papers,
repositories, leaderboards) and, where the name says so, from simulations of ours. No row that is scored was used to
fit anything, and no row has a factor of its own: parameters are physical, or fitted per device and framework on the
rows marked for calibration. The baseline is a constant utilisation fitted on the same calibration rows: an error
without it beside it says nothing. Regret is how much slower the configuration that the prediction would choose is than
the best measured one of its group.

The structure of a law (which terms it has) was sometimes chosen with residuals in view, and the scored rows could be
seen by those who wrote the laws: only rows that nobody here has seen are a clean test.
"""


def all_families(data: Path | None = None) -> list[Family]:
    """Predict and score every family, with the rows that ship and those of a folder.

    Raises InputError for a folder that does not exist, or a file of it that cannot be read.
    """
    if data is not None and not data.is_dir():
        raise InputError("no such folder, expected one with CSV files of published measurements", path=data)
    found: list[Family] = []
    for module in MODULES:
        found += import_module(f"sixfold.design.validation.{module}").families(data)
    return found


def write(families: list[Family], docs: Path | None) -> None:
    """Write what answers and pages read: `accuracy.json` of the package, and `accuracy.md` of a folder of documents."""
    listed = {"date": datetime.now(UTC).date().isoformat(), "families": [family.to_json() for family in families]}
    replace_bytes(ACCURACY_PATH, (json.dumps(listed, indent=1) + "\n").encode())
    if docs is not None:
        replace_bytes(docs / "accuracy.md", page(families).encode())


def page(families: list[Family]) -> str:
    """docs/accuracy.md."""
    lines = [
        _INTRODUCTION,
        "| family | rows | MAPE | median | bias | constant | regret mean / max | target | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for family in families:
        regret = (
            "" if family.regret_mean is None or family.regret_max is None
            else f"{family.regret_mean:.1%} / {family.regret_max:.1%}"
        )  # fmt: skip
        verdict = {True: "met", False: "**missed**", None: ""}[family.passed]
        lines.append(
            f"| {family.name} | {family.rows} | {family.mape:.1%} | {family.median:.1%} | {family.bias:+.1%} "
            f"| {family.baseline_mape:.1%} | {regret} | {family.target} | {verdict} |"
        )
    lines += ["", "Notes:", ""]
    lines += [f"- **{family.name}**: {family.note}" for family in families if family.note]
    return "\n".join(lines) + "\n"
