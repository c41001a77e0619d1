"""`sixfold hospital statistics FOLDER`: what all hospitals' patients together look like, by one masked sum."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sixfold.errors import InputError

__all__ = ["statistics"]


def statistics(
    folder: Annotated[Path, typer.Argument(help="Holds kits/ and each hospital's folder, also under hospitals/.")],
    permit: Annotated[str, typer.Option(help="The permit that the hospitals hold for it.")] = "study",
    variables: Annotated[str, typer.Option(help="Which, separated by commas; all of the permit unless told.")] = "",
    bins: Annotated[int, typer.Option(min=1, max=1000, help="Into how many a number's range is cut.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Means, spreads, histograms and codes of all hospitals' patients together, by one masked sum in this process.

    Every hospital decides by its own permit. What the parties keep of it goes into FOLDER/statistics.
    """
    import datetime
    import json

    from rich.console import Console

    from sixfold.systems.hospital.local_federation import LocalFederation
    from sixfold.systems.hospital.policy.permit import load_permit
    from sixfold.systems.hospital.statistics_report import (
        federated_statistics,
        statistics_job,
        statistics_record,
        statistics_table,
    )

    hospitals = _hospitals(folder)
    terms = load_permit(next(iter(hospitals.values())) / "permits" / f"{permit}.yaml")
    federation = LocalFederation(folder / "kits", hospitals, folder / "statistics")
    # a name of its own each time: a finished job would answer from its checkpoint, whatever has changed since
    name = f"statistics-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S.%f}"
    wanted = [each.strip() for each in variables.split(",") if each.strip()]
    job = statistics_job(name, terms, tuple(hospitals), wanted)
    record = statistics_record(federated_statistics(federation.coordinator(), job, bins))
    if as_json:
        print(json.dumps(record))
    else:
        Console().print(statistics_table(record))


def _hospitals(folder: Path) -> dict[str, Path]:
    found = {path.parent.name: path.parent for path in sorted(folder.glob("*/hospital.yaml"))}
    found = found or {path.parent.name: path.parent for path in sorted(folder.glob("hospitals/*/hospital.yaml"))}
    if not found:
        raise InputError("no NAME/hospital.yaml and no hospitals/NAME/hospital.yaml in it", path=folder)
    return found
