"""Numbers keep their value, their unit and no more digits than they deserve."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.units import byte_count, dollars, number, percent, plural, quantity, seconds, tie, times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(12345), "12,345"),
        (number(0.93), "0.930"),
        (number(1234.56), "1,235"),
        (number(1.2e-7), "1.20 × 10⁻⁷"),
        (number(-3), "−3"),
        (number(math.nan), "n/a"),
        (number(math.inf), "∞"),
        (seconds(0), "0 s"),
        (seconds(1.234), "1.23 s"),
        (seconds(0.0451), "45.1 ms"),
        (seconds(12.3e-6), "12.3 µs"),
        (seconds(725), "12 min 5 s"),
        (seconds(7500), "2 h 5 min"),
        (seconds(-1.5), "−1.50 s"),
        (byte_count(512), "512 B"),
        (byte_count(3_200_000), "3.20 MB"),
        (dollars(0.0012), "$0.0012"),
        (dollars(12.3), "$12.30"),
        (dollars(0), "$0"),
        (times(1.87), "1.87×"),
        (percent(0.123), "12.3 %"),
        (percent(-0.05, signed=True), "−5.0 %"),
        (percent(0.05, signed=True), "+5.0 %"),
        (percent(0.0, signed=True), "0 %"),
        (quantity(0.5, "s"), "500 ms"),
        (quantity(2e9, "bytes"), "2.00 GB"),
        (quantity(1.9e10, "bytes/s"), "19.0 GB/s"),
        (quantity(92.3e9, "FLOP/s"), "92.3 GFLOP/s"),
        (quantity(36.04, "pages/s"), "36.0 pages/s"),
        (quantity(0.9, "fraction"), "0.900"),
        (quantity(True), "yes"),
        (quantity([1, 2]), "1, 2"),
        (quantity(None), "n/a"),
    ],
)
def test_a_number_reads_as_people_write_it(text: str, expected: str) -> None:
    assert text == expected


def test_a_number_does_not_part_from_its_unit() -> None:
    assert tie("8.8 % of 45.1 ms at p = 2") == (
        "8.8\N{NO-BREAK SPACE}% of 45.1\N{NO-BREAK SPACE}ms at p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}2"
    )


@given(st.floats(min_value=1e-9, max_value=599))
def test_a_time_reads_back_to_three_digits(value_s: float) -> None:
    size, unit = seconds(value_s).split(" ")
    factor = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
    assert float(size) * factor == pytest.approx(value_s, rel=6e-3)


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["", "s", "bytes", "USD", "Hz", "pages"]))
def test_no_number_is_too_odd_to_write(value: float, unit: str) -> None:
    assert re.fullmatch(r"\S.*", quantity(value, unit))


@pytest.mark.parametrize(
    ("noun", "count", "said"),
    [
        ("node", 1, "node"),
        ("node", 2, "nodes"),
        ("entity", 2, "entities"),
        ("day", 0.5, "days"),
        ("branch", 3, "branches"),
    ],
)
def test_a_noun_is_as_many_as_there_are(noun: str, count: float, said: str) -> None:
    assert plural(noun, count) == said
