import base64
import errno
import gzip
import hashlib
import os

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from sixfold.errors import UserError
from sixfold.systems.rag.crawl.warc import OPEN_SUFFIX, WarcWriter, cut_torn_tail, http_head, write_failure


def writer(folder, **changes):
    return WarcWriter(folder, "w000", **{"max_records": 100, "max_bytes": 10**9, **changes})


def put(warc, number, body=b"<html>page</html>", **options):
    head = http_head(200, "OK", [("Content-Type", "text/html")], len(body), False)
    return warc.append(f"http://127.0.0.2/{number}", head, body, **options)


def read(path):
    """(type, url, payload, truncated) of every record, read and checked by another library."""
    found = []
    with path.open("rb") as file:
        for record in ArchiveIterator(file, check_digests="raise"):
            body = record.content_stream().read()
            headers = record.rec_headers
            url, cut = headers.get_header("WARC-Target-URI"), headers.get_header("WARC-Truncated")
            assert headers.protocol == "WARC/1.1"
            found.append((record.rec_type, url, body, cut))
    return found


def test_warcio_reads_what_is_written(tmp_path):
    warc = writer(tmp_path)
    first = put(warc, 1, b"<p>one</p>")
    second = put(warc, 2, b"\x00\xff" * 5_000, truncated="length")
    assert [p.name for p in tmp_path.iterdir()] == [first.file + OPEN_SUFFIX]
    warc.close()
    path = tmp_path / first.file
    info, *pages = read(path)
    assert info[0] == "warcinfo"
    assert pages == [
        ("response", "http://127.0.0.2/1", b"<p>one</p>", None),
        ("response", "http://127.0.0.2/2", b"\x00\xff" * 5_000, "length"),
    ]
    expected = base64.b32encode(hashlib.sha1(b"<p>one</p>").digest()).decode()
    assert first.digest == f"sha1:{expected}"
    data = path.read_bytes()  # one gzip member a record, where the position says
    assert second.offset + second.length == len(data)
    member = gzip.decompress(data[first.offset : first.offset + first.length])
    assert member.startswith(b"WARC/1.1\r\n")
    assert first.digest.encode() in member
    with path.open("rb") as file:
        records = list(FastIterator(file, verify_digests=True))
    assert [r.stream_pos for r in records] == [first.offset, second.offset]  # both digests hold


def test_files_rotate(tmp_path):
    warc = writer(tmp_path, max_records=2)
    places = [put(warc, number) for number in range(5)]
    warc.close()
    assert [p.file for p in places] == [f"w000-{n:05d}.warc.gz" for n in (0, 0, 1, 1, 2)]
    assert sum(len(read(path)) - 1 for path in tmp_path.glob("*.warc.gz")) == 5
    by_size = writer(tmp_path / "small", max_bytes=1)
    assert put(by_size, 1).file != put(by_size, 2).file


@given(cut=st.integers(1, 10_000))
def test_a_torn_tail_is_cut_at_the_last_whole_record(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("torn")
    warc = writer(folder)
    places = [put(warc, number, os.urandom(50)) for number in range(4)]
    path = folder / (places[0].file + OPEN_SUFFIX)
    whole = path.read_bytes()
    warc.abandon()  # as if killed: nothing is finished
    keep = len(whole) - 1 - cut % (len(whole) - 1)
    path.write_bytes(whole[:keep])
    ends = [0, places[0].offset, *(p.offset + p.length for p in places)]
    assert cut_torn_tail(path) == max(end for end in ends if end <= keep)
    if keep >= places[0].offset:
        assert len(read(path)) == sum(p.offset + p.length <= keep for p in places) + 1


def test_a_dead_process_file_is_taken_over_at_the_journals_end(tmp_path):
    warc = writer(tmp_path)
    known = put(warc, 1)
    put(warc, 2)  # whole, but the journal never heard of it
    warc.abandon()
    again = writer(tmp_path, ends={known.file: known.offset + known.length})
    place = put(again, 2)
    again.close()
    urls = [r[1] for path in sorted(tmp_path.glob("*.warc.gz")) for r in read(path) if r[1]]
    assert urls == ["http://127.0.0.2/1", "http://127.0.0.2/2"]
    assert place.file != known.file
    assert not list(tmp_path.glob("*" + OPEN_SUFFIX))


def test_a_file_without_a_whole_record_is_removed(tmp_path):
    (tmp_path / ("w000-00003.warc.gz" + OPEN_SUFFIX)).write_bytes(b"\x1f\x8b\x08junk")
    warc = writer(tmp_path)
    assert put(warc, 1).file == "w000-00004.warc.gz"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_head_fits_the_stored_body():
    head = http_head(
        200,
        "OK",
        [("Content-Encoding", "gzip"), ("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
        9,
        True,
    )
    assert head.decode().split("\r\n") == [
        "HTTP/1.1 200 OK",
        "X-Archive-Orig-Content-Encoding: gzip",
        "X-Archive-Orig-Content-Length: 5",
        "X-Archive-Orig-Transfer-Encoding: chunked",
        "Content-Length: 9",
        "",
        "",
    ]


def test_a_full_disk_is_one_clear_line(tmp_path):
    assert "no space left" in str(write_failure(OSError(errno.ENOSPC, "x"), tmp_path))
    import resource

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    warc = writer(tmp_path)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, old[1]))  # a real write that the kernel refuses
        with pytest.raises(UserError, match="no space left on the disk; free some and run again"):
            _ = [put(warc, number, os.urandom(2_000)) for number in range(50)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    warc.abandon()
    again = writer(tmp_path)  # what was written before is whole
    put(again, 99)
    again.close()
    assert sum(len(read(path)) - 1 for path in tmp_path.glob("*.warc.gz")) >= 5
