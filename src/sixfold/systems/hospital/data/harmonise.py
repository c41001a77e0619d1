"""From a hospital's own columns to the common schema: units, codes and ranges; what does not fit is found and named."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, RootModel, field_validator

from sixfold.design.yaml_source import load_yaml
from sixfold.errors import InputError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data.schema import SCHEMA, Kind, Variable
from sixfold.systems.hospital.data.storage import Cell

__all__ = ["Cause", "Finding", "Source", "harmonise", "load_mapping"]

Floats = NDArray[np.float64]

_LONGEST_DAYS = 120 * 365.25  # of a life
_ENOUGH = 5  # values, for a median to tell a unit by
_CLEAR = 2  # values, to tell it by what is impossible: a single one can be a slip of the pen


class Source(BaseModel):
    """Where a variable is found: a column, its unit (the schema's unless said), its codes, what stands for missing.

    Of codes and of what stands for missing, 1, 1.0 and true are the same however they are written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    unit: str | None = None
    codes: dict[str, int] = {}
    missing: tuple[str, ...] = ("", "?", "NA", "NaN")

    @field_validator("codes")
    @classmethod
    def _one_meaning(cls, codes: dict[str, int]) -> dict[str, int]:
        meanings = {(_canonical(text), code) for text, code in codes.items()}
        if twice := [text for text, n in Counter(text for text, _ in meanings).items() if n > 1]:
            raise ValueError(f"{', '.join(twice)} stands for two codes, written in two ways")
        return codes


class _Mapping(RootModel[dict[str, Source]]):
    pass


class Cause(StrEnum):
    """Why values were found. The first three have to be mended, in the mapping or in the data."""

    UNKNOWN = "unknown value"
    RANGE = "out of range"
    UNIT = "out of range, usual in another unit"
    ZERO = "zero for missing"
    UNTOLD = "unit cannot be told"


@dataclass(frozen=True, slots=True)
class Finding:
    """Values of a variable that were set aside as missing, why, and how many; an untold unit sets nothing aside."""

    variable: str
    cause: Cause
    why: str
    count: int

    @property
    def to_mend(self) -> bool:
        """Whether mapping or data are wrong; if not, somebody may still want to know."""
        return self.cause in (Cause.UNKNOWN, Cause.RANGE, Cause.UNIT)


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
        known = SCHEMA[name].codes
        if known and (wrong := sorted(set(source.codes.values()) - set(known))):
            raise InputError(
                f"got {', '.join(map(str, wrong))}, expected codes of the schema: {', '.join(map(str, known))}",
                path=path,
                field=f"{name}.codes",
            )
    return mapping


def harmonise(
    raw: Mapping[str, Sequence[Cell]],
    mapping: Mapping[str, Source],
    site: str,
    patient: str,
    outcome: str,
    time: str | None = None,
) -> tuple[Cohort, tuple[Finding, ...]]:
    """The cohort in the units of the schema, and what was set aside.

    raw: columns as the hospital has them. patient, outcome: which columns are the pseudonym, and 0 or 1. time: which
    one has the days until the event or the end of follow-up, for a model of survival; each patient must have one. What
    is missing stays missing. Raises InputError when a column is in another unit than it is said to be in: nothing is
    converted on a guess; and for a pseudonym that an opt-out could miss: none, twice, or neither text nor whole number.
    A unit is wrong when the median of 5 values or more is typical of hospitals in another unit and not in this one; of
    2 to 4 values, when every one is impossible in this unit and typical in the same other one.
    """
    findings: list[Finding] = []
    columns = []
    for name, source in mapping.items():
        variable = SCHEMA[name]
        values_N, unknown = _values(raw[source.column], source, variable)
        findings.extend(
            Finding(name, Cause.UNKNOWN, f"unknown value {text!r}", n) for text, n in sorted(unknown.items())
        )
        if variable.kind is Kind.NUMBER:
            values_N = _in_unit(site, name, source, variable, values_N, findings)
        columns.append(values_N)
    patients = np.array([_pseudonym(site, patient, cell) for cell in raw[patient]], dtype=str)
    if len(set(patients.tolist())) != len(patients):
        raise InputError(f"{site}: a pseudonym stands for two rows", field=patient)
    y_N = np.array([_outcome(site, outcome, cell) for cell in raw[outcome]])
    X_ND = np.stack(columns, axis=1) if columns else np.zeros((len(patients), 0))
    time_N = None if time is None else np.array([_days(site, time, cell) for cell in raw[time]])
    return Cohort(site, patients, tuple(mapping), X_ND, y_N, time_N), tuple(findings)


def _values(cells: Sequence[Cell], source: Source, variable: Variable) -> tuple[Floats, Counter[str]]:
    """Numbers, NaN where missing or unknown; and how often each unknown value occurs."""
    values_N, unknown = np.full(len(cells), np.nan), Counter[str]()
    codes = {_canonical(text): float(code) for text, code in source.codes.items()}
    missing = {*source.missing, *map(_canonical, source.missing)}
    for at, cell in enumerate(cells):
        text, code = "" if cell is None else str(cell).strip(), _canonical(cell)
        if text in missing or code in missing or (isinstance(cell, float) and math.isnan(cell)):
            continue
        try:
            # a truth value is a code, and no number
            value = codes[code] if codes else float(code if variable.codes else text)
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
        findings.append(Finding(name, Cause.ZERO, "0 stands for missing", zeros))
        values_N = np.where(values_N == 0.0, np.nan, values_N)
    factors = {variable.unit: 1.0, **variable.units}
    unit = source.unit or variable.unit
    findings.extend(_doubts(site, name, source.column, variable, unit, values_N[~np.isnan(values_N)]))
    values_N = values_N * factors[unit]
    outside_N = (values_N < variable.low) | (values_N > variable.high)
    span, rest_N = f"not within {variable.low:g} to {variable.high:g} {variable.unit}", outside_N
    for other, factor in factors.items():
        like_N = rest_N & _typical(variable, values_N / factors[unit] * factor)
        if like := int(like_N.sum()):
            findings.append(Finding(name, Cause.UNIT, f"{span}, usual in {other}", like))
        rest_N = rest_N & ~like_N
    if rest := int(rest_N.sum()):
        findings.append(Finding(name, Cause.RANGE, span, rest))
    return np.where(outside_N, np.nan, values_N)


def _doubts(site: str, name: str, column: str, variable: Variable, unit: str, known_N: Floats) -> tuple[Finding, ...]:
    """Raises InputError for a wrong unit; a finding where a few values leave it open."""
    factors = {variable.unit: 1.0, **variable.units}
    if not len(known_N):
        return ()
    median = float(np.median(known_N))
    fits = [other for other, factor in factors.items() if _typical(variable, np.array(median * factor))]
    if not fits or unit in fits:
        return ()
    wrong = f"{site}: {name} is said to be in {unit}, but"
    if len(known_N) >= _ENOUGH:
        raise InputError(
            f"{wrong} its median of {median:g} only makes sense in {' or '.join(fits)}: "
            "correct the unit in the mapping, or the data",
            field=column,
        )
    own_N = known_N * factors[unit]
    impossible = np.all((own_N < variable.low) | (own_N > variable.high))
    clear = [other for other in fits if np.all(_typical(variable, known_N * factors[other]))]
    if len(known_N) >= _CLEAR and impossible and clear:
        raise InputError(
            f"{wrong} none of its {len(known_N)} values is possible in it, and all are usual in {' or '.join(clear)}: "
            "correct the unit in the mapping, or the data",
            field=column,
        )
    why = f"said to be in {unit}, more usual in {' or '.join(fits)}: too few values to tell"
    return (Finding(name, Cause.UNTOLD, why, len(known_N)),)


def _typical(variable: Variable, values: Floats) -> NDArray[np.bool_]:
    """Which values, in the schema's unit, lie where a hospital's median does."""
    low, high = variable.typical
    return (values >= low) & (values <= high)


def _canonical(cell: Cell) -> str:
    """One text for every way to write a code: "1" of 1, 1.0, "1.0", True and "TRUE"; other text as it is, stripped."""
    text = "" if cell is None else str(cell).strip()
    if text.lower() in ("true", "false"):
        return "1" if text.lower() == "true" else "0"
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text


def _pseudonym(site: str, column: str, cell: Cell) -> str:
    """As the opt-out register writes it: the number 7.0, which a gap in a column of whole numbers makes, is no "7"."""
    text = str(cell).strip() if isinstance(cell, str | int) and not isinstance(cell, bool) else ""
    if not text:
        raise InputError(f"{site}: a row without a pseudonym that is text or a whole number", field=column)
    return text


def _outcome(site: str, column: str, cell: Cell) -> float:
    code = _canonical(cell)
    if code not in ("0", "1"):
        raise InputError(f"{site}: got outcome {cell!r}, expected 0 or 1", field=column)
    return float(code)


def _days(site: str, column: str, cell: Cell) -> float:
    try:
        value = math.nan if cell is None or isinstance(cell, bool) else float(cell)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= _LONGEST_DAYS:
        raise InputError(f"{site}: got time {cell!r}, expected days, 0 to {_LONGEST_DAYS:g}", field=column)
    return value
