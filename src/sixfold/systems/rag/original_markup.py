"""Any HTML as a list of pieces that are safe to show: text, and the few tags that give it shape.

Nothing of the markup is passed on. The page is read by libxml2, and what is written is made anew: tags of an
allow-list with the attributes named here, and text, which the caller escapes. None of these tags makes a browser
read what follows by other rules (as script, style, textarea, svg or noscript do), so a browser's parser cannot come
to another reading of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Final
from urllib.parse import urljoin

from lxml import etree

from sixfold.systems.rag.clean.extract_labels import words
from sixfold.systems.rag.clean.extract_tree import CHUNK_BYTES, MAX_DEPTH, PHRASE_TAG, SKIPPED_TAGS

__all__ = ["ALLOWED_TAGS", "Markup", "Piece", "SafePage", "safe_page"]

ALLOWED_TAGS: Final = words(
    "a abbr address article aside b bdi bdo blockquote br caption center cite code col colgroup dd del details dfn"
    " div dl dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i ins kbd li main nav ol p pre q rp rt ruby s"
    " samp section small span strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr"
)
MAX_NESTING: Final = 200  # tags within tags that are written; the text of deeper ones stays
MAX_URL_CHARS: Final = 2_000
MAX_ALT_CHARS: Final = 300
_VOID = words("br col hr wbr")
_SKIPPED = SKIPPED_TAGS | words("frameset listing math noembed plaintext title xmp")
_NUMBER = re.compile(r"[0-9]{1,3}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,3}")
# What an attribute may be, wherever it stands.
_PLAIN = {"lang": _LANGUAGE, "dir": re.compile("ltr|rtl|auto"), "colspan": _NUMBER, "rowspan": _NUMBER}
_CONTROLS = re.compile("[\x00-\x20\x7f-\x9f\ud800-\udfff]")


class Markup(str):
    """A piece that is written as it is; a piece of plain `str` is text and is escaped."""

    __slots__ = ()


Piece = Markup | str


@dataclass(frozen=True, slots=True)
class SafePage:
    """The body of a page; `pieces` in their order are balanced HTML once those that are text are escaped."""

    pieces: list[Piece]
    attributes: str  # language and direction of the whole page, as they are written into a tag
    whole: bool  # False: it nests too deeply, and was read up to there


@dataclass(slots=True)
class _Reader:
    """The parser's target."""

    base: str
    pieces: list[Piece] = field(default_factory=list)
    attributes: str = ""
    depth: int = 0  # open elements
    _skip: int = 0  # depth of the outermost skipped element, 0 if none
    _open: list[str] = field(default_factory=list)  # of the open elements, what closes them
    _nesting: int = 0  # of these, how many are written
    _text: list[str] = field(default_factory=list)  # since the last tag that is written

    def start(self, tag: str, attrs: Mapping[str, str]) -> None:
        self.depth += 1
        if self._skip:
            return
        if tag in _SKIPPED:
            self._skip = self.depth
            return
        closing = ""
        if tag == "html":
            self.attributes = _plain_attributes(attrs, ("lang", "dir"))
        elif tag == "base":
            self.base = _web_url(attrs.get("href", ""), self.base) or self.base
        elif tag == "img":
            if alt := attrs.get("alt", "").strip():
                self._write(f'<span class="image">{escape(alt[:MAX_ALT_CHARS])}</span>')
        elif tag in ALLOWED_TAGS and (tag in _VOID or self._nesting < MAX_NESTING):
            self._write(f"<{tag}{self._attributes(tag, attrs)}>")
            closing = "" if tag in _VOID else f"</{tag}>"
        self._nesting += bool(closing)
        self._open.append(closing)

    def end(self, _: str) -> None:
        depth = self.depth
        self.depth -= 1
        if self._skip:
            if self._skip == depth:
                self._skip = 0
        elif self._open:
            self._close()

    def data(self, text: str) -> None:
        if not self._skip:
            self._text.append(text)

    def close(self) -> list[Piece]:
        while self._open:
            self._close()
        self._flush()
        return self.pieces

    def _flush(self) -> None:
        # The parser cuts text at every reference: what is one to a reader becomes one piece.
        if self._text:
            self.pieces.append("".join(self._text))
            self._text = []

    def _write(self, markup: str) -> None:
        self._flush()
        self.pieces.append(Markup(markup))

    def _close(self) -> None:
        if closing := self._open.pop():
            self._nesting -= 1
            self._write(closing)

    def _attributes(self, tag: str, attrs: Mapping[str, str]) -> str:
        if tag == "details":  # what was found in it has to be seen
            return " open"
        written = _plain_attributes(attrs, tuple(_PLAIN))
        if tag == "a" and (url := _web_url(attrs.get("href", ""), self.base)):
            written += f' href="{escape(url)}" rel="noopener noreferrer nofollow" target="_blank"'
        return written


def safe_page(html: str, url: str) -> SafePage:
    """What can be shown of a page, its links resolved against `url`.

    Takes time in proportion to the length; never raises on a string.
    """
    reader, whole = _read(html, url)
    if not whole:  # unclosed tags of phrases pile up
        reader, whole = _read(PHRASE_TAG.sub("", html), url)
    return SafePage(reader.close(), reader.attributes, whole)


def _read(html: str, url: str) -> tuple[_Reader, bool]:
    reader = _Reader(url)
    parser = etree.HTMLParser(target=reader, huge_tree=True, encoding="utf-8")
    data = html.replace("\0", " ").encode("utf-8", "replace")
    try:
        for start in range(0, len(data), CHUNK_BYTES):
            parser.feed(data[start : start + CHUNK_BYTES])
            if reader.depth > MAX_DEPTH:
                return reader, False
        if data:
            parser.close()
    except etree.XMLSyntaxError:
        pass  # nothing but white space; what was read stands
    return reader, True


def _plain_attributes(attrs: Mapping[str, str], names: tuple[str, ...]) -> str:
    values = ((name, attrs[name].lower()) for name in names if attrs.get(name))
    return "".join(f' {name}="{value}"' for name, value in values if _PLAIN[name].fullmatch(value))


def _web_url(href: str, base: str) -> str:
    """The absolute address that a link leads to; empty if it is not one of the web."""
    try:
        url = urljoin(base, _CONTROLS.sub("", href[: MAX_URL_CHARS + 1])) if href else ""
    except ValueError:  # a host such as [
        return ""
    # By its first characters: whatever follows them, a browser takes it for http.
    return url if len(url) <= MAX_URL_CHARS and url.lower().startswith(("http://", "https://")) else ""
