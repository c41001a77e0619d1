"""Word 5-gram shingles as 64-bit hashes: what both the MinHash signature and the exact Jaccard are about.

Shapes: W words, S distinct shingles.
"""

from __future__ import annotations

import re

import numpy as np
import xxhash
from numpy.typing import NDArray

__all__ = ["SHINGLE_WORDS", "jaccard", "shingles"]

SHINGLE_WORDS = 5
WORD = re.compile(r"\w+")
ASCII_WORDS = bytes(byte if WORD.match(chr(byte)) else ord(" ") for byte in range(128)).ljust(256)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def shingles(text: str) -> NDArray[np.uint64]:
    """(S) The sorted hashes of the distinct runs of five words, lower-cased, punctuation and spacing ignored.

    A text of one to four words is one shingle; one without words has none. Two different shingles share a
    64-bit hash with probability 5e-20, so sets of hashes stand for sets of shingles.
    """
    words = _words(text.lower())
    hashes = np.fromiter(map(xxhash.xxh3_64_intdigest, words), np.uint64, len(words))
    if not len(hashes):
        return hashes
    n = min(SHINGLE_WORDS, len(hashes))
    size = len(hashes) - n + 1
    runs = np.zeros(size, np.uint64)
    for k in range(n):
        runs = _mix(runs + hashes[k : k + size])
    runs.sort()  # numpy.unique would count them in a hash table first, and takes six times as long
    distinct: NDArray[np.uint64] = runs[np.append(True, runs[1:] != runs[:-1])]
    return distinct


def _words(text: str) -> list[bytes]:
    """What `WORD` finds, in UTF-8; in ASCII text, or lines of it, in a third of its time."""
    if text.isascii():
        return text.encode().translate(ASCII_WORDS).split()
    words: list[bytes] = []
    for line in text.split("\n"):  # which is part of no word
        if line.isascii():
            words += line.encode().translate(ASCII_WORDS).split()
        else:
            found = WORD.findall(line.encode("utf-8", "replace").decode("utf-8"))
            words += [word.encode() for word in found]
    return words


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x * MULTIPLIER
    return x ^ (x >> np.uint64(32))


def jaccard(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> float:
    """|A ∩ B| / |A ∪ B| of two sorted sets of shingles; 0 if either is empty."""
    if not len(a) or not len(b):
        return 0.0
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)
