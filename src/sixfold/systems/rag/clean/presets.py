"""The lists of filters that one chooses by name."""

from __future__ import annotations

from sixfold.systems.rag.clean.c4 import C4Quality
from sixfold.systems.rag.clean.filters import Filter
from sixfold.systems.rag.clean.fineweb import FineWebQuality
from sixfold.systems.rag.clean.gopher import GopherQuality, GopherRepetition

__all__ = ["DOCUMENTATION", "WEB"]

# The pipeline of FineWeb (Penedo et al. 2024, section 3) with every published threshold.
WEB: tuple[Filter, ...] = (
    GopherRepetition(),
    GopherQuality(),
    C4Quality(end_punctuation=False),
    FineWebQuality(),
)

# Reference pages of software: the same rules, loosened where they take signatures, tables and inherited
# members for junk. On 220 pydoc pages of the standard library the published ones drop nearly all.
DOCUMENTATION: tuple[Filter, ...] = (
    # A class lists what it inherits, so lines and phrases return: half of the text on one page in ten.
    GopherRepetition(
        max_duplicate_lines=0.90,
        max_duplicate_line_chars=0.85,
        max_top_gram_chars=((2, 0.20), (3, 0.30), (4, 0.40)),
        max_repeated_chars=((5, 0.80), (10, 0.75)),
    ),
    # A small module is a short page; brackets and operators are words without letters; "..." is a default
    # value; qualified names are long words.
    GopherQuality(
        min_words=20,
        max_mean_word_chars=14,
        max_symbols_per_word=0.2,
        max_bullet_lines=None,
        min_words_with_letter=0.35,
        min_stop_words=1,
    ),
    # Braces are dictionaries, "[0]" is an index, and a line of two words is a member.
    C4Quality(
        end_punctuation=False,
        citations=False,
        min_sentences=3,
        min_line_words=None,
        javascript_lines=False,
        curly_bracket=False,
    ),
    # Short lines, repeated lines and lines without a full stop are what a reference is made of.
    FineWebQuality(
        min_terminated_lines=None,
        max_short_lines=0.98,
        max_duplicate_line_chars=None,
        max_breaks_per_word=0.6,
    ),
)
