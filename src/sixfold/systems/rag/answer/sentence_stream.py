"""Text that arrives in pieces becomes whole sentences as soon as they are certain to be whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["Piece", "SentenceStream", "parse_markers"]

LONGEST_SENTENCE = 600  # characters: a model that never ends one is cut between words

_MARKERS = re.compile(r"[ \t]*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
_STOP = re.compile(r"[.!?。！？]+[\"'”’)\]`*]*")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|approx|fig|eq|mr|mrs|dr|st|resp|[b-hj-z])\.$", re.IGNORECASE)

Piece = tuple[str, tuple[int, ...]]  # a sentence without its markers, and the numbers in them


def parse_markers(text: str) -> Piece:
    """The text without its `[n]` and `[n, m]` markers, and their numbers in order, each once.

    What stands in brackets directly behind a word (`list[1]`) is code, not a marker.
    """
    numbers: list[int] = []

    def take(found: re.Match[str]) -> str:
        at = found.start(1) - 2
        if at >= 0 and (text[at].isalnum() or text[at] in "_)"):
            return found[0]
        numbers.extend(int(number) for number in re.findall(r"\d+", found[1]))
        return ""

    plain = _MARKERS.sub(take, text)
    return " ".join(plain.split()), tuple(dict.fromkeys(numbers))


class SentenceStream:
    """Takes deltas, gives sentences; the same ones however the text is cut into deltas.

    A sentence is given once the text behind it has gone on to something that is not one of its markers.
    """

    def __init__(self) -> None:
        self._text = ""
        self._scanned = 0  # up to here no sentence ends

    def feed(self, delta: str) -> Iterator[Piece]:
        """The sentences that this delta completes."""
        self._text += delta
        while (end := self._end_of_sentence()) is not None:
            sentence, self._text, self._scanned = self._text[:end], self._text[end:], 0
            yield from _piece(sentence)

    def finish(self) -> Iterator[Piece]:
        """What is left, as the last sentence; the stream is then empty."""
        sentence, self._text, self._scanned = self._text, "", 0
        yield from _piece(sentence)

    def _end_of_sentence(self) -> int | None:
        """Where the first sentence ends for certain, whatever is still to come; None if nowhere yet."""
        at = self._scanned
        while at < len(self._text):
            char = self._text[at]
            if char == "\n" or char in ".!?。！？":
                stop = None if char == "\n" else _STOP.match(self._text, at)
                end = stop.end() if stop else at + 1
                after = self._after_markers(end)
                if after is None:
                    break  # what follows decides
                if char == "\n" or self._ends(at, end, after):
                    return after
                at = max(end, at + 1)
            else:
                at += 1
            self._scanned = at
            if at >= LONGEST_SENTENCE:
                space = self._text.rfind(" ", 1, LONGEST_SENTENCE)
                return space if space > 0 else LONGEST_SENTENCE
        return None

    def _after_markers(self, at: int) -> int | None:
        """Behind the markers and blanks that follow; None if more text could add to them."""
        while True:
            while at < len(self._text) and self._text[at] in " \t":
                at += 1
            if at >= len(self._text):
                return None
            if self._text[at] != "[":
                return at
            found = _MARKERS.match(self._text, at)
            if found is None:
                # "[" and digits may still become a marker.
                return None if re.fullmatch(r"\[[\d\s,;]{0,15}", self._text[at:]) else at
            at = found.end()

    def _ends(self, at: int, end: int, after: int) -> bool:
        if self._text[at] in "。！？":
            return True
        if after == end or self._text[after].islower():
            return False  # 3.11, os.path, "e.g. this"
        return not _ABBREVIATION.search(self._text[max(0, at - 12) : at + 1]) or self._text[at] != "."


def _piece(sentence: str) -> Iterator[Piece]:
    text, numbers = parse_markers(sentence)
    if any(char.isalnum() for char in text):
        yield text, numbers
