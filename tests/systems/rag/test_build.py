"""A build depends on its input and settings only; what is added supersedes; every shard keeps its capacity."""

import json
import os
import shutil
import signal
import threading
import time

import numpy as np
import pytest

from sixfold.axes import Axis
from sixfold.errors import CapacityError, ConfigError
from sixfold.parts.vectors import recall
from sixfold.systems.rag.build import build
from sixfold.systems.rag.build_embed import embedder
from sixfold.systems.rag.build_folder import BuildSettings
from sixfold.systems.rag.crew import RayCrew, SerialCrew
from sixfold.systems.rag.index.manifest import read_manifest
from sixfold.systems.rag.index.segment_reader import segment_bytes
from sixfold.systems.rag.index.shard import Shard
from sixfold.systems.rag.retrieve import Retriever

QUESTIONS = ["how is an exception raised", "what does a lambda expression make", "break out of a loop"]


def serially(inputs, index, **settings):
    """Build in this process, without the child that guards each page: the models are loaded once."""
    chosen = BuildSettings(**{"preset": "documentation", **settings})
    return build(list(inputs), index, chosen, SerialCrew(Axis.DATA), lambda *_: None)


def retriever(index):
    manifest = read_manifest(index)
    shards = [Shard.open(index, n, manifest) for n in range(len(manifest.shards))]
    return Retriever(shards, embedder().embed_query)


def answers(index):
    """Chunk ids, texts and scores of both legs, exactly."""
    found = []
    for question in QUESTIONS:
        for leg in ("lexical", "vector"):
            found.append([(p.chunk_id, p.text, p.score) for p in retriever(index).search(question, 20, legs=[leg])])
    return found


def test_the_command_and_this_process_build_the_same(making, corpus, whole, tmp_path):
    summary = serially(corpus, tmp_path / "index")
    assert making.index_bytes(tmp_path / "index") == making.index_bytes(whole[0])
    assert summary.records == 20
    assert summary.documents + sum(summary.dropped.values()) == 20
    assert summary.dropped["exact-duplicate"] == summary.dropped["near-duplicate"] == 1
    assert summary.rework_records == 0


@pytest.mark.ray
def test_one_worker_builds_the_same(making, corpus, whole, ray_lab, tmp_path):
    crew = RayCrew(1, Axis.DATA)
    try:
        settings = BuildSettings(preset="documentation")
        build(corpus, tmp_path / "index", settings, crew, lambda *_: None)
    finally:
        crew.close()
    assert making.index_bytes(tmp_path / "index") == making.index_bytes(whole[0])


@pytest.mark.ray
def test_a_worker_that_dies_while_it_cleans_is_replaced(making, corpus, whole, ray_lab, tmp_path):
    index = tmp_path / "index"
    crew = RayCrew(2, Axis.DATA)
    pids = [pid for _, pid in crew.map(_pid, range(4))]
    dead = []

    def kill():
        until = time.monotonic() + 60
        while time.monotonic() < until and making.finished(index) < 2:
            time.sleep(0.001)
        making.keep_journals(index, tmp_path / "links")
        os.kill(pids[0], signal.SIGKILL)
        dead.append(making.finished(index))

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        settings = BuildSettings(preset="documentation")
        summary = build(corpus, index, settings, crew, lambda *_: None)
        after = {pid for _, pid in crew.map(_pid, range(8))}
    finally:
        killer.join()
        crew.close()
    assert dead
    assert pids[0] not in after
    assert making.index_bytes(index) == making.index_bytes(whole[0])
    assert summary.rework_records <= 1
    assert not any(map(making.begun_again, (tmp_path / "links").glob("*")))


def _pid(_):
    time.sleep(0.1)  # long enough for every worker to get one
    return os.getpid()


def test_splits_change_neither_passages_nor_rankings(corpus, whole, tmp_path):
    summary = serially(corpus, tmp_path / "index", split_bytes=3_000)
    assert len(list((tmp_path / "index/builds/0001/documents").glob("*.parquet"))) > 3
    assert summary.passages == whole[1]["passages"]
    assert answers(tmp_path / "index") == answers(whole[0])


def test_small_shards_answer_like_one(corpus, whole, tmp_path):
    index, capacity_bytes = tmp_path / "index", 120_000
    summary = serially(corpus, index, capacity_bytes=capacity_bytes)
    manifest = read_manifest(index)
    sizes = [sum(segment_bytes(index / "segments" / name) for name in shard) for shard in manifest.shards]
    assert summary.shards == len(sizes) > 1
    assert max(sizes) <= capacity_bytes
    assert (
        sum(Shard.open(index, n, capacity_bytes=capacity_bytes).chunks for n in range(len(sizes)))
        == (whole[1]["passages"])
    )
    assert answers(index) == answers(whole[0])
    queries = embedder().embed(QUESTIONS)
    one, many = (retriever(path).search_vectors(queries, 10) for path in (whole[0], index))
    assert np.array_equal(one[0], many[0])
    assert recall(many[1], one[1]) == 1.0


def test_a_document_that_no_shard_can_hold_is_named(making, tmp_path):
    inputs = [making.write_warc(tmp_path / "one.warc.gz", [(making.url("class"), making.page("class"))])]
    with pytest.raises(CapacityError, match="a shard may hold 2000"):
        serially(inputs, tmp_path / "index", capacity_bytes=2_000)
    assert not (tmp_path / "index" / "manifest.json").exists()


def test_the_same_command_again_does_nothing_and_a_changed_file_is_seen(making, tmp_path):
    site, index = tmp_path / "site", tmp_path / "index"
    site.mkdir()
    (site / "a.html").write_bytes(making.page("class"))
    (site / "b.html").write_bytes(making.page("lambda"))
    first = serially([str(site)], index)
    before = making.index_bytes(index)
    assert serially([str(site)], index) == first
    assert making.index_bytes(index) == before
    text = making.page("lambda").replace(b"lambda", b"lambdo")  # as many bytes as before
    (site / "b.html").write_bytes(text)
    again = serially([str(site)], index)
    assert (again.generation, again.superseded) == (2, 1)
    found = retriever(index).search("lambdo", 3, legs=["lexical"])
    assert found
    assert all(passage.url.endswith("b.html") for passage in found)


def test_adding_finds_what_is_published_and_supersedes_what_has_changed(making, corpus, whole, tmp_path):
    index = tmp_path / "index"
    shutil.copytree(whole[0], index)
    changed = making.page("calls", more="<p>Halloumi is a cheese that squeaks, and it is grilled.</p>").replace(
        b"call", b"phone"
    )
    pages = [
        (making.url("calls"), changed),
        ("http://other.example/1.html", making.page("exceptions")),
        ("http://other.example/2.html", making.page("debugger", more="<p>One more sentence is not news to me.</p>")),
        (making.url("try"), making.page("try")),
    ]
    more = [making.write_warc(tmp_path / "more.warc.gz", pages)]
    old = {p.chunk_id for p in retriever(index).search("calls", 50) if p.url == making.url("calls")}
    summary = serially(more, index)
    assert summary.dropped == {"exact-duplicate": 1, "near-duplicate": 1}
    assert (summary.documents, summary.superseded, summary.generation) == (2, 1, 2)
    found = retriever(index).search("halloumi squeaks", 50)
    assert found[0].url == making.url("calls")
    assert "Halloumi" in found[0].text
    published = Shard.open(index, 0)
    live = {key for key in old if key in published.passages([key])}
    texts = [p.chunk.text for p in published.passages(sorted(live)).values()]
    assert not any("A call " in text for text in texts)
    assert all(p.url != making.url("calls") or "phone" in p.text for p in retriever(index).search("call phone", 50))
    assert any(p.url == making.url("try") for p in retriever(index).search("try statement", 10))
    assert serially(more, index) == summary


def test_a_page_that_was_dropped_for_another_comes_in_when_that_one_changes(making, tmp_path):
    """What is not in the index must not make anything a duplicate: the text would be lost."""
    index, twin = tmp_path / "index", ("http://mirror.example/twin.html", making.page("lambda"))
    first = [making.write_warc(tmp_path / "1.warc.gz", [(making.url("a"), making.page("lambda")), twin])]
    second = [making.write_warc(tmp_path / "2.warc.gz", [(making.url("a"), making.page("class")), twin])]
    third = [making.write_warc(tmp_path / "3.warc.gz", [(making.url("a"), making.page("lambda")), twin])]
    assert serially(first, index).dropped == {"exact-duplicate": 1}
    summary = serially(second, index)
    assert (summary.documents, summary.superseded, summary.dropped) == (2, 1, {})
    assert {p.url for p in retriever(index).search("lambda expression", 50)} == {making.url("a"), twin[0]}
    summary = serially(third, index)  # and back: now the first is the duplicate
    assert (summary.documents, summary.superseded) == (0, 1)
    assert {p.url for p in retriever(index).search("lambda expression", 50)} == {twin[0]}


def test_an_unfinished_build_goes_first(making, corpus, tmp_path):
    index = tmp_path / "index"
    assert making.killed(making.build_arguments(corpus, index), lambda: making.finished(index) >= 1)
    other = making.sixfold(*making.build_arguments(corpus[:1], index))
    assert other.returncode == 2
    assert other.stdout == ""
    assert len(other.stderr.splitlines()) == 1
    assert "unfinished build" in other.stderr
    assert str(index / "builds" / "0001") in other.stderr
    shutil.rmtree(index / "builds" / "0001")  # as it says
    assert serially(corpus[:1], index).generation == 1


def test_an_index_without_its_builds_is_not_added_to(corpus, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "index")
    shutil.rmtree(tmp_path / "index" / "builds")
    with pytest.raises(ConfigError, match="use a new folder"):
        serially(corpus, tmp_path / "index")


def test_two_builds_at_a_time_are_one_too_many(corpus, tmp_path):
    def meanwhile(step, done, total):
        if step == "clean" and done == 1:
            with pytest.raises(ConfigError, match="another process writes to"):
                serially(corpus[:1], tmp_path / "index")

    settings = BuildSettings(preset="documentation")
    build(corpus[:1], tmp_path / "index", settings, SerialCrew(Axis.DATA), meanwhile)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"preset": "bogus"}, "no preset"),
        ({"languages": ("english",)}, "ISO 639-1"),
        ({"capacity_bytes": 0}, "capacity_bytes"),
    ],
)
def test_settings_that_cannot_be_leave_nothing_behind(corpus, tmp_path, options, word):
    with pytest.raises(ConfigError, match=word):
        serially(corpus, tmp_path / "index", **options)
    assert not (tmp_path / "index").exists()


def test_passages_can_be_traced_to_their_bytes(whole):
    from sixfold.systems.rag.operate import run_trace, run_why

    index = whole[0]
    passage = retriever(index).search(QUESTIONS[0], 1)[0]
    traced = run_trace(passage.chunk_id, index)
    assert traced["digest"] == passage.source.digest
    assert traced["text"] == passage.text
    assert run_why(passage.url, index)[0]["fate"] == "kept"
    assert [r["stage"] for r in run_why("http://mirror.example/class.html", index)] == ["exact-duplicate"]
    assert json.dumps(run_why("http://mirror.example/calls.html", index))
