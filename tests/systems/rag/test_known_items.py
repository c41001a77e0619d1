"""Known-item queries: found in the text alone, cut out of it, and answered by one page only."""

from __future__ import annotations

import graphlib
import heapq
import pydoc
import textwrap
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.systems.rag.clean.extract import extract
from sixfold.systems.rag.known_items import (
    known_item_qrels,
    known_items,
    leading_sentence,
    strip_known_items,
)
from sixfold.systems.rag.records import Document, Source, document_id


def page(url: str, text: str) -> Document:
    return Document(document_id(url), url, "a title", text, "en", Source("f", 0, "sha1:A"), b"")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Text wrapping and filling.\nModules\n", "Text wrapping and filling."),
        (
            "json (version 2.0.9)\nindex\n/usr/lib/json.py\nReads and writes\nJSON text. More.\n",
            "Reads and writes\nJSON text.",
        ),
        (
            "Heap queue algorithm (a.k.a. priority queue).\nHeaps are",
            "Heap queue algorithm (a.k.a. priority queue).",
        ),
        ("f(x, y)\nReturn the larger of two. Slow.", "Return the larger of two."),
        ("Too short.\nCONSTANT = 4.\nCall f(x) to get it done.\nMethods defined here:\n", None),
        ("Create and return a new object.  See help(type) for accurate signature.\n", None),  # of every class
        ("no capital at the beginning of this.\n", None),
        ("A sentence that never comes to its end", None),
        ("", None),
    ],
)
def test_leading_sentence(text: str, sentence: str | None) -> None:
    assert leading_sentence(text) == sentence


@pytest.mark.parametrize(
    ("module", "query"),
    [
        (textwrap, "Text wrapping and filling."),
        (heapq, "Heap queue algorithm (a.k.a. priority queue)."),
        (
            graphlib,
            "Subclass of ValueError raised by TopologicalSorter.prepare if cycles exist in the working",
        ),
    ],
)
def test_pages_as_pydoc_serves_them(module: object, query: str) -> None:
    html = pydoc.HTMLDoc()
    text = extract(html.page("Python: a module", html.document(module, "m"))).text
    sentence = leading_sentence(text)
    assert sentence is not None
    assert " ".join(sentence.split()).startswith(query)
    stripped = strip_known_items(text, [sentence])
    assert " ".join(sentence.split()) not in " ".join(stripped.split())
    assert len(stripped) > 0.9 * (len(text) - len(sentence))


@given(st.lists(st.sampled_from(["Reads", "the", "page.", "a(b)", "\n", "  ", "Then", "writes", "it."]), max_size=60))
def test_what_is_found_can_be_cut_out(words: list[str]) -> None:
    text = " ".join(words).replace(" \n ", "\n")
    sentence = leading_sentence(text)
    if sentence is None:
        return
    assert sentence in text
    stripped = strip_known_items(text, [sentence])
    assert len(stripped.split()) <= len(text.split()) - len(sentence.split())


def test_cutting_spares_the_rest() -> None:
    text = "Before.\nReads the\n  whole page.\nAfter: Reads the whole page. End. Rereads the whole page.x\n"
    assert strip_known_items(text, ["Reads the whole page."]) == "Before.\nAfter: End. Rereads the whole page.x\n"
    assert strip_known_items(text, []) == text
    assert strip_known_items("a+b (c) is.", ["a+b (c) is."]) == ""


def test_ambiguous_sentences_are_not_asked() -> None:
    shared = "Does the same in both places."
    pages = [
        page("http://a/1", f"{shared}\nx"),
        page("http://a/2", f"Other sentence stands at the front.\n{shared.upper()}"),
        page("http://a/3", "Only this page says so.\n"),
        page("http://a/4", "no prose here"),
    ]
    items = known_items(pages, seed=0, n=10)
    assert sorted((item.url, item.query) for item in items) == [
        ("http://a/2", "Other sentence stands at the front."),
        ("http://a/3", "Only this page says so."),
    ]
    assert known_item_qrels(items)["Only this page says so."] == {"http://a/3": 1}
    assert known_items(reversed(pages), seed=0, n=10) == items  # whatever order the pages come in
    cut = {p.url: sentence for p in pages if (sentence := leading_sentence(p.text))}
    stripped = [replace(p, text=strip_known_items(p.text, [cut[p.url]] if p.url in cut else [])) for p in pages]
    assert known_items(stripped, seed=0, n=10, summaries=cut) == items  # as a build leaves them behind
    assert known_items(stripped[:1], seed=0, n=10, summaries=cut)[0].url == "http://a/1"
    assert len(known_items(pages, seed=0, n=1)) == 1
    assert known_items([], seed=0, n=1) == []
