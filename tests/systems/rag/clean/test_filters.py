"""The published quality rules: a table of texts for each, and the fast scans against plain ones."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.systems.rag.clean.c4 import C4Quality
from sixfold.systems.rag.clean.filters import Rejection, apply_filters
from sixfold.systems.rag.clean.fineweb import FineWebQuality
from sixfold.systems.rag.clean.gopher import GopherQuality, GopherRepetition
from sixfold.systems.rag.clean.presets import DOCUMENTATION, WEB
from sixfold.systems.rag.clean.words import (
    TextView,
    covered_by_repeats,
    longest_gram_chars,
    repeated_chars,
    top_gram_chars,
)

PROSE = (
    "The harbour master kept a careful record of every vessel that came in before the storm.\n"
    "Most of them were small fishing boats with worn sails, and a few carried timber to the mills.\n"
    "When the wind turned, people gathered on the quay to watch the last ships fight their way home.\n"
    "Nobody spoke of what had happened the year before, though all of them must have thought of it.\n"
    "By nightfall the lamps were lit along the wall, and the water had risen to the third step.\n"
    "It took until morning for the swell to settle, and only then did the captain count his crew.\n"
)


def reason(accept, text: str) -> str:
    outcome = accept(TextView(text))
    return outcome.reason if isinstance(outcome, Rejection) else "ok"


def words(n: int, word: str = "word") -> str:
    return " ".join(f"{word}{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}" for i in range(n))


QUALITY = [
    (PROSE, "ok"),
    (words(47) + " the with and", "ok"),
    (words(46) + " the with and", "too-few-words"),
    ("", "too-few-words"),
    (words(100_001) + " the with", "too-many-words"),
    ("a be to of " * 20, "short-words"),
    (words(100, "extraordinarily") + " the with", "long-words"),
    (PROSE + "# " * 20, "hashes"),
    (PROSE + "... " * 20, "ellipses"),
    (PROSE + "\n".join(["• item with that", "- the item"] * 100), "bullet-lines"),
    ("\n".join(f"the line {words(14)} goes on with that…" for _ in range(10)), "ellipsis-lines"),
    (PROSE + "12345 " * 60, "few-letters"),
    (words(60), "few-stop-words"),
    (words(60) + " the", "few-stop-words"),
]


@pytest.mark.parametrize(("text", "expected"), QUALITY)
def test_gopher_quality(text, expected):
    assert reason(GopherQuality(), text) == expected


REPETITION = [
    ("", "empty"),
    (PROSE, "ok"),
    ("\n\n".join([PROSE] * 2), "duplicate-paragraphs"),
    ("A line that is here again.\n" * 3 + words(200).replace(" ", "\n"), "ok"),
    ("\n".join(["again", "again"] * 20 + [words(300)]), "duplicate-lines"),
    ("\n".join([words(40)] * 2 + [f"x{i}" for i in range(10)]), "duplicate-line-chars"),
    (f"{words(20)} " + " so it ".join(words(30, "v").split()), "top-2-gram"),
    (f"{words(40)} {words(100, 'v')} {words(40)}", "repeated-5-grams"),
]


@pytest.mark.parametrize(("text", "expected"), REPETITION)
def test_gopher_repetition(text, expected):
    assert reason(GopherRepetition(), text) == expected


LINES = "\n".join(f"This is line number {words(1)} of the page." for _ in range(5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LINES, LINES),
        (LINES + "\nHome | About\n\n", LINES),
        (LINES + "\nNo stop at the end here\nCut off here...", LINES),
        (LINES + "\nPlease switch JavaScript on.\nOur site uses cookies, of course.", LINES),
        (LINES + "\n" + "x" * 1_001 + " is a long word.", LINES),
        (LINES.replace("page.", "page[12][edit]."), LINES),
        (LINES + "\nLorem Ipsum dolor sit amet.", "lorem-ipsum"),
        (LINES + "\nWith { a bracket in it.", "curly-bracket"),
        (LINES + "\n{", LINES),  # the line goes first, so its bracket does not count
        ("\n".join(LINES.split("\n")[:4]), "too-few-sentences"),
        ("\n".join([*LINES.split("\n")[:3], "One more here. And it has two."]), "same"),
    ],
)
def test_c4(text, expected):
    outcome = C4Quality()(TextView(text))
    got = outcome.reason if isinstance(outcome, Rejection) else outcome.text
    assert got == (text if expected == "same" else expected)


def test_c4_without_end_punctuation_keeps_lines():
    assert C4Quality(end_punctuation=False)(TextView(LINES + "\nNo stop at the end")).text.endswith("the end")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PROSE, "ok"),
        (" \n ", "empty"),
        ("\n".join([words(12)] + [f"{words(9)} {i}" for i in range(8)]), "few-terminated-lines"),
        ("\n".join([f"Short line {i}." for i in range(20)] + [PROSE]), "short-lines"),
        (PROSE + PROSE.split("\n")[0], "duplicate-line-chars"),
        ("\n".join(f"A line of words, {i}, {'x' * 20}.\n\n\n" for i in range(9)), "breaks-per-word"),
    ],
)
def test_fineweb(text, expected):
    assert reason(FineWebQuality(), text) == expected


def plain_top(tokens, n):
    grams = [" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    gram, count = Counter(grams).most_common(1)[0] if grams else ("", 0)
    return count, count * len(gram)


def plain_repeated(tokens, n):
    seen, chars, i = set(), 0, 0
    while i + n <= len(tokens):
        gram = tuple(tokens[i : i + n])
        if gram in seen:
            chars += sum(map(len, gram))
            i += n
        else:
            seen.add(gram)
            i += 1
    return chars


@given(st.lists(st.sampled_from(["a", "bb", "ccc", "d", ".", "eeeee"]), max_size=80))
def test_gram_scans_equal_plain_ones_and_their_bounds_hold(tokens):
    view = TextView(" ".join(tokens))
    assert view.words == tokens
    for n in (2, 3, 4):
        assert top_gram_chars(view, n) == plain_top(tokens, n)
        if n > 2:
            assert top_gram_chars(view, n)[0] <= top_gram_chars(view, n - 1)[0]
        grams = [" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
        assert longest_gram_chars(view, n) == max(map(len, grams), default=0)
    for n in (5, 7, 10):
        assert repeated_chars(view, n) == plain_repeated(tokens, n)
        assert repeated_chars(view, n) <= covered_by_repeats(view, 5)


@given(st.text(max_size=400))
def test_filters_take_any_text_and_switched_off_rules_reject_nothing_of_theirs(text):
    for preset in (WEB, DOCUMENTATION):
        apply_filters(TextView(text), preset)
    off = GopherQuality(None, None, None, None, None, None, None, None, None)
    assert not isinstance(off(TextView(text)), Rejection)


REFERENCE = """Help on class Basket in module shop:

class Basket(builtins.object)
    Basket(items=(), *, limit=None) -> None

    The things somebody wants to buy, and what they cost together.

    Methods defined here:

    __init__(self, items=(), *, limit=None)
        Initialize self. See help(type(self)) for accurate signature.

    add(self, item, /, count=1)
        Put an item into the basket; raises ValueError beyond the limit.

    total(self) -> dict
        Return {"net": ..., "gross": ...} of all items with their counts.

    Data descriptors defined here:

    __dict__
        dictionary for instance variables (if defined)

    __weakref__
        list of weak references to the object (if defined)
"""


def test_the_documentation_preset_keeps_what_the_web_preset_takes_for_junk():
    assert sum(reason(accept, REFERENCE) != "ok" for accept in WEB) >= 2
    kept = apply_filters(TextView(REFERENCE), DOCUMENTATION)
    assert isinstance(kept, TextView)
    assert [line.strip() for line in REFERENCE.splitlines()] == kept.text.split("\n")
    assert isinstance(apply_filters(TextView("Index\nHome\nNext"), DOCUMENTATION), tuple)
