"""Documents come, change and go: visible at once, traceable, by the rules of a build."""

import json
import shutil
from dataclasses import replace

import make_index
import pytest

from sixfold.errors import ConfigError, InputError
from sixfold.systems.rag.build_folder import BuildSettings
from sixfold.systems.rag.chunk import chunk_document
from sixfold.systems.rag.index.manifest import Manifest, publish, read_manifest
from sixfold.systems.rag.index.segment_reader import segment_info
from sixfold.systems.rag.index.shard import Shard
from sixfold.systems.rag.live.catalog import load_facts
from sixfold.systems.rag.live.ledger import live_records
from sixfold.systems.rag.live.pages import Page
from sixfold.systems.rag.live.writer import Writer
from sixfold.systems.rag.records import Kind, RawRecord, Source, document_id
from sixfold.systems.rag.sources import read_record
from sixfold.systems.rag.takedown_rules import Blocklist, Rule, index_blocklist

A, B = "http://a.test/page", "http://b.test/page"


def fates(receipt):
    return [(one.fate, one.reason) for one in receipt.fates]


def test_an_added_page_is_visible_in_the_generation_of_its_receipt(live, tmp_path):
    receipt = live.writer(tmp_path).upsert([live.page(A, 1), live.page(B, 3)])
    assert fates(receipt) == [("added", ""), ("added", "")]
    assert (receipt.generation, receipt.published, receipt.passages) == (1, True, 4)
    assert live.documents(tmp_path) == {A: live.text(1), B: live.text(3)}
    assert {"clean", "embed", "write", "publish", "total"} <= receipt.seconds.keys()
    assert json.loads(json.dumps(receipt.as_json()))["counts"] == {"added": 2}


def test_a_changed_page_keeps_all_of_its_new_passages_and_none_of_the_old(live, tmp_path):
    writer = live.writer(tmp_path)
    writer.upsert([live.page(A, 3), live.page(B, 1)])
    receipt = writer.upsert([live.page(A, 6)])
    assert fates(receipt) == [("replaced", "")]
    assert live.documents(tmp_path) == {A: live.text(6), B: live.text(1)}
    assert fates(writer.upsert([live.page(A, 6), live.page(B, 1)])) == [("unchanged", "")] * 2
    assert writer.upsert([live.page(A, 6)]).published is False
    assert read_manifest(tmp_path).generation == receipt.generation


def test_the_same_content_under_two_addresses_and_one_is_deleted(live, tmp_path):
    writer = live.writer(tmp_path)
    receipt = writer.upsert([live.page(A, 3), live.page(B, 3)], allow_duplicates=True)
    assert fates(receipt) == [("added", ""), ("added", "")]
    removed = writer.remove(urls=[A, "http://nobody.test/"]).removed
    assert [(one.url, one.doc_id) for one in removed] == [(A, document_id(A))]
    assert live.documents(tmp_path) == {B: live.text(3)}


def test_repeated_content_is_dropped_with_a_reason(live, tmp_path):
    writer = live.writer(tmp_path)
    writer.upsert([live.page(A, 3)])
    almost = Page(B, (live.text(3) + " and some more").encode(), Kind.TEXT)
    receipt = writer.upsert([live.page(B, 3)])
    assert [(one.stage, one.reason, one.detail) for one in receipt.fates] == [
        ("exact-duplicate", "same-text", f"text of {A}")
    ]
    (near,) = writer.upsert([almost]).fates
    assert (near.stage, near.reason) == ("near-duplicate", "similar-text")
    assert near.detail.startswith("jaccard 0.9")
    three = writer.upsert([live.page(B, 1), live.page("http://c.test/", 1), replace(almost, url="http://d.test/")])
    assert fates(three) == [("added", ""), ("dropped", "same-text"), ("dropped", "similar-text")]
    assert live.documents(tmp_path) == {A: live.text(3), B: live.text(1)}
    assert [record["fate"] for record in live_records(tmp_path, B)] == ["dropped", "dropped", "kept"]


def test_a_page_that_has_become_a_copy_of_another_loses_its_older_text(live, tmp_path):
    writer = live.writer(tmp_path)
    writer.upsert([live.page(A, 1), live.page(B, 2)])
    receipt = writer.upsert([live.page(B, 1)])
    assert fates(receipt) == [("dropped", "same-text")]
    assert [one.url for one in receipt.removed] == [B]
    assert live.documents(tmp_path) == {A: live.text(1)}


def test_pages_may_change_places(live, tmp_path):
    writer = live.writer(tmp_path)
    writer.upsert([live.page(A, 1), live.page(B, 2)])
    assert fates(writer.upsert([live.page(A, 2), live.page(B, 1)])) == [("replaced", "")] * 2
    assert live.documents(tmp_path) == {A: live.text(2), B: live.text(1)}


def test_of_one_address_the_last_page_counts(live, tmp_path):
    receipt = live.writer(tmp_path).upsert([live.page(A, 1), live.page(A, 2)])
    assert fates(receipt) == [("dropped", "same-url"), ("added", "")]
    assert live.documents(tmp_path) == {A: live.text(2)}


def test_another_title_is_another_version(live, tmp_path):
    writer = live.writer(tmp_path)
    writer.upsert([live.page(A, 1)])
    titled = replace(live.page(A, 1), title="  A new\x00 title ")
    assert fates(writer.upsert([titled])) == [("replaced", "")]
    shard = Shard.open(tmp_path, 0)
    ((chunk_id, _),) = live.hits(shard, "unique1")
    assert shard.passages([chunk_id])[chunk_id].title == "A new title"
    assert fates(writer.upsert([titled])) == [("unchanged", "")]


@pytest.mark.parametrize("kind", list(Kind))
def test_a_passage_leads_back_to_what_was_handed_in(live, tmp_path, kind):
    body = f"<html><body><main><p>{live.text(3)}</p></main></body></html>" if kind is Kind.HTML else live.text(3)
    page = Page("http://a.test/pagé?q=1", body.encode(), kind)
    writer = live.writer(tmp_path)
    writer.upsert([live.page(B, 1)])
    writer.upsert([page])
    shard = Shard.open(tmp_path, 0)
    ((chunk_id, _),) = live.hits(shard, "unique3")
    passage = shard.passages([chunk_id])[chunk_id]
    raw = read_record(passage.source)
    assert (raw.url, raw.payload, raw.kind) == (page.url, page.payload, page.kind)
    again = live.Cleaner(live.ANYTHING).clean(raw)
    assert passage.chunk in chunk_document(again)
    (record,) = live_records(tmp_path, page.url)
    assert record["source"] == f"{passage.source.file}:{passage.source.offset}"


def test_a_record_of_a_file_keeps_its_source(live, tmp_path):
    source = Source("somewhere.warc.gz", 17, "sha1:X")
    receipt = live.writer(tmp_path).upsert([RawRecord(A, live.text(1).encode(), Kind.TEXT, "utf-8", source)])
    assert receipt.fates[0].source == "somewhere.warc.gz:17"
    assert not list((tmp_path / "live").glob("*.warc.gz"))


def test_what_a_passage_had_in_common_with_the_older_version_is_not_embedded_again(live, tmp_path):
    asked = []

    def embed(texts):
        asked.extend(texts)
        return live.embed(texts)

    writer = live.writer(tmp_path, embed=embed)
    writer.upsert([live.page(A, 3)])
    first = list(asked)
    asked.clear()
    longer = Page(A, f"{live.text(3)} {live.text(1)}".encode(), Kind.TEXT)
    writer.upsert([longer])
    assert len(first) == 3
    assert not set(asked) & set(first[:2])
    assert live.documents(tmp_path) == {A: f"{live.text(3)} {live.text(1)}"}


def test_the_rules_of_the_newest_build_apply(live, whole, tmp_path, making):
    index = tmp_path / "index"
    shutil.copytree(whole[0], index)
    before = read_manifest(index)
    writer = Writer(index)
    thin = Page("http://docs.example/thin.html", b"<p>Too short to be kept.</p>")
    foreign = Page(
        "http://docs.example/de.html", ("<p>" + "Das ist ein deutscher Satz, den niemand lesen muss. " * 20).encode()
    )
    copy = Page("http://elsewhere.example/copy.html", making.page("import"))
    changed = Page(making.url("lambda"), making.page("lambda", more="<p>Something was added to this page today.</p>"))
    new = Page("http://docs.example/with.html", making.page("with"))
    receipt = writer.upsert([thin, foreign, copy, changed, new])
    told = {one.url.rsplit("/", 1)[1]: (one.fate, one.stage) for one in receipt.fates}
    assert told["copy.html"] == ("dropped", "exact-duplicate")
    assert told["lambda.html"] == ("replaced", "")
    assert told["with.html"] == ("added", "")
    assert told["thin.html"][0] == told["de.html"][0] == "dropped"
    assert told["de.html"][1] == "language"
    after = read_manifest(index)
    assert after.settings["build"] == before.settings["build"]
    assert len(after.shards) == len(before.shards)
    added = [name for name in after.segments if name not in before.segments]
    assert all(segment_info(index / "segments" / name).dimension == 384 for name in added)


def test_deletion_by_host_and_by_pattern(live, tmp_path):
    writer = live.writer(tmp_path)
    writer.upsert([live.page(live.url(n), n) for n in range(6)])
    assert [one.url for one in writer.remove(hosts=["HOST1.test"]).removed] == [
        "http://host1.test/1",
        "http://host1.test/4",
    ]
    by_pattern = writer.remove(pattern="http://host?.test/[35]").removed
    assert [one.url for one in by_pattern] == ["http://host0.test/3", "http://host2.test/5"]
    assert set(live.documents(tmp_path)) == {live.url(0), live.url(2)}
    assert writer.remove(doc_ids=[document_id(live.url(0)), "f" * 32]).removed[0].url == live.url(0)
    nothing = writer.remove(hosts=["nobody.test"])
    assert (nothing.published, nothing.removed) == (False, ())
    assert live_records(tmp_path, live.url(1))[-1]["fate"] == "removed"
    with pytest.raises(ConfigError, match="nothing to remove"):
        writer.remove()
    with pytest.raises(ConfigError, match="at most 2048"):
        writer.remove(pattern="*" * 3_000)


def test_a_removed_page_may_come_back(live, tmp_path):
    writer = live.writer(tmp_path)
    writer.upsert([live.page(A, 3)])
    writer.remove(urls=[A])
    assert fates(writer.upsert([live.page(A, 3)])) == [("added", "")]
    assert live.documents(tmp_path) == {A: live.text(3)}


def test_what_was_taken_down_is_refused(live, tmp_path):
    writer = live.writer(tmp_path)
    writer.upsert([live.page(A, 1)])
    Blocklist(index_blocklist(tmp_path)).add(Rule.of(host="b.test", reason="asked to"))
    receipt = writer.upsert([live.page(B, 3), live.page(A, 6)])
    assert [(one.fate, one.stage) for one in receipt.fates] == [("dropped", "takedown"), ("replaced", "")]
    assert live.documents(tmp_path) == {A: live.text(6)}


def test_a_full_shard_is_left_alone(live, tmp_path):
    settings = BuildSettings(capacity_bytes=1)
    writer = live.writer(tmp_path, settings=settings)
    for n in range(3):
        writer.upsert([live.page(live.url(n), n)])
    assert [len(shard) for shard in read_manifest(tmp_path).shards] == [1, 1, 1]
    assert len(live.documents(tmp_path)) == 3


def test_an_index_without_vectors_stays_without(live, tmp_path):
    make_index.make_index(tmp_path, [[make_index.indexed(A, ["abc def"])]], embed=None)
    live.writer(tmp_path).upsert([live.page(B, 1)])
    assert {segment_info(tmp_path / "segments" / name).dimension for name in read_manifest(tmp_path).segments} == {0}
    assert len(live.hits(Shard.open(tmp_path, 0), "unique1")) == 1


def test_vectors_of_another_model_are_refused_and_nothing_changes(live, tmp_path):
    make_index.make_index(tmp_path, [[make_index.indexed(A, ["abc def"])]])
    with pytest.raises(ConfigError, match="got vectors of shape"):
        live.writer(tmp_path).upsert([live.page(B, 1)])
    assert read_manifest(tmp_path).generation == 1
    assert live_records(tmp_path, B) == []
    live.writer(tmp_path, embed=make_index.embed).upsert([live.page(B, 1)])  # what was left behind is no hindrance
    assert live_records(tmp_path, B)[0]["fate"] == "kept"
    assert live.orphans(tmp_path) == []


def test_facts_are_made_again_when_they_are_lost_or_damaged(live, tmp_path):
    live.writer(tmp_path).upsert([live.page(A, 3), live.page(B, 1)])
    (name,) = read_manifest(tmp_path).segments
    written = load_facts(tmp_path, name).tobytes()
    path = tmp_path / "live" / "facts" / f"{name}.npy"
    for damaged in (None, b"", b"\x93NUMPY", path.read_bytes()[:-1]):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        assert fates(live.writer(tmp_path).upsert([live.page(A, 3)])) == [("unchanged", "")]
        assert load_facts(tmp_path, name).tobytes() == written


def test_a_damaged_position_is_named(live, tmp_path):
    publish(tmp_path, Manifest(1, ((),), {}, {"live": {"bytes": 1}}))
    with pytest.raises(InputError, match=r"settings\.live"):
        live.writer(tmp_path).upsert([live.page(A, 1)])
