"""Where the main text of a page lies: furniture is cleared away, then the box with the prose is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from sixfold.systems.rag.clean.extract_labels import ASIDE, BODY, COMMENTS, FURNITURE, HEADINGS, META, words
from sixfold.systems.rag.clean.extract_tree import Block, Box, Page

__all__ = ["Root", "find_root"]

# A paragraph, an item or a quotation is never the whole of the main text.
NEVER_ROOT = HEADINGS | words("p li dt dd pre blockquote")

FULL_CHARS: Final = 120  # a block this long counts in full, a shorter one in proportion to its length
# Shares of the page's prose. Each was taken from the middle of a plateau (docs/decisions/0004-extraction.md).
FURNITURE_LIMIT: Final = 0.6  # a box with more than this is no furniture, whatever it is called
META_LIMIT: Final = 0.2
ASIDE_CHARS: Final = 200  # a box beside the text with this much prose belongs to it
ASIDE_LINK_SHARE: Final = 0.1  # if no more of it than this is links
REMNANT: Final = 0.25  # if clearing leaves less than this share, what was cleared was the content,
REMNANT_CHARS: Final = 500  # unless this much is left,
NAMED_CHARS: Final = 200  # or this much in a box with the name of a body
BODY_SHARE: Final = 0.3  # of the box that is called the article's body
ARTICLE_SHARE: Final = 0.3  # of an <article>
HEADED_SHARE: Final = 0.1  # of the only <article> with a headline
DESCEND_SHARE: Final = 0.6  # step into a child with this much of its parent
BODY_DESCEND_SHARE: Final = 0.95  # in a body little is noise
NOISE_ABOVE: Final = 0.5  # if this share of what is left above it is links or furniture,
NOISE_BELOW: Final = 0.2  # and this share of what is left below


@dataclass(slots=True)
class Root:
    """The blocks `first:last`, of which those with `kept` are not furniture; `named` if the page names it."""

    first: int
    last: int
    named: bool
    kept: bytearray  # one flag a block of the page
    weights: list[float]  # prose of each block of the page, 0 for furniture


def find_root(page: Page) -> Root | None:
    """The part of the page with its main text; None if nothing on it reads like text."""
    boxes, blocks = page.boxes, page.blocks
    prose = [_weight(b, boxes[b.box].tag if b.box >= 0 else "") for b in blocks]
    sums = _sums(prose)
    total = sums[-1]
    if not total:
        return None
    links = _sums([b.link_chars for b in blocks])
    for labels in (FURNITURE | ASIDE | COMMENTS | META, FURNITURE | ASIDE | META, META, 0):
        # A forum is all comments, a landing page all promotion: then those are what it has to say.
        kept = _clear(boxes, sums, links, labels)
        weights = [w if k else 0.0 for w, k in zip(prose, kept, strict=True)]
        left = _sums(weights)
        root, named = _named_root(boxes, left)
        if left[-1] >= min(REMNANT * total, REMNANT_CHARS) or (named and left[-1] >= NAMED_CHARS):
            break
    noise = _sums([b.link_chars if k else b.chars for b, k in zip(blocks, kept, strict=True)])
    first, last = _descend(boxes, root, named, left, _sums([b.chars for b in blocks]), noise)
    return Root(first, last, named, kept, weights)


def _weight(block: Block, tag: str) -> float:
    """Characters that read like running text: of long blocks, not headings, not mostly links."""
    own = block.chars - block.link_chars
    if own < block.link_chars or tag in HEADINGS:
        return 0.0
    return float(own) if own >= FULL_CHARS else own * own / FULL_CHARS


def _sums(values: Sequence[float]) -> list[float]:
    return [0.0, *accumulate(values)]


def _of(sums: list[float], box: Box) -> float:
    return sums[box.last] - sums[box.first]


def _clear(boxes: list[Box], sums: list[float], links: list[float], labels: int) -> bytearray:
    """A flag for each block: whether it lies in no box with one of `labels`."""
    kept = bytearray(b"\1") * (len(sums) - 1)
    total = sums[-1]
    i = 0
    while i < len(boxes):
        box = boxes[i]
        i += 1
        label = box.label & labels
        if not label or box.first == box.last or box.tag in ("html", "body", "main"):
            continue
        prose = _of(sums, box)
        if label == ASIDE and prose >= ASIDE_CHARS and _of(links, box) <= ASIDE_LINK_SHARE * prose:
            continue
        if prose < (META_LIMIT if label == META else FURNITURE_LIMIT) * total:
            kept[box.first : box.last] = bytes(box.last - box.first)
            i = box.end
    return kept


def _named_root(boxes: list[Box], sums: list[float]) -> tuple[int, bool]:
    """The box that the page calls its body, else its main <article>; -1 for the whole page."""
    bodies = [i for i, b in enumerate(boxes) if b.label & BODY and b.tag not in NEVER_ROOT]
    best = max(bodies, key=lambda i: _of(sums, boxes[i]), default=-1)  # the outermost of equals
    if best >= 0 and (weight := _of(sums, boxes[best])) and weight >= BODY_SHARE * sums[-1]:
        return _all_parts(boxes, sums, bodies, best), True
    return _main_article(boxes, sums), False


def _main_article(boxes: list[Box], sums: list[float]) -> int:
    """The <article> with the only headline, else the one with most prose of its own; -1 if it has little.

    An article that is made of other articles is a list of them.
    """
    own: dict[int, float] = {}
    around: list[int] = []
    for i, box in enumerate(boxes):
        if box.tag != "article":
            continue
        own[i] = _of(sums, box)
        while around and boxes[around[-1]].end <= i:
            around.pop()
        if around:
            own[around[-1]] -= own[i]
        around.append(i)
    headlines = _sums([b.tag == "h1" for b in boxes])
    headed = [i for i in own if headlines[boxes[i].end] > headlines[i]]
    if len(headed) == 1 and own[headed[0]] and own[headed[0]] >= HEADED_SHARE * sums[-1]:
        return headed[0]
    best = max(own, key=own.__getitem__, default=-1)
    return best if best >= 0 and own[best] and own[best] >= ARTICLE_SHARE * sums[-1] else -1


def _all_parts(boxes: list[Box], sums: list[float], bodies: list[int], best: int) -> int:
    """The box around all parts of a body that advertisements cut into several boxes with the same names."""
    parts = [i for i in bodies if boxes[i].names == boxes[best].names and _of(sums, boxes[i])]
    first = boxes[parts[0]].first
    last = max(boxes[i].last for i in parts)
    around = parts[0]
    while around >= 0 and boxes[around].last < last:
        around = boxes[around].parent
    if around < 0 or boxes[around].first > first:
        return best
    # Bodies with a headline each are several articles: the heaviest one is meant.
    if around != best and any(b.tag in ("article", "h1") for b in boxes[around + 1 : boxes[around].end]):
        return best
    return around


def _descend(
    boxes: list[Box], root: int, named: bool, prose: list[float], chars: list[float], noise: list[float]
) -> tuple[int, int]:
    """From the root into smaller boxes while one of them holds nearly all prose and noise is left behind."""
    share = BODY_DESCEND_SHARE if named else DESCEND_SHARE
    first, last, i, end = 0, len(prose) - 1, 0, len(boxes)
    if root >= 0:
        first, last, i, end = boxes[root].first, boxes[root].last, root + 1, boxes[root].end
    while i < end:
        box = boxes[i]
        weight = _of(prose, box)
        if box.tag in NEVER_ROOT or not weight or weight < share * (prose[last] - prose[first]):
            i = box.end
            continue
        if noise[box.first] - noise[first] < NOISE_ABOVE * (chars[box.first] - chars[first]):
            break
        if noise[last] - noise[box.last] < NOISE_BELOW * (chars[last] - chars[box.last]):
            break
        first, last, end = box.first, box.last, box.end
        i += 1
    return first, last
