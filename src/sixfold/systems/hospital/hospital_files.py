"""What a hospital's folder holds: settings, its table, its mapping; and how such a folder is written for a study."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from sixfold.design.yaml_source import load_yaml
from sixfold.errors import InputError
from sixfold.files import replace_bytes
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data.harmonise import Source, load_mapping
from sixfold.systems.hospital.data.storage import Cell, read_columns, write_table
from sixfold.systems.hospital.policy.permit import Permit, write_permit

__all__ = ["HospitalSettings", "in_test_part", "lay_out", "read_own", "read_settings", "write_patients"]

_TEST_SHARE = 0.34  # of patients, where the table does not say which part they belong to


class HospitalSettings(BaseModel):
    """hospital.yaml. part: a column that says train or test of each patient; without it a hash of the pseudonym does.

    time: a column of days until the outcome or the end of follow-up, for survival; the outcome then says which it was.
    trusted: public keys whose permits count here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dataset: str
    table: str
    mapping: str
    patient: str
    outcome: str
    time: str | None = None
    part: str | None = None
    trusted: tuple[str, ...]


def read_settings(folder: Path) -> HospitalSettings:
    """FOLDER/hospital.yaml; InputError names the line and the field."""
    return load_yaml(folder / "hospital.yaml", HospitalSettings)


def read_own(folder: Path, own: HospitalSettings, wanted: Mapping[str, Source]) -> dict[str, list[Cell]]:
    """The columns of a hospital's table that its settings and these variables name, as they are in it."""
    columns = [own.patient, own.outcome, own.time, own.part, *(each.column for each in wanted.values())]
    return read_columns(folder / own.table, [name for name in columns if name])


def in_test_part(own: HospitalSettings, raw: Mapping[str, list[Cell]], cohort: Cohort) -> NDArray[np.bool_]:
    """Which patients are of the test part, N; InputError for a part that is neither: it would be trained on."""
    if own.part is None:
        return _drawn(cohort.patients)
    if other := [cell for cell in raw[own.part] if cell not in ("train", "test")]:
        raise InputError(f"{own.name}: got part {other[0]!r}, expected train or test", field=own.part)
    return np.array([cell == "test" for cell in raw[own.part]], dtype=bool)


def lay_out(
    folder: Path,
    cohort: Cohort,
    test_N: NDArray[np.bool_],
    *,
    dataset: str,
    table: str,
    mapping: Mapping[str, Any],
    permit: Permit,
    trusted: tuple[str, ...],
) -> None:
    """Write a hospital's folder from a cohort, as if it had always been there: for studies, demos and tests.

    table: the file's name; its ending is the format, .csv, .parquet or .sqlite. mapping: as in mapping.yaml.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = HospitalSettings(
        name=cohort.site,
        dataset=dataset,
        table=table,
        mapping="mapping.yaml",
        patient="patient",
        outcome="disease",
        time=None if cohort.time_N is None else "days",
        part="part",
        trusted=trusted,
    )
    replace_bytes(folder / "hospital.yaml", yaml.safe_dump(settings.model_dump(mode="json")).encode())
    replace_bytes(folder / "mapping.yaml", yaml.safe_dump(dict(mapping)).encode())
    write_patients(folder, cohort, test_N)
    replace_bytes(folder / "opt_out.csv", b"patient,date\n")
    write_permit(folder / "permits" / f"{permit.id}.yaml", permit)


def write_patients(
    folder: Path, cohort: Cohort, test_N: NDArray[np.bool_] | None = None, *, table: str | None = None
) -> None:
    """Replace the table of a folder that `lay_out` made; or write the patients of a period, table=periods/N.csv."""
    own, mapping = read_settings(folder), load_mapping(folder / "mapping.yaml")
    columns: dict[str, list[Any]] = {own.patient: [str(name) for name in cohort.patients]}
    for at, name in enumerate(cohort.features):
        values = cohort.X_ND[:, at]
        columns[mapping[name].column] = [None if np.isnan(value) else float(value) for value in values]
    columns[own.outcome] = [float(value) for value in cohort.y_N]
    if own.time and cohort.time_N is not None:
        columns[own.time] = [float(value) for value in cohort.time_N]
    if own.part and test_N is not None:
        columns[own.part] = ["test" if test else "train" for test in test_N]
    path = folder / (table or own.table)
    path.parent.mkdir(exist_ok=True)
    whole = path.with_name(f".new.{path.name}")
    whole.unlink(missing_ok=True)  # of a process that was killed
    write_table(whole, columns)
    whole.replace(path)


def _drawn(patients: NDArray[np.str_]) -> NDArray[np.bool_]:
    """A third of the patients, always the same ones, whoever else is there."""
    draws = [int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big") / 2.0**64 for name in patients]
    return np.array(draws) < _TEST_SHARE
