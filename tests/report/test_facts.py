"""A label is never lost on the way from the manifest to the page, and never invented."""

from typing import Any

import pytest

from sixfold.report.facts import Answer, Fact, answers, facts, labels_in


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        ({"corpus": {"hash": "ab", "kind": "synthetic"}}, ("synthetic",)),
        ({"simulated": True}, ("simulated",)),
        ({"simulated": False}, ()),
        ({"simulated_hosts": 4}, ("simulated",)),
        ({"note": "this was not simulated"}, ()),
        ([{"deep": [{"er": "Extrapolated from p = 2"}]}], ("extrapolated",)),
        ("nosynthetics", ()),
        ({"oversubscribed": False, "kind": "local"}, ()),
    ],
)
def test_labels_are_found_wherever_they_are(value: Any, labels: tuple[str, ...]) -> None:
    assert labels_in(value) == labels


def test_units_are_read_from_names_and_from_records() -> None:
    value = {
        "memory_bytes": 25276502016,
        "core_flops_per_s": {"median": 92.3e9, "min": 90e9, "max": 93e9, "n": 7},
        "link": {"alpha_s": 21e-6, "beta_s_per_byte": 3.1e-10},
        "pages": {"value": 1e9, "unit": "pages", "source": "assumption: a guess"},
        "nothing": None,
        "counts": [1, 2],
    }
    assert list(facts(value)) == [
        Fact("memory", "25.3 GB"),
        Fact("core flops", "92.3 GFLOP/s", "90.0 GFLOP/s to 93.0 GFLOP/s, n = 7"),
        Fact("link · alpha", "21.0 µs"),
        Fact("link · beta", "0.31 ns/B"),
        Fact("pages", "1,000,000,000 pages", "assumption: a guess", ("assumed",)),
        Fact("counts", "1, 2"),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        ("batch", [Answer("batch")]),
        ({"mode": "batch", "role": "the build"}, [Answer("batch", "the build")]),
        ([{"tax": "failure", "where": "leases"}, "x"], [Answer("failure", "leases"), Answer("x")]),
        (
            {"communication": "once", "failure": "twice"},
            [Answer("communication", "once"), Answer("failure", "twice")],
        ),
        ({"value": 100, "unit": "ms", "source": "the brief"}, [Answer("100 ms", "the brief")]),
    ],
)
def test_answers_come_in_any_of_their_forms(value: Any, expected: list[Answer]) -> None:
    assert answers(value) == expected
