"""What every kind of workload promises, whatever its spec says: numbers, no design better than ideal, prices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sixfold.axes import Axis, Ceiling, Mode, Slot, Topology
from sixfold.design.answer import answer
from sixfold.design.curves import curve
from sixfold.design.pressures import pressures
from sixfold.design.search import search, unit_usd
from sixfold.design.spec import Spec, load_spec
from sixfold.design.workloads import KINDS

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
SPECS = {path.stem: load_spec(path) for path in EXAMPLES}


def changed(spec: Spec[Any], section: str, **new: Any) -> Spec[Any]:
    given_ = spec.to_json()
    return type(spec).model_validate({**given_, section: {**given_[section], **new}})


def stretched(spec: Spec[Any], factors: list[float]) -> Spec[Any]:
    """The spec with the real numbers of its workload multiplied, where the result is within bounds."""
    workload = spec.to_json()["workload"]
    names = [name for name, value in workload.items() if isinstance(value, float) and value > 0]
    for name, factor in zip(names, factors, strict=False):
        try:
            spec = changed(spec, "workload", **{name: workload[name] * factor})
        except ValueError:
            continue
    return spec


def test_there_are_at_least_ten_examples_of_all_kinds() -> None:
    assert len(SPECS) >= 10
    assert {spec.kind for spec in SPECS.values()} == set(KINDS)


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(factors=st.lists(st.sampled_from([0.1, 0.5, 1.0, 2.0, 10.0]), min_size=12, max_size=12))
def test_estimates_are_numbers_whatever_the_workload(name: str, factors: list[float]) -> None:
    spec = stretched(SPECS[name], factors)
    resources = spec.workload.resources(spec)
    assert all(resource.use >= 0 and resource.why.endswith(".") for resource in resources)
    assert set(pressures(resources).by_axis) == set(Axis)
    found = search(spec)
    estimates = found.estimates
    for column, values in estimates.columns().items():
        assert not np.isnan(values).any(), column
        assert (values >= 0).all(), column
    assert (estimates.nodes >= 1).all()
    assert (estimates.capacity_per_s > 0).all()
    assert ((estimates.quality > 0) & (estimates.quality <= 1)).all()
    assert ((estimates.availability >= 0) & (estimates.availability <= 1)).all()


@pytest.mark.parametrize("name", SPECS)
def test_no_number_of_nodes_beats_the_ideal(name: str) -> None:
    drawn = curve(search(SPECS[name]))
    assert all(point.efficiency <= 1 + 1e-6 for point in drawn.points), [(p.p, p.efficiency) for p in drawn.points]


@pytest.mark.parametrize("name", SPECS)
def test_no_design_is_cheaper_when_prices_double(name: str) -> None:
    spec = SPECS[name]
    before, after = unit_usd(search(spec)), unit_usd(search(changed(spec, "platform", price_factor=2.0)))
    finite = np.isfinite(before)
    assert (after[finite] >= before[finite] * (1 - 1e-12)).all()
    assert (after[finite] > before[finite]).any()


@pytest.mark.parametrize("name", SPECS)
def test_no_design_does_more_when_messages_start_later(name: str) -> None:
    spec = SPECS[name]
    before, after = search(spec), search(changed(spec, "platform", alpha_factor=10.0))
    assert (after.estimates.capacity_per_s <= before.estimates.capacity_per_s * (1 + 1e-9)).all()


@pytest.mark.parametrize(
    ("name", "ceiling", "axis", "topology", "mode"),
    [
        ("web-rag", Ceiling.DATA, Axis.DATA, Topology.CENTRALIZED, Mode.INTERACTIVE),
        ("hospitals", Ceiling.TRUST, Axis.TRAINING, Topology.HYBRID, Mode.BATCH),
        ("recommender", Ceiling.THROUGHPUT, Axis.INFERENCE, Topology.CENTRALIZED, Mode.ONLINE),
        ("drone-swarm", Ceiling.COORDINATION, Axis.INTELLIGENCE, Topology.DECENTRALIZED, Mode.STREAMING),
        ("agent-fleet", Ceiling.THROUGHPUT, Axis.INFERENCE, Topology.CENTRALIZED, Mode.INTERACTIVE),
        ("llm-pretraining", Ceiling.THROUGHPUT, Axis.TRAINING, Topology.CENTRALIZED, Mode.BATCH),
    ],
)
def test_each_system_is_bound_by_its_own_ceiling(
    name: str, ceiling: Ceiling, axis: Axis, topology: Topology, mode: Mode
) -> None:
    found = answer(SPECS[name])
    assert (found.pressures.binding.ceiling, found.pressures.binding.axis) == (ceiling, axis)
    assert (found.topology, found.mode) == (topology, mode)
    assert set(found.slots) == set(Slot)


def test_more_privacy_costs_quality_and_a_trusted_coordinator_needs_no_masks() -> None:
    loose = answer(changed(SPECS["hospitals"], "workload", epsilon=8.0))
    strict = answer(changed(SPECS["hospitals"], "workload", epsilon=0.5))
    assert loose.feasible
    assert not strict.feasible or strict.chosen["quality of the model"] <= loose.chosen["quality of the model"] + 0.01
    assert loose.chosen.choices["aggregation"] == "only the sum"


def test_a_recommender_that_fits_a_machine_is_bound_by_requests_only() -> None:
    small = changed(SPECS["recommender"], "workload", items=1e6, users=1e6)
    assert pressures(small.workload.resources(small)).by_axis[Axis.MODEL] < 0.5


def test_a_swarm_of_a_few_may_be_led_by_a_station() -> None:
    few = changed(SPECS["drone-swarm"], "workload", robots=4, control_hz=10.0)
    found = pressures(few.workload.resources(few))
    assert all(r.utilisation <= 1 for r in found.resources if r.ceiling is Ceiling.COORDINATION)
