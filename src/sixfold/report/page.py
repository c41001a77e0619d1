"""Render a run folder as one HTML file that asks for nothing from outside itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sixfold import units
from sixfold.files import replace_bytes
from sixfold.report import design_answers, notices, view
from sixfold.report.record import Record, mapping
from sixfold.study.run_folder import RunFolder

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["render_report", "style", "templates", "write_report"]

_HERE = Path(__file__).parent


def write_report(folder: RunFolder) -> Path:
    """Write report.html into the run folder, whole or not at all, and return its path.

    Raises InputError when the manifest, the panel or the milestones of the run cannot be read.
    """
    # A lone surrogate in an input is no valid text: it becomes "?" rather than the end of the report.
    replace_bytes(folder.report_path, render_report(folder).encode("utf-8", "replace"))
    return folder.report_path


def render_report(folder: RunFolder) -> str:
    """The report of a run, finished or not, from its folder alone: the same files, the same text.

    Raises InputError when the manifest, the panel or the milestones of the run cannot be read.
    """
    from sixfold.report import charts, figures
    from sixfold.study.meter import Part

    record = Record.read(folder)
    manifest = record.manifest
    axes, shares = view.by_axis(record)
    return templates().get_template("template.html").render(
        style=style(),
        record=record,
        system=manifest["system"],
        title=manifest.get("title") or manifest["system"],
        problem=mapping(manifest.get("design")).get("problem", ""),
        about=notices.about(record),
        command=manifest.get("command"),
        notices=notices.notices(record),
        headline=view.headline(record),
        passed=sum(verdict.passed for verdict in record.verdicts),
        questions=design_answers.questions(record),
        constraints=design_answers.constraints(record),
        slots=design_answers.slots(record),
        workload=design_answers.workload(record),
        steps=view.steps(record),
        parts=[(part.value, charts.swatch(part)) for part in Part],
        scaling=figures.scaling_figure(record),
        time=figures.time_figure(record),
        axes=axes,
        shares=shares,
        cost=figures.cost_figure(record),
        breaks=(breaks := view.breaks(record)),
        summary=view.summary(record, breaks),
        lines=view.lines(record),
        groups=view.reproducibility(record),
    ).lstrip()  # fmt: skip


def style() -> Markup:
    """The style of every page, to stand in its head."""
    from markupsafe import Markup

    return Markup((_HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704


@cache
def templates() -> Environment:
    """The templates of this folder, with the filters that write numbers."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("byte_count", "dollars", "number", "percent", "quantity", "seconds", "tie", "times"):
        environment.filters[name] = getattr(units, name)
    return environment
