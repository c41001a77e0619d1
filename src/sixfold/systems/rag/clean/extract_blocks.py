"""Which blocks inside the root are text: pointers to other pages, lead-ins and trailers are left out."""

from __future__ import annotations

from typing import Final

from sixfold.systems.rag.clean.extract_labels import HEADINGS, words
from sixfold.systems.rag.clean.extract_phrases import ends_text, is_notice
from sixfold.systems.rag.clean.extract_root import Root
from sixfold.systems.rag.clean.extract_tree import Block, Page

__all__ = ["main_blocks"]

# In these even a short block is text: in a body that the page names so, and anywhere.
TEXT_TAGS = words("p li dt dd blockquote pre td th")
SURE_TAGS = words("dt dd pre")
# A block that is mostly links stays if it says this much beside them (a signature, a list with remarks).
LINKED_OWN_CHARS: Final = 40
SIGNATURE_OWN_CHARS: Final = 8
SIGNATURE_TAGS = HEADINGS | words("dt dd td th pre")
SENTENCE_CHARS: Final = 20
LONG_CHARS: Final = 80
SENTENCE_ENDS = tuple(".!?…:;。！？।؟»”’\"')]}")
TEASER_END: Final = "[…]"  # an excerpt cut off so points to the page it was taken from
END_AFTER: Final = 0.7  # share of the prose after which a heading such as "related articles" ends the text
BEFORE_TITLE: Final = 0.1  # share of the prose that may stand above the page's headline


def main_blocks(page: Page, root: Root) -> list[int]:
    """Indices of the blocks of the main text, in document order."""
    blocks, boxes = page.blocks, page.boxes
    chosen: list[int] = []
    tags: list[str] = []
    firm: list[bool] = []  # text beyond doubt: the main text starts and ends with it
    total = sum(root.weights[root.first : root.last])
    read = 0.0
    for j in range(root.first, root.last):
        if not root.kept[j]:
            continue
        block = blocks[j]
        tag = boxes[block.box].tag if block.box >= 0 else ""
        if read >= END_AFTER * total and ends_text(block.text):
            break
        read += root.weights[j]
        if not _is_pointer(block, tag) and not is_notice(block.text):
            chosen.append(j)
            tags.append(tag)
            firm.append(_is_firm(block, tag, root.named))
    if True not in firm:  # a page of a few words
        firm = [tag in TEXT_TAGS for tag in tags]
        if True not in firm:
            return []
    start = _start(chosen, tags, firm, root)
    stop = len(firm) - firm[::-1].index(True)
    return [
        chosen[k]
        for k in range(start, stop)
        if firm[k] or tags[k] in HEADINGS or tags[k] in TEXT_TAGS or _is_between(k, chosen, firm)
    ]


def _is_pointer(block: Block, tag: str) -> bool:
    if block.text.endswith(TEASER_END):
        return True
    own = block.chars - block.link_chars
    return own < block.link_chars and own < (SIGNATURE_OWN_CHARS if tag in SIGNATURE_TAGS else LINKED_OWN_CHARS)


def _is_firm(block: Block, tag: str, named: bool) -> bool:
    if tag in HEADINGS:
        return False
    if tag in SURE_TAGS or (named and tag in TEXT_TAGS):
        return True
    if 2 * block.link_chars > block.chars:
        return False
    return block.chars >= LONG_CHARS or (block.chars > SENTENCE_CHARS and block.text.endswith(SENTENCE_ENDS))


def _is_between(k: int, chosen: list[int], firm: list[bool]) -> bool:
    """A short block that belongs to no paragraph is text only between two that are (a formula, a verse)."""
    return (
        0 < k < len(chosen) - 1
        and firm[k - 1]
        and firm[k + 1]
        and chosen[k - 1] == chosen[k] - 1
        and chosen[k + 1] == chosen[k] + 1
    )


def _start(chosen: list[int], tags: list[str], firm: list[bool], root: Root) -> int:
    """Where the text starts: below the headline if there is one, with the heading of its first paragraph."""
    start = firm.index(True)
    if tags.count("h1") == 1:
        headline = tags.index("h1")
        above = sum(root.weights[j] for j in chosen[:headline])
        if True in firm[headline:] and above <= BEFORE_TITLE * sum(root.weights[j] for j in chosen):
            start = firm.index(True, headline)
    if root.named:
        while start and tags[start - 1] in HEADINGS and tags[start - 1] != "h1":
            start -= 1
    return start
