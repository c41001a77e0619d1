"""`sixfold hospital inspect FOLDER`: a hospital looks at its own folder; nothing is sent and nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["inspect"]


def inspect(
    folder: Annotated[Path, typer.Argument(help="A hospital's folder, with its hospital.yaml.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Show a hospital its own cohort, and all that its mapping and table leave to mend; it never leaves this machine.

    Exits with 0 when there is nothing to mend, 1 when there is, 2 when a file or a variable cannot be used at all.
    """
    from sixfold.files import json_text
    from sixfold.systems.hospital.inspection import inspect_folder

    found = inspect_folder(folder)
    print(json_text(found.to_json()) if as_json else found.text())
    raise typer.Exit(found.exit_code)
