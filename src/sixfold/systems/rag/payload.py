"""What a payload is, by its declared type and its bytes: page, text, or only labelled so."""

from __future__ import annotations

import hashlib
from base64 import b32encode

from resiliparse.parse.encoding import detect_mime

from sixfold.systems.rag.records import Kind

__all__ = ["binary_type", "kind_of_mime", "payload_digest", "sniff_kind"]

SNIFFED_BYTES = 4_096
MAX_CONTROL_SHARE = 0.05
KINDS = {
    "text/html": Kind.HTML,
    "application/xhtml+xml": Kind.HTML,
    "text/plain": Kind.TEXT,
    "text/markdown": Kind.MARKDOWN,
    "text/x-markdown": Kind.MARKDOWN,
}
# Every C0 control except tab, newline, form feed, carriage return and escape (ISO-2022 text uses it).
CONTROLS = bytes(set(range(32)) - {9, 10, 12, 13, 27})
HTML_OPENINGS = (
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<body",
    b"<?xml",
    b"<!--",
    b"<title",
    b"<div",
    b"<p>",
)
UTF_16_32_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


def payload_digest(payload: bytes) -> str:
    """The base32 SHA-1 after "sha1:", as WARC-Payload-Digest has it (ISO 28500, 5.9); no security measure."""
    return "sha1:" + b32encode(hashlib.sha1(payload, usedforsecurity=False).digest()).decode("ascii")


def kind_of_mime(mime: str | None) -> Kind | None:
    """The kind a media type stands for, None if it is not one that holds text."""
    return KINDS.get((mime or "").split(";")[0].strip().lower())


def sniff_kind(payload: bytes) -> Kind:
    """HTML if it opens like HTML, else text: for carriers that declare no type."""
    return Kind.HTML if payload[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(HTML_OPENINGS) else Kind.TEXT


def binary_type(payload: bytes, charset: str | None) -> str | None:
    """The media type of a payload that is not text whatever its carrier says, None if it may be text."""
    head = payload[:SNIFFED_BYTES]
    wide = (charset or "").lower().startswith(("utf-16", "utf-32", "utf16", "ucs-2")) or head.startswith(
        UTF_16_32_MARKS
    )
    if wide:
        return None
    mime = str(detect_mime(head))
    if not mime.startswith(("text/", "application/octet-stream", "application/xhtml", "application/xml")):
        return mime
    # A legacy charset also looks like octet-stream to a sniffer; control characters tell text from binary.
    controls = len(head) - len(head.translate(None, CONTROLS))
    return "application/octet-stream" if b"\x00" in head or controls > MAX_CONTROL_SHARE * len(head) else None
