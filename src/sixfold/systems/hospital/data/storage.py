"""A hospital's table, as it keeps it: SQLite, Parquet or CSV; only the columns that are asked for are read."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sixfold.errors import InputError

__all__ = ["Cell", "read_columns", "write_table"]

Cell = str | float | bool | None
_TABLE = "patients"


def read_columns(path: Path, columns: Sequence[str]) -> dict[str, list[Cell]]:
    """These columns of a table, by name; empty cells are None.

    Raises InputError for a missing file, a column that is missing or there twice, a row of another length or what is
    no CSV in UTF-8 (with its line), or another ending than .csv, .parquet, .sqlite and .db.
    """
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".sqlite": _read_sqlite, ".db": _read_sqlite}
    if path.suffix not in readers:
        raise InputError(f"expected a table that ends in {', '.join(readers)}", path=path)
    if not path.is_file():
        raise InputError("no such table", path=path)
    return readers[path.suffix](path, list(dict.fromkeys(columns)))


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write a table in the format of its ending; it must not exist."""
    if path.exists():
        raise InputError("there is a table already", path=path)
    rows = list(zip(*columns.values(), strict=True))
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows([["" if cell is None else cell for cell in row] for row in rows])
    elif path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({name: list(cells) for name, cells in columns.items()}), path)
    elif path.suffix in (".sqlite", ".db"):
        names = ", ".join(map(_quoted, columns))
        marks = ", ".join("?" * len(columns))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"CREATE TABLE {_TABLE} ({names})")
            connection.executemany(f"INSERT INTO {_TABLE} VALUES ({marks})", rows)  # noqa: S608  marks only
    else:
        raise InputError("expected a table that ends in .csv, .parquet, .sqlite or .db", path=path)


def _read_csv(path: Path, columns: list[str]) -> dict[str, list[Cell]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read: {error}", path=path) from None
    except UnicodeDecodeError as error:
        line = 1 + error.object[: error.start].count(b"\n")
        raise InputError("not UTF-8: save the table in this encoding", path=path, line=line) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        _known(path, columns, header)
        at = [header.index(name) for name in columns]
        cells: dict[str, list[Cell]] = {name: [] for name in columns}
        for row in reader:
            if len(row) != len(header):
                raise InputError(f"got {len(row)} cells, expected {len(header)}", path=path, line=reader.line_num)
            for name, place in zip(columns, at, strict=True):
                cells[name].append(row[place] if row[place] != "" else None)
    except csv.Error as error:
        raise InputError(f"cannot be read: {error}", path=path, line=reader.line_num) from None
    return cells


def _read_parquet(path: Path, columns: list[str]) -> dict[str, list[Cell]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        _known(path, columns, pq.read_schema(path).names)
        table = pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot be read: {error}", path=path) from None
    return {name: table.column(name).to_pylist() for name in columns}


def _read_sqlite(path: Path, columns: list[str]) -> dict[str, list[Cell]]:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            found = [row[1] for row in connection.execute(f"PRAGMA table_info({_TABLE})")]
            if not found:
                raise InputError(f"no table or view named {_TABLE} in it", path=path)
            _known(path, columns, found)
            names = ", ".join(map(_quoted, columns))
            rows = connection.execute(f"SELECT {names} FROM {_TABLE} ORDER BY rowid").fetchall()  # noqa: S608
    except sqlite3.Error as error:
        raise InputError(f"cannot be read: {error}", path=path) from None
    return {name: [row[at] for row in rows] for at, name in enumerate(columns)}


def _known(path: Path, columns: Sequence[str], found: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in found]:
        raise InputError(f"no column {', '.join(missing)}; there are: {', '.join(found)}", path=path)
    if twice := [name for name in columns if list(found).count(name) > 1]:
        raise InputError(f"two columns are named {', '.join(twice)}: which one is meant?", path=path)


def _quoted(name: str) -> str:
    """A column's name as an identifier of SQL, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
