"""What a hospital may say about its cohort: counts, prevalence, missingness and findings, without small cells."""

# Shapes: N patients.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data.harmonise import Cause, Finding
from sixfold.systems.hospital.data.schema import SCHEMA, Kind

__all__ = ["SMALLEST_CELL", "cohort_report", "protected_cells", "report_text"]

SMALLEST_CELL = 5  # patients; fewer are shown as "<5"

_FEW = f"<{SMALLEST_CELL}"
_WITHHELD = "withheld"  # would tell a small cell by subtraction


def cohort_report(cohort: Cohort, findings: Sequence[Finding] = ()) -> dict[str, Any]:
    """Plain values, as for JSON; a cell of fewer than 5 patients is "<5", and 0 is such a cell.

    Only that no value of a variable is missing is said as 0: it tells nothing about anybody.

    Of cells that add up to a number that is shown, another one is withheld where a single one is small. Means and
    standard deviations are left out (None) where they would be of fewer than 5 patients. Values as a hospital wrote
    them are only named in findings on 5 patients or more.
    """
    outcome = protected_cells({"0": int((cohort.y_N == 0).sum()), "1": int((cohort.y_N == 1).sum())})
    shown = all(isinstance(cell, int) for cell in outcome.values())
    return {
        "site": cohort.site,
        "patients": _cell(len(cohort)),
        "outcome": outcome,
        "prevalence": round(float(cohort.y_N.mean()), 3) if shown else None,
        "variables": {name: _variable(name, cohort.X_ND[:, at]) for at, name in enumerate(cohort.features)},
        "findings": [_finding(finding) for finding in findings],
    }


def report_text(report: Mapping[str, Any]) -> str:
    """The report of `cohort_report` in lines for a person."""
    prevalence = "withheld" if report["prevalence"] is None else f"{report['prevalence']:.3f}"
    lines = [f"{report['site']}: {report['patients']} patients, prevalence {prevalence}"]
    for name, row in report["variables"].items():
        unit = SCHEMA[name].unit if name in SCHEMA else ""
        if "codes" in row:
            facts = ", ".join(f"{code}: {cell}" for code, cell in row["codes"].items())
        elif row["mean"] is None:
            facts = "too few values"
        else:
            facts = f"mean {row['mean']:g} {unit}".rstrip() + f", standard deviation {row['sd']:g}"
        lines.append(f"  {name}: {facts}; missing: {row['missing']}")
    lines.extend(f"  found: {row['variable']}: {row['why']}: {row['count']}" for row in report["findings"])
    return "\n".join(lines) + "\n"


def _variable(name: str, values_N: NDArray[np.float64]) -> dict[str, Any]:
    known_N = values_N[~np.isnan(values_N)]
    missing = len(values_N) - len(known_N)
    if name in SCHEMA and SCHEMA[name].kind is not Kind.NUMBER:
        codes: tuple[int, ...] = SCHEMA[name].codes
    elif (
        name not in SCHEMA and np.isin(known_N, (0.0, 1.0)).all()
    ):  # a flag outside the schema: its mean would be a count
        codes = (0, 1)
    else:
        enough = len(known_N) >= SMALLEST_CELL
        return {
            "missing": protected_cells({"missing": missing, "known": len(known_N)})["missing"] if missing else 0,
            "mean": float(f"{known_N.mean():.4g}") if enough else None,
            "sd": float(f"{known_N.std():.4g}") if enough else None,
        }
    counts = {str(code): int((known_N == code).sum()) for code in codes}
    if not missing:
        return {"missing": 0, "codes": protected_cells(counts)}
    cells = protected_cells({"missing": missing, **counts})
    return {"missing": cells.pop("missing"), "codes": cells}


def protected_cells(counts: Mapping[str, int]) -> dict[str, int | str]:
    """Cells whose sum may be known: if just one is small, the next larger one is withheld with it."""
    cells = {name: _cell(n) for name, n in counts.items()}
    large = sorted((n, name) for name, n in counts.items() if n >= SMALLEST_CELL)
    if large and len(large) == len(counts) - 1:
        cells[large[0][1]] = _WITHHELD
    return cells


def _cell(count: int) -> int | str:
    return count if count >= SMALLEST_CELL else _FEW


def _finding(finding: Finding) -> dict[str, Any]:
    rare = finding.count < SMALLEST_CELL
    why = finding.cause.value if rare and finding.cause is Cause.UNKNOWN else finding.why
    return {"variable": finding.variable, "why": why, "count": _cell(finding.count)}
