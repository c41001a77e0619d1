"""`sixfold balance`: bad input is one line and exit code 2; a balance leaves a folder, a page and one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sixfold.cli import main
from sixfold.design.checklist import Design, load_design
from sixfold.study.balance import Balance, Goal, Limit
from sixfold.study.stage import System
from sixfold.systems import load_system


def latency(knobs: Mapping[str, float]) -> dict[str, float]:
    return {"p99_s": 1.0 / knobs["concurrency"], "lag_s": knobs["concurrency"] / 8}


@contextmanager
def opened(work: Path, seed: int) -> Iterator[object]:
    work.mkdir()
    yield latency


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    """rag with a balance that needs no fleet."""
    means = Balance(Goal("p99_s", "s"), Goal("lag_s", "s"), (Limit("lag_s", 2.0, "s"),), opened)  # type: ignore[arg-type]
    found = replace(load_system("rag"), balance=means)
    monkeypatch.setattr("sixfold.systems.load_system", lambda name: found)
    return found


def run(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["sixfold", "balance", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_a_balance_leaves_everything_and_resumes_to_the_same(
    system: System, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("rag", "--trials", "3", "--runs", str(tmp_path), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    folder = Path(told["run"])
    design: Design = load_design(system.design)
    assert told["chosen"]["knobs"].keys() == design.knobs.keys()
    assert sorted(file.name for file in folder.iterdir()) == [
        "balance.html", "balance.json", "manifest.json", "trials.jsonl",
    ]  # fmt: skip
    page = (folder / "balance.html").read_text()
    assert "<svg" in page
    assert told["sentence"][1:] in page
    before = (folder / "balance.json").read_bytes()
    assert run("--resume", str(folder), "--json") == 0
    assert (folder / "balance.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "nothing"),
        ([], "which system"),
        (["rag", "--budget", "3 parsecs"], "3 parsecs"),
        (["rag", "--trials", "0"], "0 trials"),
        (["--resume", "here"], "manifest.json"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
    assert not list(tmp_path.iterdir())


def test_a_folder_of_other_knobs_is_refused(system: System, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rag", "--trials", "1", "--runs", str(tmp_path), "--json") == 0
    folder = Path(json.loads(capsys.readouterr().out)["run"])
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"terms": "others"}))
    assert run("--resume", str(folder)) == 2
    assert "begin a new balance" in capsys.readouterr().err
