"""The page of a design's answer: everything that was decided is on it, nothing is fetched, nothing odd is printed."""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from sixfold.design.answer import Answer, answer
from sixfold.design.spec import Spec, load_spec
from sixfold.report.answer_charts import lost
from sixfold.report.answer_page import render_answer, write_answer
from sixfold.report.answer_story import moving
from sixfold.report.answer_view import ceiling_rows
from sixfold.units import percent

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))


def changed(spec: Spec[Any], **sections: dict[str, Any]) -> Spec[Any]:
    given = spec.to_json()
    new = {name: {**given[name], **what} if isinstance(given[name], dict) else what for name, what in sections.items()}
    return type(spec).model_validate({**given, **new})


@cache
def answered(name: str) -> Answer:
    spec = load_spec(EXAMPLES / f"{name.removeprefix('impossible ')}.yaml")
    return answer(changed(spec, objective={"latency_s": 0.001}) if name.startswith("impossible") else spec)


def text_of(page: str) -> str:
    """What a reader sees."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.S))).split())


def drawn_text(page: str, ident: str) -> str:
    """What is written in one of the charts, its description left out."""
    svg = re.search(rf'<svg[^>]*aria-labelledby="{ident}-title.*?</svg>', page, flags=re.S)
    assert svg is not None, ident
    return " ".join(unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg.group()))


@pytest.mark.parametrize("name", [*NAMES, "impossible card-fraud"])
def test_everything_that_was_decided_is_on_the_page(name: str) -> None:
    found = answered(name)
    page = render_answer(found)
    text = text_of(page).replace("\N{NO-BREAK SPACE}", " ")
    assert found.verdict in text
    assert found.spec.ambition in text
    for resource in found.pressures.resources:
        assert resource.why in text
    for decision in found.slots.values():
        assert decision.choice in text
        assert decision.rejected[0].why in text
    for name_, word in found.chosen.choices.items():
        assert name_ in text
        assert word in text
    for limit in found.chosen.limits:
        assert limit in text
    for axis in found.pressures.by_axis:
        assert f"{axis.value} {found.pressures.by_axis[axis]:.2f}" in text
    assert not re.search(r"\b(nan|inf|None|True|False)\b", text)
    assert text.startswith("Sixfold") or found.spec.name in text[:200]


def test_what_cannot_be_met_comes_first() -> None:
    text = text_of(render_answer(answered("impossible card-fraud")))
    assert "No design does what is asked" in text
    assert text.index("What cannot be met") < text.index("What binds")
    assert "objective.latency_s 1.00 ms" in text  # as asked, with its unit
    assert "No number of nodes does what is asked." in text  # where the curve of the cost would be
    assert "flips the verdict" not in text  # nothing was held against an answer that does not exist


@pytest.mark.parametrize("name", [*NAMES, "impossible card-fraud"])
def test_charts_point_at_the_numbers_of_nodes_and_the_front_at_the_chosen_design(name: str) -> None:
    found = answered(name)
    page = render_answer(found)
    assert page.count('class="chosen"') == 1
    for ident in ("answer-scaling", "answer-efficiency", "answer-parts", *(["answer-cost"] if found.feasible else [])):
        names = drawn_text(page, ident)
        for mark in ("chosen", "p*", "fastest", *(["cheapest"] if found.curve.cheapest is not None else [])):
            assert mark in names, (ident, mark)


@pytest.mark.parametrize("name", NAMES)
def test_utilisation_bars_are_logarithmic_around_a_full_node(name: str) -> None:
    for resource, _, place in ceiling_rows(answered(name)):
        assert 0 <= place <= 1
        assert (place > 0.5) == (resource.utilisation > 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_tornado_says_every_change_in_full(name: str) -> None:
    drawn = drawn_text(render_answer(answered(name)), "tornado")
    for one in moving(answered(name)):
        for ratio in (one.down, one.up):
            if ratio is not None and abs(ratio - 1) >= 0.0005:
                assert percent(ratio - 1, signed=True) in drawn


def test_an_input_out_of_its_bounds_is_not_said_to_leave_no_design() -> None:
    inputs = {one.field: one for one in answered("card-fraud").sensitivity}
    availability = inputs["objective.availability"]  # 1.1 times 0.9999 is no share
    assert availability.up is None
    assert not lost(availability, "up")
    hopeless = {one.field: one for one in answered("hospitals").sensitivity}["objective.quality"]
    assert lost(hopeless, "up")


def test_the_page_asks_for_nothing_and_escapes_what_a_spec_says(tmp_path: Path) -> None:
    spec = changed(
        load_spec(EXAMPLES / "laptop-tabular.yaml"), name="<script>alert(1)</script>", ambition='"><img src=x>'
    )
    page = write_answer(answer(spec), tmp_path / "answer.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    links = set(re.findall(r"(?:src|href)=\"(?!data:|#)([^\"]*)\"", page))
    assert [(tmp_path / link).resolve() for link in links] == [EXAMPLES.parent / "docs" / "accuracy.md"]
    assert "http://" not in re.sub(r"xmlns(:\w+)?=\"[^\"]+\"", "", page)


def test_the_same_answer_is_the_same_page() -> None:
    assert render_answer(answered("card-fraud")) == render_answer(answered("card-fraud"))
