import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.systems.rag.crawl import links
from sixfold.systems.rag.crawl.links import LinkExtractor, canonical_url, host_of


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://Example.ORG:80/a/../b/./c#part", "http://example.org/b/c"),
        ("https://example.org:443", "https://example.org/"),
        ("http://example.org/%7euser/a%2fb", "http://example.org/~user/a%2Fb"),
        ("http://example.org/a b?q=1 2", "http://example.org/a%20b?q=1%202"),
        ("http://example.org/?b=2&a=1", "http://example.org/?b=2&a=1"),
        ("http://user:secret@example.org/", "http://example.org/"),
        ("http://127.0.3.7:8000/pydoc/os.html#x", "http://127.0.3.7:8000/pydoc/os.html"),
        ("http://example.org/../../x", "http://example.org/x"),
        ("http://example.org/a/b/..", "http://example.org/a/"),
        ("http://example.org./", "http://example.org/"),
        ("http://Bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("http://exa mple.org/", None),
        ("ftp://example.org/", None),
        ("mailto:a@example.org", None),
        ("javascript:void(0)", None),
        ("http://", None),
        ("http:///path", None),
        ("http://example.org:99999/", None),
        ("http://[::1/", None),
        ("http://example.org/" + "a" * 3_000, None),
    ],
)
def test_canonical_spelling(url, canonical):
    assert canonical_url(url) == canonical


@given(st.text(max_size=60))
def test_a_canonical_url_is_its_own_canonical_spelling(text):
    for candidate in (text, f"http://h/{text}", f"http://h/?{text}", f"http://{text}/"):
        once = canonical_url(candidate)
        if once is not None:
            assert canonical_url(once) == once
            assert once.isascii()
            assert "#" not in once
            assert not set(once) & set(" \t\r\n")
            assert host_of(once)


PLAIN = "abcXYZ019_~./-:?#%&@ é"


@given(host=st.text("ab1._-", max_size=6), port=st.sampled_from(["", ":80", ":443", ":8000", ":59999", ":65536", ":0"]),
       path=st.text(PLAIN, max_size=12), scheme=st.sampled_from(["http", "https"]))  # fmt: skip
def test_the_short_way_gives_what_the_long_way_gives(host, port, path, scheme):
    url = f"{scheme}://{host}{port}/{path}"
    short = canonical_url(url)
    links._PLAIN, kept = re.compile("(?!)"), links._PLAIN
    try:
        assert canonical_url(url) == short
        for href in (path, "/" + path):
            long = links._resolve("http://h/d/", href)
            links._PLAIN_NAME, name = re.compile("(?!)"), links._PLAIN_NAME
            try:
                assert links._resolve("http://h/d/", href) == long
            finally:
                links._PLAIN_NAME = name
    finally:
        links._PLAIN = kept


def test_links_of_a_page():
    page = b"""<html><head><base href="/docs/"></head><body>
    <!-- <a href="/commented">no</a> --><script>x = '<a href="/scripted">'</script>
    <A class=x HREF='one.html#a'>1</A> <a href=two.html>2</a> <a href="one.html">again</a>
    <a title="a > b" href="three.html?a=1&amp;b=2">3</a> <area href="//other.example/x">
    <a href="#here">here</a> <a href="">self</a> <a href="mailto:x@y.z">m</a> <a href="javascript:1">j</a>
    <a name="anchor">none</a> <a href="../up.html"> <a data-href="/data">no</a>
    <a href="http://[broken">b</a></body></html>"""
    assert LinkExtractor()("http://h:1/start/page.html", page) == [
        "http://h:1/docs/one.html",
        "http://h:1/docs/two.html",
        "http://h:1/docs/three.html?a=1&b=2",
        "http://other.example/x",
        "http://h:1/up.html",
    ]


def test_a_query_alone_is_relative_to_the_page():
    assert LinkExtractor()("http://h/a/b?x=1", b'<a href="?x=2">') == ["http://h/a/b?x=2"]


def test_the_number_of_links_is_bounded():
    page = b"".join(b'<a href="/%d">' % n for n in range(50))
    assert len(LinkExtractor()("http://h/", page, limit=7)) == 7


@given(st.binary(max_size=400))
def test_any_bytes_have_links_or_none(data):
    for link in LinkExtractor()("http://h/", b'<a href="' + data + b'">'):
        assert link.startswith(("http://", "https://"))


@pytest.mark.parametrize("unit", [b"<!--", b"<script", b"<a ", b"<a '", b'<a "x', b"<a href", b"<a href='", b"<a x "])
def test_a_hostile_page_takes_linear_time(unit):
    import time

    start = time.process_time()
    LinkExtractor()("http://h/", unit * (2_000_000 // len(unit)))
    assert time.process_time() - start < 2.0
