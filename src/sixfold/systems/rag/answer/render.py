"""An answer as text with `[n]` markers, and where each marker stands.

The text is plain text: what looks like HTML or Markdown in a passage stays as it is, for the page to escape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sixfold.systems.rag.answer.types import Answer, AnswerMode, Citation, Sentence, Verdict

__all__ = ["Marker", "Rendered", "coverage_note", "opening", "render", "rendered_sentence"]

UNSUPPORTED_MARK = " (not supported by the sources)"


@dataclass(frozen=True, slots=True)
class Marker:
    """`rendered.text[start:end]` is the `[n]` of this citation; two spans of one passage share it."""

    citation: Citation
    start: int
    end: int
    sentence: int  # position in the answer


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text of an answer, and its markers in order."""

    text: str
    markers: tuple[Marker, ...]


def render(answer: Answer, note: str = "") -> Rendered:
    """The whole answer; `note` (what was not searched) is its last paragraph.

    It is the concatenation of `rendered_sentence` for each sentence and of `opening` if there is none, so that
    a stream of those gives the same text.
    """
    text = ""
    markers: list[Marker] = []
    for at, sentence in enumerate(answer.sentences):
        piece = rendered_sentence(sentence, first=at == 0)
        # The markers are the end of the piece, whatever brackets the sentence has of its own.
        numbers = _numbers(sentence)
        tail = len(UNSUPPORTED_MARK) if sentence.verdict is Verdict.UNSUPPORTED else 0
        place = len(text) + len(piece) - tail - sum(len(f"[{number}]") for number in numbers)
        for number in numbers:
            end = place + len(f"[{number}]")
            markers += [Marker(cited, place, end, at) for cited in sentence.citations if cited.number == number]
            place = end
        text += piece
    if not answer.sentences:
        text = opening(answer)
    if note:
        text += f"\n\n{note}" if text else note
    return Rendered(text, tuple(markers))


def rendered_sentence(sentence: Sentence, *, first: bool) -> str:
    """One sentence with its markers behind it, and what separates it from the one before.

    Quotations stand on lines of their own; hand-wrapped lines inside one are joined.
    """
    gap = "" if first else "\n" if sentence.verdict is Verdict.QUOTED else " "
    words = " ".join(sentence.text.split())
    marks = "".join(f"[{number}]" for number in _numbers(sentence))
    tail = UNSUPPORTED_MARK if sentence.verdict is Verdict.UNSUPPORTED else ""
    return f"{gap}{words}{' ' if marks else ''}{marks}{tail}"


def opening(answer: Answer) -> str:
    """What an answer without sentences says: that it abstains, and why."""
    if answer.mode is not AnswerMode.ABSTAINED:
        return ""
    reason = f": {answer.reason}" if answer.reason else ""
    return f"I cannot answer that from the indexed documents{reason}."


def coverage_note(passages: int, passages_total: int, missing: Sequence[tuple[int, str]]) -> str:
    """What was not searched, in a sentence; empty if everything was.

    missing: (shard, why) of each shard that did not answer.
    """
    if not missing and passages >= passages_total:
        return ""
    share = 100.0 * passages / passages_total if passages_total else 0.0
    # Rounded down, so that something missing never reads as 100 %.
    shards = "; ".join(f"shard {number}: {why}" for number, why in missing)
    because = f" ({shards})" if shards else ""
    return (
        f"Note: {int(share * 10) / 10:g} % of the passages were searched, {passages:,} of {passages_total:,}{because}; "
        "the rest may say more or otherwise."
    )


def _numbers(sentence: Sentence) -> list[int]:
    return list(dict.fromkeys(citation.number for citation in sentence.citations))
