"""Where a passage stands in the page it was taken from, although white space, markup and omissions differ.

Both are compared without white space. Extraction leaves out parts of a page, so a passage may stand there in several
runs with something between them: the longest run is found first, then what comes before and after it, in order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Match", "find_passage", "squeeze"]

Run = tuple[int, int]  # characters [start, end) of a squeezed text

SEED_CHARS: Final = 24  # of the passage, looked up in the page as they are; a run is what grows around one
SHORT_SEED_CHARS: Final = 8  # between runs, where little else can be meant
MAX_SEEDS, FEWEST_SEEDS = 150, 16  # of one search: fewer in a page so long that they would read more than this
MAX_READ_CHARS: Final = 100_000_000
MAX_PLACES: Final = 8  # of one seed that are tried
MAX_RUNS: Final = 200
GAP_CHARS: Final = 2_000  # that may have been left out between two runs, beside four times what is looked for
MIN_RUN_CHARS: Final = 3  # one full stop is found anywhere
MIN_SHARE: Final = 0.2  # of the passage; with less it is somewhere else
# White space, and what cleaning removes from a text.
_NOTHING = re.compile("[\\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_GROWTH: Final = 256


@dataclass(frozen=True, slots=True)
class Match:
    """Runs of the squeezed page in order, and how many of the passage's squeezed characters they hold."""

    runs: tuple[Run, ...]
    places: tuple[int, ...]  # in the squeezed passage, where each run begins
    total_chars: int

    @property
    def found_chars(self) -> int:
        return sum(end - start for start, end in self.runs)

    @property
    def whole(self) -> bool:
        return self.found_chars == self.total_chars

    @property
    def share(self) -> float:
        return self.found_chars / self.total_chars if self.total_chars else 0.0

    def within(self, start: int, end: int) -> tuple[Run, ...]:
        """The runs of characters `start` to `end` of the squeezed passage only."""
        cut = (
            (run[0] + max(start - place, 0), min(run[1], run[0] + end - place))
            for run, place in zip(self.runs, self.places, strict=True)
        )
        return tuple((first, last) for first, last in cut if first < last)


def squeeze(text: str) -> str:
    """The text without white space."""
    return _NOTHING.sub("", text)


def find_passage(page: str, passage: str) -> Match:
    """The runs of the passage in the page, both squeezed; no runs if hardly anything of it is there."""
    total = len(passage)
    if not total:
        return Match((), (), 0)
    at = page.find(passage)
    if at >= 0:
        return Match(((at, at + total),), (0,), total)
    anchor = _longest_run(page, (0, len(page)), passage, (0, total), SEED_CHARS)
    if anchor is None:
        return Match((), (), total)
    found = [anchor]
    waiting = _around(anchor, (0, len(page)), (0, total))
    while waiting and len(found) < MAX_RUNS:
        in_page, in_passage = waiting.pop()
        run = _longest_run(page, in_page, passage, in_passage, SHORT_SEED_CHARS)
        if run is not None:
            found.append(run)
            waiting += _around(run, in_page, in_passage)
    found.sort()
    match = Match(tuple((at, at + length) for at, _, length in found), tuple(place for _, place, _ in found), total)
    return match if match.share >= MIN_SHARE else Match((), (), total)


def _longest_run(
    page: str, in_page: Run, passage: str, in_passage: Run, seed_chars: int
) -> tuple[int, int, int] | None:
    """(place in the page, place in the passage, length) of the longest common run found from seeds."""
    start, end = in_passage
    seed_chars = min(seed_chars, end - start)
    if seed_chars < MIN_RUN_CHARS:
        return None
    best: tuple[int, int, int] | None = None
    seeds = min(MAX_SEEDS, max(FEWEST_SEEDS, MAX_READ_CHARS // max(1, in_page[1] - in_page[0])))
    step = max(1, seed_chars // 2, (end - start) // seeds)
    for seed in range(start, end - seed_chars + 1, step):
        if best is not None and best[1] <= seed and seed + seed_chars <= best[1] + best[2]:
            continue  # it is part of the best run
        at = in_page[0] - 1
        for _ in range(MAX_PLACES):
            at = page.find(passage[seed : seed + seed_chars], at + 1, in_page[1])
            if at < 0:
                break
            back = _common_end(page[max(in_page[0], at - seed + start) : at], passage[start:seed])
            ahead = _common_start(page, at, in_page[1], passage, seed, end)
            if best is None or back + ahead > best[2]:
                best = (at - back, seed - back, back + ahead)
    return best


def _around(run: tuple[int, int, int], in_page: Run, in_passage: Run) -> list[tuple[Run, Run]]:
    """What is left to find before and after a run, and where to look for it."""
    at, seed, length = run
    left, right = (in_passage[0], seed), (seed + length, in_passage[1])
    room_left = GAP_CHARS + 4 * (left[1] - left[0])
    room_right = GAP_CHARS + 4 * (right[1] - right[0])
    sides = [
        ((max(in_page[0], at - room_left), at), left),
        ((at + length, min(in_page[1], at + length + room_right)), right),
    ]
    return [side for side in sides if side[0][0] < side[0][1] and side[1][0] < side[1][1]]


def _common_start(page: str, at: int, page_end: int, passage: str, seed: int, passage_end: int) -> int:
    most = min(page_end - at, passage_end - seed)
    same = 0
    while same < most:
        step = min(_GROWTH, most - same)
        if page[at + same : at + same + step] == passage[seed + same : seed + same + step]:
            same += step
            continue
        while page[at + same] == passage[seed + same]:
            same += 1
        break
    return same


def _common_end(page: str, passage: str) -> int:
    most = min(len(page), len(passage))
    if most and page[-most:] == passage[-most:]:
        return most
    same = 0
    while same < most and page[-1 - same] == passage[-1 - same]:
        same += 1
    return same
