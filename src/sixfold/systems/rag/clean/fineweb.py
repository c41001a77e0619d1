"""The quality rules that FineWeb adds to C4's (Penedo et al. 2024, arXiv:2406.17557, section 3.6)."""

from __future__ import annotations

from dataclasses import dataclass

from sixfold.systems.rag.clean.filters import Rejection, exceeds
from sixfold.systems.rag.clean.words import TextView, duplicates

__all__ = ["FineWebQuality"]

# Sentence terminals (Unicode property STerm) of the larger scripts; FineWeb counts lines that end with one.
TERMINALS = tuple(".!?。！？．｡؟۔।॥։።፧፨။၊។៕᠃᠉܀܁܂‼⁇⁈⁉﹖﹗")


@dataclass(frozen=True, slots=True)
class FineWebQuality:
    """Rejects lists, menus and repeated boilerplate; the defaults are published, None switches a rule off."""

    min_terminated_lines: float | None = 0.12
    max_short_lines: float | None = 0.67
    short_line_chars: int = 30
    max_duplicate_line_chars: float | None = 0.01
    max_breaks_per_word: float | None = 0.3

    name = "fineweb-quality"

    def __call__(self, view: TextView) -> TextView | Rejection:
        lines = [line for line in view.text.split("\n") if line and not line.isspace()]
        if not lines:
            return Rejection("empty", "no text")
        terminated = sum(line.endswith(TERMINALS) for line in lines) / len(lines)
        if self.min_terminated_lines is not None and terminated < self.min_terminated_lines:
            return Rejection("few-terminated-lines", f"{terminated:.3f} < {self.min_terminated_lines}")
        short = sum(len(line) <= self.short_line_chars for line in lines) / len(lines)
        n_breaks = view.text.count("\n")
        repeated = duplicates(lines)[1] / max(1, len(view.text) - n_breaks)
        return (
            exceeds("short-lines", short, self.max_short_lines)
            or exceeds("duplicate-line-chars", repeated, self.max_duplicate_line_chars)
            or exceeds("breaks-per-word", n_breaks / max(1, len(view.words)), self.max_breaks_per_word)
            or view
        )
