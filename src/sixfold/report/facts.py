"""JSON of a manifest as lines that people read: names, values with their units, and the labels they carry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sixfold.units import quantity

__all__ = ["LABELS", "Answer", "Fact", "answers", "facts", "labels_in"]

LABELS = ("synthetic", "simulated", "extrapolated", "emulated", "oversubscribed")

_LABEL = re.compile(r"\b(" + "|".join(LABELS) + r")\b", re.IGNORECASE)
_NOT_A_LABEL = re.compile(r"\b(?:not|never|no|without)\s+(?:\w+\s+)?$", re.IGNORECASE)
_NAME_KEYS = (
    "name",
    "choice",
    "axis",
    "tax",
    "ceiling",
    "topology",
    "mode",
    "metric",
    "optimised",
    "optimise",
)
_REASON_KEYS = ("reason", "why", "role", "where", "because", "detail", "description", "text", "note")
_MAX_DEPTH = 8  # a manifest is a file: nesting in it is bounded here, not by the interpreter


@dataclass(frozen=True, slots=True)
class Fact:
    """One line: what, how much, where it is from, and whether it was measured at all."""

    name: str
    value: str
    source: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a question of the checklist, with its reason."""

    value: str
    reason: str = ""
    labels: tuple[str, ...] = ()


def labels_in(value: object, depth: int = 0) -> tuple[str, ...]:
    """The labels (synthetic, simulated, ...) that a value or anything inside it carries.

    A label is a word of a text, or a key whose value is true; "not simulated" is not one.
    """
    found: set[str] = set()
    if isinstance(value, str):
        for match in _LABEL.finditer(value):
            if not _NOT_A_LABEL.search(value[: match.start()]):
                found.add(match.group().lower())
    elif isinstance(value, Mapping) and depth < _MAX_DEPTH:
        for key, each in value.items():
            if each is not False and each is not None and each != 0:
                found.update(labels_in(_words(str(key))))
            found.update(labels_in(each, depth + 1))
    elif isinstance(value, (list, tuple)) and depth < _MAX_DEPTH:
        for each in value:
            found.update(labels_in(each, depth + 1))
    return tuple(sorted(found, key=LABELS.index))


def facts(value: object, name: str = "", depth: int = 0) -> Iterator[Fact]:
    """Every scalar below `value` as one line; {value, unit, source} is one line too."""
    if isinstance(value, Mapping):
        if "value" in value and not isinstance(value["value"], Mapping):
            yield _reading(name, value)
        elif {"median", "min", "max", "n"} <= value.keys():
            yield _summary(name, value)
        elif depth < _MAX_DEPTH:
            for key, each in value.items():
                yield from facts(each, f"{name} · {_words(str(key))}" if name else _words(str(key)), depth + 1)
    elif isinstance(value, (list, tuple)) and any(isinstance(each, (Mapping, list, tuple)) for each in value):
        for place, each in enumerate(value, start=1):
            if depth < _MAX_DEPTH:
                yield from facts(each, f"{name} {place}".strip(), depth + 1)
    elif value is not None:
        bare, unit = _unit_of(name)
        labels = labels_in(value) if isinstance(value, str) else labels_in({name: value})
        yield Fact(bare if unit else name, quantity(value, unit), labels=labels)


def answers(value: object) -> list[Answer]:
    """The answers in a field of a design: a word, a word with its reason, or several of these."""
    if value is None or value == "":
        return []
    if isinstance(value, (list, tuple)):
        return [answer for each in value for answer in answers(each)]
    if not isinstance(value, Mapping):
        return [Answer(quantity(value), labels=labels_in(value))]
    name = next((key for key in _NAME_KEYS if isinstance(value.get(key), (str, int, float))), None)
    reason = next((key for key in _REASON_KEYS if isinstance(value.get(key), str)), None)
    if name is None and "value" in value:
        line = _reading("", value)
        return [Answer(line.value, str(value.get(reason, "")) if reason else line.source, line.labels)]
    if name is None:
        return [
            Answer(_words(str(key)), "; ".join(_sentence(answer) for answer in answers(each)), labels_in(each))
            for key, each in value.items()
        ]
    rest = {key: each for key, each in value.items() if key not in (name, reason)}
    extra = "; ".join(f"{line.name}: {line.value}" for line in facts(rest))
    text = " ".join(part for part in (str(value[reason]) if reason else "", extra) if part)
    return [Answer(_words(str(value[name])), text, labels_in(value))]


def _sentence(answer: Answer) -> str:
    return f"{answer.value}: {answer.reason}" if answer.reason else answer.value


def _reading(name: str, value: Mapping[str, object]) -> Fact:
    source = " · ".join(
        f"{value[key]}" if key in ("source", "reason", "note") else f"{_words(key)}: {quantity(value[key])}"
        for key in value
        if key not in ("value", "unit", "name") and value[key] not in (None, "", False)
        and isinstance(value[key], (str, int, float))
    )  # fmt: skip
    labels = labels_in(value)
    if str(value.get("source", "")).lower().startswith("assumption"):
        labels = (*labels, "assumed")
    return Fact(
        str(value.get("name") or _unit_of(name)[0]),
        quantity(value["value"], str(value.get("unit") or "")),
        source,
        labels,
    )


def _summary(name: str, value: Mapping[str, object]) -> Fact:
    """The median of repeats, with how far they lay apart."""
    bare, unit = _unit_of(name)
    spread = f"{quantity(value['min'], unit)} to {quantity(value['max'], unit)}, n = {quantity(value['n'])}"
    return Fact(bare, quantity(value["median"], unit), spread, labels_in({name: value}))


def _unit_of(name: str) -> tuple[str, str]:
    """The name without its unit, and the unit: names end in theirs, as in `memory bytes` or `latency s`."""
    if name.lower() == "usd per hour":
        return "price", "USD/h"
    if name.lower().endswith(" flops per s"):
        return name[: -len(" per s")], "FLOP/s"
    for ending, unit in ((" bytes per s", "bytes/s"), (" s per byte", "s/byte"),
                         (" per s", "/s"), (" bytes", "bytes"), (" usd", "USD"),
                         (" flops", "FLOP/s"), (" hz", "Hz"), (" s", "s")):  # fmt: skip
        if name.lower().endswith(ending):
            return name[: -len(ending)], unit
    return name, ""


def _words(key: str) -> str:
    return f"p = {key}" if key.isdecimal() else key.replace("_", " ")
