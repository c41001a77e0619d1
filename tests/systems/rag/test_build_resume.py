"""Killed at any moment and run again, a build gives the same bytes, and no finished record is begun again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import make_build
import pytest

SUPPORT = Path(make_build.__file__).parent
LARGE = 1_000_000_000


def crash(inputs, index, *, seed, capacity_bytes=LARGE):
    """Build under a hail of kills: how many there were, the summary, and the journals."""
    index.parent.mkdir(exist_ok=True)
    links = index.with_name("links")
    task = {
        "inputs": inputs, "index": str(index), "seed": seed,
        "capacity_bytes": capacity_bytes, "links": str(links),
    }  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SUPPORT)}
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "crash_server.py"), json.dumps(task)],
        capture_output=True, text=True, env=environment, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return told["kills"], told["summary"], sorted(links.glob("*"))


def test_killed_before_any_change_of_the_file_system(making, corpus, whole, tmp_path):
    kills, summary, journals = crash(corpus, tmp_path / "index", seed=1)
    assert kills >= 15
    assert making.index_bytes(tmp_path / "index") == making.index_bytes(whole[0])
    assert summary["rework_records"] <= kills
    assert {**summary, "index": "", "rework_records": 0} == {**whole[1], "index": "", "rework_records": 0}
    assert journals
    assert not any(map(making.begun_again, journals))


def test_killed_while_the_shards_are_being_doubled(making, corpus, tmp_path):
    """The law asks for too few shards here: chunks and segments of the first attempt must not survive."""
    some = corpus[:1]
    kills, summary, _ = crash(some, tmp_path / "crashed" / "index", seed=3, capacity_bytes=60_000)
    making.sixfold(*making.build_arguments(some, tmp_path / "index"), "--capacity", "60kB")
    assert kills >= 15
    assert json.loads((tmp_path / "index/builds/0001/shards.json").read_text()) > 1
    assert making.index_bytes(tmp_path / "crashed" / "index") == making.index_bytes(tmp_path / "index")
    assert summary["shards"] > 1


def test_killed_while_adding_to_a_published_index(making, whole, tmp_path):
    changed = making.page("calls", more=making.page("try").decode())
    more = [making.write_warc(tmp_path / "more.warc.gz", [(making.url("calls"), changed)])]
    for name in ("once", "crashed"):
        shutil.copytree(whole[0], tmp_path / name / "index")
    making.built(more, tmp_path / "once" / "index")
    kills, summary, _ = crash(more, tmp_path / "crashed" / "index", seed=4)
    assert kills >= 15
    assert summary["superseded"] == 1
    assert summary["generation"] == 2
    assert making.index_bytes(tmp_path / "crashed" / "index") == making.index_bytes(tmp_path / "once" / "index")


def test_the_command_killed_in_every_step(making, corpus, whole, tmp_path):
    index = tmp_path / "index"
    arguments = making.build_arguments(corpus, index)
    build = index / "builds" / "0001"
    links = tmp_path / "links"
    moments = [
        lambda: making.finished(index) >= 2,
        lambda: (build / "dedup" / "url").exists(),
        lambda: any(build.glob("chunks/*/*.npy")),
        lambda: any(index.glob("segments/.*.partial")),
    ]
    kills = 0
    for moment in moments:
        kills += making.killed(arguments, moment)
        making.keep_journals(index, links)
    summary = making.built(corpus, index)
    assert kills >= len(moments) - 1  # the machine may be busy
    assert making.index_bytes(index) == making.index_bytes(whole[0])
    assert summary["rework_records"] <= kills
    assert sorted(links.glob("*"))
    assert not any(map(making.begun_again, links.glob("*")))


@pytest.mark.ray
def test_two_workers_killed_while_they_clean(making, corpus, whole, tmp_path):
    index = tmp_path / "index"
    arguments = making.build_arguments(corpus, index, workers=2)
    kills = making.killed(arguments, lambda: making.finished(index) >= 3)
    making.keep_journals(index, tmp_path / "links")
    summary = making.built(corpus, index, workers=2)
    assert kills
    assert making.index_bytes(index) == making.index_bytes(whole[0])
    assert summary["rework_records"] <= 2
    assert not any(map(making.begun_again, (tmp_path / "links").glob("*")))
