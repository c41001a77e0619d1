"""The original page: nothing of it acts, and the passage is marked wherever its words stand."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import make_build
import pytest
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from sixfold.systems.rag.chunk import chunk_document
from sixfold.systems.rag.clean.cleaner import Cleaner, CleanerConfig
from sixfold.systems.rag.original import CONTENT_SECURITY_POLICY, MAX_SHOWN_BYTES, original_page
from sixfold.systems.rag.original_markup import ALLOWED_TAGS
from sixfold.systems.rag.original_match import find_passage, squeeze
from sixfold.systems.rag.records import Document, Kind, RawRecord, Source

URL = "https://docs.example/guide/page.html"
ATTRIBUTES = {"lang", "dir", "colspan", "rowspan", "open", "href", "rel", "target", "id", "class"}
OURS = {"html", "head", "meta", "title", "style", "body", "mark"}


def record(payload: bytes | str, kind: Kind = Kind.HTML, url: str = URL, charset: str | None = None) -> RawRecord:
    data = payload if isinstance(payload, bytes) else payload.encode("utf-8", "replace")
    return RawRecord(url, data, kind, charset, Source("in.warc", 0, "sha1:X"))


def shown(html: bytes | str, passage: str = "") -> str:
    return original_page(record(html), passage)


def marked(page: str) -> str:
    """The text of the marks, one after another."""
    return "".join(mark.text for mark in HTMLTree.parse(page).body.query_selector_all("mark"))


def elements(page: str) -> list[Any]:
    """Every element as a parser of the HTML standard (lexbor) builds it, which is not the one that was used."""
    tree = HTMLTree.parse(page)
    return [tree.document.query_selector("html"), *tree.document.query_selector_all("html *")]


def assert_harmless(page: str) -> None:
    for element in elements(page):
        tag = element.tag
        assert tag in ALLOWED_TAGS | OURS, f"<{tag}> in {page!r}"
        for name in element.attrs:
            value = element.getattr(name)
            assert name in ATTRIBUTES or tag == "meta", f"{name} of <{tag}>"
            if name == "href":
                assert re.match("https?://", value, re.IGNORECASE)
                assert element.getattr("rel") == "noopener noreferrer nofollow"
                assert element.getattr("target") == "_blank"
            if name == "id":
                assert value in ("about", "passage")
        if tag == "meta":
            assert set(element.attrs) in ({"charset"}, {"name", "content"})
    assert page.count("<style>") == 1


HOSTILE = [
    "<script>steal()</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT >",
    "<img src=x onerror=steal()>",
    "<svg onload=steal()><script>steal()</script></svg>",
    "<svg><style><img src=x onerror=steal()></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=1 onerror=steal()>'>",
    "<noscript><p title='</noscript><img src=x onerror=steal()>'></noscript>",
    "<a href=javascript:steal()>x</a>",
    "<a href=' java\tscript:steal()'>x</a>",
    "<a href='&#106;avascript:steal()'>x</a>",
    "<a href='data:text/html,<script>steal()</script>'>x</a>",
    "<a href='vbscript:x'>x</a><a href='//evil.example/'>x</a><a href='http://['>x</a>",
    "<base href='javascript:steal()//'><a href='x'>x</a>",
    "<meta http-equiv=refresh content='0;url=javascript:steal()'>",
    "<form action=https://evil.example><input name=q autofocus onfocus=steal()><button>go</button></form>",
    "<iframe srcdoc='<script>steal()</script>'></iframe><object data=x></object><embed src=x>",
    "<style>@import '//evil.example'</style><link rel=stylesheet href=//evil.example>",
    "<div style='background:url(//evil.example)' onclick=steal() id=passage class=about>x</div>",
    "<textarea></textarea><img src=x onerror=steal()>",
    "<xmp><img src=x onerror=steal()></xmp><plaintext>",
    "<!--><img src=x onerror=steal()>-->",
    "<!--[if IE]><script>steal()</script><![endif]-->",
    "<![CDATA[<script>steal()</script>]]>",
    "<?php <script>steal()</script> ?>",
    "<title></title><script>steal()</script></title>",
    "<table><td><a href=x onclick=steal()><table><script>steal()</script>",
    "<template><script>steal()</script></template><video><source onerror=steal()></video>",
    "<details ontoggle=steal() open><summary>x</summary></details><x-y onclick=steal()>z</x-y>",
    "<p lang='en\" onmouseover=\"steal()' dir='rtl x' colspan='1\"'>x</p>",
    "<html lang='de' onload=steal()><body onload=steal()>",
    "\x00<scr\x00ipt>steal()</scr\x00ipt>",
    "<mark id=passage>forged</mark>",
]


@pytest.mark.parametrize("html", HOSTILE)
def test_known_attacks_come_to_nothing(html: str) -> None:
    page = shown(f"<p>before {html} after</p>", "before")
    assert_harmless(page)
    assert page.count('id="passage"') == 1


anything = st.one_of(
    st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12), st.sampled_from(list("<>\"'/=&; -!`")))).map(
        "".join
    ),
    st.binary(max_size=300),
)


@given(anything, st.text(max_size=30))
def test_whatever_the_page_nothing_of_it_acts(html: bytes | str, passage: str) -> None:
    assert_harmless(shown(html, passage))


@given(anything, st.sampled_from(list(Kind)), st.text(max_size=40), st.sampled_from([None, "utf-16", "x", "gb18030"]))
def test_nor_of_its_address_or_another_kind_of_record(html: Any, kind: Kind, url: str, charset: str | None) -> None:
    assert_harmless(original_page(record(html, kind, url, charset), "x"))


words = st.lists(st.text("abcde&<é漢😀", min_size=1, max_size=8), min_size=1, max_size=40)


@given(words, words, words, st.data())
def test_a_passage_is_marked_across_tags_and_white_space(
    before: list[str], passage: list[str], after: list[str], data: st.DataObject
) -> None:
    def markup(of: list[str]) -> str:
        glue = data.draw(st.lists(st.sampled_from([" ", "\n\t ", "</p><p>", " <b>x", "<br>", "<!-- y -->"])))
        escaped = [word.replace("&", "&amp;").replace("<", "&lt;") for word in of]
        return "".join(
            word + (glue[at].replace("<b>x", "<i></i>") if at < len(glue) else " ") for at, word in enumerate(escaped)
        )

    html = f"<p>{markup(before)}</p><p>{markup(passage)}</p><p>{markup(after)}</p>"
    page = shown(html, " ".join(passage))
    assert squeeze(marked(page)) == squeeze(" ".join(passage))
    assert page.count('<mark id="passage">') == 1
    assert "The passage is marked." in page


def test_what_extraction_found_is_found_again_in_real_pages() -> None:
    cleaner = Cleaner(CleanerConfig(filters=(), languages=None))
    for topic in make_build.TOPICS:
        raw = record(make_build.page(topic), url=make_build.url(topic))
        document = cleaner.clean(raw)
        assert isinstance(document, Document)
        for chunk in chunk_document(document):
            page = original_page(raw, chunk.text)
            assert squeeze(marked(page)) == squeeze(chunk.text)


@given(words, st.data())
def test_what_is_cited_is_marked_more_strongly_and_is_where_to_look(passage: list[str], data: st.DataObject) -> None:
    text = " ".join(passage)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    body = "</b> <b>".join(word.replace("&", "&amp;").replace("<", "&lt;") for word in passage)
    page = original_page(record(f"<p><b>{body}</b> and more</p>"), text, (start, end))
    cited = HTMLTree.parse(page).body.query_selector_all("mark.cited")
    assert squeeze("".join(mark.text for mark in cited)) == squeeze(text[start:end])
    assert squeeze(marked(page)) == squeeze(text)
    assert page.count('id="passage"') == 1
    if cited:
        assert cited[0].getattr("id") == "passage"


@pytest.mark.parametrize("cited", [(-5, 3), (3, 1), (10_000, 20_000), (0, 10_000)])
def test_a_span_outside_the_passage_is_no_error(cited: tuple[int, int]) -> None:
    page = original_page(record("<p>some words here</p>"), "some words here", cited)
    assert squeeze(marked(page)) == "somewordshere"
    assert page.count('id="passage"') == 1


def test_what_was_left_out_of_the_passage_is_not_marked() -> None:
    page = shown(
        "<p>The first paragraph says one thing.</p><nav>Share this page</nav><p>The second says another.</p>",
        "The first paragraph says one thing.\nThe second says another.",
    )
    assert marked(page) == "The first paragraph says one thing.The second says another."
    assert "The passage is marked." in page


def test_a_part_is_marked_and_said_to_be_one() -> None:
    here = "These words are still in the page that was stored."
    page = shown(f"<p>{here}</p>", f"{here} But these, alas, were changed since.")
    assert squeeze(marked(page)).startswith(squeeze(here))
    assert re.search(r"Only 5\d % of the passage was found here", page)


def test_a_passage_that_is_not_there_is_said_not_to_be() -> None:
    page = shown("<p>Something else altogether.</p>", "The quick brown fox jumps over the lazy dog.")
    assert "not found in this copy" in page
    assert "<mark" not in page


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.MARKDOWN])
def test_plain_text_is_shown_as_it_is(kind: Kind) -> None:
    page = original_page(record("# Title\n\na <script>steal()</script> & b\n", kind), "a <script>steal()</script> &")
    assert_harmless(page)
    assert marked(page) == "a <script>steal()</script> &"


def test_the_theme_is_the_one_asked_for_and_otherwise_the_systems() -> None:
    assert "<html data-theme" not in shown("x")
    for theme in ("light", "dark"):
        assert f'<html data-theme="{theme}">' in original_page(record("x"), "x", theme=theme)


def test_links_lead_to_the_web_and_are_resolved_against_the_page() -> None:
    page = shown("<a href='../other.html?a=1&b=2#c'>x</a><base href='https://cdn.example/'><a href=y>y</a>")
    hrefs = [link.getattr("href") for link in HTMLTree.parse(page).body.query_selector_all("#about ~ a")]
    assert hrefs == ["https://docs.example/other.html?a=1&b=2#c", "https://cdn.example/y"]


def test_what_looks_like_personal_data_is_masked_as_in_the_index() -> None:
    page = shown("<p>Write to jane.doe@gmail.com today.</p>", "Write to [EMAIL] today.")
    assert "jane.doe" not in page
    assert marked(page) == "Write to [EMAIL] today."


def test_the_charset_is_that_of_the_carrier() -> None:
    page = original_page(record("<p>naïve café</p>".encode("cp1252"), charset="windows-1252"), "naïve café")
    assert marked(page) == "naïve café"


@pytest.mark.parametrize(
    "html",
    [
        b"<div>" * 400_000,
        b"<b>x" * 400_000,
        b"<a " + b"x=y " * 500_000,
        b"<table><tr><td>" * 100_000,
        b"&#x41;" * 300_000,
        b"word " * 400_000,
        b"<p>" + b"\xff\xfe" * 200_000,
    ],
    ids=["nested", "unclosed", "attributes", "tables", "references", "repeated", "garbage"],
)
def test_large_and_deep_pages_are_shown_as_far_as_it_goes(html: bytes) -> None:
    page = shown(html, "word word word and nothing else " * 50)
    depth = most = 0
    for tag in re.findall(r"<(/?)(?:div|b|table|tr|td|p|a)\b", page):
        depth += -1 if tag else 1
        most = max(most, depth)
    assert depth == 0
    assert most <= 202


def test_what_is_beyond_the_bound_is_missing_and_said_to_be() -> None:
    page = shown(b"<p>start</p>" + b" " * MAX_SHOWN_BYTES + b"<p>the end</p>", "start")
    assert "too large to be shown whole" in page
    assert "the end" not in page
    assert marked(page) == "start"


@given(st.text("ab ", max_size=400), st.text("ab ", max_size=120))
def test_runs_are_in_order_and_hold_only_what_is_in_the_passage(page: str, passage: str) -> None:
    dense_page, dense_passage = squeeze(page), squeeze(passage)
    match = find_passage(dense_page, dense_passage)
    ends = [0] + [end for _, end in match.runs]
    assert all(start < end and start >= before for (start, end), before in zip(match.runs, ends, strict=False))
    assert sum(end - start for start, end in match.runs) == match.found_chars <= match.total_chars
    at = 0
    for start, end in match.runs:
        at = dense_passage.index(dense_page[start:end], at)
    if dense_passage and dense_passage in dense_page:
        assert match.whole


def test_the_policy_allows_nothing_but_the_one_style_sheet() -> None:
    style = re.search("<style>(.*?)</style>", shown(""), re.DOTALL)
    assert style is not None
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    rules = dict(rule.partition(" ")[::2] for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == f"'sha256-{digest}'"
    assert "allow-scripts" not in rules["sandbox"]
    assert "allow-same-origin" not in rules["sandbox"]
    assert "allow-top-navigation" not in rules["sandbox"]
