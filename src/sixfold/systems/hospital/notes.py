"""What a hospital notes for itself alone: notes may quote a record, so none is sent or in a log that others read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from sixfold.files import append_json_line, read_json_lines

__all__ = ["add_new_notes", "add_note"]

Note = Mapping[str, str | int]


def add_note(path: Path, note: Note) -> None:
    """Append a note to a file that nobody but its owner may read."""
    path.touch(mode=0o600)
    append_json_line(path, note)


def add_new_notes(path: Path, notes: Iterable[Note]) -> None:
    """Append those notes that are not in the file yet: a hospital that starts again finds the same things again."""
    known = list(read_json_lines(path))
    for note in notes:
        if note not in known:
            add_note(path, note)
