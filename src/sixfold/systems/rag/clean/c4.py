"""The line and page rules of C4 (Raffel et al. 2020, JMLR 21(140), section 2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sixfold.systems.rag.clean.filters import Rejection
from sixfold.systems.rag.clean.sentences import sentence_spans
from sixfold.systems.rag.clean.words import TextView

__all__ = ["C4Quality"]

CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
SENTENCE_ENDS = (".", "?", "!", '"', "'")
POLICY_PHRASES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


@dataclass(frozen=True, slots=True)
class C4Quality:
    """Keeps the lines that read like sentences and rejects pages of which too little is left.

    The defaults are the published rules and those of the reference code (long words, policy lines).
    FineWeb switches `end_punctuation` off (Penedo et al. 2024, section 3.5). The list of bad words of C4 is
    not applied.
    """

    end_punctuation: bool = True  # drop lines that do not end like a sentence
    citations: bool = True  # cut "[1]" and the like out of lines
    min_sentences: int | None = 5
    min_line_words: int | None = 3
    max_word_chars: int | None = 1_000  # drop lines with a longer word
    javascript_lines: bool = True  # drop lines that mention it
    policy_lines: bool = True  # drop lines with a phrase of cookie notices
    lorem_ipsum: bool = True  # reject pages with it
    curly_bracket: bool = True  # reject pages with one

    name = "c4-quality"

    def __call__(self, view: TextView) -> TextView | Rejection:
        lowered = view.text.lower()
        phrases = POLICY_PHRASES if self.policy_lines else ()
        if self.javascript_lines:
            phrases = ("javascript", *phrases)
        unwanted = tuple(p for p in phrases if p in lowered)  # mostly none: then no line is searched
        lorem = self.lorem_ipsum and "lorem ipsum" in lowered
        bracket = self.curly_bracket and "{" in lowered
        limit = self.max_word_chars if self.max_word_chars is not None else len(view.text)
        kept: list[str] = []
        for raw in view.lines:
            line = raw.strip()
            words = line.split()
            if len(line) > limit and any(len(word) > limit for word in words):
                continue
            if self.citations and "[" in line:
                line = CITATION.sub("", line)
            if self.end_punctuation and (not line.endswith(SENTENCE_ENDS) or line.endswith("...")):
                continue
            if self.min_line_words is not None and len(words) < self.min_line_words:
                continue
            folded = line.lower() if lorem or unwanted else ""
            if lorem and "lorem ipsum" in folded:
                return Rejection("lorem-ipsum", line[:80])
            if unwanted and unwanted[0] == "javascript" and "javascript" in folded:
                continue
            if bracket and "{" in line:
                return Rejection("curly-bracket", line[:80])
            if unwanted and any(phrase in folded for phrase in unwanted):
                continue
            kept.append(line)
        if self.min_sentences is not None and len(kept) < self.min_sentences:  # a line has at least one sentence
            n = sum(len(sentence_spans(line)) for line in kept)
            if n < self.min_sentences:
                return Rejection("too-few-sentences", f"{n} < {self.min_sentences}")
        text = "\n".join(kept).strip()
        return view if text == view.text else TextView(text)
