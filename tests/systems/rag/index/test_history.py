"""Old generations can be opened for a while, and then leave the disk; changes of several processes add up."""

import os
import threading
from itertools import pairwise

import pytest

from sixfold.errors import InputError
from sixfold.systems.rag.index.history import forget, named_segments
from sixfold.systems.rag.index.manifest import (
    Change,
    Tombstones,
    delete,
    manifest_at,
    read_manifest,
    read_tombstones,
    update,
    watch_stamp,
)
from sixfold.systems.rag.index.shard import Shard


@pytest.fixture
def index(make, tmp_path):
    """Generations 1, 2 and 3 of an index, published at 100, 200 and 300 s."""
    make.make_index(tmp_path, [[make.indexed("http://a.test/", ["abc"]), make.indexed("http://b.test/", ["bcd"])]])
    os.utime(tmp_path / "manifest.json", (100, 100))
    delete(tmp_path, documents=["one"], segments=["s0-0"])
    os.utime(tmp_path / "manifest.json", (200, 200))
    make.write(tmp_path, "merged", [*make.indexed("http://a.test/", ["abc"]), *make.indexed("http://b.test/", ["bcd"])])
    update(tmp_path, lambda now: Change(shards=(("merged",),)))
    os.utime(tmp_path / "manifest.json", (300, 300))
    for path in (tmp_path / "tombstones").iterdir():
        os.utime(path, (200, 200))
    return tmp_path


def test_a_generation_can_be_opened_until_its_grace_is_over(index):
    second = manifest_at(index / "generations" / "00000002.json")
    assert forget(index, now_s=309, grace_s=10) == []
    assert Shard.open(index, 0, second).chunks == 2
    assert named_segments(index) == {"s0-0", "s0-1", "merged"}
    assert forget(index, now_s=310, grace_s=10) == ["s0-0", "s0-1", "s0-0.00000002.json"]
    assert named_segments(index) == {"merged"}
    assert Shard.open(index, 0).chunks == 2
    with pytest.raises(InputError):
        Shard.open(index, 0, second)
    assert forget(index, now_s=1_000, grace_s=0) == []


def test_what_was_never_published_is_left_alone(make, index):
    make.write(index, "coming", make.indexed("http://c.test/", ["abc"]))
    forget(index, now_s=10_000, grace_s=0)
    assert (index / "segments" / "coming").exists()


def test_a_torn_memory_of_a_generation_is_forgotten(index):
    (index / "generations" / "00000001.json").write_text("{")
    forget(index, now_s=10_000, grace_s=0)
    assert list((index / "generations").iterdir()) == []


def test_forgetting_that_was_killed_goes_on(index, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            forget(index, now_s=10_000, grace_s=0)
    assert forget(index, now_s=10_000, grace_s=0) == ["s0-0", "s0-1", "s0-0.00000002.json"]


def test_changes_of_several_threads_add_up(index):
    def work(own: int) -> None:
        for number in range(20):
            delete(index, documents=[f"{own}-{number}"])

    threads = [threading.Thread(target=work, args=(own,)) for own in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    manifest = read_manifest(index)
    assert manifest.generation == 3 + 80
    gone = read_tombstones(index, manifest, "merged").documents
    assert gone == {f"{own}-{number}" for own in range(4) for number in range(20)}


def test_a_change_that_fails_publishes_nothing(index):
    def change(now):
        raise InputError("no")

    with pytest.raises(InputError):
        update(index, change)
    assert read_manifest(index).generation == 3
    assert update(index, lambda now: Change(gone={"merged": Tombstones(frozenset(["x"]))})).generation == 4


def test_what_a_killed_change_had_begun_to_write_is_cleared_away(index):
    torn = [index / ".manifest.json.17.tmp", index / "tombstones" / ".s0-0.00000002.json.17.tmp"]
    for path in torn:
        path.write_text("{")
    delete(index, documents=["nobody"])
    assert not any(path.exists() for path in torn)


def test_the_stamp_is_another_one_whenever_a_generation_was_published(index, tmp_path_factory):
    stamps = [watch_stamp(index)]
    assert watch_stamp(index) == stamps[0]
    for _ in range(5):
        delete(index, documents=["nobody"])
        stamps.append(watch_stamp(index))
    assert all(one != following for one, following in pairwise(stamps))
    assert watch_stamp(tmp_path_factory.mktemp("empty")) == (0, 0)
