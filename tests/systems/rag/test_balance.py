"""`balance` on rag: every declared knob is turned, and a run of a real fleet gives what a balance is judged by."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sixfold.design.checklist import load_design
from sixfold.design.spec import load_spec
from sixfold.lab.lab import Lab
from sixfold.study.balance import defaults, settled
from sixfold.systems import load_system
from sixfold.systems.rag.balance import BALANCE, LOAD, SPEC_PATH, seeds
from sixfold.systems.rag.balance_source import build_site, open_source
from sixfold.systems.rag.balance_trial import Trials

SMALL = LOAD | {"pages": 24, "questions": 20, "items": 5, "rate_per_s": 5.0, "load_s": 3.0}


def test_seeds_are_designs_within_the_range_of_the_knobs() -> None:
    design = load_design(load_system("rag").design)
    found = seeds(design)
    assert found
    for one in found:
        assert all(settled(name, design.knobs[name], value) == value for name, value in one.items())
        assert one != {name: defaults(design)[name] for name in one}


def test_the_spec_is_of_the_load_that_is_run() -> None:
    spec = load_spec(SPEC_PATH)
    assert spec.workload.queries_per_s == LOAD["rate_per_s"]
    assert spec.workload.updates_per_s == pytest.approx(4 * LOAD["documents_per_s"])


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_run_of_a_real_fleet_turns_every_knob_and_measures_what_it_is_judged_by(ray_lab: Lab, tmp_path: Path) -> None:
    design = load_design(load_system("rag").design)
    turned: set[str] = set()

    class Watched(dict[str, float]):
        def __getitem__(self, name: str) -> float:
            turned.add(name)
            return super().__getitem__(name)

    site = build_site(tmp_path, int(SMALL["pages"]), 0)
    assert build_site(tmp_path, 0, 0) == site, "what was built is not built again"
    measure = Trials(tmp_path, open_source(site, int(SMALL["questions"]), int(SMALL["items"]), 0), 0, SMALL)
    metrics = measure(Watched({**defaults(design), "ingest_share": 1.0}))
    assert turned == design.knobs.keys()
    assert set(BALANCE.metrics) <= metrics.keys()
    assert 0 < metrics["p50_s"] <= metrics["p99_s"] < math.inf
    assert 0 < metrics["lag_s"] <= metrics["longest_lag_s"] < 20
    assert 0.5 < metrics["quality"] < 2.0
