"""The page that a passage was taken from, made safe to show, with the passage marked in it.

Pages of the web are hostile until proven otherwise, and none is. Two walls stand between one and the person who looks
at it: `original_markup` writes it anew from an allow-list, and the policy below forbids what would be left to
forbid: scripts, forms, plug-ins, every load from anywhere, and the origin of the service.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from html import escape
from typing import Final, Literal

from sixfold.systems.rag.clean.charset import decode
from sixfold.systems.rag.clean.pii import scrub
from sixfold.systems.rag.original_markup import Markup, Piece, SafePage, safe_page
from sixfold.systems.rag.original_match import Match, find_passage, squeeze
from sixfold.systems.rag.records import Kind, RawRecord

__all__ = ["CONTENT_SECURITY_POLICY", "MAX_SHOWN_BYTES", "original_page"]

MAX_SHOWN_BYTES: Final = 10_000_000  # as much as cleaning reads of a page
_SOLID = re.compile("[^\\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")  # what `squeeze` keeps
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

_STYLE: Final = """
:root { color-scheme: light dark; --paper: light-dark(#fff, #101318); --raised: light-dark(#f5f6f8, #191d24);
  --ink: light-dark(#171a1f, #e7eaee); --muted: light-dark(#5a6270, #9ba5b3);
  --hairline: light-dark(#dfe3e8, #2b313a); --accent: light-dark(#0a5aa8, #6fb4f4);
  --mark: light-dark(#fff3cc, #3a3216); --cited: light-dark(#ffd95c, #6b5410);
  --mark-edge: light-dark(#b87700, #f0c04f); }
:root[data-theme="light"] { color-scheme: light; }
:root[data-theme="dark"] { color-scheme: dark; }
* { box-sizing: border-box; }
body { margin: 0; padding: 0 20px 60vh; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.55 -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
#about { margin: 0 -20px 20px; padding: 10px 20px; background: var(--raised); color: var(--muted); font-size: 13px;
  border-bottom: 1px solid var(--hairline); }
#about b { color: var(--ink); font-weight: 600; }
h1, h2, h3, h4, h5, h6 { line-height: 1.25; margin: 1.4em 0 0.5em; }
h1 { font-size: 24px; } h2 { font-size: 20px; } h3 { font-size: 17px; } h4, h5, h6 { font-size: 15px; }
a { color: var(--accent); }
nav, aside, footer { font-size: 13px; }
pre, code, kbd, samp, tt { font: 0.92em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
pre { padding: 10px 12px; background: var(--raised); overflow-x: auto; white-space: pre-wrap; }
body > pre.text { padding: 0; background: none; font: inherit; }
table { border-collapse: collapse; display: block; max-width: 100%; overflow-x: auto; }
td, th { padding: 4px 10px 4px 0; text-align: start; vertical-align: top; border-bottom: 1px solid var(--hairline); }
blockquote { margin-left: 0; padding-left: 16px; border-left: 3px solid var(--hairline); color: var(--muted); }
hr { border: 0; border-top: 1px solid var(--hairline); }
.image { color: var(--muted); font-size: 13px; font-style: italic; }
mark { background: var(--mark); color: inherit; padding: 1px 0; box-decoration-break: clone;
  -webkit-box-decoration-break: clone; }
mark.cited { background: var(--cited); box-shadow: 0 2px 0 var(--mark-edge); }
#passage { scroll-margin-top: 96px; }
"""

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        # Links may open a page of their own, which is then outside of this one's sandbox.
        "sandbox allow-popups allow-popups-to-escape-sandbox",
        "default-src 'none'",
        f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)


def original_page(
    record: RawRecord,
    passage: str,
    cited: tuple[int, int] | None = None,
    theme: Literal["light", "dark"] | None = None,
) -> str:
    """A whole HTML document that shows the record, to be sent with `CONTENT_SECURITY_POLICY`.

    The text of the passage stands in `<mark>`, and what is not found of it, the banner says. `cited`, characters
    [start, end) of the passage, is marked more strongly. The id "passage" is where to look: the first mark, or that
    of what is cited. `theme`: None follows the reader's system. What looks like personal data is masked as in the
    index. Never raises on what a record may hold.
    """
    text = decode(record.payload[:MAX_SHOWN_BYTES], record.charset).text
    page = safe_page(text, record.url) if record.kind is Kind.HTML else _plain_page(text)
    pieces = [piece if isinstance(piece, Markup) else scrub(_CONTROLS.sub("", piece)) for piece in page.pieces]
    solid = ["" if isinstance(piece, Markup) else squeeze(piece) for piece in pieces]
    match = find_passage("".join(solid), squeeze(passage))
    body = "".join(_marked(pieces, solid, _kinds(match, passage, cited)))
    banner = _banner(record.url, match, cut=not page.whole or len(record.payload) > MAX_SHOWN_BYTES)
    chosen = f' data-theme="{theme}"' if theme in ("light", "dark") else ""
    return (
        f'<!doctype html>\n<html{page.attributes}{chosen}>\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(record.url)}</title><style>{_STYLE}</style></head>\n"
        f'<body><div id="about" lang="en" dir="ltr">{banner}</div>\n{body}\n</body></html>\n'
    )


def _plain_page(text: str) -> SafePage:
    return SafePage([Markup('<pre class="text">'), text, Markup("</pre>")], "", True)


def _kinds(match: Match, passage: str, cited: tuple[int, int] | None) -> list[tuple[int, int, str]]:
    """The runs as (start, end, opening tag) in order, those that are cited with a tag of their own."""
    start, end = cited or (0, 0)
    before, until = len(squeeze(passage[: max(0, start)])), len(squeeze(passage[: max(0, end)]))
    strong = match.within(before, until)
    plain = match.within(0, before) + match.within(max(before, until), match.total_chars)
    kinds = sorted([(*run, "<mark>") for run in plain] + [(*run, '<mark class="cited">') for run in strong])
    first = next((at for at, (_, _, tag) in enumerate(kinds) if tag != "<mark>"), 0)
    if kinds:
        kinds[first] = (*kinds[first][:2], kinds[first][2].replace("<mark", '<mark id="passage"'))
    return kinds


def _marked(pieces: Sequence[Piece], solid: Sequence[str], runs: Sequence[tuple[int, int, str]]) -> Iterator[str]:
    """The pieces as HTML with the runs, which count the characters of `solid`, in marks."""
    waiting = list(reversed(runs))
    at = 0
    for piece, dense in zip(pieces, solid, strict=True):
        if isinstance(piece, Markup):
            yield piece
            continue
        end = at + len(dense)
        written = 0
        while waiting and waiting[-1][0] < end:
            run_start, run_end, tag = waiting.pop()
            start, stop = _spread(piece, run_start - at, min(run_end, end) - at)
            yield f"{_text(piece[written:start])}{tag}{_text(piece[start:stop])}</mark>"
            written = stop
            if run_end > end:  # it goes on in the next piece
                waiting.append((end, run_end, tag.replace(' id="passage"', "")))
                break
        yield _text(piece[written:])
        at = end


def _spread(piece: str, start: int, end: int) -> tuple[int, int]:
    """Where characters `start` to `end` of the squeezed piece stand in the piece itself."""
    seen, first = 0, -1
    for word in _SOLID.finditer(piece):
        length = word.end() - word.start()
        if first < 0 and start < seen + length:
            first = word.start() + start - seen
        if end <= seen + length:
            return first, word.start() + end - seen
        seen += length
    return max(first, 0), len(piece)


def _banner(url: str, match: Match, *, cut: bool) -> str:
    shown = _text(url[:300])
    if url.lower().startswith(("http://", "https://")):
        address = escape(_CONTROLS.sub("", url))
        shown = f'<a href="{address}" rel="noopener noreferrer nofollow" target="_blank">{shown}</a>'
    said = [f"Stored copy of {shown}, without scripts, styles, images and personal data."]
    if match.whole and match.runs:
        said.append("The passage is marked.")
    elif match.runs:
        said.append(f"<b>Only {int(100 * match.share)} % of the passage was found here; that part is marked.</b>")
    else:
        said.append("<b>The passage was not found in this copy.</b>")
    if cut:
        said.append("<b>The page is too large to be shown whole; its end is missing.</b>")
    return " ".join(said)


def _text(text: str) -> str:
    return escape(_CONTROLS.sub("", text))
