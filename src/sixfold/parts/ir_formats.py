"""Readers of the single files of test collections; `ir_collections` knows which file is which."""

from __future__ import annotations

import gzip
import html
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sixfold.errors import InputError

__all__ = ["head", "json_lines", "plain_number", "rows", "smart_records", "trec_documents", "trec_topics"]


def head(path: Path, size: int = 4096) -> str:
    """How a file begins, unpacked if it is gzipped; "" if it cannot be read."""
    try:
        with gzip.open(path) if _is_gzip(path) else path.open("rb") as file:
            return file.read(size).decode("latin-1")
    except (OSError, EOFError, zlib.error):
        return ""


def plain_number(text: str) -> str:
    """An identifier without leading zeros if it is a number: 007 and 7 are the same query."""
    return str(int(text)) if text.isdecimal() and text.isascii() else text


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, object) of each line, every one with an `_id`."""
    for line, text in _lines(path):
        try:
            row = json.loads(text)
        except ValueError as error:
            raise InputError(f"not JSON ({error})", path=path, line=line) from None
        if not isinstance(row, dict) or "_id" not in row:
            raise InputError("expected an object with the field _id", path=path, line=line)
        yield line, row


def rows(path: Path, separator: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of each line that is not blank, split at runs of blanks unless a separator is given."""
    for line, text in _lines(path):
        yield line, [field.strip() for field in text.split(separator)]


def smart_records(path: Path) -> Iterator[tuple[str, str, str]]:
    """(id, title, text) of each record; other fields (.A authors, .B source, .X citations) are not text."""
    key, field = "", ""
    parts: dict[str, list[str]] = {"T": [], "W": []}
    for line, text in enumerate(_decode(path).splitlines(), 1):
        mark = re.match(r"\.([A-Z])(?:\s+(\S+))?\s*$", text)
        if mark and mark[1] == "I":
            if key:
                yield key, " ".join(parts["T"]).strip(), " ".join(parts["W"]).strip()
            if not (mark[2] or "").isdecimal():
                raise InputError(f"expected a number after .I, got {mark[2]!r}", path=path, line=line)
            key, field, parts = plain_number(mark[2]), "I", {"T": [], "W": []}
        elif mark and not mark[2]:
            field = mark[1]
        elif text.strip() and not key:
            raise InputError(f"expected a record to begin with .I, got {text[:40]!r}", path=path, line=line)
        elif field in parts:
            parts[field].append(text.strip())
    if key:
        yield key, " ".join(parts["T"]).strip(), " ".join(parts["W"]).strip()


def trec_documents(path: Path) -> Iterator[tuple[int, str, str, str]]:
    """(line, id, title, text) of each <DOC>; its text is its <TEXT>s, or all but the headers."""
    for line, body in _elements(path, "doc"):
        number = re.search(r"<docno>\s*(.*?)\s*</docno>", body, re.IGNORECASE | re.DOTALL)
        if not number or not number[1]:
            raise InputError("this <DOC> has no <DOCNO>", path=path, line=line)
        title = re.search(r"<(title|headline|hl|ttl)>(.*?)</\1>", body, re.IGNORECASE | re.DOTALL)
        texts = [part[1] for part in re.finditer(r"<text>(.*?)</text>", body, re.IGNORECASE | re.DOTALL)]
        if not texts:
            rest = body.replace(title[0], " ", 1) if title else body
            texts = [re.sub(r"<(docno|docid|author|bib|date)>.*?</\1>", " ", rest, flags=re.I | re.S)]
        yield line, number[1], _strip_tags(title[2]) if title else "", _strip_tags(" ".join(texts))


def trec_topics(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, id, text) of each topic: its title, else its description. Tags need not be closed."""
    for line, body in _elements(path, "top(?:ic)?"):
        fields: dict[str, str] = {}
        for tag, text in re.findall(r"<(num|title|query|desc|description)>([^<]*)", body, re.IGNORECASE):
            fields.setdefault(tag.lower(), _strip_tags(text))
        attribute = re.match(r"""\s*number\s*=\s*["']?([^"'>\s]+)""", body, re.IGNORECASE)
        number = attribute[1] if attribute else re.sub(r"^Number:\s*", "", fields.get("num", ""), flags=re.I)
        title = re.sub(r"^Topic:\s*", "", fields.get("title") or fields.get("query") or "", flags=re.I)
        description = re.sub(r"^Description:\s*", "", fields.get("desc") or fields.get("description") or "", flags=re.I)
        if not number:
            raise InputError("this topic has no <num>", path=path, line=line)
        yield line, plain_number(number), title or description


def _elements(path: Path, tag: str) -> Iterator[tuple[int, str]]:
    """(line, attributes and content) of each element; an element without its end is an error."""
    text, line, at = _decode(path), 1, 0
    start = re.compile(rf"<{tag}(?=[\s>])>?", re.IGNORECASE)
    end = re.compile(rf"</{tag}\s*>", re.IGNORECASE)
    while opening := start.search(text, at):
        line += text.count("\n", at, opening.start())
        closing = end.search(text, opening.end())
        if closing is None:
            raise InputError(f"{opening[0]} without its end; the file may be cut short", path=path, line=line)
        yield line, text[opening.end() : closing.start()]
        line += text.count("\n", opening.start(), closing.end())
        at = closing.end()


def _strip_tags(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, text) of each line that is not blank, read one at a time."""
    try:
        with gzip.open(path) if _is_gzip(path) else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if text.strip():
                    yield number, text.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 ({error.reason})", path=path, line=number) from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read ({error})", path=path) from None


def _decode(path: Path) -> str:
    """A whole file; the classic collections are ASCII, Latin-1 or UTF-8 and do not say which."""
    try:
        with gzip.open(path) if _is_gzip(path) else path.open("rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read ({error})", path=path) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
