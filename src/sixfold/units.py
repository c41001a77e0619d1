"""Numbers as people read them: each with its unit and no more digits than it deserves."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

__all__ = ["byte_count", "dollars", "number", "percent", "plural", "quantity", "seconds", "tie", "times"]

MISSING = "n/a"  # a number that was not measured, or that cannot be said (0 / 0)

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_NUMBER_AND_UNIT = re.compile(
    r"(?<=\d) (?=(?:%|(?:s|ms|µs|ns|min|h|B|kB|MB|GB|TB)\b))|(?<=\b[pEST]) (?==)|(?<==) (?=\d)"
)
_PREFIXES = ("", "k", "M", "G", "T", "P", "E")
_MINUS = "\N{MINUS SIGN}"
_UNITS_OF_SECONDS = {"s", "sec", "second", "seconds"}
_UNITS_OF_BYTES = {"b", "byte", "bytes"}
_UNITS_OF_DOLLARS = {"$", "usd", "dollar", "dollars"}
_UNITS_WITH_PREFIX = {"flop/s": "FLOP/s", "flops": "FLOP/s", "hz": "Hz", "bit/s": "bit/s"}
_WITHOUT_UNIT = {"", "1", "ratio", "fraction"}


def number(value: float | None, digits: int = 3) -> str:
    """`value` to `digits` significant digits, whole numbers in full: 12,345; 0.930; 1.20 × 10⁻⁷."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    sign, size = (_MINUS if value < 0 else ""), abs(value)
    if size == int(size) and size < 1e15:
        return f"{sign}{int(size):,}"
    exponent = math.floor(math.log10(size))
    if exponent < -6 or exponent >= 15:
        mantissa, exponent_text = f"{size:.{digits - 1}e}".split("e")
        return f"{sign}{mantissa} × 10{_superscript(int(exponent_text))}"
    return f"{sign}{size:,.{max(0, digits - 1 - exponent)}f}"


def seconds(value: float | None) -> str:
    """A time: 12.3 µs, 45.1 ms, 1.23 s, 12 min 5 s, 2 h 5 min."""
    if value is None or not math.isfinite(value):
        return MISSING
    sign, size = (_MINUS if value < 0 else ""), abs(value)
    if size == 0:
        return "0 s"
    if size >= 2 * 3600:
        hours, minutes = divmod(round(size / 60), 60)
        return f"{sign}{hours:,} h {minutes} min"
    if size >= 600:
        minutes, rest = divmod(round(size), 60)
        return f"{sign}{minutes} min {rest} s"
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if size >= factor * 0.9995 or unit == "ns":
            return f"{sign}{_fixed(size / factor)} {unit}"
    raise AssertionError("unreachable")


def byte_count(value: float | None) -> str:
    """Bytes in powers of 1,000: 512 B, 3.20 MB."""
    if value is None or not math.isfinite(value):
        return MISSING
    size = abs(value)
    power = 0 if size < 1 else min(len(_BYTE_UNITS) - 1, int(math.log10(size) + 1e-9) // 3)
    text = number(size) if power == 0 else _fixed(size / 1000**power)
    return f"{_MINUS if value < 0 else ''}{text} {_BYTE_UNITS[power]}"


def dollars(value: float | None) -> str:
    """US dollars: $12.30, $0.0012, and two digits however small."""
    if value is None or not math.isfinite(value):
        return MISSING
    sign, size = (_MINUS if value < 0 else ""), abs(value)
    if size == 0:
        return "$0"
    if size >= 1:
        return f"{sign}${size:,.2f}"
    return f"{sign}${number(size, 2)}"


def times(value: float | None) -> str:
    """A ratio: 1.87×."""
    text = number(value)
    return text if text == MISSING else f"{text}×"


def percent(value: float | None, *, signed: bool = False) -> str:
    """A share: 0.123 is 12.3 %; with `signed`, +12.3 %."""
    if value is None or not math.isfinite(value):
        return MISSING
    size = abs(value) * 100
    text = f"{size:.1f}" if 0 < size < 99.95 else f"{size:,.0f}"
    sign = "" if float(text.replace(",", "")) == 0 else _MINUS if value < 0 else "+" if signed else ""
    return f"{sign}{text} %"


def quantity(value: object, unit: str = "") -> str:
    """Any value with its unit, scaled where the unit is one that is scaled (s, bytes, USD)."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return MISSING
    if isinstance(value, (int, float)):
        name = unit.strip().lower()
        if name in _UNITS_OF_SECONDS:
            return seconds(value)
        if name in _UNITS_OF_BYTES:
            return byte_count(value)
        if name in {f"{each}/s" for each in _UNITS_OF_BYTES}:
            return f"{byte_count(value)}/s"
        if name in _UNITS_OF_DOLLARS:
            return dollars(value)
        if name == "usd/h":
            return f"${number(value)} an hour"
        if name == "s/byte":
            return f"{seconds(value)}/B"
        if name in _UNITS_WITH_PREFIX:
            return _prefixed(value, _UNITS_WITH_PREFIX[name])
        return number(value) if name in _WITHOUT_UNIT else f"{number(value)} {unit.strip()}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(quantity(each, unit) for each in value)
    return f"{value} {unit}".strip()


def plural(noun: str, count: float) -> str:
    """The noun for so many: 1 node, 2 nodes, 3 entities, 2 square metres."""
    if count == 1:
        return noun
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def tie(text: str) -> str:
    """A sentence whose numbers do not part from their units at the end of a line."""
    return _NUMBER_AND_UNIT.sub("\N{NO-BREAK SPACE}", text)


def _prefixed(value: float, unit: str) -> str:
    """A value with the SI prefix that leaves one to three digits before the point."""
    if not math.isfinite(value):
        return MISSING
    size = abs(value)
    power = 0 if size < 1000 else min(len(_PREFIXES) - 1, int(math.log10(size) + 1e-9) // 3)
    text = number(size) if power == 0 else _fixed(size / 1000**power)
    return f"{_MINUS if value < 0 else ''}{text} {_PREFIXES[power]}{unit}"


def _fixed(size: float) -> str:
    """Three significant digits of a number that was scaled to 1 … 1,000."""
    exponent = math.floor(math.log10(size)) if size > 0 else 0
    return f"{size:,.{max(0, 2 - max(exponent, 0))}f}"


def _superscript(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
