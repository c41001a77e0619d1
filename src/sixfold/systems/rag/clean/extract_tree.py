"""A page as a flat list of boxes (block-level elements) and blocks (runs of text between box edges).

The page is read once, by libxml2's tolerant HTML parser (through lxml) calling back here; no document tree is
built, so neither depth nor size of a page can exhaust a stack. Boxes come in document order and own the
half-open range of blocks `first:last`; a question about a subtree is a difference of two prefix sums.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from sixfold.systems.rag.clean.extract_labels import (
    ASIDE,
    BODY,
    COMMENTS,
    FURNITURE,
    HEADINGS,
    MAX_NAME_CHARS,
    META,
    TAG_LABELS,
    label_of_element,
    words,
)

__all__ = ["MAX_DEPTH", "Block", "Box", "Page", "parse"]

MAX_DEPTH: Final = 512  # open elements, as in browsers; libxml2 walks all of them to match an end tag
CHUNK_BYTES: Final = 1 << 15  # the depth is looked at between chunks
BREAK: Final = "\x1e"  # stands for <br> until the text of a block is folded; str.split() sees white space

# Elements that open a box. Any other is inline, unless its label says that it is furniture.
BLOCK_TAGS = HEADINGS | words(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption"
    " figure footer form header hgroup hr legend li main menu nav ol p pre section summary table tbody td"
    " tfoot th thead tr ul"
)
# Elements whose content is never text of the page: code, replaced content, controls, fallbacks.
SKIPPED_TAGS = words(
    "applet audio button canvas datalist embed frameset iframe meter noframes noscript object optgroup option"
    " progress script select style svg template textarea video"
)
# Which labels make a box of an inline element: words of a sentence are not cut out for being called "source".
INLINE_BOXES = FURNITURE | ASIDE | COMMENTS | META
PHRASE_BOXES = dict.fromkeys(words("a abbr b cite code em i strong tt"), FURNITURE | COMMENTS)
PHRASE_TAG = re.compile(r"</?(?:b|big|center|em|font|i|nobr|s|small|span|strike|strong|tt|u)\b[^>]*>", re.IGNORECASE)
IDEOGRAMS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")


@dataclass(slots=True)
class Box:
    """A block-level element; `parent` is an index into `Page.boxes` (-1 for the outermost)."""

    tag: str
    parent: int
    label: int  # bits of extract_labels
    names: str  # class and id
    first: int
    last: int = 0
    end: int = 0  # the boxes of this subtree run from its own index to `end`


@dataclass(slots=True)
class Block:
    """A run of text directly inside one box (-1: none), white space collapsed except in `pre`."""

    text: str
    chars: int  # its length in letters of an alphabet: an ideogram or syllable counts as two
    link_chars: int  # of these, inside links
    box: int


@dataclass(slots=True)
class Page:
    """What `parse` read: boxes and blocks in document order, <title> and the Open Graph title."""

    boxes: list[Box] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    title: str = ""
    og_title: str = ""
    too_deep: bool = False


def parse(html: str) -> Page:
    """Read a page; never raises on a string.

    A page with more than MAX_DEPTH open elements is read again without markup of phrases, which unclosed tags
    pile up; if that does not help, it is read as far as the limit.
    """
    page = _read(html)
    return _read(PHRASE_TAG.sub("", html)) if page.too_deep else page


def _read(html: str) -> Page:
    reader = _Reader()
    parser = etree.HTMLParser(target=reader, huge_tree=True, encoding="utf-8")
    data = html.replace("\0", " ").encode("utf-8", "replace")
    try:
        for start in range(0, len(data), CHUNK_BYTES):
            parser.feed(data[start : start + CHUNK_BYTES])
            if reader.depth > MAX_DEPTH:
                reader.page.too_deep = True
                break
        else:
            if data:
                parser.close()
    except etree.XMLSyntaxError:
        pass  # nothing but white space; what was read stands
    return reader.close()


class _Reader:
    """The parser's target: turns its events into boxes and blocks."""

    def __init__(self) -> None:
        self.page = Page()
        self.depth = 0  # open elements
        self._skip = 0  # depth of the outermost open skipped element, 0 if none; likewise the next two
        self._link = 0
        self._pre = 0
        self._open: list[tuple[int, int]] = [(0, -1)]  # (depth, index) of the open boxes
        self._pieces: list[str] = []  # text since the last edge of a box
        self._link_chars = 0
        self._title: list[str] | None = None

    def start(self, tag: str, attrs: Mapping[str, str]) -> None:
        self.depth += 1
        if self._skip:
            return
        if tag in SKIPPED_TAGS:
            self._skip = self.depth
            return
        label = 0
        if not self._pre:  # in code, "comment" or "tag" is what a highlighter calls a word
            label = label_of_element(tag, attrs) if attrs else TAG_LABELS.get(tag, 0)
        if tag in BLOCK_TAGS or (label and label & PHRASE_BOXES.get(tag, INLINE_BOXES)) or "-" in tag:
            self._open_box(tag, label, attrs)
        if tag == "a":
            if not self._link and "href" in attrs:  # without it, the target of a link
                self._link = self.depth
        elif tag == "br":
            self._break()
        elif tag == "title" and not self.page.title:
            self._title = []
        elif tag == "meta" and attrs.get("property") == "og:title":
            self.page.og_title = " ".join(attrs.get("content", "").split())

    def end(self, tag: str) -> None:
        depth = self.depth
        self.depth = depth - 1
        if self._skip:
            if self._skip == depth:
                self._skip = 0
            return
        if self._open[-1][0] == depth:
            if self._pieces:
                self._flush()
            self._close_box()
            if self._pre == depth:
                self._pre = 0
        if self._link == depth:
            self._link = 0
        if tag == "title" and self._title is not None:
            self.page.title = " ".join("".join(self._title).split())
            self._title = None

    def data(self, text: str) -> None:
        if self._skip:
            return
        if self._title is not None:
            self._title.append(text)
            return
        if not self._pieces and not self._pre and text.isspace():
            return  # indentation of the markup; most of the pieces are
        self._pieces.append(text)
        if self._link:
            self._link_chars += len(text)

    def close(self) -> Page:
        self._flush()
        while len(self._open) > 1:
            self._close_box()
        return self.page

    def _open_box(self, tag: str, label: int, attrs: Mapping[str, str]) -> None:
        if self._pieces:
            self._flush()
        boxes = self.page.boxes
        self._open.append((self.depth, len(boxes)))
        names = attrs.get("class", "")[:MAX_NAME_CHARS] if label & BODY else ""
        boxes.append(Box(tag, self._open[-2][1], label, names, len(self.page.blocks)))
        if tag == "pre" and not self._pre:
            self._pre = self.depth

    def _close_box(self) -> None:
        box = self.page.boxes[self._open.pop()[1]]
        box.last = len(self.page.blocks)
        box.end = len(self.page.boxes)

    def _break(self) -> None:
        """One <br> is a line break, two in a row part paragraphs as old pages do."""
        for piece in reversed(self._pieces):
            if piece is BREAK:
                if not self._pre:
                    self._flush()
                    return
                break
            if not piece.isspace():
                break
        if self._pieces:
            self._pieces.append(BREAK)

    def _flush(self) -> None:
        if not self._pieces:
            return
        raw = "".join(self._pieces)
        self._pieces = []
        link_chars, self._link_chars = self._link_chars, 0
        if self._pre:
            text = raw.replace(BREAK, "\n").strip("\n").rstrip()
        elif BREAK in raw:
            text = "\n".join(filter(None, (" ".join(line.split()) for line in raw.split(BREAK))))
        else:
            text = " ".join(raw.split())
        if not text or text.isspace():
            return
        chars = len(text)
        link_chars = min(link_chars, chars)
        if not text.isascii() and (wide := len(IDEOGRAMS.findall(text))):
            link_chars += link_chars * wide // chars
            chars += wide
        self.page.blocks.append(Block(text, chars, link_chars, self._open[-1][1]))
