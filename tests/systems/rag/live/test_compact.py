"""A merge copies what is live, its vectors included, and what was removed leaves the disk."""

import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from sixfold.errors import ConfigError
from sixfold.systems.rag.index import segment, segment_reader
from sixfold.systems.rag.index.history import forget
from sixfold.systems.rag.index.manifest import read_manifest
from sixfold.systems.rag.index.segment_reader import SegmentReader
from sixfold.systems.rag.live import catalog, compact
from sixfold.systems.rag.live.compact import compact_step, throttled
from sixfold.systems.rag.live.compact_policy import CompactConfig

EAGER = CompactConfig(fan_in=2)


@pytest.fixture
def index(live, tmp_path, monkeypatch):
    """Four segments of four calls, of which the last replaced one document of each of the first two."""
    for module in (segment, segment_reader, compact):  # several blocks
        monkeypatch.setattr(module, "BLOCK_CHUNKS", 2)
    writer = live.writer(tmp_path)
    writer.upsert([live.page(live.url(0), 0), live.page(live.url(1), 1)])
    writer.upsert([live.page(live.url(2), 3), live.page(live.url(3), 4)])
    writer.upsert([live.page(live.url(4), 6)])
    writer.upsert([live.page(live.url(0), 9), live.page(live.url(2), 7)])
    return tmp_path


def test_a_merge_changes_nothing_that_can_be_found(live, index):
    before = live.documents(index)
    merged = compact_step(index, EAGER)
    assert len(merged.segments) == 4
    assert (merged.passages, merged.dead) == (3 + 1 + 1 + 1 + 3, 3 + 3)
    assert read_manifest(index).shards == ((merged.into,),)
    assert live.documents(index) == before
    assert live.tombstones(index) == 0
    reader = SegmentReader.open(index / "segments" / merged.into, verify=True)
    texts = [at.chunk.text for at in reader.read(range(len(reader)))]
    assert np.array_equal(reader.vectors.vectors, live.embed(texts))
    assert compact_step(index, EAGER) is None


def test_what_is_known_of_the_documents_is_merged_as_well(live, index):
    merged = compact_step(index, EAGER)
    carried = catalog.load_facts(index, merged.into)
    made = catalog._read(index / "segments" / merged.into / "chunks.parquet")
    assert carried.tobytes() == np.sort(made, order="doc_id").tobytes()


def test_purging_takes_what_was_removed_off_the_disk(live, index):
    writer = live.writer(index)
    writer.remove(urls=[live.url(4)])
    writer.remove(urls=[live.url(1)])
    left = live.documents(index)
    while compact_step(index, purge=True):
        pass
    assert live.documents(index) == left
    assert live.stored_passages(index) == 1 + 1 + 3
    forget(index, time.time(), grace_s=0)
    assert live.tombstones(index) == 0
    assert live.orphans(index) == []
    tables = [pq.read_table(path, columns=["text"]) for path in index.glob("segments/*/chunks.parquet")]
    words = " ".join(text for table in tables for text in table["text"].to_pylist()).split()
    assert {word for word in words if word.startswith("unique")} == {"unique4", "unique7", "unique9"}


def test_a_document_removed_during_the_merge_stays_removed(live, index):
    writer = live.writer(index)
    merged = compact_step(index, EAGER, before_publish=lambda: writer.remove(urls=[live.url(4)]))
    assert live.url(4) not in live.documents(index)
    assert merged.into in read_manifest(index).tombstones
    compact_step(index, purge=True)
    assert live.tombstones(index) == 0


def test_segments_with_nothing_left_are_dropped(live, tmp_path):
    writer = live.writer(tmp_path)
    writer.upsert([live.page(live.url(0), 0)])
    writer.remove(urls=[live.url(0)])
    merged = compact_step(tmp_path)
    assert (merged.into, merged.passages, merged.dead) == (None, 0, 3)
    assert read_manifest(tmp_path).shards == ((),)
    writer.upsert([live.page(live.url(0), 0)])
    assert live.documents(tmp_path) == {live.url(0): live.text(0)}


def test_a_merged_inverted_file_is_tuned_and_the_probes_never_fall(live, index):
    merged = compact_step(index, EAGER, tune=lambda segment: 7 if segment.name.startswith("merge-") else 1)
    assert merged.into is not None
    assert read_manifest(index).settings["probes"] == 7
    live.writer(index).remove(urls=[live.url(0)])
    compact_step(index, EAGER, purge=True, tune=lambda segment: 3)
    assert read_manifest(index).settings["probes"] == 7


def test_a_share_of_a_core_is_kept(monkeypatch):
    now_s, slept = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: now_s[0])
    monkeypatch.setattr(time, "sleep", slept.append)
    pace = throttled(0.25)
    now_s[0] = 2.0
    pace()
    assert slept == [6.0]
    throttled(1)()
    assert slept == [6.0]
    with pytest.raises(ConfigError, match="share"):
        throttled(0)
