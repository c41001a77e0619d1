"""Promises of milestones and options: what is written down is read back, and nonsense is refused by name."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.files import json_text
from sixfold.study import Check, Comparator, Length, Options, Verdict

numbers = st.floats(allow_infinity=False)
checks = st.builds(Check, st.text(), st.booleans(), st.text())
verdicts = st.builds(
    Verdict,
    stage=st.text(),
    metric=st.text(),
    comparator=st.sampled_from(Comparator),
    target=numbers,
    predicted=numbers,
    value=numbers,
    unit=st.text(),
    passed=st.booleans(),
    checks=st.lists(checks, max_size=3).map(tuple),
)


@given(verdicts)
def test_a_verdict_survives_json_and_the_json_is_strict(verdict: Verdict) -> None:
    text = json_text(verdict.to_json())
    json.loads(text, parse_constant=pytest.fail)
    back = Verdict.from_json(json.loads(text))
    assert repr(back) == repr(verdict)  # repr, because NaN is not equal to itself


@pytest.mark.parametrize("record", [{}, {"stage": "s"}, {"target": 1, "predicted": 1, "value": 1, "comparator": "~"}])
def test_a_record_that_is_no_verdict_is_refused(record: dict) -> None:
    with pytest.raises(InputError, match="not the record of a milestone"):
        Verdict.from_json(record)


@pytest.mark.parametrize(
    ("comparator", "value", "holds"),
    [
        (Comparator.AT_LEAST, 0.8, True),
        (Comparator.AT_LEAST, 0.79, False),
        (Comparator.AT_MOST, 0.8, True),
        (Comparator.AT_MOST, 0.81, False),
        (Comparator.EQUAL, 0.8, True),
        (Comparator.EQUAL, 0.8001, False),
        *[(comparator, math.nan, False) for comparator in Comparator],
    ],
)
def test_comparators(comparator: Comparator, value: float, holds: bool) -> None:
    assert comparator.holds(value, 0.8) is holds


options = st.builds(
    Options,
    workers=st.sets(st.integers(1, 99), min_size=1, max_size=4).map(tuple),
    length=st.sampled_from(Length),
    seed=st.integers(),
    stage=st.none() | st.text(),
    keep_going=st.booleans(),
    address=st.none() | st.text(),
    settings=st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.integers(), max_size=2), max_size=3),
)


@given(options)
def test_options_survive_a_manifest(given_options: Options) -> None:
    assert Options.from_json(json.loads(json_text(given_options.to_json()))) == given_options


def test_options_put_workers_in_order() -> None:
    assert Options(workers=(4, 1, 2)).workers == (1, 2, 4)


@pytest.mark.parametrize("workers", [(), (0,), (-1, 2), (2, 2)])
def test_worker_counts_that_make_no_sense_are_refused(workers: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="distinct counts"):
        Options(workers=workers)


@pytest.mark.parametrize(
    "change",
    [
        {"speed": 9},
        {"length": "eternal"},
        {"workers": 2},
        {"workers": ["two"]},
        {"settings": None, "length": None},
    ],
)
def test_options_of_a_broken_manifest_are_refused(change: dict) -> None:
    with pytest.raises(ConfigError):
        Options.from_json(Options().to_json() | change)


def test_importing_the_study_starts_no_engine_and_loads_no_network_library(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, sixfold.study.runner, sixfold.study as s; [getattr(s, n) for n in s.__all__];"
        "print([m for m in ('ray', 'torch', 'faiss', 'aiohttp') if m in sys.modules]);"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout.strip() == "[]"


def test_a_worker_that_wants_a_span_loads_the_meter_only(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from sixfold.study import span, metered;"
        "print([m for m in ('pyarrow', 'pydantic', 'sixfold.study.runner') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout.strip() == "[]"


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    import sixfold.study

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = sixfold.study.nonsense
    assert all(hasattr(sixfold.study, name) for name in sixfold.study.__all__)
