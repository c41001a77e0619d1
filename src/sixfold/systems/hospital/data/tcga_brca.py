"""Breast-cancer survival of six regions, Fed-TCGA-BRCA: a loader of its three files, with the published split.

The Cancer Genome Atlas, open access through the Genomic Data Commons; nobody may try to identify a patient in it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import InputError
from sixfold.systems.hospital.cohort import Cohort

__all__ = ["read_folder"]

_PATIENT, _EVENT, _TIME = "pid", "E", "T"


def read_folder(folder: Path) -> list[tuple[Cohort, NDArray[np.bool_]]]:
    """Each region's patients, with their follow-up in days, and which of them are its test part, N.

    folder: brca.csv (39 features, event, time) and train_test_split.csv (part and region of each patient). Raises
    InputError, with file and line, for what is missing or not a number.
    """
    features: tuple[str, ...] = ()
    patients: dict[str, list[float]] = {}
    path = folder / "brca.csv"
    for line, record in _rows(path):
        features = tuple(name for name in record if name not in (_PATIENT, _EVENT, _TIME))
        try:
            patients[record[_PATIENT]] = [float(record[name]) for name in (*features, _EVENT, _TIME)]
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"not a patient: {error}", path=path, line=line) from None
    path = folder / "train_test_split.csv"
    regions: dict[int, list[tuple[str, bool]]] = {}
    for line, record in _rows(path):
        try:
            part, region = record["fold2"].rsplit("_", 1)
            if part not in ("train", "test") or record[_PATIENT] not in patients:
                raise ValueError(f"{record[_PATIENT]} in {record['fold2']}")
            regions.setdefault(int(region), []).append((record[_PATIENT], part == "test"))
        except (KeyError, ValueError, AttributeError) as error:
            raise InputError(f"not a part of a region: {error}", path=path, line=line) from None
    found = []
    for number, members in sorted(regions.items()):
        rows_NC = np.array([patients[name] for name, _ in members])
        names = np.array([name for name, _ in members])
        cohort = Cohort(f"region-{number}", names, features, rows_NC[:, :-2], rows_NC[:, -2], rows_NC[:, -1])
        found.append((cohort, np.array([test for _, test in members])))
    return found


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield from enumerate(csv.DictReader(file), start=2)
    except FileNotFoundError:
        raise InputError("no such file: the folder has to hold brca.csv and train_test_split.csv", path=path) from None
