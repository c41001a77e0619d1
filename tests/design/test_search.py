"""The search over designs: fronts, what is best, and what never happens when a price or a start-up time rises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sixfold.design.curves import curve
from sixfold.design.nearest import nearest
from sixfold.design.search import ALIKE, grid, pareto, search, unit_usd, worth
from sixfold.design.spec import Spec, load_spec
from sixfold.design.workload import Choice

EXAMPLES = Path(__file__).parents[2] / "examples"
costs = npst.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.integers(0, 6).map(float))


def changed(spec: Spec[Any], **sections: dict[str, Any]) -> Spec[Any]:
    given_ = spec.to_json()
    return type(spec).model_validate({**given_, **{name: {**given_[name], **new} for name, new in sections.items()}})


@given(costs)
def test_a_front_is_every_row_that_no_other_beats_and_nothing_else(rows: np.ndarray) -> None:
    front = {tuple(rows[at]) for at in pareto(rows)}
    for row in rows:
        beaten = any(np.all(other <= row) and np.any(other < row) for other in rows)
        assert (tuple(row) in front) == (not beaten)


def test_a_grid_has_every_combination_once() -> None:
    spec = load_spec(EXAMPLES / "card-fraud.yaml")
    choices = spec.workload.choices(spec)
    columns = grid(choices)
    rows = set(zip(*(column.tolist() for column in columns.values()), strict=True))
    assert len(rows) == np.prod([len(choice.values) for choice in choices])
    wide = [Choice(str(at), choices[0].axis, tuple(map(float, range(500))), 0.0, "") for at in range(3)]
    with pytest.raises(ValueError, match="designs, expected at most"):
        grid(wide)


@pytest.mark.parametrize("name", ["card-fraud", "taxed-training", "laptop-tabular", "llm-pretraining"])
@settings(max_examples=6, deadline=None)
@given(factor=st.floats(1.01, 5))
def test_no_design_gets_cheaper_when_prices_rise(name: str, factor: float) -> None:
    spec = load_spec(EXAMPLES / f"{name}.yaml")
    before, after = search(spec), search(changed(spec, platform={"price_factor": factor}))
    with np.errstate(invalid="ignore"):
        assert np.all((unit_usd(after) >= unit_usd(before)) | ~np.isfinite(unit_usd(before)))
    holding = after.holds()
    if holding.any():
        assert np.min(worth(after)[holding]) >= np.min(worth(before)[before.holds()]) - 1e-18


@settings(max_examples=8, deadline=None)
@given(factor=st.floats(2, 200))
def test_p_star_falls_when_messages_start_later(factor: float) -> None:
    spec = load_spec(EXAMPLES / "taxed-training.yaml")
    before = curve(search(spec)).p_star
    after = curve(search(changed(spec, platform={"alpha_factor": factor}))).p_star
    assert after <= before


@pytest.mark.parametrize("name", ["card-fraud", "taxed-training", "laptop-tabular", "llm-pretraining"])
def test_nothing_is_faster_than_ideal(name: str) -> None:
    drawn = curve(search(load_spec(EXAMPLES / f"{name}.yaml")))
    assert all(point.efficiency <= 1 + 1e-9 for point in drawn.points)
    assert all(abs(sum(point.parts.values()) - 1) < 1e-6 for point in drawn.points)


def test_what_is_chosen_holds_and_is_within_the_error_of_the_best() -> None:
    found = search(load_spec(EXAMPLES / "card-fraud.yaml"))
    at = found.best(found.holds())
    assert at is not None
    assert found.holds()[at]
    assert worth(found)[at] <= np.min(worth(found)[found.holds()]) * (1 + ALIKE)
    assert found.best(np.zeros(found.size, dtype=bool)) is None


def test_the_nearest_spec_can_be_met_and_one_a_little_stricter_cannot() -> None:
    spec = changed(load_spec(EXAMPLES / "card-fraud.yaml"), objective={"latency_s": 0.001})
    near = nearest(search(spec))
    (relaxed, *_) = near.alone
    assert relaxed.limit == "objective.latency_s"
    assert relaxed.needed > relaxed.asked
    met = search(changed(spec, objective={"latency_s": relaxed.needed * 1.0001}))
    assert met.holds().any()
    missed = search(changed(spec, objective={"latency_s": relaxed.needed * 0.999}))
    assert not missed.holds().any()
