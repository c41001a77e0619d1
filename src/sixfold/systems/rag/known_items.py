"""Known-item queries for the embedded web: a page's leading sentence, asked once the page has lost it.

The sentence is found in the clean text rather than by importing the module that the page documents: importing
runs code, and the text is what the index sees. What `leading_sentence` finds depends on the page alone, so
that workers can strip their pages without knowing the others; that only one page answers is checked later.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from sixfold.systems.rag.records import Document

__all__ = ["KnownItem", "known_item_qrels", "known_items", "leading_sentence", "strip_known_items"]

SHORTEST_WORDS, LONGEST_WORDS = 4, 40
_LINES_LOOKED_AT = 400
_LINES_OF_A_SENTENCE = 4

# A stop that ends a line or stands before a capital: not the one of "a.k.a. priority queue".
_SENTENCE = re.compile(r"(.+?[.!?])(?=\s*\n|\s+[A-Z]|\s*$)", re.DOTALL)
_CODE = re.compile(r"\w\(|[=<>{}\[\]|\\@#$~^*_]|::|\.\.\.|--|\s- ")


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A query and the one page that answers it; `summary` is what was cut from the page, as it stood."""

    query: str
    url: str
    summary: str


def leading_sentence(text: str) -> str | None:
    """The first sentence of prose in a page of documentation, with its line ends; None if there is none.

    It begins a line, has 4 to 40 words and no code, and is not a sentence that every class inherits.
    """
    lines = text.split("\n", _LINES_LOOKED_AT + _LINES_OF_A_SENTENCE)
    for at, line in enumerate(lines[:_LINES_LOOKED_AT]):
        if not line[:1].isalpha() or not line[:1].isupper():
            continue
        found = _SENTENCE.match("\n".join(lines[at : at + _LINES_OF_A_SENTENCE]))
        if found is None or _CODE.search(found[1]):
            continue
        words = found[1].split()
        letters = sum(map(str.isalpha, found[1])) / sum(map(len, words))
        if SHORTEST_WORDS <= len(words) <= LONGEST_WORDS and letters >= 0.85 and _plain(found[1]) not in _inherited():
            return found[1]
    return None


def strip_known_items(text: str, summaries: Iterable[str]) -> str:
    """The text without these sentences, however their words are spaced or broken into lines."""
    for summary in summaries:
        words = summary.split()
        if words:
            text = re.sub(r"(?<!\S)" + r"\s+".join(map(re.escape, words)) + r"(?!\S)[ \t]*\n?", "", text)
    return text


def known_items(
    documents: Iterable[Document], seed: int, n: int, summaries: Mapping[str, str] | None = None
) -> list[KnownItem]:
    """At most n queries, chosen by the seed, whose sentence occurs in one page only.

    documents: the pages, in any order.
    summaries: URL -> the sentence that was cut out of that page; without it the pages still have theirs.
    """
    pages = {document.url: document.text for document in documents}
    if summaries is None:
        found = {url: sentence for url in pages if (sentence := leading_sentence(pages[url]))}
    else:
        found = {url: sentence for url, sentence in summaries.items() if url in pages}
    # A page is searched together with the sentence it lost.
    plain = {url: f"{_plain(found.get(url, ''))}\n{_plain(text)}" for url, text in pages.items()}
    order = sorted(found)
    random.Random(seed).shuffle(order)
    items: list[KnownItem] = []
    for url in order:
        if len(items) >= n:
            break
        key = _plain(found[url])
        if not any(key in text for other, text in plain.items() if other != url):
            items.append(KnownItem(" ".join(found[url].split()), url, found[url]))
    return items


def known_item_qrels(items: Iterable[KnownItem]) -> dict[str, dict[str, int]]:
    """query -> {URL: 1}, as the ranking measures want it."""
    return {item.query: {item.url: 1} for item in items}


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


@cache
def _inherited() -> frozenset[str]:
    """What pydoc prints for nearly every class: the sentences in the docstrings of `object` and `type`."""
    texts = [str(getattr(member, "__doc__", "")) for base in (object, type) for member in vars(base).values()]
    lines = [line for text in texts for line in text.split("\n")]
    return frozenset(_plain(part) for line in lines for part in re.split(r"(?<=[.!?])\s+", line))
