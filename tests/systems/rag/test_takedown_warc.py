"""Records are overwritten in place: every reader still reads the file, and every other record stays where it was."""

import gzip
import hashlib
import os
import zlib

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from sixfold.errors import InputError
from sixfold.systems.rag.sources import plan_splits, read_split
from sixfold.systems.rag.takedown_warc import Member, find_records, note_of_length, overwrite

NUMBERED = ("0007", 1_800_000_000.0)


@settings(deadline=None)
@given(
    st.integers(160, 3_000) | st.integers(65_000, 66_500) | st.integers(130_500, 200_000), st.text("ab/", max_size=9)
)
def test_a_note_has_any_length_that_a_record_can_have(length, where):
    note = note_of_length(length, *NUMBERED, where)
    assert len(note) == length
    record = gzip.decompress(note)
    head, _, content = record.partition(b"\r\n\r\n")
    assert head.startswith(b"WARC/1.1\r\nWARC-Type: metadata\r\n")
    assert content.endswith(b"\r\n\r\n")
    assert int(head.rpartition(b":")[2]) == len(content) - 4
    assert note_of_length(length, *NUMBERED, where) == note


def test_a_member_without_room_for_a_note_is_refused():
    with pytest.raises(InputError, match="no room"):
        note_of_length(60, *NUMBERED, "")


def archive(making, path, bodies):
    making.write_warc(path, [(f"http://x.test/{n}", body) for n, body in enumerate(bodies)])
    return path


def everything(path):
    """(offset, URL, payload) by both readers; they agree."""
    with path.open("rb") as file:
        fast = [(r.stream_pos, r.headers.get("WARC-Target-URI"), r.reader.read()) for r in FastIterator(file)]
    slow = []
    with path.open("rb") as file:
        iterator = ArchiveIterator(file)
        for record in iterator:
            payload = record.content_stream().read()
            slow.append((iterator.get_record_offset(), record.rec_headers.get_header("WARC-Target-URI"), payload))
    assert fast == slow
    return fast


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from([1, 300, 20_000, 200_000]), min_size=1, max_size=6),
    st.sets(st.integers(0, 5), min_size=1),
    st.booleans(),
)
def test_every_reader_reads_on_and_the_others_stay(making, tmp_path_factory, sizes, taken, with_journal):
    path = archive(making, tmp_path_factory.mktemp("w") / "a.warc.gz", [os.urandom(n).hex().encode() for n in sizes])
    before = everything(path)
    ends = [offset for offset, _, _ in before[1:]] + [path.stat().st_size]
    known = [Member(at, end - at, url) for (at, url, _), end in zip(before, ends, strict=True)] if with_journal else []
    gone = {f"http://x.test/{n}" for n in taken}
    found = list(find_records(path, gone.__contains__, "crawl", "a.warc.gz", known))
    assert [(int(one.at), one.url, one.sha256) for one in found] == [
        (offset, url, hashlib.sha256(payload).hexdigest()) for offset, url, payload in before if url in gone
    ]
    for one in found:
        assert overwrite(path, one, *NUMBERED)
        assert not overwrite(path, one, *NUMBERED)
    after = everything(path)
    assert [offset for offset, _, _ in after] == [offset for offset, _, _ in before]
    kept = [(offset, url, payload) for offset, url, payload in before if url not in gone]
    assert [one for one in after if one[1] is not None] == kept
    assert list(find_records(path, gone.__contains__, "crawl", "a.warc.gz", known)) == []
    read = [item.url for split in plan_splits([path], 5_000) for item in read_split(split)]
    assert read == [url for _, url, _ in kept]


def test_requests_and_revisits_go_with_their_page_and_other_records_stay(tmp_path):
    url = "http://x.test/page"

    def record(kind, target, content):
        head = f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{kind}>\r\n"
        head += f"WARC-Target-URI: {target}\r\n" if target else ""
        return gzip.compress(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content + b"\r\n\r\n")

    filler = os.urandom(200).hex().encode()
    path = tmp_path / "a.warc.gz"
    kinds = [("warcinfo", ""), ("request", url), ("response", f"<{url}>"), ("metadata", url), ("revisit", url)]
    path.write_bytes(b"".join(record(kind, target, filler) for kind, target in kinds) + b"\x1f\x8b torn")
    found = list(find_records(path, url.__eq__, "crawl", "a"))
    assert len(found) == 4
    for one in found:
        overwrite(path, one, *NUMBERED)
    assert list(find_records(path, lambda _: True, "crawl", "a")) == []


def test_damage_hides_nothing_behind_it_and_what_the_journal_knows_goes_though_damaged(making, tmp_path):
    path = archive(making, tmp_path / "a.warc.gz", [os.urandom(500).hex().encode() for _ in range(3)])
    first, second, third = (offset for offset, _, _ in everything(path))
    data = bytearray(path.read_bytes())
    data[second + 300 : second + 310] = b"x" * 10
    path.write_bytes(data)
    wanted = {"http://x.test/1", "http://x.test/2"}
    assert [int(one.at) for one in find_records(path, wanted.__contains__, "crawl", "a")] == [third]
    known = [Member(first, second - first, "http://x.test/0"), Member(second, third - second, "http://x.test/1")]
    found = list(find_records(path, wanted.__contains__, "crawl", "a", known))
    assert [int(one.at) for one in found] == [second, third]
    for one in found:
        overwrite(path, one, *NUMBERED)
    assert len(everything(path)) == 3


def test_a_journal_that_contradicts_itself_is_not_believed(making, tmp_path):
    path = archive(making, tmp_path / "a.warc.gz", [os.urandom(500).hex().encode() for _ in range(2)])
    (_, _, _), (second, _, _) = everything(path)
    stale = [
        Member(0, second + 40, "http://x.test/old"),
        Member(second, path.stat().st_size - second, "http://x.test/1"),
    ]
    wanted = {"http://x.test/0", "http://x.test/1"}
    assert len(list(find_records(path, wanted.__contains__, "crawl", "a", stale))) == 2


def test_a_torn_note_is_mended(making, tmp_path):
    path = archive(making, tmp_path / "a.warc.gz", [os.urandom(500).hex().encode() for _ in range(2)])
    (found, *_) = find_records(path, "http://x.test/0".__eq__, "crawl", "a")
    note = note_of_length(found.length, *NUMBERED, "a:0")
    with path.open("r+b") as file:
        file.write(note[: len(note) // 2])
    with pytest.raises(zlib.error):
        zlib.decompress(path.read_bytes()[: found.length], 31)
    assert overwrite(path, found, *NUMBERED)
    assert len(everything(path)) == 2


def test_several_records_in_one_member_are_refused(making, tmp_path):
    path = tmp_path / "a.warc.gz"
    both = [gzip.decompress(making.record(f"http://x.test/{n}", b"text")) for n in range(2)]
    path.write_bytes(gzip.compress(b"".join(both)))
    with pytest.raises(InputError, match="one member a record"):
        list(find_records(path, "http://x.test/0".__eq__, "crawl", "a"))
