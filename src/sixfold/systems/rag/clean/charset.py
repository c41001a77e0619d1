"""From bytes to text: which encoding a page is in, whatever its labels say."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import lru_cache

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

__all__ = ["Decoded", "decode"]

META_BYTES = 1_024  # where the HTML standard (13.2.3.2, prescan) looks for a declaration
DETECT_BYTES = 1 << 17
MAX_HIGH_SHARE = 0.25  # of the letters; no language written in windows-1252 has more accented ones
META = re.compile(
    rb"""<(?:meta|\?xml)\b[^>]{0,200}?(?:charset|encoding)\s{0,4}=\s{0,4}["']?\s{0,4}([\w.:-]{2,40})""", re.I
)
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of a payload, the encoding it was read in, how that was found, and what could not be read."""

    text: str
    encoding: str
    found_by: str  # "mark", "utf-8", "declared", "meta", "detected"
    n_replaced: int  # characters that were not valid in the encoding


def decode(payload: bytes, declared: str | None = None) -> Decoded:
    """Decode by byte order mark, else HTTP label, else meta label, else detection; wrong labels are mended.

    A label is wrong if the payload does not decode by it, if non-ASCII payload is valid UTF-8 all the same
    (which other encodings are not by chance), or if a Western label gives more accented letters than any
    Western language has. Never raises.
    """
    for mark, encoding in MARKS:
        if payload.startswith(mark):
            return _decoded(payload[len(mark) :], encoding, "mark")
    if not payload.isascii():
        try:
            return Decoded(payload.decode("utf-8"), "utf-8", "utf-8", 0)
        except UnicodeDecodeError:
            pass
    meta = META.search(payload, 0, META_BYTES)
    labels = ((declared, "declared"), (meta[1].decode("ascii", "replace") if meta else None, "meta"))
    for label, found_by in labels:
        codec = _codec(label) if label else None
        # A page whose bytes spell out a meta label is not UTF-16 (HTML standard, same section).
        if codec is None or (found_by == "meta" and codec.startswith("utf-16")):
            continue
        try:
            text = payload.decode(codec)
        except (UnicodeDecodeError, UnicodeError):
            continue
        if codec == "cp1252" and _too_accented(payload):
            continue
        return Decoded(text, codec, found_by, 0)
    if payload.isascii():
        return Decoded(payload.decode("ascii"), "utf-8", "utf-8", 0)
    # Damaged UTF-8 is likelier than a single-byte charset that looks like it.
    text = payload.decode("utf-8", "replace")
    n_replaced = text.count(REPLACEMENT)
    if n_replaced * 20 <= sum(map(len, re.findall(r"[^\x00-\x7f]+", text))):
        return Decoded(text, "utf-8", "utf-8", n_replaced)
    # Not html5_compatible: that turns the Korean cp949 into UTF-8 (Resiliparse 2.0.1).
    guess = detect_encoding(payload[:DETECT_BYTES], html5_compatible=False) or "cp1252"
    return _decoded(payload, _codec(guess) or _python_codec(guess) or "cp1252", "detected")


def _decoded(payload: bytes, encoding: str, found_by: str) -> Decoded:
    text = payload.decode(encoding, "replace")
    return Decoded(text, encoding, found_by, text.count(REPLACEMENT))


@lru_cache(maxsize=256)
def _codec(label: str | None) -> str | None:
    """The Python codec for a label as browsers read it (latin-1 is windows-1252), None if there is none."""
    if not label:
        return None
    name = map_encoding_to_html5(label.strip().strip("\"'"), False)
    return _python_codec(name) if name else None


def _python_codec(name: str) -> str | None:
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        return None


def _too_accented(payload: bytes) -> bool:
    high = len(payload) - len(payload.translate(None, bytes(range(0xC0, 0x100))))
    letters = len(payload) - len(payload.translate(None, bytes(range(65, 91)) + bytes(range(97, 123))))
    return high > MAX_HIGH_SHARE * (high + letters)
