"""The receipt of a takedown: what was found where, noted before it is destroyed, so that no kill loses it.

INDEX/takedowns/NNNN.items.jsonl   a line for each thing that was found, written before it is removed
INDEX/takedowns/NNNN.json          the receipt
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sixfold.files import append_json_line, read_json, read_json_lines, replace_json
from sixfold.systems.rag.takedown_rules import Rule, iso_time

__all__ = ["Found", "OpenReceipt", "Receipt", "open_receipt"]

MOST_LISTED = 1_000  # things in the receipt itself; all are in the items file


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that a rule names. sha256: of what it held (hexadecimal), which proves what it was."""

    place: str  # crawl, live, build, segment or embedding
    file: str
    at: str  # where in the file: an offset, a row, a document
    url: str
    size_bytes: int
    sha256: str
    length: int = 0  # of the bytes that are overwritten in place

    @property
    def key(self) -> tuple[str, str, str]:
        return self.place, self.file, self.at


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a takedown did. From `generation` on no answer can contain what the rule names."""

    number: str
    rule: Rule
    state: str  # running or complete
    generation: int
    crawls: tuple[str, ...] = ()
    removed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # place -> things, bytes, files
    items: tuple[Found, ...] = ()  # the first MOST_LISTED of them
    left: tuple[Mapping[str, str], ...] = ()  # out of reach: records of inputs that are not in `crawls`
    same_text: tuple[str, ...] = ()  # URLs with the same text that the rule does not name: they stay
    verification: Mapping[str, Any] = field(default_factory=dict)  # what was looked for again, and what remains
    seconds: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Ready to be written as JSON."""
        rule = {**asdict(self.rule), "at": iso_time(self.rule.at_s)}
        return {**asdict(self), "rule": rule, "items_file": f"{self.number}.items.jsonl"}


class OpenReceipt:
    """A receipt that is being filled."""

    def __init__(self, folder: Path, number: str, rule: Rule, crawls: tuple[str, ...]) -> None:
        self._folder, self._items = folder, folder / f"{number}.items.jsonl"
        self.receipt = Receipt(number, rule, "running", 0, crawls)
        self.found: dict[tuple[str, str, str], Found] = {}
        for line in read_json_lines(self._items):
            found = Found(**line)
            self.found[found.key] = found

    def note(self, found: Iterable[Found]) -> list[Found]:
        """Write down what is about to be removed, on disk when this returns; gives all of them."""
        found = list(found)
        for one in found:
            if one.key not in self.found:
                append_json_line(self._items, asdict(one))
                self.found[one.key] = one
        if found:
            with self._items.open("rb") as file:
                os.fsync(file.fileno())
        return found

    def of(self, place: str) -> list[Found]:
        """What was found at a place, by this attempt or an earlier one that was killed."""
        return [one for one in self.found.values() if one.place == place]

    def save(self, **changes: Any) -> Receipt:
        """Write the receipt as it stands, with some of its fields changed."""
        removed: dict[str, dict[str, Any]] = {}
        for one in self.found.values():
            of = removed.setdefault(one.place, {"things": 0, "bytes": 0, "files": []})
            of["things"] += 1
            of["bytes"] += one.size_bytes
            if one.file not in of["files"]:
                of["files"].append(one.file)
        items = tuple(list(self.found.values())[:MOST_LISTED])
        self.receipt = replace(self.receipt, removed=removed, items=items, **changes)
        replace_json(self._folder / f"{self.receipt.number}.json", self.receipt.as_json())
        return self.receipt


def open_receipt(folder: Path, rule: Rule, crawls: tuple[str, ...], now_s: float) -> OpenReceipt:
    """The receipt of the same rule that was interrupted, to go on with; else a new one."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = sorted(path.stem for path in folder.glob("[0-9]*.json") if path.stem.isdecimal())
    for number in reversed(numbers):
        told = read_json(folder / f"{number}.json")
        if told["state"] == "running":
            known = {name: value for name, value in told["rule"].items() if name != "at"}
            before = Rule(**known)
            if before.key == rule.key:
                both = tuple(dict.fromkeys([*told["crawls"], *crawls]))
                opened = OpenReceipt(folder, number, before, both)
                opened.receipt = replace(
                    opened.receipt,
                    generation=int(told["generation"]),
                    left=tuple(told["left"]),
                    same_text=tuple(told["same_text"]),
                )
                return opened
    number = f"{int(numbers[-1]) + 1 if numbers else 1:04d}"
    opened = OpenReceipt(folder, number, replace(rule, at_s=now_s, receipt=number), crawls)
    opened.save()
    return opened
