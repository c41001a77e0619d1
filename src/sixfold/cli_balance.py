"""`sixfold balance SYSTEM`: turn all knobs together on real runs, and see what tuning each axis alone would cost."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from sixfold.errors import ConfigError, InputError

__all__ = ["balance"]

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def balance(
    system: Annotated[str | None, typer.Argument(help="Which system; left out with --resume.")] = None,
    trials: Annotated[int, typer.Option(help="Runs of the joint search, and of each axis alone.")] = 10,
    budget: Annotated[str | None, typer.Option(help="Of all runs together, such as 15min; fewer trials then.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Finish the interrupted balance in this folder.")] = None,
    repeats: Annotated[int, typer.Option(help="Runs of the start and of both winners at the end.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    runs: Annotated[Path, typer.Option(help="Where run folders are kept.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Search all knobs of a system together on real runs; compare with each axis tuned alone.

    Exits with 0 when a balance within every limit was confirmed, 1 when none was, 2 on bad input.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from sixfold.design.checklist import load_design
    from sixfold.files import read_json, replace_json
    from sixfold.report.balance_page import write_balance
    from sixfold.study.balance import BalanceTrial
    from sixfold.study.balance_run import BalanceFolder, BalanceOptions, run_balance
    from sixfold.study.run_folder import (
        RunFolder,
        command_line,
        config_hash,
        describe_machine,
        describe_versions,
        git_commit,
        utc_now,
    )
    from sixfold.systems import load_system

    manifest: dict[str, Any] = {}
    if resume is not None:
        manifest = read_json(resume / "manifest.json")
        if not isinstance(manifest, dict) or manifest.get("kind") != "balance":
            raise InputError("not the manifest of a balance", path=resume / "manifest.json", field="kind")
        try:
            name, options = str(manifest["system"]), BalanceOptions(**manifest["options"])
        except (KeyError, TypeError) as error:
            raise InputError(f"damaged: {error}", path=resume / "manifest.json", field="options") from None
        if system not in (None, name):
            raise ConfigError(f"{resume} is a balance of {name}, not of {system}")
    elif system is None:
        raise ConfigError("which system? see `sixfold systems`")
    else:
        name, options = system, BalanceOptions(trials, None if budget is None else _seconds(budget), seed, repeats)
    found = load_system(name)
    if found.balance is None:
        raise ConfigError(f"{name} does not say how its knobs are turned: it cannot be balanced")
    means, design = found.balance, load_design(found.design)
    terms = config_hash(
        design.to_json()["knobs"], [str(limit) for limit in means.limits], means.objective.metric, dict(means.about)
    )
    if resume is not None:
        if manifest.get("terms") != terms:
            raise InputError("the knobs or limits have changed since: begin a new balance", path=resume, field="terms")
        path = resume
    else:
        path = RunFolder.create(runs, f"balance-{name}").path
        manifest = {
            "kind": "balance", "system": name, "options": options.to_json(), "terms": terms, "started": utc_now(),
            "command": command_line(), "commit": git_commit(), "machine": describe_machine(),
            "versions": describe_versions(), "knobs": design.to_json()["knobs"], "about": dict(means.about),
            "objective": means.objective.metric, "limits": [str(limit) for limit in means.limits],
        }  # fmt: skip
        replace_json(path / "manifest.json", manifest)
    folder = BalanceFolder(path)
    folder.trials()  # a damaged file is found before anything is prepared
    console = Console(stderr=True)
    console.print(f"run folder: {path}")
    columns = (SpinnerColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(*columns, console=console))
        task = progress.add_task("preparing", total=None)
        measure = stack.enter_context(means.open(path / "work", options.seed))

        def told(trial: BalanceTrial, planned: int) -> None:
            what = trial.error or f"{means.objective.metric} {trial.metrics[means.objective.metric]:.4g}"
            progress.update(task, advance=1, total=planned, description=f"{trial.phase} {trial.number}: {what}")

        result = run_balance(folder, design, means, measure, options, told=told)
    shutil.rmtree(path / "work", ignore_errors=True)  # what runs were prepared with; an interrupted balance keeps it
    page = write_balance(folder.page_path, manifest, means, result, folder.trials())
    if as_json:
        print(json.dumps({"run": str(path), "report": str(page), **read_json(folder.result_path)}))
    else:
        print(f"{name}: {result.sentence(means)}\nreport: {page}")
    raise typer.Exit(0 if result.chosen is not None and result.chosen.held else 1)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h)", text.strip())
    if match is None:
        raise ConfigError(f"got budget {text!r}, expected a number with s, min or h, such as 15min")
    return float(match.group(1)) * _UNITS[match.group(2)]
