"""The quality and repetition rules of Gopher (Rae et al. 2021, arXiv:2112.11446, appendix A.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

from sixfold.systems.rag.clean.filters import Rejection, exceeds
from sixfold.systems.rag.clean.words import (
    TextView,
    covered_by_repeats,
    duplicates,
    longest_gram_chars,
    repeated_chars,
    top_gram_chars,
)

__all__ = ["GopherQuality", "GopherRepetition"]

STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})


@dataclass(frozen=True, slots=True)
class GopherQuality:
    """Rejects what does not look like prose; the defaults are published, None switches a rule off."""

    min_words: int | None = 50
    max_words: int | None = 100_000
    min_mean_word_chars: float | None = 3
    max_mean_word_chars: float | None = 10
    max_symbols_per_word: float | None = 0.1  # "#", and "..." or "…"
    max_bullet_lines: float | None = 0.9
    max_ellipsis_lines: float | None = 0.3
    min_words_with_letter: float | None = 0.8
    min_stop_words: int | None = 2  # distinct ones of the eight

    name = "gopher-quality"

    def __call__(self, view: TextView) -> TextView | Rejection:
        n_marks_and_words = len(view.words)
        words = view.counts * view.is_word
        n_words = int(words.sum())
        if self.min_words is not None and n_words < max(1, self.min_words):
            return Rejection("too-few-words", f"{n_words} < {self.min_words}")
        if self.max_words is not None and n_words > self.max_words:
            return Rejection("too-many-words", f"{n_words} > {self.max_words}")
        mean = float((words * view.lengths).sum()) / max(1, n_words)
        if self.min_mean_word_chars is not None and mean < self.min_mean_word_chars:
            return Rejection("short-words", f"{mean:.2f} < {self.min_mean_word_chars}")
        if self.max_mean_word_chars is not None and mean > self.max_mean_word_chars:
            return Rejection("long-words", f"{mean:.2f} > {self.max_mean_word_chars}")
        text, lines = view.text, view.lines
        n_all = max(1, n_marks_and_words)
        n_lines = max(1, len(lines))
        n_ellipses = text.count("...") + text.count("…")
        bullets = sum(line.startswith(("•", "-")) for line in map(str.lstrip, lines))
        cut = sum(line.endswith(("...", "…")) for line in map(str.rstrip, lines)) if n_ellipses else 0
        rejection = (
            exceeds("hashes", text.count("#") / n_all, self.max_symbols_per_word)
            or exceeds("ellipses", n_ellipses / n_all, self.max_symbols_per_word)
            or exceeds("bullet-lines", bullets / n_lines, self.max_bullet_lines)
            or exceeds("ellipsis-lines", cut / n_lines, self.max_ellipsis_lines)
        )
        if rejection:
            return rejection
        with_letter = float((view.counts * view.has_letter).sum()) / n_all
        if self.min_words_with_letter is not None and with_letter < self.min_words_with_letter:
            return Rejection("few-letters", f"{with_letter:.3f} < {self.min_words_with_letter}")
        n_stop_words = len(STOP_WORDS.intersection(view.vocabulary))
        if self.min_stop_words is not None and n_stop_words < self.min_stop_words:
            return Rejection("few-stop-words", f"{n_stop_words} < {self.min_stop_words}")
        return view


@dataclass(frozen=True, slots=True)
class GopherRepetition:
    """Rejects repetitive text; the defaults are table A1, None or an empty tuple switches a rule off.

    Paragraphs and lines as a share of their number and of the characters; the characters of the most
    frequent n-gram (n = 2, 3, 4); the characters in repeated n-grams (n = 5 to 10).
    """

    max_duplicate_lines: float | None = 0.30
    max_duplicate_paragraphs: float | None = 0.30
    max_duplicate_line_chars: float | None = 0.20
    max_duplicate_paragraph_chars: float | None = 0.20
    max_top_gram_chars: tuple[tuple[int, float], ...] = ((2, 0.20), (3, 0.18), (4, 0.16))
    max_repeated_chars: tuple[tuple[int, float], ...] = (
        (5, 0.15),
        (6, 0.14),
        (7, 0.13),
        (8, 0.12),
        (9, 0.11),
        (10, 0.10),
    )

    name = "gopher-repetition"

    def __call__(self, view: TextView) -> TextView | Rejection:
        n_chars = len(view.text)
        if not n_chars:
            return Rejection("empty", "no text")
        for what, parts, max_share, max_chars in (
            (
                "paragraphs",
                view.paragraphs,
                self.max_duplicate_paragraphs,
                self.max_duplicate_paragraph_chars,
            ),
            ("lines", view.blocks, self.max_duplicate_lines, self.max_duplicate_line_chars),
        ):
            n, chars = duplicates(parts)
            rejection = exceeds(f"duplicate-{what}", n / len(parts), max_share) or exceeds(
                f"duplicate-{what[:-1]}-chars", chars / n_chars, max_chars
            )
            if rejection:
                return rejection
        return self._top_grams(view, n_chars) or self._repeated_grams(view, n_chars) or view

    def _top_grams(self, view: TextView, n_chars: int) -> Rejection | None:
        count = len(view.words)
        for n, limit in sorted(self.max_top_gram_chars):
            # An n-gram is never more frequent than the most frequent shorter one.
            if count * longest_gram_chars(view, n) <= limit * n_chars:
                continue
            count, chars = top_gram_chars(view, n)
            rejection = exceeds(f"top-{n}-gram", chars / n_chars, limit)
            if rejection:
                return rejection
        return None

    def _repeated_grams(self, view: TextView, n_chars: int) -> Rejection | None:
        limits = self.max_repeated_chars
        if not limits or len(view.words) < limits[0][0]:
            return None
        # One vectorised bound settles nearly every page; only suspicious ones pay for the exact scans.
        bound = covered_by_repeats(view, min(n for n, _ in limits)) / n_chars
        if bound <= min(limit for _, limit in limits):
            return None
        for n, limit in limits:
            if bound > limit:
                rejection = exceeds(f"repeated-{n}-grams", repeated_chars(view, n) / n_chars, limit)
                if rejection:
                    return rejection
        return None
