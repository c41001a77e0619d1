"""Promises of `balance`: a contended optimum is found jointly, nothing measured is lost, the budget is kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest

from sixfold.axes import Axis
from sixfold.design.checklist import Design, Knob, load_design
from sixfold.errors import ConfigError, InputError
from sixfold.study.balance import Balance, BalanceTrial, Goal, Limit, front_of
from sixfold.study.balance_run import BalanceFolder, BalanceOptions, run_balance
from sixfold.systems import load_system

KNOBS = {
    "a": Knob(axis=Axis.DATA, low=0, high=1, default=0, unit="-", effect="-"),
    "b": Knob(axis=Axis.INFERENCE, low=0, high=1, default=0, unit="-", effect="-"),
}


def valley(knobs: Mapping[str, float]) -> dict[str, float]:
    """Best at a = b = 1; whoever moves one of them alone climbs out of the valley at once."""
    a, b = knobs["a"], knobs["b"]
    cost = 1 + 40 * (a - b) ** 2 + (1 - a) ** 2 + (1 - b) ** 2
    return {"cost": cost, "lag": 2 - a, "quality": 1 - 0.05 * b}


BALANCE = Balance(
    objective=Goal("cost", "s"),
    second=Goal("lag", "s"),
    limits=(Limit("lag", 3.0, "s"), Limit("quality", 0.9, "", at_least=True)),
    open=lambda work, seed: nullcontext(valley),
)


class Ticks:
    """A clock that is read twice a run: every run takes half a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.5
        return self.now


@pytest.fixture(scope="module")
def design() -> Design:
    return load_design(load_system("rag").design).model_copy(update={"knobs": KNOBS})


def folder_of(path: Path) -> BalanceFolder:
    path.mkdir()
    return BalanceFolder(path)


def test_joint_beats_every_axis_alone_where_they_contend(design: Design, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "run")
    result = run_balance(folder, design, BALANCE, valley, BalanceOptions(trials=25), clock=Ticks())
    assert result.chosen is not None
    assert result.chosen.candidate == "joint"
    assert result.price is not None
    assert result.price > 0.3
    assert result.within_noise is False
    for trial in folder.trials():
        assert trial.phase != "alone:data" or trial.knobs["b"] == 0, "an axis alone moved a knob of another"
    phases = [trial.phase for trial in folder.trials()]
    assert {phases.count(phase) for phase in ("joint", "alone:data", "alone:inference")} == {25}


def test_seeds_are_tried_first(design: Design, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "run")
    seeded = Balance(BALANCE.objective, BALANCE.second, BALANCE.limits, BALANCE.open, lambda _: [{"a": 0.9, "b": 5}])
    run_balance(folder, design, seeded, valley, BalanceOptions(trials=1), clock=Ticks())
    assert [trial.knobs for trial in folder.trials()[:4]] == [
        {"a": 0, "b": 0}, {"a": 0.9, "b": 1}, {"a": 0.9, "b": 0}, {"a": 0, "b": 1},
    ]  # fmt: skip


@pytest.mark.parametrize("stop_after", [0, 1, 7, 19, 25])
def test_resumed_is_the_same_as_uninterrupted(design: Design, tmp_path: Path, stop_after: int) -> None:
    options = BalanceOptions(trials=6, seed=3)
    whole, cut = folder_of(tmp_path / "whole"), folder_of(tmp_path / "cut")
    expected = run_balance(whole, design, BALANCE, valley, options, clock=Ticks())
    made = 0

    def interrupted(knobs: Mapping[str, float]) -> dict[str, float]:
        nonlocal made
        if made == stop_after:
            raise KeyboardInterrupt
        made += 1
        return valley(knobs)

    with pytest.raises(KeyboardInterrupt):
        run_balance(cut, design, BALANCE, interrupted, options, clock=Ticks())
    assert len(cut.trials()) == stop_after, "a run that had ended was lost"
    assert run_balance(cut, design, BALANCE, valley, options, clock=Ticks()) == expected
    assert cut.trials_path.read_bytes() == whole.trials_path.read_bytes()
    assert cut.result_path.read_bytes() == whole.result_path.read_bytes()


def test_failed_runs_are_kept_and_survived(design: Design, tmp_path: Path) -> None:
    def fragile(knobs: Mapping[str, float]) -> dict[str, float]:
        if knobs["a"] > 0.7:
            raise RuntimeError("the fleet did not come up")
        return valley(knobs) if knobs["b"] < 0.9 else {"cost": float("nan"), "lag": 1.0, "quality": 1.0}

    folder = folder_of(tmp_path / "run")
    result = run_balance(folder, design, BALANCE, fragile, BalanceOptions(trials=12), clock=Ticks())
    failed = [trial for trial in folder.trials() if trial.error]
    assert len(failed) == result.failed > 0
    assert {trial.error for trial in failed} <= {"RuntimeError: the fleet did not come up", "no finite cost"}
    assert result.chosen is not None
    assert result.chosen.knobs["a"] <= 0.7


def test_when_every_run_fails_the_result_says_so(design: Design, tmp_path: Path) -> None:
    def broken(knobs: Mapping[str, float]) -> dict[str, float]:
        raise OSError("no")

    result = run_balance(folder_of(tmp_path / "run"), design, BALANCE, broken, BalanceOptions(trials=2), clock=Ticks())
    assert result.chosen is None
    assert result.failed == result.runs


@pytest.mark.parametrize("budget_s", [6.0, 9.5, 20.0])
def test_the_budget_is_kept_with_the_runs_at_the_end(design: Design, tmp_path: Path, budget_s: float) -> None:
    options = BalanceOptions(trials=1_000, budget_s=budget_s)
    result = run_balance(folder_of(tmp_path / "run"), design, BALANCE, valley, options, clock=Ticks())
    assert result.seconds <= budget_s
    assert result.finished


def test_a_run_beyond_a_limit_never_beats_one_within(design: Design, tmp_path: Path) -> None:
    strict = Balance(BALANCE.objective, BALANCE.second, (Limit("quality", 0.98, "", at_least=True),), BALANCE.open)
    result = run_balance(folder_of(tmp_path / "run"), design, strict, valley, BalanceOptions(trials=15), clock=Ticks())
    assert result.chosen is not None
    assert result.chosen.held
    assert result.chosen.knobs["b"] <= 0.4


def test_trials_of_another_search_are_refused(design: Design, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "run")
    run_balance(folder, design, BALANCE, valley, BalanceOptions(trials=6, seed=1), clock=Ticks())
    with pytest.raises(InputError, match="another search"):
        run_balance(folder, design, BALANCE, valley, BalanceOptions(trials=6, seed=2), clock=Ticks())


def test_no_run_of_the_front_is_beaten() -> None:
    trials = [
        BalanceTrial("joint", n, {}, {"cost": cost, "lag": lag, "quality": 1.0}, 1.0)
        for n, (cost, lag) in enumerate([(3, 1), (1, 3), (2, 2), (2, 2.5), (4, 1), (0.5, 3.1)])
    ]
    assert [trial.number for trial in front_of(trials, BALANCE)] == [1, 2, 0]


@pytest.mark.parametrize(
    "wrong", [{"trials": 0}, {"budget_s": 0.0}, {"budget_s": float("nan")}, {"seed": -1}, {"repeats": 0}]
)
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        BalanceOptions(**wrong)  # type: ignore[arg-type]
