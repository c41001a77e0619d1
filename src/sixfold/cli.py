"""`sixfold ...`: studies, the lab, reports, and each system's own commands."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from sixfold.cli_balance import balance
from sixfold.cli_design import app as design_app
from sixfold.errors import ConfigError, UserError
from sixfold.lab.local_ray import THREAD_PINS
from sixfold.systems.hospital.cli import app as hospital_app
from sixfold.systems.rag.cli import app as rag_app

if TYPE_CHECKING:
    from sixfold.lab.profile import Profile

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=__doc__)
lab_app = typer.Typer(no_args_is_help=True, help="Where things run: measure this machine.")
app.command()(balance)
app.add_typer(design_app, name="design")
app.add_typer(lab_app, name="lab")
app.add_typer(rag_app, name="rag")
app.add_typer(hospital_app, name="hospital")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@app.command()
def systems(as_json: JsonFlag = False) -> None:
    """List the systems: what binds them, their axes and their ladders."""
    from rich.console import Console
    from rich.table import Table

    from sixfold.design.checklist import load_design
    from sixfold.systems import SYSTEMS, load_system

    records = []
    for name in SYSTEMS:
        system = load_system(name)
        design = load_design(system.design)
        records.append(
            {
                "name": name,
                "title": system.title,
                "ceiling": design.ceiling.value,
                "axes": [axis.axis.value for axis in design.axes],
                "stages": [stage.name for stage in system.stages],
            }
        )
    if as_json:
        print(json.dumps(records))
        return
    table = Table("system", "what it is", "ceiling", "axes", "ladder")
    for r in records:
        table.add_row(*(", ".join(cell) if isinstance(cell, list) else cell for cell in r.values()))
    Console().print(table)


@app.command()
def catalog(
    kind: Annotated[str, typer.Argument(help="devices, links, instances, prices, token-prices, rates, ...")],
    entry_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show this entry in full.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what the design knows of devices, prices, failures and the rest, each value with its source and date."""
    import datetime

    from rich.console import Console
    from rich.table import Table

    from sixfold.design.catalog.show import entries_of, kind_of, record, table

    today = datetime.datetime.now(datetime.UTC).date()
    records = [record(kind, entry, today) for entry in entries_of(kind, entry_id)]
    if as_json:
        print(json.dumps({"kind": kind_of(kind), "entries": records}))
    elif entry_id is None:
        Console().print(table(kind, today))
    else:
        rows = Table("field", "value")
        for name, value in records[0].items():
            rows.add_row(name, value if isinstance(value, str) else json.dumps(value))
        Console().print(rows)


@lab_app.command()
def probe(
    quick: Annotated[bool, typer.Option("--quick", help="At most 15 seconds.")] = False,
    out: Annotated[Path | None, typer.Option(help="Where to write the profile.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure this machine: compute, memory, disk, processes, and Ray's latency and bandwidth."""
    from rich.console import Console

    from sixfold.lab.probe import default_profile_path
    from sixfold.lab.probe import probe as measure

    with Console(stderr=True).status("probing") as status:
        profile = measure(quick=quick, progress=lambda what: status.update(f"probing: {what}"))
    path = out or default_profile_path()
    profile.save(path)
    if as_json:
        print(json.dumps({"profile": str(path), **profile.to_json()}))
        return
    Console().print(profile.table())
    print(f"profile: {path}")


@app.command()
def study(
    system: Annotated[str | None, typer.Argument(help="Which system; left out with --again and --resume.")] = None,
    workers: Annotated[str, typer.Option(help="Worker counts, separated by commas.")] = "1,2",
    stage: Annotated[str | None, typer.Option(help="Climb this stage only.")] = None,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on past an unmet milestone.")] = False,
    again: Annotated[Path | None, typer.Option(help="Repeat the run in this folder from its manifest.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Finish the interrupted run in this folder.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="At most 2 minutes on 2 cores.")] = False,
    full: Annotated[bool, typer.Option("--full", help="As long as a published claim needs.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    address: Annotated[str | None, typer.Option(help="Join this Ray cluster instead of starting one.")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="Change a setting: name=value.")] = None,
    runs: Annotated[Path, typer.Option(help="Where run folders are kept.")] = Path("runs"),
    as_json: JsonFlag = False,
) -> None:
    """Climb a system's ladder: baseline, then predict, run, check and judge each stage; write the report.

    Exits with 0 when every milestone is passed, 1 when one is not, 2 on bad input.
    """
    from sixfold.progress import LadderProgress
    from sixfold.report import write_report
    from sixfold.study.run_folder import RunFolder
    from sixfold.study.runner import Options, run_study, summarise
    from sixfold.study.stage import Length
    from sixfold.systems import load_system

    if quick and full:
        raise ConfigError("--quick and --full exclude each other")
    source = again or resume
    if source is not None:
        manifest = RunFolder.open(source).manifest()
        if system not in (None, manifest["system"]):
            raise ConfigError(f"{source} is a run of {manifest['system']}, not of {system}")
        system, options = manifest["system"], Options.from_json(manifest["options"])
    elif system is None:
        raise ConfigError("which system? see `sixfold systems`")
    else:
        length = Length.QUICK if quick else Length.FULL if full else Length.DEFAULT
        chosen = load_system(system)
        options = Options(
            workers=_counts(workers),
            length=length,
            seed=seed,
            stage=stage,
            keep_going=keep_going,
            address=address,
            settings=_settings(setting or [], chosen.lengths[length]),
        )
    if resume is not None and manifest["status"] == "finished":
        raise ConfigError(f"{resume} is finished; repeat it with --again {resume}")
    with LadderProgress() as progress:
        profile = _profile(progress)
        folder = None
        try:
            result = run_study(
                load_system(str(system)),
                options,
                profile,
                runs=runs,
                resume=RunFolder.open(resume) if resume else None,
                again=str(again) if again else None,
                listener=progress,
            )
            folder = result.folder
        finally:
            folder = folder or progress.folder
            if folder is not None and folder.manifest_path.exists():
                write_report(folder)
    summary = summarise(result)
    if as_json:
        print(json.dumps(summary))
    else:
        progress.summary(result)
    raise typer.Exit(0 if result.passed else 1)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="The folder of a run.")], as_json: JsonFlag = False) -> None:
    """Write a run's report again from what its folder holds."""
    from sixfold.report import write_report
    from sixfold.study.run_folder import RunFolder

    path = write_report(RunFolder.open(run))
    print(json.dumps({"run": str(run), "report": str(path)}) if as_json else path)


def _counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--workers takes counts separated by commas, such as 1,2; got {text!r}") from None


def _settings(pairs: list[str], known: Any) -> dict[str, Any]:
    """`name=value` options, each converted to the type its default has."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in {"repeats", *known}:
            raise ConfigError(f"--set {pair}: expected name=value with one of {', '.join(sorted(known))}")
        default = known.get(name, 1)
        try:
            if isinstance(default, bool):
                settings[name] = {"true": True, "false": False}[text.lower()]
            elif isinstance(default, list | tuple):
                settings[name] = [part for part in text.split(",") if part]
            else:
                settings[name] = type(default)(text) if default is not None else text
        except (ValueError, KeyError):
            raise ConfigError(f"--set {name}: {text!r} is not {type(default).__name__}") from None
    return settings


def _profile(progress: Any) -> Profile:
    """This machine's profile: predictions rest on it, so it is measured when there is none."""
    from sixfold.lab.probe import default_profile_path, probe
    from sixfold.lab.profile import Profile

    path = default_profile_path()
    if path.exists():
        return Profile.load(path)
    profile = probe(quick=True, progress=lambda what: progress({"event": "probe", "what": what}))
    profile.save(path)
    return profile


def main() -> None:
    """The command: what the user can mend is one line and exit code 2, Ctrl-C is 130."""
    for name, threads in THREAD_PINS.items():  # read when numpy and its kind are imported, which is later
        os.environ.setdefault(name, threads)
    try:
        code = app(standalone_mode=False)  # what a command was left with: None, or the code of its Exit
    except UserError as error:
        code = _refuse(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "sixfold"
        code = _refuse(f"{error.format_message().rstrip('.')}: see {command} --help")
    except click.ClickException as error:
        code = _refuse(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        code = 130
    if code == 130:
        print("sixfold: interrupted", file=sys.stderr)
    sys.exit(code or 0)


def _refuse(message: str) -> int:
    print(f"sixfold: {' '.join(message.split())}", file=sys.stderr)
    return 2
