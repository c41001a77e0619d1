"""Refitting a machine from runs: the factor of a message, tested on stages that it was not fitted to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rows import make_row

from sixfold.errors import InputError
from sixfold.lab.profile import Link, Machine, Profile, RayReadings, Reading
from sixfold.study.calibration import calibrate, observations
from sixfold.study.row import Panel
from sixfold.study.run_folder import RunFolder

ALPHA_S = 0.001
FACTOR = 3.0
STAGES = (
    ("clean", "law A", 10.0, 0.0),
    ("search", "law B", 1.0, 0.5),
    ("serve", "law C", 2.0, 2.0),
    ("judge", "law C", 3.0, 1.0),
)


def profile() -> Profile:
    one = Reading.of([1.0])
    alpha = Reading.of([ALPHA_S])
    link = Link(alpha_s=alpha, beta_s_per_byte=Reading.of([1e-9]))
    return Profile(
        machine=Machine(name="m", cpu_model="c", cores=2, memory_bytes=1, system="s", python="3", numpy="2", ray="2"),
        measured_at="2026-11-23T00:00:00Z",
        quick=True,
        foreign_load=0.0,
        core_flops_per_s=one,
        all_core_flops_per_s=one,
        core_memory_bytes_per_s=one,
        all_core_memory_bytes_per_s=one,
        python_efficiency={1: one, 2: one},
        python_efficiency_cpu={1: one, 2: one},
        disk_write_bytes_per_s=one,
        disk_read_bytes_per_s=one,
        disk_read_uncached=True,
        process_link=link,
        ray=RayReadings(task_alpha_s=alpha, task_s=alpha, actor_alpha_s=alpha, object_link=link),
    )


def run(folder: Path, with_profile: Profile, factor: float = FACTOR) -> RunFolder:
    """A run whose messages cost `factor` times what was predicted of them."""
    folder.mkdir()
    run = RunFolder(folder)
    run.write_manifest({"system": "tiny", "profile": with_profile.to_json()})
    panel = Panel()
    for stage, law, compute_s, communication_s in STAGES:
        terms = {"compute": compute_s, "communication": communication_s}
        run.emit("prediction", stage=stage, workers=2, wall_s=compute_s + communication_s, law=law, terms=terms)
        real_s = communication_s * factor
        panel.add(make_row(stage, 2, compute_s + real_s, compute_s=compute_s, communication_s=real_s))
    panel.save(run.panel_path)
    return run


def test_the_factor_is_found_and_predicts_stages_that_it_was_not_fitted_to(tmp_path: Path) -> None:
    found = calibrate(observations([run(tmp_path / "a", profile()), run(tmp_path / "b", profile())]))
    assert found.message == pytest.approx(FACTOR)
    assert found.before > 0.2
    assert found.after == pytest.approx(0, abs=1e-9)
    assert found.runs == ("a", "b")


def test_a_stage_is_judged_by_a_fit_without_it_and_without_those_of_its_law(tmp_path: Path) -> None:
    odd = run(tmp_path / "a", profile())
    panel = Panel(row for row in odd.panel() if row.stage != "search")
    panel.add(make_row("search", 2, 6.0, compute_s=1.0, communication_s=5.0))  # ten times what was predicted
    panel.save(odd.panel_path)
    by_stage = {one["stage"]: one["message"] for one in calibrate(observations([odd])).stages}
    assert by_stage["search"] == pytest.approx(FACTOR)
    assert by_stage["serve"] == by_stage["judge"] == pytest.approx(10)


def test_a_calibrated_profile_keeps_what_was_probed_and_is_not_calibrated_twice(tmp_path: Path) -> None:
    found = calibrate(observations([run(tmp_path / "a", profile())]))
    changed = found.apply(found.apply(profile()))
    assert changed.ray is not None
    assert changed.ray.actor_alpha_s.median == pytest.approx(FACTOR * ALPHA_S)
    assert changed.probed == profile()
    assert Profile.load(changed.save(tmp_path / "profile.json")) == changed
    with pytest.raises(InputError, match="calibrated profile"):
        observations([run(tmp_path / "c", changed)])


def test_runs_that_say_nothing_are_refused(tmp_path: Path) -> None:
    empty = RunFolder(tmp_path)
    empty.manifest_path.write_text(json.dumps({"system": "tiny", "profile": profile().to_json()}))
    with pytest.raises(InputError, match="no prediction"):
        observations([empty])
    whole = observations([run(tmp_path / "a", profile())])
    with pytest.raises(ValueError, match="expected two"):
        calibrate([one for one in whole if one.law == "law C"])
