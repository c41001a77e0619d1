"""Render the answer to a spec as one HTML file that asks for nothing from outside itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sixfold.design.accuracy import accuracies
from sixfold.design.answer import Answer
from sixfold.files import replace_bytes
from sixfold.report import answer_charts as charts
from sixfold.report import answer_curves as curves
from sixfold.report import answer_story as story
from sixfold.report import answer_view as view
from sixfold.report.charts import swatch
from sixfold.report.page import style, templates
from sixfold.report.ticks import unit_of_days, unit_of_seconds

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["render_answer", "write_answer"]

_ACCURACY = Path(__file__).parents[3] / "docs" / "accuracy.md"  # of a checkout; an installed package has none


def write_answer(answer: Answer, path: Path) -> Path:
    """Write the page, whole or not at all, and return its path."""
    link = os.path.relpath(_ACCURACY, path.resolve().parent) if _ACCURACY.exists() else None
    replace_bytes(path, render_answer(answer, link).encode("utf-8", "replace"))
    return path


def render_answer(answer: Answer, accuracy_link: str | None = None) -> str:
    """The page of an answer: every step in its order, each resting on the one before.

    accuracy_link: from the page to the document of how far all laws were off; None where there is none.
    """
    from sixfold.study.meter import Part

    scale, marks, drawn = view.scale_of(answer), view.marks(answer), answer.curve
    price = f"for {scale.words}"
    columns, rows = view.front_rows(answer)
    demand = answer.spec.workload.demand_per_s
    return templates().get_template("answer.html").render(
        style=style(),
        answer=answer,
        spec=answer.spec,
        tiles=view.tiles(answer),
        missed=view.missed_rows(answer),
        resources=view.ceiling_rows(answer),
        radar=charts.radar(answer.pressures.by_axis),
        decided=story.decided(answer),
        figures=list(view.figure_rows(answer)),
        limits=view.limit_rows(answer.chosen),
        fastest_of_p=story.fastest_of_p(answer) if answer.feasible else "",
        numbers_of_nodes=view.p_rows(answer),
        scaling=curves.scaling_chart(drawn, marks),
        efficiency=curves.efficiency_chart(drawn, marks),
        cost=curves.cost_chart(drawn, marks, scale.factor, price),
        parts=curves.parts_chart(drawn, marks),
        part_keys=[(part.value, swatch(part)) for part in Part],
        front=_front(answer, scale),
        front_columns=columns,
        front_rows=rows,
        contends=story.contends(answer),
        alone=story.tuned_alone(answer),
        failures=story.failures(answer),
        rents=story.rents(answer),
        break_even=(
            None
            if answer.break_even is None or demand is None
            else charts.break_even_chart(answer.break_even, demand, scale.factor, price)
        ),
        flips=story.flips(answer),
        tornado=charts.tornado(moving) if (moving := story.moving(answer)) else None,
        given=view.given(answer),
        measured=[accuracies()[name] for name in answer.spec.workload.measured_by if name in accuracies()],
        accuracy_link=accuracy_link,
        scale=scale,
    ).lstrip()  # fmt: skip


def _front(answer: Answer, scale: view.Scale) -> Markup | None:
    """Cost against the duration of a job, the latency of a service, or the number of nodes."""
    figures = {figure.name for figure in answer.chosen.figures}
    latency = answer.spec.workload.latency
    other = next((name for name in ("duration", latency) if name in figures), "nodes")
    designs = [design for design in answer.front if any(figure.name == other for figure in design.figures)]
    if not designs:
        return None
    values = [design[other] for design in (*designs, answer.chosen)]
    factor, unit = (1.0, "")
    if other != "nodes":
        factor, unit = unit_of_days(values) if other == "duration" else unit_of_seconds(values)
    points = [(design["cost of a unit"] * scale.factor, design[other] / factor, design.holds) for design in designs]
    chosen = (answer.chosen["cost of a unit"] * scale.factor, answer.chosen[other] / factor)
    return charts.front_chart(points, chosen, f"USD for {scale.words}", f"{other}{f', {unit}' if unit else ''}")
