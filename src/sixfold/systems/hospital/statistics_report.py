"""Statistics of all hospitals' patients together, by one masked sum: the job, the record, the table."""

# Shapes: B bins.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sixfold.errors import ConfigError
from sixfold.systems.hospital.data.cohort_report import SMALLEST_CELL, protected_cells
from sixfold.systems.hospital.data.schema import SCHEMA
from sixfold.systems.hospital.federation.coordinator import Coordinator
from sixfold.systems.hospital.federation.job import Job, Output, Protection, Split
from sixfold.systems.hospital.policy.permit import Permit
from sixfold.systems.hospital.statistics import CodeSummary, Layout, NumberSummary, Statistics, from_total
from sixfold.systems.hospital.train.algorithm import Total

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Found", "federated_statistics", "statistics_job", "statistics_record", "statistics_table"]

_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Found:
    """The exact statistics of all patients of the hospitals that were summed."""

    hospitals: tuple[str, ...]
    variables: Mapping[str, NumberSummary | CodeSummary]


def statistics_job(
    name: str, permit: Permit, sites: Sequence[str], variables: Sequence[str] = (), split: Split = Split.ALL
) -> Job:
    """A masked job for statistics of all variables of a permit, or of some of them. Raises ConfigError."""
    wanted = tuple(variables) or tuple(each for each in permit.features if each in SCHEMA)
    if len(sites) < 3:
        raise ConfigError(f"got {len(sites)} hospitals, expected at least 3: a masked sum needs a majority")
    return Job(
        federation=name,
        permit=permit.id,
        dataset=permit.dataset,
        purpose=permit.purpose.value,
        output=Output.STATISTICS,
        features=wanted,
        sites=tuple(sorted(sites)),
        split=split,
        protection=Protection.MASKED,
        minimum_sites=max(len(sites) // 2 + 1, permit.minimum_sites),
    )


def federated_statistics(coordinator: Coordinator, job: Job, bins: int = 20) -> Found:
    """Run the job's one round. Raises ConfigError for a variable that is not in the schema, and as `run` does."""
    layout = Layout(job.features, bins)
    finished = coordinator.run(job, Statistics(layout), seed=0)
    hospitals = finished.rounds[-1].counted
    return Found(hospitals, from_total(Total(finished.state.arrays["total"], len(hospitals)), layout))


def statistics_record(found: Found) -> dict[str, Any]:
    """Plain values, as for JSON, by the rules of a cohort report: no cell of fewer than 5 patients can be read off."""
    summaries = found.variables
    patients = max((_patients(summary) for summary in summaries.values()), default=0)
    return {
        "hospitals": list(found.hospitals),
        "patients": patients if patients >= SMALLEST_CELL else f"<{SMALLEST_CELL}",
        "protection": Protection.MASKED.value,
        "variables": {name: _variable(name, summary) for name, summary in summaries.items()},
    }


def statistics_table(record: Mapping[str, Any]) -> Table:
    """The record of `statistics_record` for a person; a bin that is not shown is a dot."""
    from rich.table import Table

    hospitals = len(record["hospitals"])
    table = Table(title=f"{record['patients']} patients of {hospitals} hospitals, by a masked sum")
    for name in ("variable", "mean ± deviation", "missing", "outside"):
        table.add_column(name)
    table.add_column("patients by code or bin", no_wrap=True)
    for name, row in record["variables"].items():
        if "bins" in row:
            mean = "-" if row["mean"] is None else f"{row['mean']:g} ± {row['sd']:g} {row['unit']}".rstrip()
            cells = [each["patients"] for each in row["bins"]]
            shape = f"{row['bins'][0]['from']:g} [{_shape(cells)}] {row['bins'][-1]['to']:g}"
        else:
            mean = ""
            shape = ", ".join(f"{code}: {cell}" for code, cell in row["codes"].items())
        table.add_row(name, mean, str(row["missing"]), str(row["outside"]), shape)
    return table


def _patients(summary: NumberSummary | CodeSummary) -> int:
    outside = summary.outside if isinstance(summary, NumberSummary) else summary.other
    return summary.count + summary.missing + outside


def _variable(name: str, summary: NumberSummary | CodeSummary) -> dict[str, Any]:
    if isinstance(summary, NumberSummary):
        outside, counts = summary.outside, {str(at): int(n) for at, n in enumerate(summary.histogram_B)}
    else:
        outside, counts = summary.other, {str(code): n for code, n in summary.codes.items()}
    # that there is none tells of nobody; the others add up to the patients
    loose = {each: n for each, n in (("missing", summary.missing), ("outside", outside)) if n}
    cells = protected_cells({**loose, **counts})
    told: dict[str, Any] = {each: cells.pop(each, 0) for each in ("missing", "outside")}
    if isinstance(summary, CodeSummary):
        return {**told, "codes": cells}
    enough = summary.count >= SMALLEST_CELL
    edges = [float(f"{edge:.6g}") for edge in summary.edges]
    return {
        "unit": SCHEMA[name].unit,
        "mean": float(f"{summary.mean:.4g}") if enough else None,
        "sd": float(f"{np.sqrt(summary.variance):.4g}") if enough else None,
        **told,
        "bins": [
            {"from": low, "to": high, "patients": cell}
            for low, high, cell in zip(edges, edges[1:], cells.values(), strict=False)
        ],
    }


def _shape(cells: Sequence[int | str]) -> str:
    """One character a bin, as high as the bin; a dot where it is not shown."""
    most = max((cell for cell in cells if isinstance(cell, int)), default=1)
    return "".join(_BARS[-(-cell * (len(_BARS) - 1) // most)] if isinstance(cell, int) else "·" for cell in cells)
