import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sixfold.errors import InputError, PrerequisiteError
from sixfold.lab.profile import Link, Machine, Profile, Reading, default_profile_path


def profile(cores: int = 4, *, foreign_load: float = 0.0, **efficiency: float) -> Profile:
    one = Reading.of([1.0])
    wall = {1: one, cores: Reading.of([efficiency.get("wall", 0.8)])}
    cpu = {1: one, cores: Reading.of([efficiency.get("cpu", 0.9)])}
    return Profile(
        machine=Machine.here().model_copy(update={"cores": cores}),
        measured_at=datetime(2026, 1, 2, tzinfo=UTC),
        quick=True,
        foreign_load=foreign_load,
        core_flops_per_s=one,
        all_core_flops_per_s=one,
        core_memory_bytes_per_s=one,
        all_core_memory_bytes_per_s=one,
        python_efficiency=wall,
        python_efficiency_cpu=cpu,
        disk_write_bytes_per_s=one,
        disk_read_bytes_per_s=one,
        disk_read_uncached=True,
        process_link=Link(alpha_s=one, beta_s_per_byte=one),
        ray=None,
    )


def test_a_profile_survives_its_file(tmp_path: Path) -> None:
    original = profile()
    path = original.save(tmp_path / "new" / "profile.json")
    assert Profile.load(path) == original
    assert [file.name for file in path.parent.iterdir()] == ["profile.json"]


def test_the_table_shows_every_reading_and_that_the_machine_was_busy() -> None:
    console = Console(width=160, file=io.StringIO())
    console.print(profile(foreign_load=0.4).table())
    text = console.file.getvalue()
    assert "one core, float32" in text
    assert "E(4) by CPU time" in text
    assert "took 40% of it" in text


def test_the_default_path_honours_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIXFOLD_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_profile_path() == Path.home() / ".cache" / "sixfold" / "profile.json"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_profile_path() == tmp_path / "sixfold" / "profile.json"
    monkeypatch.setenv("SIXFOLD_CACHE", str(tmp_path / "own"))
    assert default_profile_path() == tmp_path / "own" / "profile.json"
    with pytest.raises(PrerequisiteError, match="run `sixfold lab probe`"):
        Profile.load()
    assert Profile.load(profile().save(default_profile_path())) == Profile.load()


def test_the_ceiling_interpolates_and_is_shared_beyond_the_cores() -> None:
    measured = profile(cores=4, wall=0.7)
    assert measured.ceiling(1) == 1.0
    assert measured.ceiling(2) == pytest.approx(0.9)
    assert measured.ceiling(4) == pytest.approx(0.7)
    assert measured.ceiling(8) == pytest.approx(0.35)
    with pytest.raises(ValueError, match="at least 1"):
        measured.ceiling(0)


def test_a_busy_probe_is_judged_by_cpu_time() -> None:
    assert not profile().busy
    assert profile(foreign_load=0.5).busy
    assert profile(foreign_load=0.5, wall=0.4, cpu=0.95).ceiling(4) == pytest.approx(0.95)


@given(p=st.integers(1, 64), e=st.floats(0.3, 1.2))
def test_the_ceiling_is_an_efficiency_that_never_rises(p: int, e: float) -> None:
    measured = profile(cores=16, wall=e)
    assert 0.0 < measured.ceiling(p + 1) <= measured.ceiling(p) <= 1.0


@given(values=st.lists(st.floats(0, 1e12), min_size=1, max_size=9))
def test_a_reading_keeps_its_spread(values: list[float]) -> None:
    reading = Reading.of(values)
    assert reading.min <= float(reading) <= reading.max
    assert reading.n == len(values)


def _broken(change: dict[str, Any], drop: str | None = None) -> str:
    content = json.loads(profile().model_dump_json()) | change
    content.pop(drop, None)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("{", None, "not a profile"),
        ("[]", None, "not a profile"),
        (_broken({}, "core_flops_per_s"), "core_flops_per_s", "field required"),
        (_broken({"speed": 1}), "speed", "extra inputs"),
        (
            _broken({"core_flops_per_s": {"median": -1, "min": 0, "max": 1, "n": 1}}),
            "core_flops_per_s.median",
            "greater than",
        ),
        (
            _broken({"core_flops_per_s": {"median": 2, "min": 0, "max": 1, "n": 1}}),
            "core_flops_per_s",
            "order",
        ),
        (_broken({"version": 9}), "version", "should be 1"),
        (_broken({"python_efficiency": {}}), None, "python_efficiency needs p = 1 and p = 4"),
    ],
)
def test_a_broken_file_is_refused_by_field(tmp_path: Path, text: str, field: str | None, message: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        Profile.load(path)
    assert caught.value.field == field
    assert str(path) in str(caught.value)


def test_a_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(InputError, match="cannot be read"):
        Profile.load(path)
