"""Builds and live writers take turns at one index: a document is live once, and what was removed is not in the way."""

import shutil

import make_live
import pytest

from sixfold.systems.rag.index.manifest import read_manifest
from sixfold.systems.rag.live.compact import compact_step
from sixfold.systems.rag.live.pages import Page
from sixfold.systems.rag.live.writer import Writer


@pytest.fixture
def index(whole, tmp_path):
    return shutil.copytree(whole[0], tmp_path / "index")


def documents(index):
    """URL -> text of what is live; each passage once."""
    found: dict[str, dict[int, str]] = {}
    for shard in make_live.open_shards(index, read_manifest(index)):
        for reader, live in shard._segments:
            for at in reader.read([n for n in range(len(reader)) if live is None or live[n]]):
                assert at.chunk.ordinal not in found.setdefault(at.url, {})
                found[at.url][at.chunk.ordinal] = at.chunk.text
    return {url: " ".join(parts[n] for n in sorted(parts)) for url, parts in found.items()}


def test_a_build_replaces_what_a_live_writer_had_put_there(index, making, tmp_path):
    writer = Writer(index)
    writer.upsert([Page(making.url("with"), making.page("with", more="<p>A live version of this page.</p>"))])
    writer.upsert([Page(making.url("lambda"), making.page("lambda", more="<p>A live version of this page.</p>"))])
    compact_step(index, purge=True)
    more = "<p>The version of the build.</p>"
    pages = [(making.url(name), making.page(name, more=more)) for name in ("with", "lambda")]
    making.built([making.write_warc(tmp_path / "more.warc.gz", pages)], index)
    found = documents(index)
    for name in ("with", "lambda"):
        assert "The version of the build" in found[making.url(name)]
        assert "A live version" not in found[making.url(name)]


def test_what_was_removed_comes_back_when_it_is_built_again(index, making, tmp_path):
    """It must not be dropped as a duplicate of itself, nor its copy as a duplicate of it."""
    removed = [making.url("import"), making.url("global")]
    Writer(index).remove(urls=removed)
    pages = [(making.url("import"), making.page("import")), ("http://copy.example/global.html", making.page("global"))]
    told = making.built([making.write_warc(tmp_path / "more.warc.gz", pages)], index)
    assert told["documents"] == 2
    found = documents(index)
    assert making.url("import") in found
    assert "http://copy.example/global.html" in found
    assert making.url("global") not in found
