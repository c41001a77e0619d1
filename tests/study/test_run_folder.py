"""Promises of a run folder: its files are read back, and a folder that is none is refused by name."""

import json
import subprocess
from pathlib import Path

import pytest
from rows import make_row

from sixfold.errors import InputError
from sixfold.study import Comparator, Panel, RunFolder, Verdict
from sixfold.study.run_folder import config_hash, describe_machine, describe_versions, git_commit


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path: Path) -> None:
    folders = [RunFolder.create(tmp_path / "runs", "rag") for _ in range(3)]
    assert len({folder.path for folder in folders}) == 3
    assert all(folder.path.name.startswith("rag-") for folder in folders)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert (folder.verdicts(), len(folder.panel()), list(folder.events())) == ([], 0, [])
    folder.write_manifest({"system": "rag"})
    verdict = Verdict("s", "E", Comparator.AT_LEAST, 0.8, 0.9, 0.85, "", True)
    folder.write_verdicts([verdict])
    Panel([make_row()]).save(folder.panel_path)
    folder.emit("run", stage="s", workers=1)
    folder.emit("row", stage="s", wall_s=float("nan"))
    again = RunFolder.open(tmp_path)
    assert again.manifest() == {"system": "rag"}
    assert again.verdicts() == [verdict]
    assert list(again.panel()) == [make_row()]
    assert [event["event"] for event in again.events()] == ["run", "row"]
    assert [event["wall_s"] for event in again.events("row")] == [None]


def test_events_survive_a_torn_last_line(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.emit("run", stage="s")
    with folder.events_path.open("ab") as file:
        file.write(b'{"at":1.5,"event":"ro')
    assert [event["event"] for event in folder.events()] == ["run"]
    folder.emit("row", stage="s")
    assert [event["event"] for event in folder.events()] == ["run", "row"]


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a run: it has no manifest\.json"):
        RunFolder.open(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(InputError, match="not the manifest of a run"):
        RunFolder.open(tmp_path).manifest()
    (tmp_path / "milestones.json").write_text('[{"stage": "s"}]')
    with pytest.raises(InputError, match=r"milestones\.json: not the record"):
        RunFolder(tmp_path).verdicts()


def test_the_config_hash_depends_on_content_and_not_on_order_or_container() -> None:
    assert config_hash({"a": 1, "b": [1, 2]}, 0) == config_hash({"b": (1, 2), "a": 1}, 0)
    assert config_hash({"a": 1}, 0) != config_hash({"a": 1}, 1)
    with pytest.raises(TypeError):
        config_hash({"a": {1, 2}})  # a set has no order: its text would differ from process to process


def test_machine_and_versions_are_described() -> None:
    assert json.dumps(describe_machine())
    assert describe_machine()["cores"] >= 1
    versions = describe_versions()
    assert {"python", "sixfold", "ray", "numpy"} <= versions.keys()
    assert not [name for name in versions if set(name) & set(" <>=;[")]


def test_the_commit_is_that_of_this_checkout_only() -> None:
    here = Path(__file__).parent
    head = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True)
    if (commit := git_commit()) is not None:  # None where the code is installed and not checked out
        assert commit.removesuffix("+") == head.stdout.strip()
