"""Main text of an HTML page: parse, clear furniture, find the root, choose its blocks, write them as lines.

libxml2 (through lxml) reads the markup; what counts as main text is decided in extract_labels, extract_root
and extract_blocks. Measurements and rejected alternatives: docs/decisions/0004-extraction.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sixfold.systems.rag.clean.extract_blocks import main_blocks
from sixfold.systems.rag.clean.extract_labels import FURNITURE
from sixfold.systems.rag.clean.extract_root import find_root
from sixfold.systems.rag.clean.extract_tree import Page, parse

__all__ = ["Extraction", "extract"]

MAX_TITLES: Final = 5  # headlines compared with the title
CELL_SEPARATOR: Final = "\t"


@dataclass(frozen=True, slots=True)
class Extraction:
    """The title of a page and its main text; either is empty if there is none."""

    title: str
    text: str


def extract(html: str) -> Extraction:
    """Title and main text of a page, without navigation, promotion, comments and the like.

    A paragraph, heading, list item, line break or table row (cells parted by tabs) is a line; `pre` keeps its
    lines. Every word of the text stands in `html`. Deterministic, without side effects; never raises on a
    string, and takes time in proportion to its length.
    """
    page = parse(html)
    root = find_root(page)
    chosen = main_blocks(page, root) if root else []
    return Extraction(_title(page), _lines(page, chosen))


def _title(page: Page) -> str:
    """The headline that <title> or the Open Graph title repeats (without the site's name), else these."""
    names = f"{page.title}\n{page.og_title}".casefold()
    headlines = [box for box in page.boxes if box.tag == "h1"][:MAX_TITLES]
    first = ""
    for box in headlines:
        texts = [b.text for b in page.blocks[box.first : box.last] if not page.boxes[b.box].label & FURNITURE]
        headline = " ".join(" ".join(texts).split())
        if headline and headline.casefold() in names:
            return headline
        first = first or headline
    return page.og_title or page.title or first


def _lines(page: Page, chosen: list[int]) -> str:
    """The chosen blocks as lines; blocks that are cells of the same row share one."""
    parts: list[str] = []
    row_before = -1
    for j in chosen:
        block = page.blocks[j]
        box = page.boxes[block.box] if block.box >= 0 else None
        is_cell = box is not None and box.tag in ("td", "th") and box.last - box.first == 1
        row = box.parent if is_cell and box is not None and "\n" not in block.text else -1
        if parts:
            parts.append(CELL_SEPARATOR if row >= 0 and row == row_before else "\n")
        parts.append(block.text)
        row_before = row
    return "".join(parts)
