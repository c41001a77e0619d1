"""`sixfold design ...`: answer a spec, ask for one, hold predictions against measurements."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import click
import typer
from typer.core import TyperGroup

from sixfold.errors import ConfigError

__all__ = ["app"]

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


class _AnswerByDefault(TyperGroup):
    """`sixfold design FILE` is `sixfold design answer FILE`: what is no command's name is a spec."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["answer", *args]
        return super().parse_args(context, args)


app = typer.Typer(
    cls=_AnswerByDefault,
    no_args_is_help=True,
    help="Find the ceiling that binds, the axis that relieves it, what it costs, and whether it pays: "
    "sixfold design SPEC.yaml, or sixfold design --interactive.",
)


@app.command()
def answer(
    spec: Annotated[Path | None, typer.Argument(help="What is wanted: see examples/.")] = None,
    interactive: Annotated[bool, typer.Option("--interactive", help="Ask for it, question by question.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the whole answer as one HTML file.")] = None,
    save: Annotated[Path | None, typer.Option(help="With --interactive: keep the spec in this file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Answer a spec. Exits with 0 when some design does what is asked, 1 when none does, 2 on bad input."""
    from rich.console import Console

    from sixfold.design.answer import answer as decide
    from sixfold.design.interview import interview
    from sixfold.design.spec import load_spec
    from sixfold.report.answer_page import write_answer
    from sixfold.report.answer_text import answer_text

    if (spec is None) == (not interactive):
        raise ConfigError("give a spec's file, or --interactive, not both")
    console = Console(stderr=True)
    if interactive:
        asked = interview(
            ask=lambda words, default: str(typer.prompt(words, default=default, err=True)), tell=console.print
        )
        if save is not None:
            save.write_text(asked.to_yaml(), encoding="utf-8")
        wanted = asked.spec
    else:
        assert spec is not None
        wanted = load_spec(spec)
    with console.status("designing"):
        found = decide(wanted)
    if report is not None:
        write_answer(found, report)
    if as_json:
        print(json.dumps({**found.to_json(), "report": str(report) if report else None}))
    else:
        Console().print(answer_text(found))
        if report is not None:
            print(f"report: {report}")
    raise typer.Exit(0 if found.feasible else 1)


@app.command()
def validate(
    data: Annotated[Path | None, typer.Option(help="A folder with more published rows.")] = None,
    write: Annotated[
        Path | None, typer.Option(help="Keep the result: in the package, and as accuracy.md here.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Hold the laws against published measurements, beside a constant utilisation; exits 1 when a target is missed."""
    from rich.console import Console
    from rich.table import Column, Table

    from sixfold.design.validation.families import all_families
    from sixfold.design.validation.families import write as keep

    with Console(stderr=True).status("predicting"):
        families = all_families(data)
    if write is not None:
        keep(families, write)
    if as_json:
        print(json.dumps({"families": [family.to_json() for family in families]}))
    else:
        console = Console() if sys.stdout.isatty() else Console(width=160)  # a file is as wide as it needs to be
        roomy = console.width >= 140  # for the targets; narrower terminals have docs/accuracy.md
        numbers = ("rows", "MAPE", "median", "bias", "constant", "regret", "most")
        table = Table(
            Column("family", min_width=20),
            *(Column(name, justify="right", no_wrap=True) for name in numbers),
            *(["target"] if roomy else []),
            Column("", no_wrap=True),
        )
        for family in families:
            regrets = (_percent(family.regret_mean), _percent(family.regret_max))
            verdict = {True: "met", False: "missed", None: ""}[family.passed]
            table.add_row(
                family.name, f"{family.rows:,}", _percent(family.mape), _percent(family.median), f"{family.bias:+.1%}",
                _percent(family.baseline_mape), *regrets, *([family.target] if roomy else []), verdict,
            )  # fmt: skip
        console.print(table)
    raise typer.Exit(1 if any(family.passed is False for family in families) else 0)


def _percent(value: Any) -> str:
    return "" if value is None else f"{value:.1%}"


@app.command()
def calibrate(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs of this machine.")],
    write: Annotated[bool, typer.Option("--write", help="Let later predictions use it.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Refit this machine's profile from finished runs, and show the error on stages that were not used for it."""
    from rich.console import Console
    from rich.table import Table

    from sixfold.lab.profile import Profile, default_profile_path
    from sixfold.study.calibration import calibrate as fit
    from sixfold.study.calibration import observations
    from sixfold.study.run_folder import RunFolder

    observed = observations([RunFolder.open(run) for run in runs])
    try:
        found = fit(observed)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if write:
        found.apply(Profile.load()).save(default_profile_path())
    if as_json:
        print(json.dumps({**found.to_json(), "written": str(default_profile_path()) if write else None}))
        return
    table = Table("run", "stage", "p", "measured", "error before", "after", title="each stage by a fit without its law")
    for one in found.stages:
        table.add_row(
            one["run"], one["stage"], str(one["workers"]), f"{one['measured_s']:.3g} s", f"{one['before']:+.1%}",
            f"{one['after']:+.1%}",
        )  # fmt: skip
    Console().print(table)
    print(f"a message costs {found.message:.2f} times what the probe saw")
    print(f"mean error {found.before:.1%} before, {found.after:.1%} after, on stages that were not used for the fit")
    print(f"profile: {default_profile_path()}" if write else "nothing was written: --write keeps it")


@app.command()
def handbook(docs: Annotated[Path, typer.Argument(help="The folder of the documents.")]) -> None:
    """Write laws.md and glossary.md from docstrings."""
    from sixfold.design.handbook import write

    if not docs.is_dir():
        raise ConfigError(f"{docs} is no folder")
    for path in write(docs):
        print(path)
