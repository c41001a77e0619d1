"""Reading the input: what is promised for good records and for every kind of damage."""

import gzip
import io
import json
import os
import zlib
from pathlib import Path

import pytest
from fastwarc.warc import WarcRecord, WarcRecordType
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.errors import InputError
from sixfold.systems.rag.records import Dropped, Kind, RawRecord, Source
from sixfold.systems.rag.sources import Format, ReadOptions, Split, plan_splits, read_record, read_split

HTML = b"<html><body><p>A page about %d, and nothing else.</p></body></html>"


def warc(url: str, content: bytes, type=WarcRecordType.response, mime="application/http; msgtype=response") -> bytes:
    record = WarcRecord()
    record.init_headers(record_type=type)
    record.headers["WARC-Target-URI"] = url
    record.headers["Content-Type"] = mime
    record.set_bytes_content(content)
    out = io.BytesIO()
    record.write(out)
    return out.getvalue()


def http(body: bytes, mime="text/html", status="200 OK", extra="") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {mime}\r\n{extra}\r\n".encode() + body


def page(i: int) -> bytes:
    return warc(f"http://h/{i}", http(HTML % i))


DEFAULTS = ReadOptions()


def read_all(inputs, target_bytes=1 << 30, options=DEFAULTS):
    return [item for s in plan_splits(inputs, target_bytes) for item in read_split(s, options=options)]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def reasons(items) -> list[str]:
    return [i.reason if isinstance(i, Dropped) else "ok" for i in items]


@pytest.fixture(params=["x.warc", "x.warc.gz"])
def carrier(request, tmp_path):
    """Writes records as a plain or as a record-compressed WARC."""

    def save(*records: bytes) -> Path:
        pack = gzip.compress if request.param.endswith("gz") else bytes
        return write(tmp_path / request.param, b"".join(pack(r) for r in records))

    return save


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 40), target=st.integers(100, 4_000), compressed=st.booleans(), cut=st.integers(0, 40))
def test_splits_read_every_record_once_in_order_and_resume(tmp_path_factory, n, target, compressed, cut):
    folder = tmp_path_factory.mktemp("w")
    pack = gzip.compress if compressed else bytes
    request = warc("http://h/r", b"GET / HTTP/1.1\r\n\r\n", WarcRecordType.request)
    path = write(folder / "a.warc", b"".join(pack(page(i)) + pack(request) for i in range(n)))
    items = read_all([path], target)
    assert [i.url for i in items] == [f"http://h/{i}" for i in range(n)]
    offsets = [i.source.offset for i in items]
    assert offsets == sorted(set(offsets))
    for split in plan_splits([path], target):
        whole = list(read_split(split))
        done = split.position(whole[cut % len(whole)].source) if whole else -1
        assert list(read_split(split, done)) == [i for i in whole if i.source.offset > done]


def test_a_record_is_found_again_and_a_changed_file_is_noticed(carrier):
    path = carrier(*(page(i) for i in range(5)))
    items = read_all([path])
    assert [read_record(i.source) for i in items] == items
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"no record at offset \d+ any more: truncated"):
        read_record(items[-1].source)
    os.remove(path)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_record(items[0].source)


def test_a_false_length_does_not_hide_the_rest(tmp_path):
    lie = page(1).replace(b"Content-Length: ", b"Content-Length: 9999", 1)
    items = read_all([write(tmp_path / "x.warc", page(0) + lie + page(2))], options=ReadOptions(max_payload_bytes=1))
    assert reasons(items) == ["too-large"] * 3
    items = read_all([write(tmp_path / "x.warc", page(0) + lie + page(2))])
    assert reasons(items) == ["ok", "truncated", "ok"]


BAD_RECORDS = {
    "status": warc("http://h/x", http(b"gone", status="404 Not Found")),
    "unsupported-type": warc("http://h/x", http(b"\x89PNG\r\n\x1a\n" + b"\0" * 50, mime="image/png")),
    "binary": warc("http://h/x", http(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)),
    "empty": warc("http://h/x", http(b"")),
    "bad-http": warc("http://h/x", b"no header here"),
    "revisit": warc("http://h/x", b"", WarcRecordType.revisit),
    "too-large": warc("http://h/x", http(b"a" * 300_000)),
}


@pytest.mark.parametrize("reason", BAD_RECORDS)
def test_a_bad_record_is_named_and_its_neighbours_are_kept(carrier, reason):
    items = read_all([carrier(page(1), BAD_RECORDS[reason], page(2))], options=ReadOptions(max_payload_bytes=100_000))
    assert reasons(items) == ["ok", reason, "ok"]
    assert (items[1].url, items[1].stage) == ("http://h/x", "read")


@pytest.mark.parametrize(
    ("mime", "body", "kind", "charset"),
    [
        ("text/html; charset=KOI8-R", HTML, Kind.HTML, "koi8-r"),
        ("application/xhtml+xml", HTML, Kind.HTML, None),
        ("text/plain", b"words", Kind.TEXT, None),
        ("text/markdown", b"# words", Kind.MARKDOWN, None),
        ("text/plain; charset=utf-16", "words".encode("utf-16"), Kind.TEXT, "utf-16"),
        ("text/plain; charset=shift_jis", "日本語テキスト".encode("shift_jis"), Kind.TEXT, "shift_jis"),
    ],
)
def test_kinds(carrier, mime, body, kind, charset):
    (item,) = read_all([carrier(warc("http://h/", http(body, mime)))])
    assert (item.kind, item.payload) == (kind, body)
    assert (item.charset or "").lower() == (charset or "")


@pytest.mark.parametrize(
    ("header", "body", "payload"),
    [
        ("Content-Encoding: gzip\r\n", gzip.compress(HTML), HTML),
        ("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        ("Content-Encoding: gzip\r\n", HTML, HTML),  # crawlers keep the header of the encoded body
        ("Transfer-Encoding: chunked\r\n", HTML, HTML),
        ("Content-Encoding: nonsense\r\n", HTML, HTML),
    ],
)
def test_http_encodings_are_undone_or_already_were(carrier, header, body, payload):
    (item,) = read_all([carrier(warc("http://h/", http(body, extra=header)))])
    assert item.payload == payload


def test_http_compression_bomb_is_bounded(carrier):
    bomb = gzip.compress(b"a" * 50_000_000)
    items = read_all([carrier(warc("http://h/b", http(bomb, extra="Content-Encoding: gzip\r\n")), page(1))])
    assert reasons(items) == ["too-large", "ok"]


def test_gzip_bomb_and_hundred_megabyte_page_are_bounded(tmp_path):
    compressor = zlib.compressobj(9, wbits=31)
    head = b"WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: http://h/huge\r\n"
    head += b"Content-Length: 100000100\r\n\r\n"
    pieces = [compressor.compress(head + http(b""))] + [compressor.compress(b"a" * 1_000_000) for _ in range(100)]
    huge = b"".join(pieces) + compressor.flush()
    items = read_all([write(tmp_path / "x.warc.gz", gzip.compress(page(1)) + huge + gzip.compress(page(2)))])
    assert reasons(items) == ["ok", "too-large", "ok"]
    assert items[1].url == "http://h/huge"


def test_truncated_files_end_with_one_reason(carrier):
    path = carrier(*(page(i) for i in range(4)))
    path.write_bytes(path.read_bytes()[:-40])
    assert reasons(read_all([path])) == ["ok", "ok", "ok", "truncated"]
    assert reasons(read_all([path], target_bytes=300)) == ["ok", "ok", "ok", "truncated"]


def test_a_torn_record_in_the_middle_does_not_hide_the_rest(tmp_path):
    whole = [gzip.compress(page(i)) for i in range(4)]
    torn = write(tmp_path / "a.warc.gz", whole[0] + whole[1][:100] + whole[2] + whole[3])
    first, reason, *rest = reasons(read_all([torn]))
    assert (first, rest) == ("ok", ["ok", "ok"])
    assert reason in {"corrupt-gzip", "truncated"}  # by what the torn stream happens to decode to
    plain = [page(i) for i in range(4)]
    torn = write(tmp_path / "b.warc", plain[0] + plain[1][:200] + b"\r\n\r\n" + plain[2] + plain[3])
    assert [i.url for i in read_all([torn]) if isinstance(i, RawRecord)][-1] == "http://h/3"
    rubbish = write(tmp_path / "c.warc.gz", b"\x1f\x8b rubbish " * 20 + whole[0])
    assert reasons(read_all([rubbish])) == ["corrupt-gzip", "ok"]


@settings(max_examples=60, deadline=None)
@given(
    damage=st.lists(st.tuples(st.integers(0, 3_000), st.binary(min_size=1, max_size=40)), max_size=4),
    gz=st.booleans(),
)
def test_damage_anywhere_never_raises_and_offsets_stay_in_order(tmp_path_factory, damage, gz):
    data = bytearray(b"".join((gzip.compress if gz else bytes)(page(i)) for i in range(8)))
    for at, junk in damage:
        data[at % len(data) : at % len(data) + len(junk)] = junk
    path = write(tmp_path_factory.mktemp("d") / "x.warc", bytes(data))
    for target in (1 << 20, 500):
        splits = plan_splits([path], target)
        offsets = [i.source.offset for s in splits for i in read_split(s)]
        assert offsets == sorted(set(offsets))


def test_a_warc_gzipped_as_a_whole_says_what_to_do(tmp_path):
    for n, bound in ((5, 10_000_000), (500, 20_000)):
        path = write(tmp_path / "x.warc.gz", gzip.compress(b"".join(page(i) for i in range(n))))
        (item,) = read_all([path], options=ReadOptions(max_payload_bytes=bound))
        assert item.reason == "not-record-compressed"
        assert "recompress" in item.detail


def test_wet_records_are_text(tmp_path):
    record = warc("http://h/w", "Grüße".encode(), WarcRecordType.conversion, "text/plain")
    (item,) = read_all([write(tmp_path / "x.warc.wet.gz", gzip.compress(record))])
    assert (item.kind, item.payload.decode(), item.charset) == (Kind.TEXT, "Grüße", "utf-8")


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 30), target=st.integers(20, 2_000), done=st.integers(0, 30))
def test_jsonl_lines_are_read_once_in_any_split(tmp_path_factory, n, target, done):
    lines = [json.dumps({"url": f"http://h/{i}", "text": f"text {i} " * (i % 7 + 1)}) for i in range(n)]
    path = write(tmp_path_factory.mktemp("j") / "x.jsonl", "\n".join(lines).encode())
    items = read_all([path], target)
    assert [i.url for i in items] == [f"http://h/{i}" for i in range(n)]
    assert [read_record(i.source) for i in items] == items
    after = items[done % n].source.offset
    (split,) = plan_splits([path])
    assert list(read_split(split, after)) == items[done % n + 1 :]


def test_bad_lines_are_named(tmp_path):
    options = ReadOptions(max_payload_bytes=1_000, url_field="u", text_field="t", html_field="h")
    lines = [
        b'{"u": "http://h/1", "t": "one"}',
        b"{torn",
        b"[1]",
        b"\xff\xfe",
        b'{"u": "http://h/2"}',
        b"",
        b'{"h": "<p>two"}',
        b'{"t": "' + b"a" * 1_500 + b'"}',
        b'{"t": "' + b"a" * 200_000 + b'"}',
        b'{"u": "http://h/\\ud800", "t": "lone surrogate \\ud800"}',
    ]
    items = read_all([write(tmp_path / "x.jsonl", b"\n".join(lines))], options=options)
    expected = [
        "ok",
        "bad-json",
        "bad-json",
        "bad-json",
        "missing-field",
        "ok",
        "too-large",
        "too-large",
        "ok",
    ]
    assert reasons(items) == expected
    assert items[5].kind is Kind.HTML
    assert items[5].url.startswith("file://")


def test_a_folder_counts_what_it_cannot_read(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    write(tmp_path / ".hidden" / "a.html", HTML)
    write(tmp_path / "b.html", HTML)
    write(tmp_path / "sub" / "a.md", b"# A")
    write(tmp_path / "sub" / "logo.png", b"\x89PNG")
    write(tmp_path / "sub" / "image.txt", b"\x89PNG\r\n\x1a\n\0\0")
    write(tmp_path / "sub" / "none.txt", b"")
    write(tmp_path / "sub" / "huge.txt", b"a" * 2_000)
    (tmp_path / "sub" / "gone.html").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "sub" / "pipe.html")
    items = read_all([tmp_path], options=ReadOptions(max_payload_bytes=1_000))
    named = {i.url.rsplit("/", 1)[1]: i.reason if isinstance(i, Dropped) else i.kind.value for i in items}
    assert named == {
        "b.html": "html",
        "a.md": "markdown",
        "logo.png": "unsupported-type",
        "image.txt": "binary",
        "none.txt": "empty",
        "huge.txt": "too-large",
        "gone.html": "unreadable",
        "pipe.html": "unreadable",
    }
    (split,) = plan_splits([tmp_path])
    assert [split.position(i.source) for i in items] == list(range(len(items)))
    assert list(read_split(split, 3, ReadOptions(max_payload_bytes=1_000))) == items[4:]


def test_a_file_that_vanishes_after_planning_is_unreadable(tmp_path):
    for name in ("x.warc", "x.jsonl", "x.html"):
        split = plan_splits([write(tmp_path / name, page(1))])[0]
        os.remove(tmp_path / name)
        assert reasons(read_split(split)) == ["unreadable"]


def test_a_name_that_is_not_utf8_can_still_be_reported(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff.html", "wb") as file:
        file.write(HTML)
    (item,) = read_all([tmp_path])
    item.source.file.encode("utf-8")
    item.url.encode("utf-8")


def test_the_plan_does_not_depend_on_the_order_of_the_inputs(tmp_path):
    for i in range(20):
        write(tmp_path / f"{i:02}.html", HTML)
    write(tmp_path / "10a.warc", page(1) * 30)
    inputs = [str(tmp_path / "1*.*"), str(tmp_path / "0*.html"), str(tmp_path)]
    plan = plan_splits(inputs, 300)
    assert plan == plan_splits(inputs[::-1], 300)
    assert all(s.end > s.start for s in plan)
    assert {s.format for s in plan} == {Format.FILES, Format.WARC}
    ordinals = [(s.start, s.end) for s in plan if s.format is Format.FILES]
    assert [a for a, _ in ordinals[1:]] == [b for _, b in ordinals[:-1]]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.docx", b"PK", "unknown format, expected .warc"),
        ("x.warc.wat.gz", b"\x1f\x8b", "unknown format"),
        ("x.html", b"", "every file is empty or unreadable"),
        (None, None, "no such file, folder or match"),
    ],
)
def test_refused_inputs_say_so_in_one_line(tmp_path, name, data, message):
    if name:
        write(tmp_path / name, data)
    with pytest.raises(InputError, match=message) as caught:
        plan_splits([tmp_path / (name or "nothing*")])
    assert "\n" not in str(caught.value)


def test_an_empty_folder_or_list_is_refused(tmp_path):
    with pytest.raises(InputError, match="the folder has no files"):
        plan_splits([tmp_path])
    with pytest.raises(InputError, match="no records in no inputs"):
        plan_splits([])


def test_a_split_of_bytes_positions_by_offset():
    split = Split("x.warc", 100, 200, Format.WARC)
    item = RawRecord("u", b"", Kind.TEXT, None, source=Source("x.warc", 150, ""))
    assert split.position(item.source) == 150


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=6).filter(any), st.integers(1, 20_000))
@settings(max_examples=60, deadline=None)
def test_splits_cover_every_byte_once_and_get_smaller(tmp_path_factory, sizes, target):
    folder = tmp_path_factory.mktemp("splits")
    for number, size in enumerate(sizes):
        (folder / f"{number}.jsonl").write_bytes(b"\n" * size)
    splits = plan_splits([folder], target)
    for number, size in enumerate(sizes):
        mine = [s for s in splits if s.file.endswith(f"/{number}.jsonl")]
        assert [mine[0].start, *(s.end for s in mine)] == [*(s.start for s in mine), size]
    lengths = [s.end - s.start for s in splits]
    assert max(lengths) <= target + target // 2 + 1
    if len(sizes) == 1:  # within a file only its last one may be larger than the one before
        assert lengths[:-1] == sorted(lengths[:-1], reverse=True)
        assert lengths[-1] <= max(1, 1.5 * lengths[max(0, len(lengths) - 2)], 1.5 * target // 8)
