"""What a live writer keeps of pages beside the index: their raw bytes, and a journal of what became of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sixfold.files import json_text, replace_bytes
from sixfold.systems.rag.takedown_receipt import Found
from sixfold.systems.rag.takedown_rules import Rule
from sixfold.systems.rag.takedown_warc import find_records, overwrite

__all__ = ["find_in_live", "scrub_live"]


def find_in_live(index: Path, rule: Rule) -> Iterator[Found]:
    """The archived pages that the rule names, and what the journal quotes of those that were dropped."""
    for path in sorted((index / "live").glob("pages-*.warc.gz")):
        yield from find_records(path, rule.matches, "live", str(path.relative_to(index)))
    journal = _journal(index)
    for offset, _, entry in _lines(journal):
        for number, page in enumerate(_quoting(entry, rule)):
            data = page["detail"].encode("utf-8", "surrogatepass")
            digest = hashlib.sha256(data).hexdigest()
            yield Found("live-journal", "live/journal.jsonl", f"{offset}:{number}", page["url"], len(data), digest)


def scrub_live(index: Path, rule: Rule, found: list[Found], receipt: str) -> None:
    """Overwrite those pages, and blank those quotations; every byte behind them stays where it was.

    The caller holds the index's lock for writing: the position of the journal's end is part of a generation.
    """
    for one in found:
        overwrite(index / one.file, one, receipt, rule.at_s)
    lines, changed = [], False
    for _, line, entry in _lines(_journal(index)):
        if quoting := list(_quoting(entry, rule)):
            for page in quoting:
                page["detail"] = ""
            line, changed = json_text(entry).encode("utf-8", "replace").rjust(len(line) - 1) + b"\n", True
        lines.append(line)
    if changed:
        replace_bytes(_journal(index), b"".join(lines))


def _quoting(entry: dict[str, Any], rule: Rule) -> Iterator[dict[str, Any]]:
    pages = entry.get("pages", ())
    return (page for page in pages if page.get("detail") and rule.matches(page["url"]))


def _journal(index: Path) -> Path:
    return index / "live" / "journal.jsonl"


def _lines(path: Path) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """(offset, line, what it says) of a journal; a torn end, which its writer will cut off, says nothing."""
    offset = 0
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        yield offset, line, json.loads(line) if line.endswith(b"\n") else {}
        offset += len(line)
