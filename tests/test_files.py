"""Promises of files.py: a file is whole or absent, and a line is whole or gone."""

import json
import math
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import InputError
from sixfold.files import append_json_line, json_text, read_json, read_json_lines, replace_bytes, replace_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_json_comes_back(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.mktemp("json") / "a" / "value.json"
    replace_json(path, value)
    assert read_json(path) == value


def test_json_is_strict() -> None:
    text = json_text({"a": [math.nan, (math.inf, 1.5)], "b": -math.inf})
    assert json.loads(text) == {"a": [None, [None, 1.5]], "b": None}


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_bytes(path, b"old")
    with pytest.raises(TypeError):
        replace_bytes(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_broken_json_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with pytest.raises(InputError, match=r"x\.json: no such file"):
        read_json(path)
    path.write_text('{"a": 1,\n  oops}')
    with pytest.raises(InputError, match=r"x\.json:2: not JSON"):
        read_json(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path)


@given(st.lists(values.filter(lambda v: isinstance(v, dict)), max_size=5), st.data())
def test_a_torn_last_line_is_left_out_and_then_written_over(
    tmp_path_factory: pytest.TempPathFactory, records: list, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("lines") / "events.jsonl"
    for record in records:
        append_json_line(path, record)
    assert list(read_json_lines(path)) == records
    whole = path.read_bytes() if path.exists() else b""
    last = (json_text({"event": "é" * 3, "n": [1, 2]}) + "\n").encode()
    kept = data.draw(st.integers(0, len(last) - 1))
    path.write_bytes(whole + last[:kept])  # the writer was killed here
    complete = [{"event": "é" * 3, "n": [1, 2]}] if kept == len(last) - 1 else []  # only its newline is missing
    assert list(read_json_lines(path)) == records + complete
    append_json_line(path, {"after": 1})
    assert list(read_json_lines(path)) == [*records, *complete, {"after": 1}]


def test_a_long_torn_line_is_cut_off_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a":1}\n' + b'{"b":"' + b"x" * 20_000)
    append_json_line(path, {"c": 3})
    assert path.read_bytes() == b'{"a":1}\n{"c":3}\n'


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a":1}\n\n{"b":\xff}\n{"c":3}\n')
    with pytest.raises(InputError, match=r"events\.jsonl:3: not JSON"):
        list(read_json_lines(path))
    assert list(read_json_lines(tmp_path / "absent")) == []


def _write_many(path: Path, who: int) -> None:
    for n in range(200):
        append_json_line(path, {"who": who, "n": n, "text": "x" * 500})


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    context = get_context("fork")
    writers = [context.Process(target=_write_many, args=(path, who)) for who in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    records = list(read_json_lines(path))
    assert len(records) == 600
    for who in range(3):
        assert [record["n"] for record in records if record["who"] == who] == list(range(200))


def test_a_full_disk_is_an_error_and_leaves_no_torn_line(tmp_path: Path) -> None:
    import resource
    import signal

    path = tmp_path / "events.jsonl"
    append_json_line(path, {"first": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, before[1]))
        with pytest.raises(OSError, match=r"bytes|too large"):
            append_json_line(path, {"second": "x" * 200})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    append_json_line(path, {"third": 3})
    assert list(read_json_lines(path)) == [{"first": 1}, {"third": 3}]
