from sixfold.systems.rag.crawl.journal import Done, Journal, read_journals
from sixfold.systems.rag.crawl.report import looping_redirects
from sixfold.systems.rag.crawl.warc import WarcPosition


def test_the_fold_knows_what_is_left(tmp_path):
    first = Journal(tmp_path, 0)
    first.found([("http://a/", 0, 0)])
    first.leased("http://a/")
    first.done(
        "http://a/",
        Done(WarcPosition("f", 0, 9, "sha1:X"), 0, 5, None),
        [("http://b/", 1, 0), ("http://c/", 1, 0)],
    )
    second = Journal(tmp_path, 1)
    second.redirect("http://b/", "http://d/", [("http://d/", 2, 1)])
    second.failed("http://c/", "http-404", "")
    second.close()
    state = read_journals(tmp_path)
    assert state.unfinished() == [("http://d/", 2, 1)]
    assert state.failed == {"http://c/": ("http-404", "")}
    assert state.leased == {"http://a/": 1}
    first.close()
    third = Journal(tmp_path, 0)
    assert third.life == 1
    third.close()


def test_a_torn_last_line_is_left_out(tmp_path):
    journal = Journal(tmp_path, 0)
    journal.found([("http://a/", 0, 0)])
    journal.failed("http://a/", "timeout", "")
    journal.close()
    path = next(tmp_path.glob("*.jsonl"))
    path.write_bytes(path.read_bytes()[:-4])
    assert read_journals(tmp_path).unfinished() == [("http://a/", 0, 0)]


def test_a_page_whose_record_never_reached_the_disk_is_fetched_again(tmp_path):
    archive = tmp_path / "warc"
    archive.mkdir()
    (archive / "w000-00000.warc.gz.open").write_bytes(b"x" * 100)
    journal = Journal(tmp_path / "journal", 0)
    journal.found([("http://a/", 0, 0), ("http://b/", 0, 0)])
    journal.done("http://a/", Done(WarcPosition("w000-00000.warc.gz", 0, 100, "d"), 0, 5, None), [])
    journal.done("http://b/", Done(WarcPosition("w000-00000.warc.gz", 100, 50, "d"), 0, 5, None), [])
    journal.close()
    state = read_journals(tmp_path / "journal", archive)
    assert list(state.done) == ["http://a/"]
    assert state.unfinished() == [("http://b/", 0, 0)]


def test_loops_are_found_from_the_whole_graph():
    chain = {"a": "b", "b": "c", "into": "x", "x": "y", "y": "x", "self": "self"}
    assert looping_redirects(chain) == {"into", "x", "y", "self"}
    assert looping_redirects(dict(reversed(chain.items()))) == {"into", "x", "y", "self"}
