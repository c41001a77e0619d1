"""The next generation goes on with the open segments of the one before; either may be closed first."""

import shutil

import pytest

from sixfold.systems.rag.index.manifest import Change, delete, read_manifest, update
from sixfold.systems.rag.index.segment_reader import SegmentReader
from sixfold.systems.rag.index.shard import Shard
from sixfold.systems.rag.records import document_id


@pytest.fixture
def index(make, tmp_path):
    pages = [make.indexed(f"http://{name}.test/", ["abc def", "bcd efg"]) for name in "ab"]
    make.make_index(tmp_path, [pages])
    return tmp_path


@pytest.fixture
def opened(monkeypatch):
    """The names of the segments that are opened."""
    names = []
    original = SegmentReader.open.__func__

    def open_and_tell(cls, folder, **options):
        names.append(folder.name)
        return original(cls, folder, **options)

    monkeypatch.setattr(SegmentReader, "open", classmethod(open_and_tell))
    return names


def found(shard):
    return [key for key, _ in shard.lexical(["abc"], shard.statistics(["abc"]), 9)]


def test_only_new_segments_are_opened(make, index, opened):
    first = Shard.open(index, 0)
    make.write(index, "new", make.indexed("http://c.test/", ["abc"]))
    update(index, lambda now: Change(shards=((*now.shards[0], "new"),)))
    delete(index, documents=[document_id("http://a.test/")])
    opened.clear()
    second = Shard.open(index, 0, reuse=first)
    assert opened == ["new"]
    fresh = Shard.open(index, 0)
    assert found(second) == found(fresh) != found(first)
    assert (second.chunks, second.documents) == (fresh.chunks, fresh.documents) == (3, 2)
    assert (first.chunks, first.documents) == (4, 2)
    opened.clear()
    third = Shard.open(index, 0, reuse=second)
    assert opened == []
    assert found(third) == found(second)


def test_an_older_shard_answers_after_the_newer_was_closed_and_the_other_way_round(index):
    first = Shard.open(index, 0)
    delete(index, documents=[document_id("http://a.test/")])
    second = Shard.open(index, 0, reuse=first)
    third = Shard.open(index, 0, reuse=second)
    shutil.rmtree(index / "segments")
    second.close()
    assert len(first.passages(found(first))) == 2
    first.close()
    assert len(third.passages(found(third))) == 1
    assert first.chunks == second.chunks == 0


def test_what_is_being_answered_while_it_is_closed_is_answered(index):
    shard = Shard.open(index, 0)
    answers = (len(reader) for reader, _ in shard._segments)
    next(answers)
    shard.close()
    assert next(answers) == 2


def test_another_index_or_another_way_to_open_is_not_reused(index, opened, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "index"
    shutil.copytree(index, other)
    first = Shard.open(index, 0)
    for shard in (Shard.open(other, 0, reuse=first), Shard.open(index, 0, in_memory=True, reuse=first)):
        assert len(found(shard)) == 2
    assert len(opened) == 6


def test_documents_are_counted_in_each_generation(make, index):
    counts = [Shard.open(index, 0).documents]
    first = make.indexed("http://a.test/", ["", ""])
    delete(index, chunks=[first[0].chunk.chunk_id])
    counts.append(Shard.open(index, 0).documents)
    delete(index, chunks=[first[1].chunk.chunk_id])
    counts.append(Shard.open(index, 0).documents)
    assert counts == [2, 2, 1]
    assert read_manifest(index).generation == 3
