"""The register of patients who opted out of secondary use (Regulation (EU) 2025/327, article 71)."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

from sixfold.errors import InputError

__all__ = ["read_opt_outs"]

_HEADER = ["patient", "date"]


def read_opt_outs(path: Path) -> frozenset[str]:
    """The pseudonyms in the register; a CSV file with the columns patient and date.

    Raises InputError, with file and line, when it is missing or anything in it is unclear: without a register nobody's
    records are read. A hospital where nobody opted out has a register with a header only.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file, strict=True)  # a quote out of place is unclear
            rows = [(reader.line_num, row) for row in reader]
    except FileNotFoundError:
        raise InputError("no opt-out register: without it no record may be read", path=path) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the opt-out register cannot be read: {error}", path=path) from None
    if not rows or rows[0][1] != _HEADER:
        raise InputError(f"expected the header {','.join(_HEADER)}", path=path, line=1)
    patients = set()
    for line, row in rows[1:]:
        try:
            patient, day = row
            date.fromisoformat(day)
        except ValueError:
            raise InputError(
                f"got {','.join(row)[:80]!r}, expected a pseudonym and a date", path=path, line=line
            ) from None
        if not patient.strip():
            raise InputError("a line without a pseudonym", path=path, line=line)
        patients.add(patient.strip())
    return frozenset(patients)
