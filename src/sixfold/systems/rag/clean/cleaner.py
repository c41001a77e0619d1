"""From a raw record to a document, or to the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sixfold.errors import ConfigError
from sixfold.systems.rag.clean.charset import decode
from sixfold.systems.rag.clean.extract import Extraction, extract
from sixfold.systems.rag.clean.filters import Filter, apply_filters
from sixfold.systems.rag.clean.language import identify
from sixfold.systems.rag.clean.minhash import signature
from sixfold.systems.rag.clean.pii import scrub
from sixfold.systems.rag.clean.presets import DOCUMENTATION, WEB
from sixfold.systems.rag.clean.words import TextView
from sixfold.systems.rag.records import Document, Dropped, Kind, RawRecord, document_id

__all__ = ["CONFIGS", "Cleaner", "CleanerConfig"]

MAX_TITLE_CHARS = 300
# Control characters but tab and newline, and the halves of surrogate pairs: none of them is text.
NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
TRAILING_SPACE = re.compile(r"[ \t]+\n")
BLANK_LINES = re.compile(r"\n{3,}")
HEADING = re.compile(r"#{1,6}[ \t]+(.*)")


@dataclass(frozen=True, slots=True)
class CleanerConfig:
    """What is kept; picklable, so that it can be sent to where the cleaning is done."""

    filters: tuple[Filter, ...] = WEB
    languages: frozenset[str] | None = frozenset({"en"})  # None keeps all
    min_language_score: float = 0.65  # as FineWeb
    scrub_pii: bool = True
    max_payload_bytes: int = 10_000_000
    max_replaced_share: float = 0.05  # characters that could not be decoded
    extractor: Callable[[str], Extraction] = extract

    def __post_init__(self) -> None:
        if self.max_payload_bytes < 1:
            raise ConfigError(f"max_payload_bytes is {self.max_payload_bytes}, expected at least 1")
        if not 0 <= self.min_language_score <= 1:
            raise ConfigError(f"min_language_score is {self.min_language_score}, expected 0 to 1")


# What `--preset` chooses from. Signatures and tables make the language model unsure of English: 35 % of the
# pydoc pages of the standard library score below the 0.65 of the web, none that is English below 0.15.
CONFIGS = {
    "web": CleanerConfig(),
    "documentation": CleanerConfig(filters=DOCUMENTATION, min_language_score=0.15),
}


class Cleaner:
    """Size, charset, main text, language, quality, personal data, signature: in this order, and pure."""

    def __init__(self, config: CleanerConfig | None = None) -> None:
        self.config = config or CleanerConfig()

    def clean(self, raw: RawRecord) -> Document | Dropped:
        """The document of a record, or why it is dropped; raises nothing for what a record may hold."""
        config = self.config

        def dropped(stage: str, reason: str, detail: str) -> Dropped:
            return Dropped(raw.url, stage, reason, detail, raw.source)

        if len(raw.payload) > config.max_payload_bytes:
            return dropped("size", "too-large", f"{len(raw.payload)} > {config.max_payload_bytes} bytes")
        decoded = decode(raw.payload, raw.charset)
        if decoded.n_replaced > config.max_replaced_share * len(decoded.text):
            share = decoded.n_replaced / len(decoded.text)
            return dropped("charset", "undecodable", f"{share:.3f} > {config.max_replaced_share} as {decoded.encoding}")
        try:
            title, text = self._read(raw.kind, decoded.text)
        except MemoryError:
            raise
        except Exception as error:  # a parser that trips over a page must not stop the build
            return dropped("extract", "error", f"{type(error).__name__}: {error}"[:200])
        if not text:
            return dropped("extract", "no-text", f"none in {len(raw.payload)} bytes of {raw.kind.value}")
        language = identify(text)
        if config.languages is not None:
            measured = f"{language.code} {language.score:.2f}"
            if language.code not in config.languages:
                return dropped("language", "unwanted-language", measured)
            if language.score < config.min_language_score:
                return dropped("language", "uncertain-language", f"{measured} < {config.min_language_score}")
        passed = apply_filters(TextView(text), config.filters)
        if not isinstance(passed, TextView):
            stage, rejection = passed
            return dropped(stage, rejection.reason, rejection.detail)
        text = scrub(passed.text) if config.scrub_pii else passed.text
        title = scrub(title) if config.scrub_pii else title
        return Document(document_id(raw.url), raw.url, title, text, language.code, raw.source, signature(text))

    def _read(self, kind: Kind, markup: str) -> tuple[str, str]:
        if kind is Kind.HTML:
            extraction = self.config.extractor(markup)
            return _one_line(extraction.title), _tidy(extraction.text)
        text = _tidy(markup)
        first = text.split("\n", 1)[0]
        heading = HEADING.fullmatch(first) if kind is Kind.MARKDOWN else None
        return _one_line(heading[1] if heading else first), text


def _tidy(text: str) -> str:
    """Unix line ends, no control characters, no space before them, at most one blank line in a row."""
    text = NOT_TEXT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return BLANK_LINES.sub("\n\n", TRAILING_SPACE.sub("\n", text)).strip()


def _one_line(title: str) -> str:
    return " ".join(NOT_TEXT.sub(" ", title).split())[:MAX_TITLE_CHARS].rstrip()
