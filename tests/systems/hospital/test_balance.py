"""`balance` on hospital: every declared knob is turned, runs are real federations, a turn costs who has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.checklist import load_design
from sixfold.study.balance import defaults, settled
from sixfold.systems import load_system
from sixfold.systems.hospital.balance import BALANCE, LOAD, opened, round_bytes, seeds
from sixfold.systems.hospital.balance_trial import Trials, synthetic
from sixfold.systems.hospital.federation.participation import asked_of, rota, rounds_of_each

SMALL: Mapping[str, float] = LOAD | {"hospitals": 4, "patients": 160, "judged_patients": 60, "draws": 1}
KNOBS = {"epsilon": 4.0, "clip": 1.0, "local_epochs": 3.0, "rounds": 2.0, "participation": 1.0}


def test_seeds_are_within_the_knobs_and_by_law_within_the_limits() -> None:
    design = load_design(load_system("hospital").design)
    limits = {limit.metric: limit.value for limit in BALANCE.limits}
    found = seeds(design)
    assert len({one["participation"] for one in found}) == len(found) > 1
    for one in found:
        assert all(settled(name, design.knobs[name], value) == value for name, value in one.items())
        asked = one["participation"] * LOAD["hospitals"]
        assert one["rounds"] * round_bytes(asked) <= limits["moved_bytes"] < (one["rounds"] + 1) * round_bytes(asked)
        assert one["epsilon"] == limits["epsilon"]
    by_rounds = sorted(found, key=lambda one: one["rounds"])
    assert [one["local_epochs"] for one in by_rounds] == sorted((one["local_epochs"] for one in found), reverse=True)


@given(st.integers(3, 40), st.floats(0.0, 1.0), st.integers(1, 60), st.integers(0, 9))
def test_turns_are_even_and_no_round_asks_too_few(sites: int, participation: float, rounds: int, seed: int) -> None:
    names = [f"h{at}" for at in range(sites)]
    asked = asked_of(sites, participation)
    pick = rota(names, asked, seed)
    turns = Counter(name for round_ in range(rounds) for name in pick(round_, names))
    assert all(len(set(pick(round_, names))) == asked >= 3 for round_ in range(rounds))
    assert max(turns.values()) == rounds_of_each(rounds, asked, sites)
    assert max(turns.values()) - min(turns[name] for name in names) <= 1
    assert names[0] not in pick(0, names[1:]), "who is not there is not asked"


def test_synthetic_hospitals_train_on_the_patients_that_they_have_and_are_judged_on_others() -> None:
    cohorts, held_out = synthetic(SMALL, 3)
    assert sum(int((~test_N).sum()) for test_N in held_out) == SMALL["patients"]
    assert {int(test_N.sum()) for test_N in held_out} == {SMALL["judged_patients"]}
    assert len({int((~test_N).sum()) for test_N in held_out}) > 1, "hospitals differ in size"
    fewer, _ = synthetic(SMALL | {"judged_patients": 20}, 3)
    for cohort, other, test_N in zip(cohorts, fewer, held_out, strict=True):
        n = int((~test_N).sum())
        np.testing.assert_array_equal(cohort.X_ND[:n], other.X_ND[:n])
        assert len(set(cohort.patients)) == len(cohort)
    again, _ = synthetic(SMALL, 4)
    assert not np.array_equal(cohorts[0].X_ND[:5], again[0].X_ND[:5])


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Trials:
    return Trials(tmp_path_factory.mktemp("balance"), *synthetic(SMALL, 0), 0, 1)


def test_a_run_turns_every_knob_and_measures_what_it_is_judged_by(tmp_path: Path) -> None:
    design = load_design(load_system("hospital").design)
    turned: set[str] = set()

    class Watched(dict[str, float]):
        def __getitem__(self, name: str) -> float:
            turned.add(name)
            return super().__getitem__(name)

    with opened(tmp_path, 0, SMALL) as measure:
        metrics = measure(Watched({**defaults(design), "rounds": 2.0}))
    assert turned == design.knobs.keys()
    assert set(BALANCE.metrics) <= metrics.keys()
    assert 0.0 < metrics["misordered"] < 0.7
    assert metrics["moved_bytes"] > 2 * 4 * 2 * 14 * 8
    assert 0.5 < metrics["quality"] < 1.1
    assert 1.0 - metrics["misordered"] <= metrics["mean_site_auroc"]


def test_what_is_spent_is_what_was_promised_whatever_the_turns_and_the_local_epochs(trials: Trials) -> None:
    for knobs in (KNOBS, {**KNOBS, "local_epochs": 60.0}, {**KNOBS, "participation": 0.75, "rounds": 3.0}):
        assert 0.98 * 4.0 < trials(knobs)["epsilon"] <= 4.0


def test_local_epochs_and_epsilon_cost_no_bytes_and_participation_and_rounds_do(trials: Trials) -> None:
    moved = trials(KNOBS)["moved_bytes"]
    for free in ({"local_epochs": 60.0}, {"epsilon": 0.5}, {"clip": 0.3}):
        assert trials({**KNOBS, **free})["moved_bytes"] == pytest.approx(moved, rel=0.01)
    assert trials({**KNOBS, "participation": 0.75})["moved_bytes"] < 0.8 * moved
    assert trials({**KNOBS, "rounds": 4.0})["moved_bytes"] == pytest.approx(2 * moved, rel=0.05)


def test_a_run_is_the_mean_of_its_draws(tmp_path: Path) -> None:
    data, folder = synthetic(SMALL, 0), tmp_path / "runs"
    both = Trials(tmp_path, *data, 0, 2)(KNOBS)
    (folder / "00000.json").unlink()
    one = Trials(tmp_path, *data, 0, 1)(KNOBS)  # the first of the two
    assert one["misordered"] != both["misordered"]
    assert both["moved_bytes"] == pytest.approx(one["moved_bytes"], rel=0.01)
    assert both["epsilon"] <= KNOBS["epsilon"]
    assert [path.name for path in folder.iterdir()] == ["00000.json"], "nothing else is kept of a run"


def test_runs_of_the_same_knobs_differ_and_a_resumed_balance_goes_on_with_the_same_draws(tmp_path: Path) -> None:
    def metrics(trials: Trials, times: int) -> list[tuple[float, ...]]:
        found = [trials(KNOBS) for _ in range(times)]
        return [(one["misordered"], one["auroc"], one["mean_site_auroc"]) for one in found]  # one alone may coincide

    data = synthetic(SMALL, 0)
    whole = metrics(Trials(tmp_path / "whole", *data, 0, 1), 3)
    assert len(set(whole)) == 3
    parted = metrics(Trials(tmp_path / "parted", *data, 0, 1), 1)
    (tmp_path / "parted" / "runs" / "00001" / "left").mkdir(parents=True)  # by a run that was killed
    assert parted + metrics(Trials(tmp_path / "parted", *data, 0, 1), 2) == whole
