"""A reader sees one whole generation, whatever is published meanwhile."""

import threading

import pytest

from sixfold.errors import ConfigError, InputError
from sixfold.systems.rag.index.manifest import (
    Manifest,
    Tombstones,
    delete,
    publish,
    read_manifest,
    read_tombstones,
    sweep,
)
from sixfold.systems.rag.index.shard import Shard


@pytest.fixture
def index(make, tmp_path):
    make.make_index(
        tmp_path,
        [[make.indexed("http://a.test/", ["abc", "bcd"])], [make.indexed("http://b.test/", ["cde"])]],
    )
    return tmp_path


def test_a_manifest_comes_back_as_it_was(index):
    following = Manifest(2, (("s0-0",), ("s1-0",), ()), {}, {"probes": 3, "model": "é"})
    publish(index, following)
    assert read_manifest(index) == following


def test_deletions_add_up_over_generations(make, index):
    doc = make.indexed("http://a.test/", [""])[0].chunk.doc_id
    first = delete(index, chunks=[f"{doc}-0001"])
    assert first.generation == 2
    assert Shard.open(index, 0).chunks == 1
    second = delete(index, documents=[doc], segments=["s0-0"])
    assert read_tombstones(index, second, "s0-0") == Tombstones(frozenset([doc]), frozenset([f"{doc}-0001"]))
    assert Shard.open(index, 0).chunks == 0
    assert Shard.open(index, 0, first).chunks == 1  # an older generation, as long as its files are there
    assert Shard.open(index, 1).chunks == 1


def test_readers_and_writers_at_once_see_whole_generations(index):
    """Generation g carries g in its settings and g - 1 tombstones: a mixture would show."""
    stop, wrong, seen = threading.Event(), [], set()

    def read() -> None:
        while not stop.is_set():
            try:
                manifest = read_manifest(index)
                gone = read_tombstones(index, manifest, "s1-0")
                if manifest.settings.get("g", 1) != manifest.generation or len(gone.chunks) != manifest.generation - 1:
                    wrong.append(manifest)
                seen.add(manifest.generation)
            except Exception as error:
                wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    from sixfold.systems.rag.index.manifest import write_tombstones

    for g in range(2, 60):
        gone = Tombstones(frozenset(), frozenset(str(i) for i in range(g - 1)))
        name = write_tombstones(index, "s1-0", g, gone)
        publish(index, Manifest(g, (("s0-0",), ("s1-0",)), {"s1-0": name}, {"g": g}))
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert len(seen) > 3


def test_two_writers_do_not_overwrite_each_other(index):
    manifest = read_manifest(index)
    publish(index, Manifest(2, manifest.shards))
    with pytest.raises(ConfigError, match="expected 3: the index has changed"):
        publish(index, Manifest(2, manifest.shards))


def test_sweep_removes_what_nobody_names_and_readers_go_on(make, index):
    shard = Shard.open(index, 0)
    delete(index, documents=["nobody"])
    make.write(index, "new", make.indexed("http://c.test/", ["abc"]))
    (index / "segments" / ".dead.partial").mkdir()
    publish(index, Manifest(3, (("new",), ("s1-0",))))
    assert sorted(sweep(index)) == [".dead.partial", "s0-0", "s0-0.00000002.json", "s1-0.00000002.json"]
    statistics = shard.statistics(["abc"])
    (key, _), *_ = shard.lexical(["abc"], statistics, 5)
    assert shard.passages([key])[key].chunk.text == "abc"
    assert Shard.open(index, 0).chunks == 1
    assert sweep(index) == []


def test_what_is_wrong_is_named(make, index, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(InputError, match="no such file"):
        read_manifest(empty)
    with pytest.raises(InputError, match="write it before publishing"):
        publish(index, Manifest(2, (("missing",),)))
    with pytest.raises(ConfigError, match="in one shard once only"):
        Manifest(1, (("a",), ("a",)))
    with pytest.raises(ConfigError, match="in no shard"):
        Manifest(1, (("a",),), {"b": "b.json"})
    with pytest.raises(ConfigError, match="expected the name"):
        Manifest(1, (("../outside",),))
    with pytest.raises(ConfigError, match="not in the index"):
        delete(index, documents=["d"], segments=["missing"])
    (index / "manifest.json").write_text('{"format": "another"}')
    with pytest.raises(InputError, match="build the index again"):
        read_manifest(index)
    with pytest.raises(ConfigError, match="expected 0 to 1"):
        Shard.open(index, 2, Manifest(1, (("s0-0",), ("s1-0",))))
    with pytest.raises(ConfigError, match="may hold 100; build the index with more shards"):
        Shard.open(index, 0, Manifest(1, (("s0-0",), ("s1-0",))), capacity_bytes=100)
