"""One tokenised view of a text that all filters share, so that words and lines are computed once.

Shapes: W words of the text in order, V distinct ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["TextView"]

# A run of word characters with inner full stops, a number with its separators, the end of a contraction, a run
# of dots or dashes, or one mark: close to the tokenisers of spaCy and NLTK, at the speed of one expression.
TOKEN = re.compile(r"\w+(?:\.\w+|[,/]\d+)*|['’][a-z]{1,2}\b|\.{2,}|-{2,}|[^\w\s]")
LETTER = re.compile(r"[^\W\d_]")
LETTER_OR_DIGIT = re.compile(r"[^\W_]")
LINE_BREAKS = re.compile(r"\n+")
PARAGRAPH_BREAKS = re.compile(r"\n{2,}")


class TextView:
    """A text with its words and lines, each computed when first asked for."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def words(self) -> list[str]:
        """(W) The words, punctuation marks included as words of their own."""
        return TOKEN.findall(self.text)

    @cached_property
    def vocabulary(self) -> list[str]:
        """(V) The distinct words in the order of their first occurrence."""
        return list(dict.fromkeys(self.words))

    @cached_property
    def word_ids(self) -> NDArray[np.int64]:
        """(W) For each word its index in the vocabulary."""
        index = {word: i for i, word in enumerate(self.vocabulary)}
        return np.fromiter(map(index.__getitem__, self.words), np.int64, len(self.words))

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(V) How often each distinct word occurs."""
        return np.bincount(self.word_ids, minlength=len(self.vocabulary))

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(V) Characters of each distinct word."""
        return np.fromiter(map(len, self.vocabulary), np.int64, len(self.vocabulary))

    @cached_property
    def word_lengths(self) -> NDArray[np.int64]:
        """(W) Characters of each word."""
        return self.lengths[self.word_ids]

    @cached_property
    def is_word(self) -> NDArray[np.bool_]:
        """(V) Which distinct words hold a letter or a digit: all but the marks."""
        return self._which(str.isalnum, LETTER_OR_DIGIT)

    @cached_property
    def has_letter(self) -> NDArray[np.bool_]:
        """(V) Which distinct words hold a letter."""
        return self._which(str.isalpha, LETTER)

    def _which(self, surely: Callable[[str], bool], pattern: re.Pattern[str]) -> NDArray[np.bool_]:
        # The C predicate settles most words; the pattern is asked about the others only.
        found = np.fromiter(map(surely, self.vocabulary), np.bool_, len(self.vocabulary))
        for i in np.flatnonzero(~found).tolist():
            found[i] = pattern.search(self.vocabulary[i]) is not None
        return found

    @cached_property
    def lines(self) -> list[str]:
        """The lines, blank ones included."""
        return self.text.splitlines()

    @cached_property
    def blocks(self) -> list[str]:
        """The lines with runs of line breaks taken as one."""
        return LINE_BREAKS.split(self.text)

    @cached_property
    def paragraphs(self) -> list[str]:
        """What blank lines separate."""
        return PARAGRAPH_BREAKS.split(self.text.strip())

    def grams(self, n: int) -> NDArray[np.uint64]:
        """(W - n + 1) A 64-bit hash of each word n-gram; equal n-grams have equal hashes."""
        values = _scatter(self.word_ids.astype(np.uint64))
        size = max(0, len(values) - n + 1)
        grams = np.zeros(size, np.uint64)
        for k in range(n):
            grams *= MULTIPLIER
            grams += values[k : k + size]
        return grams


MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def _scatter(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): spreads small integers over 64 bits."""
    x = (x + np.uint64(1)) * MULTIPLIER
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def duplicates(parts: list[str]) -> tuple[int, int]:
    """(how many parts repeat an earlier one, characters in those)."""
    unique = set(parts)
    if len(unique) == len(parts):
        return 0, 0
    return len(parts) - len(unique), sum(map(len, parts)) - sum(map(len, unique))


def top_gram_chars(view: TextView, n: int) -> tuple[int, int]:
    """(occurrences of the most frequent word n-gram, characters in all of them, single spaces included).

    Among equally frequent ones the first to occur counts.
    """
    grams = view.grams(n)
    if not len(grams):
        return 0, 0
    gram, count = Counter(grams.tolist()).most_common(1)[0]
    first = int(np.argmax(grams == np.uint64(gram)))
    return count, count * (int(view.word_lengths[first : first + n].sum()) + n - 1)


def longest_gram_chars(view: TextView, n: int) -> int:
    """Characters of the longest word n-gram with single spaces between its words."""
    ends = np.concatenate(([0], np.cumsum(view.word_lengths)))
    return int((ends[n:] - ends[:-n]).max()) + n - 1 if len(ends) > n else 0


def covered_by_repeats(view: TextView, n: int) -> int:
    """Characters of the words inside any repeated word n-gram: a bound for `repeated_chars` of n and above.

    A longer repeated n-gram consists of repeated shorter ones, so what it covers they cover too.
    """
    grams = view.grams(n)
    firsts = np.unique(grams, return_index=True)[1]
    if len(firsts) == len(grams):
        return 0
    repeats = np.ones(len(grams), np.bool_)
    repeats[firsts] = False
    edges = np.zeros(len(grams) + n, np.int64)
    edges[: len(grams)] += repeats
    edges[n:] -= repeats
    covered = np.cumsum(edges)[: len(view.words)] > 0
    return int(view.word_lengths[covered].sum())


def repeated_chars(view: TextView, n: int) -> int:
    """Characters in word n-grams that repeat an earlier one, each word counted once.

    Scans from left to right; after a repeat it goes on behind it (Rae et al. 2021, table A1, as usually run).
    """
    grams = view.grams(n).tolist()
    ends = np.concatenate(([0], np.cumsum(view.word_lengths))).tolist()
    seen: set[int] = set()
    chars = i = 0
    while i < len(grams):
        if grams[i] in seen:
            chars += ends[i + n] - ends[i]
            i += n
        else:
            seen.add(grams[i])
            i += 1
    return chars
