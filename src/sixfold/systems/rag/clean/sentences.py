"""Where sentences begin and end."""

from __future__ import annotations

import sentencex  # type: ignore[import-untyped]

__all__ = ["sentence_spans"]


def sentence_spans(text: str, language: str = "en") -> list[tuple[int, int]]:
    """(start, end) in characters of each sentence that is not blank, by the rules of the language."""
    spans = ((b["start_index"], b["end_index"]) for b in sentencex.get_sentence_boundaries(language, text))
    return [(start, end) for start, end in spans if not text[start:end].isspace()]
