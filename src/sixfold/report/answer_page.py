"""Render the answer to a spec as one HTML file that asks for nothing from outside itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sixfold.design.answer import Answer
from sixfold.design.sensitivity import Influence
from sixfold.files import replace_bytes
from sixfold.report import answer_charts as charts
from sixfold.report import answer_view as view
from sixfold.report.charts import swatch
from sixfold.report.page import style, templates
from sixfold.report.units import dollars, number, percent

__all__ = ["render_answer", "write_answer"]

_MOST_INPUTS = 10


def write_answer(answer: Answer, path: Path) -> Path:
    """Write the page, whole or not at all, and return its path."""
    replace_bytes(path, render_answer(answer).encode("utf-8", "replace"))
    return path


def render_answer(answer: Answer) -> str:
    """The page of an answer: every step in its order, each resting on the one before."""
    from sixfold.study.meter import Part

    scale = view.scale_of(answer)
    chosen = int(answer.chosen["nodes"])
    columns, rows = view.front_rows(answer)
    return (
        templates()
        .get_template("answer.html")
        .render(
            style=style(),
            answer=answer,
            spec=answer.spec,
            tiles=view.tiles(answer),
            resources=answer.pressures.resources,
            radar=charts.radar(answer.pressures.by_axis),
            figures=list(view.figure_rows(answer)),
            limits=view.limit_rows(answer.chosen),
            numbers_of_nodes=view.p_rows(answer),
            scaling=charts.scaling_chart(answer.curve, chosen),
            cost=charts.cost_chart(answer.curve, chosen, scale.factor, f"for {scale.words}"),
            parts=charts.parts_chart(answer.curve),
            part_keys=[(part.value, swatch(part)) for part in Part],
            front=_front(answer, scale),
            front_columns=columns,
            front_rows=rows,
            contention=_contention(answer),
            rent=_rent(answer, scale),
            flips=[(one.field, flip) for one in answer.sensitivity for flip in one.flips],
            tornado=charts.tornado(moving) if (moving := _moving(answer)) else None,
            given=view.given(answer),
            width=percent(answer.accuracy.width),
            scale=scale,
        )
        .lstrip()
    )


def _front(answer: Answer, scale: view.Scale) -> Any:
    """Cost against the duration of a job, the latency of a service, or the number of nodes."""
    figures = {figure.name for figure in answer.chosen.figures}
    workload = answer.spec.workload
    other = next((name for name in ("duration", workload.latency) if name in figures), "nodes")
    points = [
        (design["cost of a unit"] * scale.factor, design[other])
        for design in answer.front
        if any(figure.name == other for figure in design.figures)
    ]
    if not points:
        return None
    chosen = (answer.chosen["cost of a unit"] * scale.factor, answer.chosen[other])
    unit = {"duration": "days", "nodes": ""}.get(other, "s")
    return charts.front_chart(points, chosen, f"USD for {scale.words}", f"{other}{f', {unit}' if unit else ''}")


def _contention(answer: Answer) -> dict[str, Any] | None:
    found = answer.contention
    if found is None:
        return None
    rows = [(one.axis.value, view.over(one.over_joint, one.missed)) for one in found.alone]
    if found.together is not None:
        rows.append(
            ("each axis by itself, then all together", view.over(found.together.over_joint, found.together.missed))
        )
    if found.price is None:
        price = "No axis tuned alone, nor all of them put together, does what is asked: the joint search alone does."
    elif found.price < 0.005:
        price = "Tuning one axis alone comes as far as the joint search: here the axes hardly contend."
    else:
        price = (
            f"The price of contention is {percent(found.price)}: so much more is the best that tuning alone comes to."
        )
    return {"rows": rows, "price": price}


def _rent(answer: Answer, scale: view.Scale) -> dict[str, Any] | None:
    found = answer.break_even
    if found is None:
        return None
    own, rent = answer.chosen["cost of a unit"], found.rent_usd
    if found.crossover_per_s is not None:
        when = f"Owning is cheaper from {number(found.crossover_per_s)} {answer.spec.workload.unit}s a second on"
    elif own < rent:
        when = "Owning is cheaper at every volume that was looked at"
    else:
        when = "Renting is cheaper at every volume that was looked at"
    prices = dollars(own * scale.factor), dollars(rent * scale.factor)
    now = f"At the demand, own nodes cost {prices[0]} for {scale.words}, {found.what} {prices[1]}"
    return {
        "sentence": f"{when}. {now}.",
        "source": found.source,
        "chart": charts.break_even_chart(found, scale.factor, f"for {scale.words}"),
    }


def _moving(answer: Answer) -> list[Influence]:
    """The inputs that move the objective most."""

    def swing(one: Influence) -> float:
        return max(abs(float(1.0 if ratio is None else ratio) - 1.0) for ratio in (one.down, one.up))

    moved = [one for one in answer.sensitivity if swing(one) >= 0.001]
    return sorted(moved, key=swing, reverse=True)[:_MOST_INPUTS]
