"""`sixfold design ...` as a user types it: answers, exit codes, one line for what can be mended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def sixfold(*arguments: object, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sixfold", "design", *map(str, arguments)],
        capture_output=True, text=True, timeout=100, check=False, input=typed,
    )  # fmt: skip


def test_a_spec_is_answered_in_json_and_as_a_page(tmp_path: Path) -> None:
    page = tmp_path / "answer.html"
    done = sixfold(EXAMPLES / "laptop-tabular.yaml", "--json", "--report", page)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["feasible"] is True
    assert told["verdict"].startswith("Stay on one machine")
    assert {"ceilings", "pressures", "attempts", "slots", "curve", "front", "contention", "sensitivity"} <= set(told)
    assert told["report"] == str(page)
    assert "Stay on one machine" in page.read_text(encoding="utf-8")


def test_the_terminal_gets_the_verdict_and_the_steps() -> None:
    done = sixfold(EXAMPLES / "card-fraud.yaml")
    assert done.returncode == 0, done.stderr
    for words in (
        "Distribute inference",
        "What binds",
        "The design",
        "The price of contention",
        "What would change it",
    ):
        assert words in done.stdout


def test_a_spec_that_cannot_be_met_exits_with_one_and_says_what_could(tmp_path: Path) -> None:
    text = (EXAMPLES / "card-fraud.yaml").read_text(encoding="utf-8").replace("latency_s: 0.02 ", "latency_s: 0.002 ")
    spec = tmp_path / "impossible.yaml"
    spec.write_text(text, encoding="utf-8")
    done = sixfold(spec, "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["feasible"] is False
    assert told["nearest"]["alone"][0]["limit"] == "objective.latency_s"
    assert told["verdict"].startswith("No design does it")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "usage"),
        (("missing.yaml",), "missing.yaml: cannot be read"),
        (("answer",), "give a spec's file, or --interactive"),
        (("validate", "--data", "no-such-folder"), "no-such-folder: no such folder"),
        (("calibrate", "no-such-run"), "not a run"),
        (("handbook", "no-such-folder"), "no-such-folder is no folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments: tuple[str, ...], words: str) -> None:
    done = sixfold(*arguments)
    assert done.returncode == 2
    assert words in (done.stderr + done.stdout).lower().replace("\n", " ")
    if arguments:
        assert done.stdout == ""
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_wrong_spec_is_named_by_file_line_and_field(tmp_path: Path) -> None:
    spec = tmp_path / "wrong.yaml"
    text = (EXAMPLES / "card-fraud.yaml").read_text(encoding="utf-8").replace("cpu_s: 0.0012", "cpu_s: fast")
    spec.write_text(text, encoding="utf-8")
    done = sixfold(spec)
    assert done.returncode == 2
    assert f"{spec}:7 [workload.cpu_s]: got 'fast'" in done.stderr


def test_an_interview_makes_a_spec_that_can_be_asked_again(tmp_path: Path) -> None:
    saved = tmp_path / "mine.yaml"
    answers = ["Mine", "Score things.", "online-inference", "100", "0.01", "1e9", *[""] * 4, "", "cost", *[""] * 20]
    done = sixfold("--interactive", "--save", saved, "--json", typed="\n".join(answers) + "\n")
    assert done.returncode in (0, 1), done.stderr
    assert "requests_per_s" in done.stderr, "questions go to stderr, so that stdout is one object"
    told = json.loads(done.stdout)
    again = sixfold(saved, "--json")
    assert json.loads(again.stdout)["verdict"] == told["verdict"]


def test_predictions_are_held_against_what_ships() -> None:
    done = sixfold("validate", "--json")
    assert done.returncode in (0, 1), done.stderr
    families: list[dict[str, Any]] = json.loads(done.stdout)["families"]
    assert families
    for family in families:
        assert {"name", "rows", "mape", "median", "bias", "baseline_mape", "regret_mean", "regret_max"} <= set(family)
        assert family["rows"] > 0
        assert 0 <= family["mape"] < 10
