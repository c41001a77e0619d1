"""The coordination families on shipped and made rows: what is predicted, and what is left out rather than guessed."""

import csv
from collections.abc import Iterable
from pathlib import Path

import pytest

from sixfold.design.validation.coordination import families
from sixfold.design.validation.score import Family
from sixfold.errors import InputError

COLUMNS = ("id", "source", "locator", "topic", "architecture_or_method", "setting", "metric", "value", "unit", "use")


def scored(folder: Path, rows: Iterable[tuple[str, ...]]) -> dict[str, Family]:
    with (folder / "coordination_federated.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows(rows)
    return {family.name: family for family in families(folder)}


def rounds(method: str, value: str, setting: str = "MNIST, 100 clients, IID", use: str = "score") -> tuple[str, ...]:
    source = "calibrating" if use == "calibrate" else "a paper"
    name = f"{source} {method} {setting}"
    return (name, source, "t1", "federated", method, setting, "rounds to 90% accuracy", value, "rounds", use)


def team(architecture: str, metric: str, value: str) -> tuple[str, ...]:
    topic = "multi-agent coordination"
    return (f"{architecture} {metric}", "a paper", "t1", topic, architecture, "a task", metric, value, "", "score")


def test_shipped_rows_meet_what_we_promise() -> None:
    (family,) = families()
    assert family.name == "privacy epsilon"
    assert family.rows == 5
    assert family.mape < 0.01 < family.baseline_mape


def test_rounds_are_predicted_from_those_of_one_update(tmp_path: Path) -> None:
    found = scored(
        tmp_path, [rounds("FedSGD", "600"), rounds("FedAvg E=5,B=inf", "150"), rounds("FedAvg E=1,B=10", "12")]
    )["federated rounds to target"]
    assert [case.predicted for case in found.cases] == [pytest.approx(120.0), pytest.approx(10.0)]
    assert [case.baseline for case in found.cases] == [600.0, 600.0]
    assert "1 as input" in found.note


def test_floors_come_from_calibration_rows_of_their_kind(tmp_path: Path) -> None:
    apart = "MNIST, 100 clients, non-IID"
    rows = [
        rounds("FedSGD", "100", use="calibrate"),
        rounds("FedAvg E=10,B=inf", "28", use="calibrate"),  # a floor of .2
        rounds("FedSGD", "1000"),
        rounds("FedAvg E=4,B=inf", "400"),
        rounds("FedSGD", "1000", apart),
        rounds("FedAvg E=4,B=inf", "900", apart),
    ]
    cases = scored(tmp_path, rows)["federated rounds to target"].cases
    assert [case.predicted for case in cases] == [pytest.approx(400.0, rel=1e-3), pytest.approx(1000.0)]
    assert [case.baseline for case in cases] == [pytest.approx(280.0)] * 2


def test_what_a_row_does_not_tell_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        rounds("FedAvg E=5,B=10", "20"),  # nothing to start from
        rounds("setting 3", "20"),
        rounds("FedAvg E=5,B=10", "20", "an unknown set"),
        rounds("FedAvg E=0,B=0", "", "x"),
        team("hybrid", "turns", "10 to 20"),
        team("", "exponent", "1.7"),
        team("hybrid", "efficiency", "0.1"),
        ("dp", "a", "b", "differential privacy", "", "noise=.; delta=1e-5", "epsilon", "1", "", "score"),
        ("wan", "a", "b", "WAN training", "H=0", "links", "utilisation", ">2", "", "score"),
        (
            "dp2",
            "a",
            "b",
            "differential privacy",
            "",
            "noise=1; rounds=inf; sampling=.5; delta=1e-5",
            "epsilon",
            "1",
            "",
            "score",
        ),
        ("dp3", "a", "b", "differential privacy", "", "noise=1.2.3; rounds=9; delta=0", "epsilon", "1", "", "score"),
        rounds("FedAvg E=inf,B=inf", "20"),
        rounds("FedAvg E=1,B=1", "0"),
        rounds("FedSGD", "nan"),
    ]
    assert set(scored(tmp_path, rows)) == {"privacy epsilon"}


def test_a_bound_and_a_team(tmp_path: Path) -> None:
    wan = ("a", "text", "WAN training"), ("links", "utilisation")
    rows = [
        ("one", *wan[0], "synchronous every step", *wan[1], "0.1", "", "score"),
        ("many", *wan[0], "H=100", *wan[1], ">0.9", "", "score"),
        team("single", "turns", "5"),
        team("single", "success rate", "0.5"),
        team("single", "success per 1K tokens", "60"),
        team("hybrid", "turns", "20"),
        team("hybrid", "success rate", "0.6"),
        team("hybrid", "token overhead over single agent", "310"),
        team("hybrid", "efficiency (success / relative turns)", "0.15"),
        team("hybrid", "success per 1K tokens", "20"),
    ]
    found = scored(tmp_path, rows)
    (case,) = found["utilisation between exchanges"].cases
    assert (case.measured, case.predicted) == (0.9, pytest.approx(10 / 10.9))
    assert [case.measured for case in found["agent coordination from turns"].cases] == [4.1, 0.15, 20.0]
    predicted = [case.predicted for case in found["agent coordination from turns"].cases]
    assert predicted == [pytest.approx(4.0), pytest.approx(0.15), pytest.approx(18.0)]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "coordination_federated.csv").write_text("id,value\na,1\n")
    with pytest.raises(InputError, match=r"coordination_federated\.csv"):
        families(tmp_path)
