"""What is handed in is checked before anything is done with it."""

import pytest

from sixfold.errors import InputError
from sixfold.systems.rag.live import pages
from sixfold.systems.rag.live.pages import Page, check_call, page_of, raw_record
from sixfold.systems.rag.records import Dropped, Kind


@pytest.mark.parametrize(
    "url",
    [
        "",
        "relative/page",
        "http://a.test/with blank",
        "http://a.test/\nWARC-Type: x",
        "http://[::1/",
        "x" * 2_049,
        "a:b",
        "http://a.test/\ud800",
    ],
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(InputError, match=r"\[url\]"):
        Page(url, b"text")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "http://a.test/", "html": "x", "text": "y"}, "html"),
        ({"url": "http://a.test/"}, "html"),
        ({"url": "http://a.test/", "text": 3}, "text"),
        ({"url": None, "text": "x"}, "url"),
        ({"url": "http://a.test/", "text": "x", "title": 7}, "title"),
        ({"url": "http://a.test/", "text": "x", "title": "t" * 2_001}, "title"),
        ({"url": "http://a.test/", "text": "x", "author": "me"}, "author"),
    ],
)
def test_the_wrong_field_is_named(fields, field):
    with pytest.raises(InputError) as caught:
        page_of(fields)
    assert caught.value.field == field


def test_every_kind_of_page_is_taken():
    made = [page_of({"url": "file:///a/page", name: "é", "title": None}) for name in ("html", "text", "markdown")]
    assert [(page.kind, page.payload) for page in made] == [(kind, "é".encode()) for kind in Kind]


def test_a_call_is_bounded(monkeypatch):
    page = Page("http://a.test/", b"12345")
    monkeypatch.setattr(pages, "MOST_BYTES", 9)
    check_call([page])
    with pytest.raises(InputError, match="by several calls"):
        check_call([page, page])
    monkeypatch.setattr(pages, "MOST_PAGES", 0)
    with pytest.raises(InputError, match="by several calls"):
        check_call([page])


def test_what_could_not_be_read_back_is_no_record():
    assert raw_record(Page("http://a.test/", b"")).reason == "empty"
    picture = raw_record(Page("http://a.test/", b"\x89PNG\r\n\x1a\n" + bytes(100)))
    assert isinstance(picture, Dropped)
    assert picture.reason == "binary"
