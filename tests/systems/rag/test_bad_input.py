"""Whatever is wrong with the input is named and counted or refused in one line, and nothing else is lost.

Cyclic links and hosts that never answer are bad input of the crawl: crawl/test_crawler.py.
"""

import gzip
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from sixfold.axes import Axis
from sixfold.systems.rag.build import build
from sixfold.systems.rag.build_folder import BuildSettings
from sixfold.systems.rag.crew import SerialCrew
from sixfold.systems.rag.operate import run_why

GOOD, BAD = "http://good.example/", "http://bad.example/"
GERMAN = "Größe und Übermaß: für Straßen gilt die Länge, so heißt es später in den Gesetzen über Brücken. "


def summary_of(inputs, index, **settings):
    chosen = BuildSettings(preset="documentation", **settings)
    return build([str(i) for i in inputs], index, chosen, SerialCrew(Axis.DATA), lambda *_: None)


def refused(done, *words):
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("reason", "make"),
    [
        ("read: truncated", lambda m: m.record(BAD, m.page("class"))[:-400]),
        ("read: corrupt-gzip", lambda m: m.record(BAD, m.page("class"))[:600] + b"\xff" * 300),
        ("read: bad-record", lambda m: gzip.compress(b"WARC/1.1\r\nnonsense\r\n\r\n")),
        ("read: too-large", lambda m: m.record(BAD, b"<p>" + b"a page of one hundred megabytes " * 3_200_000)),
        ("read: too-large", lambda m: m.record(BAD, gzip.compress(bytes(10**8)), headers="Content-Encoding: gzip\n")),
        ("read: binary", lambda m: m.record(BAD, b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40)),
        ("read: unsupported-type", lambda m: m.record(BAD, b"PK\x03\x04" + bytes(99), mime="application/zip")),
        ("read: empty", lambda m: m.record(BAD, b"")),
        ("extract: no-text", lambda m: m.record(BAD, b"<html><body><script>x()</script></body></html>")),
    ],
    ids=["truncated", "corrupt", "rubbish", "100MB", "bomb", "binary", "zip", "empty", "no text"],
)
def test_what_is_wrong_with_a_record_is_counted_and_its_neighbours_are_kept(making, tmp_path, reason, make):
    records = [making.record(GOOD + "1", making.page("class")), make(making)]
    if reason != "read: truncated":  # of the last record of a file, that is
        records.append(making.record(GOOD + "2", making.page("lambda")))
    path = tmp_path / "some.warc.gz"
    path.write_bytes(b"".join(records))
    summary = summary_of([path], tmp_path / "index")
    assert summary.dropped == {reason: 1}
    assert summary.records == len(records)
    assert summary.documents == len(records) - 1
    if reason not in ("read: corrupt-gzip", "read: bad-record"):  # those have lost their URL
        fates = run_why(BAD, tmp_path / "index")
        assert [f"{fate['stage']}: {fate['reason']}" for fate in fates] == [reason]


def test_a_wrong_charset_is_found_out(making, tmp_path):
    page = f"<html><body><main><p>{GERMAN * 3}</p></main></body></html>".encode("cp1252")
    path = tmp_path / "german.warc.gz"
    path.write_bytes(making.record(GOOD, page, mime="text/html; charset=utf-8"))
    summary_of([path], tmp_path / "index", languages=None)
    assert run_why(GOOD, tmp_path / "index")[0].get("reason") not in ("undecodable", "no-text")


def test_loose_files_that_are_no_pages_are_counted(making, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "good.html").write_bytes(making.page("class"))
    (site / "picture.png").write_bytes(b"\x89PNG")
    (site / "fake.html").write_bytes(bytes(range(256)) * 9)
    (site / "gone.html").symlink_to(tmp_path / "nowhere")
    (site / "gone.warc.gz").symlink_to(tmp_path / "nowhere")
    (site / "loop").symlink_to(site)
    os.mkfifo(site / "pipe.html")
    (site / "broken.jsonl").write_text('{"url": "http://x/", "text": \n[1]\n{"url": "http://y/"}\n')
    summary = summary_of([site], tmp_path / "index")
    assert summary.documents == 1
    assert summary.dropped == {
        "read: bad-json": 2, "read: binary": 1, "read: missing-field": 1, "read: unreadable": 3,
        "read: unsupported-type": 1,
    }  # fmt: skip


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_counted(making, corpus, tmp_path):
    path = tmp_path / "secret.warc.gz"
    path.write_bytes(b"x")
    path.chmod(0)
    assert summary_of([*corpus, path], tmp_path / "index").dropped["read: unreadable"] == 1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.warc", None, "no such file"),
        ("paper.pdf", b"%PDF-1.4", "unknown format"),
        ("empty.warc.gz", b"", "every file is empty"),
        ("folder.warc", "folder", "the folder has no files"),
    ],
)
def test_input_that_cannot_be_one_is_refused_in_one_line(making, tmp_path, name, content, words):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    refused(making.sixfold(*making.build_arguments([str(path)], tmp_path / "index", workers=2)), words, str(path))
    assert not (tmp_path / "index").exists()


def test_a_corpus_without_a_single_page_makes_an_empty_index(making, tmp_path):
    path = tmp_path / "no.warc.gz"
    path.write_bytes(making.record(BAD, b""))
    summary = summary_of([path], tmp_path / "index")
    assert (summary.records, summary.documents, summary.dropped) == (1, 0, {"read: empty": 1})
    asked = making.sixfold("rag", "ask", "anything", "--index", str(tmp_path / "index"))
    assert asked.returncode == 0
    assert "no passage" in asked.stdout


@pytest.mark.parametrize("limit_bytes", [2_000, 30_000])
def test_a_full_disk_stops_the_build_with_one_line_and_a_later_run_finishes(making, corpus, tmp_path, limit_bytes):
    """No file may grow beyond the limit: small enough to stop the journal, and large enough for the segment."""
    index = tmp_path / "index"

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    arguments = making.build_arguments(corpus[:1], index)
    refused(making.sixfold(*arguments, preexec_fn=limit), str(index), "File too large")
    assert not (index / "manifest.json").exists()
    for path in (index, tmp_path / "whole"):
        summary_of(corpus[:1], path)
    assert making.index_bytes(index) == making.index_bytes(tmp_path / "whole")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_small_disk(making, corpus, tmp_path):
    index = tmp_path / "index"
    index.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120k", "none", str(index)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no mounts here")
    try:
        refused(making.sixfold(*making.build_arguments(corpus[:1], index)), "No space left", str(index))
        subprocess.run(["mount", "-o", "remount,size=9m", str(index)], check=True)
        for path in (index, tmp_path / "whole"):
            summary_of(corpus[:1], path)
        assert making.index_bytes(index) == making.index_bytes(tmp_path / "whole")
    finally:
        subprocess.run(["umount", "-l", str(index)], check=True)


def test_a_place_that_cannot_be_written_to_is_named(making, corpus):
    refused(making.sixfold(*making.build_arguments(corpus, Path("/dev/null/index"))), "/dev/null/index")
