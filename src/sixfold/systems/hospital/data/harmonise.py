"""From a hospital's own columns to the common schema: units, codes and ranges; what does not fit is found and named."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, RootModel

from sixfold.design.yaml_source import load_yaml
from sixfold.errors import InputError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data.schema import SCHEMA, Kind, Variable
from sixfold.systems.hospital.data.storage import Cell

__all__ = ["Finding", "Source", "harmonise", "load_mapping"]

Floats = NDArray[np.float64]

_ENOUGH = 5  # values, for a median to tell a unit by


class Source(BaseModel):
    """Where a variable is found: a column, its unit (the schema's unless said), its codes, what stands for missing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    unit: str | None = None
    codes: dict[str, int] = {}
    missing: tuple[str, ...] = ("", "?", "NA", "NaN")


class _Mapping(RootModel[dict[str, Source]]):
    pass


@dataclass(frozen=True, slots=True)
class Finding:
    """Values of a variable that were set aside as missing, why, and how many."""

    variable: str
    why: str
    count: int


def load_mapping(path: Path) -> dict[str, Source]:
    """A hospital's mapping.yaml: variable of the schema -> source. InputError names line and field."""
    mapping = load_yaml(path, _Mapping).root
    for name, source in mapping.items():
        if name not in SCHEMA:
            raise InputError(f"not a variable of the schema; there are: {', '.join(SCHEMA)}", path=path, field=name)
        units = {SCHEMA[name].unit, *SCHEMA[name].units}
        if source.unit is not None and source.unit not in units:
            raise InputError(
                f"got unit {source.unit!r}, expected one of {', '.join(sorted(units))}", path=path, field=name
            )
    return mapping


def harmonise(
    raw: Mapping[str, Sequence[Cell]], mapping: Mapping[str, Source], site: str, patient: str, outcome: str
) -> tuple[Cohort, tuple[Finding, ...]]:
    """The cohort in the units of the schema, and what was set aside.

    raw: columns as the hospital has them. patient, outcome: which columns are the pseudonym, and 0 or 1. What is
    missing stays missing. Raises InputError when a column is in another unit than it is said to be in: nothing is
    converted on a guess; and for a pseudonym that an opt-out could miss: none, twice, or neither text nor whole number.
    """
    findings: list[Finding] = []
    columns = []
    for name, source in mapping.items():
        variable = SCHEMA[name]
        values_N, unknown = _values(raw[source.column], source, variable)
        findings.extend(Finding(name, f"unknown value {text!r}", n) for text, n in sorted(unknown.items()))
        if variable.kind is Kind.NUMBER:
            values_N = _in_unit(site, name, source, variable, values_N, findings)
        columns.append(values_N)
    patients = np.array([_pseudonym(site, patient, cell) for cell in raw[patient]], dtype=str)
    if len(set(patients.tolist())) != len(patients):
        raise InputError(f"{site}: a pseudonym stands for two rows", field=patient)
    y_N = np.array([_outcome(site, outcome, cell) for cell in raw[outcome]])
    X_ND = np.stack(columns, axis=1) if columns else np.zeros((len(patients), 0))
    return Cohort(site, patients, tuple(mapping), X_ND, y_N), tuple(findings)


def _values(cells: Sequence[Cell], source: Source, variable: Variable) -> tuple[Floats, Counter[str]]:
    """Numbers, NaN where missing or unknown; and how often each unknown value occurs."""
    values_N, unknown = np.full(len(cells), np.nan), Counter[str]()
    for at, cell in enumerate(cells):
        text = "" if cell is None else str(cell).strip()
        if text in source.missing or (isinstance(cell, float) and math.isnan(cell)):
            continue
        try:
            value = float(source.codes[text]) if source.codes else float(text)
        except (KeyError, ValueError):
            unknown[text[:40]] += 1
            continue
        if not math.isfinite(value) or (variable.codes and value not in variable.codes):
            unknown[text[:40]] += 1
        else:
            values_N[at] = value
    return values_N, unknown


def _in_unit(
    site: str, name: str, source: Source, variable: Variable, values_N: Floats, findings: list[Finding]
) -> Floats:
    if not variable.zero and (zeros := int(np.sum(values_N == 0.0))):
        findings.append(Finding(name, "0 stands for missing", zeros))
        values_N = np.where(values_N == 0.0, np.nan, values_N)
    factors = {variable.unit: 1.0, **variable.units}
    unit = source.unit or variable.unit
    known_N = values_N[~np.isnan(values_N)]
    if len(known_N) >= _ENOUGH:
        median, (low, high) = float(np.median(known_N)), variable.typical
        fits = [other for other, factor in factors.items() if low <= median * factor <= high]
        if fits and unit not in fits:
            raise InputError(
                f"{site}: {name} is said to be in {unit}, but its median of {median:g} only makes sense in "
                f"{' or '.join(fits)}: correct the unit in the mapping, or the data",
                field=source.column,
            )
    values_N = values_N * factors[unit]
    outside_N = (values_N < variable.low) | (values_N > variable.high)
    span, rest_N = f"not within {variable.low:g} to {variable.high:g} {variable.unit}", outside_N
    for other, factor in factors.items():
        other_N = values_N / factors[unit] * factor
        like_N = rest_N & (other_N >= variable.typical[0]) & (other_N <= variable.typical[1])
        if like := int(like_N.sum()):
            findings.append(Finding(name, f"{span}, usual in {other}", like))
        rest_N = rest_N & ~like_N
    if rest := int(rest_N.sum()):
        findings.append(Finding(name, span, rest))
    return np.where(outside_N, np.nan, values_N)


def _pseudonym(site: str, column: str, cell: Cell) -> str:
    """As the opt-out register writes it: the number 7.0, which a gap in a column of whole numbers makes, is no "7"."""
    text = str(cell).strip() if isinstance(cell, str | int) else ""
    if not text:
        raise InputError(f"{site}: a row without a pseudonym that is text or a whole number", field=column)
    return text


def _outcome(site: str, column: str, cell: Cell) -> float:
    try:
        value = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = math.nan
    if value not in (0.0, 1.0):
        raise InputError(f"{site}: got outcome {cell!r}, expected 0 or 1", field=column)
    return value
