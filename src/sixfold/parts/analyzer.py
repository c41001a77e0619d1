"""From text to the terms that a lexical index stores and is asked for."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain

from sixfold.errors import ConfigError

__all__ = ["STOP_WORDS", "Analyzer"]

LONGEST_TERM = 64  # characters; what is longer is data rather than a word, and is found by its beginning
CACHED_SPELLINGS = 1 << 19

# Function words of English as the analyzer sees them: lower case, apostrophes kept.
_FUNCTION_WORDS = """
a about above after again against all am an and any are as at be because been before being below
between both but by can cannot could did do does doing down during each few for from further had has
have having he her here hers herself him himself his how i if in into is it its itself me more most
my myself no nor not of off on once only or other ought our ours ourselves out over own same she
should so some such than that the their theirs them themselves then there these they this those
through to too under until up very was we were what when where which while who whom why will with
would you your yours yourself yourselves
"""
STOP_WORDS = frozenset(_FUNCTION_WORDS.split())

# Inside an identifier: parseXML2 -> parse, XML, 2.
_CASE_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=[0-9])")
# Scripts written without spaces: Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]+)"
)


@cache
def _token_pattern() -> re.Pattern[str]:
    # `\w` leaves out combining marks, without which the words of most Indic scripts fall to pieces.
    marks = "".join(c for c in map(chr, range(0x300, 0x12000)) if unicodedata.category(c) in ("Mn", "Mc"))
    # A word, or words joined by single dots or apostrophes: os.path.join, 3.11, user's.
    return re.compile(rf"[\w{marks}]+(?:[.'’][\w{marks}]+)*")


@cache
def _stemmer(language: str) -> Callable[[str], str]:
    if language == "none":
        return str
    import Stemmer

    try:
        stem: Callable[[str], str] = Stemmer.Stemmer(language).stemWord
    except KeyError:
        known = ", ".join(Stemmer.algorithms())
        raise ConfigError(f"no stemmer for language {language!r}; use none or one of {known}") from None
    return stem


class _Spellings(dict[str, tuple[str, ...]]):
    """Terms by spelling; a miss is computed, so that the hot loop is a dictionary look-up."""

    def __init__(self, derive: Callable[[str], tuple[str, ...]]) -> None:
        super().__init__()
        self._derive = derive

    def __missing__(self, token: str) -> tuple[str, ...]:
        terms = self._derive(token)
        if len(self) >= CACHED_SPELLINGS:
            self.clear()
        self[token] = terms
        return terms


_STEMMING = threading.Lock()  # a Snowball stemmer must not run in two threads at once


class Analyzer:
    """Words, lower-cased (NFKC), without stop words, stemmed by Snowball; equal if its two fields are.

    An identifier gives itself, unstemmed, and its parts: `os.path.join` -> os.path.join, os, path, join.
    Text in scripts written without spaces gives overlapping pairs of characters.

    Raises ConfigError if Snowball has no such language ("none" leaves words unstemmed).
    """

    def __init__(self, language: str = "english", stop_words: frozenset[str] = STOP_WORDS) -> None:
        self.language = language
        self.stop_words = stop_words
        self._stem = _stemmer(language)
        self._spellings = _Spellings(self._derive)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Analyzer) and self._fields == other._fields

    def __hash__(self) -> int:
        return hash(self._fields)

    def __reduce__(self) -> tuple[type[Analyzer], tuple[str, frozenset[str]]]:
        return Analyzer, self._fields

    @property
    def _fields(self) -> tuple[str, frozenset[str]]:
        return self.language, self.stop_words

    def terms(self, text: str) -> list[str]:
        """The terms of a text, in order and with repetitions."""
        return list(self.stream(text))

    def stream(self, text: str) -> Iterator[str]:
        """The terms of a text, one by one."""
        folded = text if text.isascii() else unicodedata.normalize("NFKC", text)
        return chain.from_iterable(map(self._spellings.__getitem__, _token_pattern().findall(folded)))

    def _derive(self, token: str) -> tuple[str, ...]:
        token = token.replace("’", "'")
        if token.isascii() and token.isalpha() and (token.islower() or token.isupper() or token.istitle()):
            return self._word(token)  # nearly every token of prose
        names = [name for name in (piece.strip("_") for piece in token.split(".")) if name]
        runs = [run for name in names for piece in name.split("_") for run in _UNSPACED.split(piece) if run]
        parts = [part for run in runs for part in _CASE_BOUNDARY.sub(" ", run).split(" ")]
        terms = [term for part in parts for term in self._word(part)]
        whole = ".".join(names).lower()[:LONGEST_TERM]
        if len(parts) > 1 and whole not in terms and not _UNSPACED.search(whole):
            terms.insert(0, whole)
        return tuple(terms)

    def _word(self, word: str) -> tuple[str, ...]:
        if _UNSPACED.match(word):
            return tuple(word[i : i + 2] for i in range(max(1, len(word) - 1)))
        word = word.lower()[:LONGEST_TERM]
        stem_of_contraction = word.removesuffix("n't") if word.endswith("n't") else word.partition("'")[0]
        if word in self.stop_words or stem_of_contraction in self.stop_words:  # it's, they're, couldn't
            return ()
        with _STEMMING:
            return (self._stem(word),)
