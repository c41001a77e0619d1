"""`sixfold hospital ...`: provision parties, run the demo, verify and account for logs; others are in cli_*.py."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from sixfold.errors import InputError
from sixfold.systems.hospital import cli_inspect, cli_operate, cli_page, cli_statistics

app = typer.Typer(
    no_args_is_help=True, help="Federated learning across hospitals: from keys to a released, watched model."
)

for each in (cli_inspect.inspect, cli_statistics.statistics, cli_page.page, *cli_operate.COMMANDS):
    app.command()(each)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@app.command()
def provision(
    folder: Annotated[Path, typer.Argument(help="Where to put the kits; must be empty.")],
    sites: Annotated[str, typer.Option(help="Names of the hospitals, separated by commas.")],
    hosts: Annotated[str, typer.Option(help="Names and addresses of the coordinator's machine.")] = "127.0.0.1",
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long certificates are valid.")] = 365,
) -> None:
    """Make a startup kit for the coordinator and for each hospital: keys, certificates, roster."""
    import datetime

    from sixfold.systems.hospital.provision import provision as make

    names = [name.strip() for name in sites.split(",") if name.strip()]
    make(folder, names, [host.strip() for host in hosts.split(",")], datetime.datetime.now(datetime.UTC), days)
    print(f"kits of the coordinator and {len(names)} hospitals in {folder}; keep {folder / 'founder'} away from them")
    print(f"but tell everybody the founder's public key: {(folder / 'founder' / 'founder.pub').read_text().strip()}")


@app.command()
def verify(
    logs: Annotated[Path, typer.Argument(help="A folder with PARTY/audit.jsonl (or PARTY/state/audit.jsonl).")],
    roster: Annotated[
        Path | None, typer.Option(help="A kit whose roster to trust; LOGS/kits/coordinator if not told.")
    ] = None,
    founder: Annotated[
        str | None, typer.Option(help="The public key that has to have signed the roster: 64 letters, or their file.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Find every edit, gap and reorder in the logs of a federation. Exits with 1 when there is any."""
    from sixfold.systems.hospital.audit.verify import verify_logs
    from sixfold.systems.hospital.keys import key_text, public_key_told
    from sixfold.systems.hospital.provision import read_roster

    pinned = None if founder is None else key_text(public_key_told(founder))
    known = read_roster((roster or logs / "kits" / "coordinator") / "roster.json", pinned)
    keys, signer = known.parties, key_text(known.founder)
    found = {name: path for name in keys if (path := _log_of(logs, name)) is not None}
    if not found:
        raise InputError("no audit.jsonl of any party of the roster", path=logs)
    verified = verify_logs(found, keys)
    if as_json:
        record = {
            "founder": signer,
            "founder_pinned": pinned is not None,
            "findings": [str(finding) for finding in verified.findings],
            "entries": dict(verified.entries),
            "unwitnessed": dict(verified.unwitnessed),
        }
        print(json.dumps(record))
    else:
        said = (
            "as was asked for" if pinned else "which stands in the roster itself: compare it, or pass it by --founder"
        )
        print(f"roster signed by founder {signer}, {said}")
        for finding in verified.findings:
            print(finding)
        entries = sum(verified.entries.values())
        print(f"{len(verified.findings)} findings in {entries} entries of {len(found)} parties")
        for party, count in verified.unwitnessed.items():
            print(f"  {party}: the last {count} entries have been seen by nobody else")
    raise typer.Exit(1 if verified.findings else 0)


@app.command()
def account(
    logs: Annotated[Path, typer.Argument(help="A folder with logs as for verify, or one hospital's audit.jsonl.")],
    as_json: JsonFlag = False,
) -> None:
    """What each hospital's data contributed and what epsilon is spent: facts for an impact assessment."""
    from sixfold.systems.hospital.audit.export import assessment, assessment_markdown
    from sixfold.systems.hospital.provision import COORDINATOR

    if logs.is_file():
        found = {logs.stem: logs}
    else:
        names = sorted(path.name for path in logs.iterdir() if path.name != COORDINATOR) if logs.is_dir() else []
        found = {name: path for name in names if (path := _log_of(logs, name)) is not None}
    if not found:
        raise InputError("no audit.jsonl of any hospital", path=logs)
    record = assessment(found)
    print(json.dumps(record) if as_json else assessment_markdown(record))


@app.command()
def demo(
    folder: Annotated[Path | None, typer.Option(help="Where to keep it; a new temporary folder unless told.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run a coordinator and four hospitals as processes with mutual TLS, kill one, finish, verify the logs."""
    import tempfile

    from rich.console import Console

    from sixfold.systems.hospital.demo import run_demo

    console = Console(stderr=True)
    where = folder or Path(tempfile.mkdtemp(prefix="sixfold-hospital-"))
    result = run_demo(where, lambda text: console.print(f"  {text}", highlight=False))
    record = {"folder": str(where), **result.to_json()}
    if as_json:
        print(json.dumps(record))
    else:
        entries = sum(result.verified.entries.values())
        print(f"{len(result.verified.findings)} findings in {entries} log entries; everything is in {where}")
        print(f"look at it: sixfold hospital page {where / 'coordinator'}")
    raise typer.Exit(1 if result.verified.findings else 0)


def _log_of(logs: Path, name: str) -> Path | None:
    places = (logs / name / "audit.jsonl", logs / name / "state" / "audit.jsonl", logs / f"{name}.jsonl")
    return next((path for path in places if os.path.exists(path)), None)
