"""Published measurements as rows of CSV files: those that ship with the package, and those of a named folder."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sixfold.errors import InputError

__all__ = ["Row", "read_rows"]

PUBLISHED = Path(__file__).with_name("published")
USES = {"calibrate", "score", "context"}
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Row:
    """One published measurement. Its fields are text; an empty one was not published."""

    fields: dict[str, str]
    path: Path
    line: int

    @property
    def id(self) -> str:
        """Its name within its file."""
        return self.fields.get("id", "")

    @property
    def use(self) -> str:
        """calibrate: parameters may be fitted to it; score: it must be predicted; context: neither."""
        return self.fields["use"]

    def text(self, name: str) -> str:
        """A field, without spaces around it; "" where nothing was published."""
        return self.fields.get(name, "").strip()

    def number(self, name: str) -> float | None:
        """A field as a finite number; None where nothing was published.

        Raises InputError, with file and line, for anything else.
        """
        given = self.text(name)
        if not given:
            return None
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"got {given[:60]!r}, expected a number", path=self.path, line=self.line, field=name)
        return value

    def whole(self, name: str, default: int) -> int:
        """A field as a whole number, `default` where nothing was published."""
        value = self.number(name)
        if value is None:
            return default
        if value != int(value):
            raise InputError(f"got {value:g}, expected a whole number", path=self.path, line=self.line, field=name)
        return int(value)


def read_rows(name: str, data: Path | None = None) -> list[Row]:
    """The rows of `name`.csv: those of `data` if it has such a file, and those that ship with the package.

    A row of `data` takes the place of a shipped one with the same id. Raises InputError for a file that is not a table
    with the columns `id` and `use`.
    """
    rows: dict[str, Row] = {}
    for folder in (PUBLISHED, data):
        path = folder / f"{name}.csv" if folder is not None else None
        if path is not None and path.exists():
            rows.update((row.id, row) for row in _read(path))
    return list(rows.values())


def _read(path: Path) -> Iterator[Row]:
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"larger than {_MAX_BYTES} bytes", path=path)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file, strict=True)
            for missing in {"id", "use"} - set(table.fieldnames or ()):
                raise InputError("no such column, expected it in the first line", path=path, line=1, field=missing)
            for fields in table:
                line = table.line_num
                if None in fields or None in fields.values():
                    raise InputError("got more or fewer values than columns", path=path, line=line)
                if fields["use"] not in USES:
                    expected = ", ".join(sorted(USES))
                    raise InputError(
                        f"got {fields['use'][:60]!r}, expected {expected}", path=path, line=line, field="use"
                    )
                yield Row(fields, path, line)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"not a table of comma-separated values ({error})", path=path) from error
