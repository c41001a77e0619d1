"""Where sentences begin and end."""

from __future__ import annotations

import sentencex  # type: ignore[import-untyped]

__all__ = ["sentence_spans"]

UNSPACED_STOPS = "。！？｡．"


def sentence_spans(text: str, language: str = "en") -> list[tuple[int, int]]:
    """(start, end) in characters of each sentence that is not blank, by the rules of the language.

    A sentence ends before white space, or at a full stop of a script that is written without any.
    """
    spans: list[tuple[int, int]] = []
    for found in sentencex.get_sentence_boundaries(language, text):
        start, end = found["start_index"], found["end_index"]
        if spans and spans[-1][1] == start and text[start - 1] not in UNSPACED_STOPS and _inside_word(text, start):
            spans[-1] = (spans[-1][0], end)
        elif not text[start:end].isspace():
            spans.append((start, end))
    return spans


def _inside_word(text: str, at: int) -> bool:
    return not text[at - 1].isspace() and not text[at].isspace()
