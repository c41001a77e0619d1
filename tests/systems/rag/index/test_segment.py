"""A segment is whole, immutable, bounded and the same bytes for the same passages."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sixfold.errors import ConfigError, InputError
from sixfold.systems.rag.index import segment as module
from sixfold.systems.rag.index.filters import Filter
from sixfold.systems.rag.index.segment import write_segment
from sixfold.systems.rag.index.segment_reader import SegmentReader, segment_bytes


@pytest.fixture
def chunks(make):
    pages = [f"http://host{i % 3}.test:80{i}/page" for i in range(40)]
    found = [
        c
        for i, url in enumerate(pages)
        for c in make.indexed(url, [f"a{i} bcd", "é " * i, "fgh"], "ende"[i % 2 * 2 :][:2])
    ]
    return sorted(found, key=lambda at: at.chunk.chunk_id)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_same_passages_give_the_same_bytes(make, chunks, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_CHUNKS", 50)
    options = {"dimension": make.D, "ann_minimum": 64}
    one = write_segment(tmp_path / "one" / "s", chunks, make.embed, **options)
    two = write_segment(tmp_path / "two" / "s", iter(chunks), make.embed, **options)
    assert one == two
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert "s/vectors/ivf.faiss" in tree(tmp_path / "one")
    assert (one.chunks, one.documents) == (120, 40)
    assert one.total_bytes == segment_bytes(tmp_path / "one" / "s")
    record = json.loads((tmp_path / "one" / "s" / "segment.json").read_text())
    assert sorted(record["files"]) == sorted(name[2:] for name in tree(tmp_path / "one") if name != "s/segment.json")


def test_what_was_written_is_read_back(make, chunks, tmp_path, monkeypatch):
    write_segment(tmp_path / "s", chunks, make.embed, dimension=make.D)
    reader = SegmentReader.open(tmp_path / "s", verify=True)
    assert reader.read([5, 119, 5, 0]) == [chunks[at] for at in (5, 119, 5, 0)]
    assert [reader.position(at.chunk.chunk_id) for at in chunks] == list(range(120))
    assert [reader.position(key) for key in ("", "zzz", "\ud800", chunks[0].chunk.chunk_id + "0")] == [None] * 4
    assert np.array_equal(reader.vectors.vectors, make.embed([at.chunk.text for at in chunks]))
    assert pq.read_table(tmp_path / "s" / "chunks.parquet").num_rows == 120  # readable by anybody
    host = reader.allowed(Filter(host="HOST1.test"))
    assert host.tolist() == ["host1." in at.url for at in chunks]
    both = reader.allowed(Filter(language="de", url_prefix="http://host1.test:801"))
    assert both.tolist() == [at.language == "de" and at.url.startswith("http://host1.test:801") for at in chunks]
    doc, chunk = chunks[0].chunk.doc_id, chunks[-1].chunk.chunk_id
    live = reader.live([doc, "unknown"], [chunk, "unknown"])
    assert live.tolist() == [at.chunk.doc_id != doc and at.chunk.chunk_id != chunk for at in chunks]
    assert reader.live(["unknown"], []) is None


def test_many_blocks_are_read_as_one(make, chunks, tmp_path, monkeypatch):
    from sixfold.systems.rag.index import segment_reader

    monkeypatch.setattr(module, "BLOCK_CHUNKS", 7)
    monkeypatch.setattr(segment_reader, "BLOCK_CHUNKS", 7)
    write_segment(tmp_path / "s", chunks, make.embed, dimension=make.D)
    assert SegmentReader.open(tmp_path / "s").read(range(119, -1, -1)) == chunks[::-1]


def test_a_segment_larger_than_a_shard_may_hold_is_refused(make, chunks, tmp_path):
    with pytest.raises(InputError, match="a shard may hold 5000"):
        write_segment(tmp_path / "s", chunks, make.embed, dimension=make.D, capacity_bytes=5_000)
    assert list(tmp_path.iterdir()) == []


def test_wrong_input_is_named_and_leaves_nothing(make, chunks, tmp_path):
    other = replace(chunks[0], chunk=replace(chunks[0].chunk, chunk_id=""))
    for given, embed, error, message in [
        (chunks[::-1], make.embed, InputError, "expected ascending ids"),
        ([chunks[0], chunks[0]], make.embed, InputError, "expected ascending ids"),
        ([other], make.embed, InputError, "got passage ''"),
        ([], make.embed, InputError, "no passages"),
        (chunks, lambda texts: np.ones((1, 3), dtype=np.float32), ConfigError, "vectors of shape"),
        (chunks, lambda texts: make.embed(texts) * np.nan, ConfigError, "not finite"),
    ]:
        with pytest.raises(error, match=message):
            write_segment(tmp_path / "s", given, embed, dimension=make.D)
        assert list(tmp_path.iterdir()) == []
    write_segment(tmp_path / "s", chunks, make.embed, dimension=make.D)
    before = tree(tmp_path)
    with pytest.raises(InputError, match="never changed"):
        write_segment(tmp_path / "s", chunks, make.embed, dimension=make.D)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["chunks.parquet", "ids.npy", "vectors/vectors.npy", "lexical/documents_p.npy", "segment.json"]
)
def test_a_damaged_file_is_named(make, chunks, tmp_path, name):
    write_segment(tmp_path / "s", chunks, make.embed, dimension=make.D)
    path = tmp_path / "s" / name
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))  # the size is right
    with pytest.raises(InputError, match=r"segment"):
        SegmentReader.open(tmp_path / "s", verify=True)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"segment"):
        SegmentReader.open(tmp_path / "s")
    path.unlink()
    with pytest.raises(InputError, match=r"segment"):
        SegmentReader.open(tmp_path / "s")


def test_a_killed_writer_leaves_the_old_generation_and_can_be_repeated(make, tmp_path):
    """The writer is stopped while it embeds; what it was writing does not exist, and is then written."""
    manifest = make.make_index(tmp_path, [[make.indexed("http://a.test/", ["abc", "def"])]])
    code = (
        "import sys, time, runpy\n"
        "m = runpy.run_path(sys.argv[1])\n"
        "from pathlib import Path\n"
        "def embed(texts):\n"
        "    print('embedding', flush=True); time.sleep(60)\n"
        "m['write'](Path(sys.argv[2]), 'next', m['indexed']('http://b.test/', ['ghi']), embed=embed)\n"
    )
    script = make.__file__
    writer = subprocess.Popen([sys.executable, "-c", code, script, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"embedding\n"
    time.sleep(0.05)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert sorted(p.name for p in (tmp_path / "segments").iterdir()) == [".next.partial", "s0-0"]
    from sixfold.systems.rag.index.manifest import read_manifest
    from sixfold.systems.rag.index.shard import Shard

    assert read_manifest(tmp_path) == manifest
    assert Shard.open(tmp_path, 0).chunks == 2
    make.write(tmp_path, "next", make.indexed("http://b.test/", ["ghi"]))
    assert sorted(p.name for p in (tmp_path / "segments").iterdir()) == ["next", "s0-0"]
    assert len(SegmentReader.open(tmp_path / "segments" / "next", verify=True)) == 1
