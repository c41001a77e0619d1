"""The answers of the examples: what binds, how many, why not more, and that every step is there."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sixfold.axes import Axis, Ceiling, Slot, Topology
from sixfold.design.answer import Answer, answer
from sixfold.design.spec import Spec, load_spec

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))


@cache
def answered(name: str) -> Answer:
    return answer(load_spec(EXAMPLES / f"{name}.yaml"))


def changed(spec: Spec[Any], section: str, **new: Any) -> Spec[Any]:
    given = spec.to_json()
    return type(spec).model_validate({**given, section: {**given[section], **new}})


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_answered_in_full(name: str) -> None:
    found = answered(name)
    assert found.feasible, found.verdict
    assert found.verdict.endswith(".")
    assert set(found.slots) == set(Slot)
    assert all(decision.rejected for decision in found.slots.values())
    assert all(0 <= pressure <= 1 for pressure in found.pressures.by_axis.values())
    assert found.chosen.holds
    assert all(share <= 1 for share in found.chosen.limits.values())
    assert found.contention is not None
    assert found.contention.price is None or found.contention.price >= -1e-9
    assert found.front
    assert found.sensitivity
    for figure in found.chosen.figures:
        if figure.low is not None and figure.high is not None:
            assert figure.low <= figure.value <= figure.high
    text = json.dumps(found.to_json(), allow_nan=False)
    assert found.verdict in json.loads(text)["verdict"]


def test_card_fraud_distributes_inference_only() -> None:
    found = answered("card-fraud")
    assert found.pressures.binding.ceiling is Ceiling.THROUGHPUT
    assert [axis for axis, pressure in found.pressures.by_axis.items() if pressure > 0.5] == [Axis.INFERENCE]
    assert found.verdict.startswith("Distribute inference:")
    assert found.chosen.choices["state shards"] == "1"
    assert found.topology is Topology.CENTRALIZED


def test_a_laptops_model_stays_on_one_machine() -> None:
    found = answered("laptop-tabular")
    assert found.chosen["nodes"] == 1
    assert found.verdict.startswith("Stay on one machine")
    assert found.curve.cheapest == 1


def test_where_taxes_eat_the_gain_the_answer_is_fewer() -> None:
    found = answered("taxed-training")
    wasteful = next(one for one in found.attempts if "objective alone" in one.why)
    assert wasteful.tax_share > 0.5
    assert found.chosen["nodes"] < wasteful.p
    assert found.attempts[-1].p == found.chosen["nodes"]
    assert found.attempts[-1].efficiency >= 0.7
    assert f"not {wasteful.p}" in found.verdict


def test_a_large_model_takes_training_and_model_axes_at_once() -> None:
    found = answered("llm-pretraining")
    assert {Axis.TRAINING, Axis.MODEL} <= {a for a, pressure in found.pressures.by_axis.items() if pressure > 0.9}
    assert found.curve.one_node == "would not fit"
    assert float(found.chosen.choices["data"]) > 1


def test_what_cannot_be_met_is_named_with_the_spec_that_can() -> None:
    spec = changed(load_spec(EXAMPLES / "llm-pretraining.yaml"), "budget", days=2, nodes=256)
    found = answer(spec)
    assert not found.feasible
    assert found.nearest is not None
    assert {one.limit for one in found.nearest.alone + found.nearest.together} & {"budget.days", "budget.nodes"}
    assert found.verdict.startswith("No design does it; the nearest spec")


def test_the_input_that_flips_the_verdict_is_named() -> None:
    spec = load_spec(EXAMPLES / "laptop-tabular.yaml")
    alone_days = answered("laptop-tabular").chosen["duration"]  # on the one kind of machine that is left
    small = changed(spec, "platform", machines=["aws-c5-xlarge"])
    tight = answer(changed(small, "budget", days=alone_days * 0.95))
    flips = {one.field for one in tight.sensitivity if any("one node instead of" in flip for flip in one.flips)}
    assert {"budget.days", "workload.samples"} & flips


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_the_chosen_design_is_of_that_design(name: str) -> None:
    found = answered(name)
    last, p = found.attempts[-1], int(found.chosen["nodes"])
    assert last.p == p
    assert last.efficiency == pytest.approx(found.chosen["efficiency E(p)"])
    assert last.efficiency == pytest.approx(found.chosen["capacity"] / p / found.curve.one_node_per_s)
    point = next(point for point in found.curve.points if point.p == p)
    assert last.efficiency <= point.efficiency * (1 + 1e-9), "the curve is of the fastest"


@pytest.mark.parametrize("name", NAMES)
def test_the_curve_has_the_numbers_that_it_names(name: str) -> None:
    drawn = answered(name).curve
    counts = [point.p for point in drawn.points]
    assert counts == sorted(counts)
    assert {drawn.p_star, drawn.fastest, drawn.cheapest, int(answered(name).chosen["nodes"])} <= set(counts)
    assert max(point.capacity_per_s for point in drawn.points) == pytest.approx(
        next(point.capacity_per_s for point in drawn.points if point.p == drawn.fastest)
    )
    assert drawn.points[-1].speedup > 0.1 * drawn.points[-2].speedup, "an odd design stands for the most nodes"


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_that_a_law_gives_has_an_interval_around_it(name: str) -> None:
    exact = {"nodes", "cost of the nodes"}  # what was decided, and its price
    for figure in answered(name).chosen.figures:
        if figure.name not in exact:
            assert figure.low is not None, figure.name
            assert figure.high is not None, figure.name
            assert figure.low <= figure.value <= figure.high, figure.name
            assert figure.unit not in ("", "of the time") or 0.0 <= figure.low <= figure.high <= 1.0, figure.name


def test_an_input_out_of_its_bounds_is_told_from_one_that_no_design_holds() -> None:
    found = {one.field: one for one in answered("hospitals").sensitivity}
    assert found["objective.availability"].up is None
    assert found["objective.availability"].out_of_bounds == ("up",)
    assert found["objective.quality"].up is None
    assert found["objective.quality"].out_of_bounds == ()
    assert any("no design does it" in flip for flip in found["objective.quality"].flips)


@pytest.mark.parametrize("name", NAMES)
def test_sentences_have_numbers_that_people_read(name: str) -> None:
    found = answered(name)
    told = [found.verdict, *found.flags, *(one.why for one in found.pressures.resources)]
    told += [one.outcome for one in found.attempts]
    for sentence in told:
        assert not re.search(r"\de[+-]?\d", sentence), sentence
        assert "old, or" not in sentence
