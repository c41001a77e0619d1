"""The spine's contract: two invented systems of unlike shapes go through `run_study` for real.

`census` (docs/study.md) adds privacy and has no engine. `kitchen` (tiny.py) is a pipeline: a stage that
scales on Ray, then a safety constraint that does not scale.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from made_profile import make_profile
from tiny import census, cook_alone, kitchen

from sixfold.errors import ConfigError, InputError, InvariantError
from sixfold.study import (
    BASELINE,
    Length,
    Measurement,
    Options,
    RunFolder,
    StudyResult,
    Trial,
    run_study,
    summarise,
)

QUICK = Options(length=Length.QUICK)


def cook_in_turn(trial: Trial) -> Measurement:
    """A cook stage without an engine: each of p workers cooks in turn, in the time of one."""
    measured = cook_alone(trial)
    return replace(measured, work=measured.work * trial.workers)


def kinds(run: RunFolder) -> list[tuple]:
    """The events that matter for the order, as (kind, stage, workers)."""
    wanted = {"prediction", "forecast", "run", "row", "milestone", "stopped", "lab"}
    return [
        (event["event"], event.get("stage"), event.get("workers")) for event in run.events() if event["event"] in wanted
    ]


def finish(path: Path, **options: object) -> StudyResult:
    return run_study(kitchen(path, cook_run=cook_in_turn), Options(**options), make_profile(), runs=path / "runs")


# --- a system whose stages add constraints


def test_a_system_that_adds_privacy_climbs_its_ladder_without_an_engine(tmp_path: Path) -> None:
    result = run_study(census(tmp_path).system(tmp_path), QUICK, make_profile(), runs=tmp_path / "runs")
    assert result.passed
    assert [verdict.stage for verdict in result.verdicts] == ["clip", "noise"]
    assert result.verdicts[1].checks[0].detail == "spent 1 of 1"
    assert result.verdicts[1].predicted == pytest.approx(1 - 100 / 20_000 / 1.0 / 50)
    panel = result.folder.panel()
    assert [(row.stage, row.workers) for row in panel] == [("baseline", BASELINE), ("clip", 1), ("noise", 1)]
    assert all(row.communication_s >= 0.05 and row.compute_s > 0 for row in panel)
    assert all(row.axis_bytes == {"data": 160_000} for row in panel)
    assert result.headline.row is not None
    assert result.headline.row.stage == "noise"
    assert result.folder.manifest()["lab"] is None
    assert "lab" not in {event["event"] for event in result.folder.events()}


def test_a_study_without_an_engine_never_loads_ray(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.append('../support')\n"
        "from pathlib import Path; from tiny import census; from made_profile import make_profile\n"
        "from sixfold.study import Length, Options, run_study\n"
        "folder = Path(sys.argv[1])\n"
        "options = Options(length=Length.QUICK)\n"
        "run_study(census(folder).system(folder), options, make_profile(), runs=folder)\n"
        "print('ray' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    assert done.stdout.strip() == "False"


def test_noise_that_ruins_the_quality_fails_the_milestone_and_is_no_headline(tmp_path: Path) -> None:
    options = Options(length=Length.QUICK, settings={"epsilon": 1e-4})
    result = run_study(census(tmp_path).system(tmp_path), options, make_profile(), runs=tmp_path / "runs")
    assert not result.passed
    assert [verdict.passed for verdict in result.verdicts] == [True, False]
    assert result.folder.panel().median("noise", 1) is not None, "a row outside the gate stays visible"
    assert result.headline.row is not None
    assert result.headline.row.stage == "clip", "the headline is the highest rung that was reached"


# --- a pipeline whose first stage scales on Ray, and whose second is a safety constraint


@pytest.mark.ray
def test_a_pipeline_scales_on_ray_and_ends_in_a_constraint(tmp_path: Path, ray_lab: object) -> None:
    result = run_study(kitchen(tmp_path, dish_s=0.1, target_e=0.5), QUICK, make_profile(), runs=tmp_path / "runs")
    assert result.passed, result.verdicts
    run = result.folder
    assert kinds(run) == [
        ("run", "cook", 0),
        ("row", "cook", 0),
        ("run", "inspect", 0),
        ("row", "inspect", 0),
        ("prediction", "cook", 1),
        ("prediction", "cook", 2),
        ("forecast", "cook", [1, 2]),
        ("run", "cook", 1),
        ("lab", None, 2),
        ("row", "cook", 1),
        ("run", "cook", 2),
        ("row", "cook", 2),
        ("milestone", "cook", None),
        ("prediction", "inspect", 1),
        ("forecast", "inspect", [1]),
        ("run", "inspect", 1),
        ("row", "inspect", 1),
        ("milestone", "inspect", None),
    ]
    row = run.panel().median("cook", 2)
    assert row is not None
    assert 0.4 <= row.compute_s < 0.8, "metered from inside the tasks"
    assert set(row.axis_s) == {"inference"}
    assert row.config == run.manifest()["config"]
    assert run.manifest()["lab"]["workers"] == 2
    headline = result.headline
    assert headline.row is not None
    assert (headline.row.stage, headline.row.workers) == ("total", 2)
    assert headline.row.cost_ratio(headline.baseline) == pytest.approx(1 / headline.row.efficiency(headline.baseline))


def test_the_run_folder_holds_the_whole_run(tmp_path: Path) -> None:
    result = finish(tmp_path)
    names = {path.name for path in result.folder.path.iterdir()}
    assert {"manifest.json", "panel.parquet", "milestones.json", "events.jsonl"} <= names
    manifest = result.folder.manifest()
    assert manifest["status"] == "finished"
    assert {
        "options",
        "settings",
        "design",
        "profile",
        "machine",
        "versions",
        "git_commit",
        "data",
    } <= manifest.keys()
    assert manifest["worker_price"]["source"]
    assert [stage["scales"] for stage in manifest["stages"]] == [True, False]
    assert result.folder.verdicts() == list(result.verdicts)
    assert result.headline.to_json() == manifest["headline"]
    summary = json.loads(json.dumps(summarise(result), allow_nan=False))
    assert summary.keys() == {"system", "run", "baseline", "milestones", "headline", "report"}
    assert [part["stage"] for part in summary["baseline"]] == ["cook", "inspect"]
    assert [verdict["passed"] for verdict in summary["milestones"]] == [True, True]


def test_a_study_stops_at_the_first_unmet_milestone(tmp_path: Path) -> None:
    system = kitchen(tmp_path, cook_run=cook_in_turn, target_e=1000.0)
    result = run_study(system, QUICK, make_profile(), runs=tmp_path / "runs")
    assert not result.passed
    assert [verdict.stage for verdict in result.verdicts] == ["cook"]
    assert kinds(result.folder)[-1] == ("stopped", "cook", None)
    assert result.folder.panel().workers("inspect") == []


def test_keep_going_shows_the_rest_and_still_does_not_pass(tmp_path: Path) -> None:
    system = kitchen(tmp_path, cook_run=cook_in_turn, target_e=1000.0)
    result = run_study(system, Options(length=Length.QUICK, keep_going=True), make_profile(), runs=tmp_path / "runs")
    assert [verdict.passed for verdict in result.verdicts] == [False, True]
    assert not result.passed


def test_a_broken_invariant_fails_a_milestone_whose_number_is_met(tmp_path: Path) -> None:
    system = kitchen(tmp_path, cook_run=cook_in_turn, inspect_holds=False)
    result = run_study(system, QUICK, make_profile(), runs=tmp_path / "runs")
    assert result.verdicts[1].value == result.verdicts[1].target
    assert not result.verdicts[1].passed


def test_an_efficiency_is_judged_by_what_the_cores_can_give(tmp_path: Path) -> None:
    options = Options(length=Length.QUICK, stage="cook")
    system = kitchen(tmp_path, cook_run=cook_in_turn)
    raw = run_study(system, options, make_profile(0.96), runs=tmp_path / "runs").verdicts[0]
    relative = run_study(system, options, make_profile(0.8), runs=tmp_path / "runs").verdicts[0]
    assert raw.unit == ""
    assert "ceiling of 0.800" in relative.unit
    assert relative.predicted == pytest.approx(1 / 0.8)
    assert raw.predicted == 1.0


def test_an_interrupted_run_is_resumed_without_measuring_again(tmp_path: Path) -> None:
    predictions: list[tuple[str, int]] = []
    baselines: list[str] = []
    interrupt = True

    def predicted(stage: str, workers: int) -> float:
        predictions.append((stage, workers))
        return float(len(predictions))  # another number each time, so that a kept one is recognised

    def run_cook(trial: Trial) -> Measurement:
        (trial.folder / "half.txt").write_text("written before the interrupt")
        if interrupt and trial.workers == 2:
            raise KeyboardInterrupt
        return cook_in_turn(trial)

    system = kitchen(
        tmp_path,
        cook_run=run_cook,
        on_predict=predicted,
        on_baseline=lambda trial: baselines.append(trial.stage),
    )
    with pytest.raises(KeyboardInterrupt):
        run_study(system, QUICK, make_profile(), runs=tmp_path / "runs")
    (path,) = (tmp_path / "runs").iterdir()
    run = RunFolder.open(path)
    assert run.manifest()["status"] == "interrupted"
    assert [(row.stage, row.workers) for row in run.panel()] == [("cook", 0), ("inspect", 0), ("cook", 1)]
    with run.events_path.open("ab") as file:
        file.write(b'{"at":1,"event":"ro')  # and the disk was full

    interrupt = False
    result = run_study(system, QUICK, make_profile(0.9), resume=run)
    assert result.passed
    assert result.folder.path == path
    assert result.folder.manifest()["status"] == "finished"
    assert len(result.folder.manifest()["resumed"]) == 1
    assert baselines == ["cook", "inspect"], "the baseline was measured again"
    assert predictions == [("cook", 1), ("cook", 2), ("inspect", 1)], "a run was predicted again"
    assert [event["wall_s"] for event in run.events("prediction")] == [1.0, 2.0, 3.0]
    assert len(list(run.events("forecast"))) == 2
    assert sorted((row.stage, row.workers) for row in result.folder.panel()) == [
        ("cook", 0), ("cook", 1), ("cook", 2), ("inspect", 0), ("inspect", 1),
    ]  # fmt: skip
    assert result.verdicts[0].unit == "", "judged by another profile than the one it was predicted with"


def test_a_resume_that_would_mix_rows_is_refused(tmp_path: Path) -> None:
    result = finish(tmp_path, length=Length.QUICK)
    system = kitchen(tmp_path, cook_run=cook_in_turn)
    rows = list(result.folder.panel())
    with pytest.raises(ConfigError, match="other input, seed or settings"):
        run_study(system, Options(length=Length.QUICK, seed=7), make_profile(), resume=result.folder)
    with pytest.raises(ConfigError, match="is a run of kitchen, not of census"):
        run_study(census(tmp_path).system(tmp_path), QUICK, make_profile(), resume=result.folder)
    manifest = result.folder.manifest()
    manifest["machine"]["cpu"] = "abacus"
    result.folder.write_manifest(manifest)
    with pytest.raises(ConfigError, match="another machine"):
        run_study(kitchen(tmp_path), QUICK, make_profile(), resume=result.folder)
    del manifest["profile"]
    result.folder.write_manifest(manifest)
    with pytest.raises(InputError, match=r"manifest\.json \[profile\]: missing"):
        run_study(kitchen(tmp_path), QUICK, make_profile(), resume=result.folder)
    assert list(result.folder.panel()) == rows


def test_a_resume_may_add_worker_counts(tmp_path: Path) -> None:
    first = finish(tmp_path, length=Length.QUICK, workers=(1,))
    system = kitchen(tmp_path, cook_run=cook_in_turn)
    second = run_study(system, QUICK, make_profile(), resume=first.folder)
    assert second.folder.panel().workers("cook") == [1, 2]
    assert len(second.folder.panel().of("cook", BASELINE)) == 1
    assert second.folder.manifest()["options"]["workers"] == [1, 2]


def test_one_stage_runs_only_what_it_needs(tmp_path: Path) -> None:
    first = finish(tmp_path, length=Length.QUICK, stage="cook")
    assert [(row.stage, row.workers) for row in first.folder.panel()] == [
        ("cook", 0),
        ("cook", 1),
        ("cook", 2),
    ]
    assert first.passed
    last = finish(tmp_path, length=Length.QUICK, stage="inspect")
    assert [(row.stage, row.workers) for row in last.folder.panel()] == [
        ("cook", 0),
        ("inspect", 0),
        ("inspect", 1),
    ]
    assert last.passed
    assert "lab" not in {event["event"] for event in last.folder.events()}


def test_a_manifest_repeats_its_run(tmp_path: Path) -> None:
    first = finish(tmp_path, length=Length.QUICK, seed=3, settings={"dishes": 4, "repeats": 3})
    manifest = first.folder.manifest()
    options = Options.from_json(manifest["options"])
    system = kitchen(tmp_path, cook_run=cook_in_turn)
    second = run_study(system, options, make_profile(), runs=tmp_path / "runs", again=str(first.folder.path))
    assert second.folder.manifest()["config"] == manifest["config"]
    assert second.folder.manifest()["again"] == str(first.folder.path)
    assert [(r.stage, r.workers, r.repeat, r.work, r.quality) for r in second.folder.panel()] == [
        (r.stage, r.workers, r.repeat, r.work, r.quality) for r in first.folder.panel()
    ]
    assert len(first.folder.panel().of("cook", 2)) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stage": "serve"}, "kitchen has no stage 'serve'; its stages are cook, inspect"),
        (
            {"settings": {"dish": 1}},
            "kitchen has no setting 'dish'; its settings are dish_s, dishes, repeats",
        ),
        ({"settings": {"repeats": 0}}, "repeats must be a whole number"),
    ],
)
def test_what_the_system_does_not_have_is_refused_before_a_folder_is_made(
    tmp_path: Path, options: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        finish(tmp_path, **options)
    assert not (tmp_path / "runs").exists()


def test_a_failing_stage_is_written_down_and_the_system_is_released(tmp_path: Path) -> None:
    released: list[str] = []

    def fail(trial: Trial) -> Measurement:
        raise RuntimeError("the stove is out")

    system = kitchen(tmp_path, cook_run=fail)
    object.__setattr__(system, "wrap_up", lambda context: released.append("done"))
    with pytest.raises(RuntimeError, match="the stove is out"):
        run_study(system, QUICK, make_profile(), runs=tmp_path / "runs")
    (path,) = (tmp_path / "runs").iterdir()
    run = RunFolder.open(path)
    assert run.manifest()["status"] == "failed"
    assert [event["error"] for event in run.events("failed")] == ["RuntimeError: the stove is out"]
    assert released == ["done"]
    assert len(run.panel()) == 2, "the baseline that was measured is kept"


def test_a_prediction_has_to_be_one(tmp_path: Path) -> None:
    for wrong in (float("nan"), float("inf"), -1.0):
        system = kitchen(tmp_path, cook_run=cook_in_turn, on_predict=lambda stage, workers, w=wrong: w)
        with pytest.raises(InvariantError, match="not a prediction"):
            run_study(system, QUICK, make_profile(), runs=tmp_path / "runs")


def test_a_stage_name_that_means_something_else_is_refused(tmp_path: Path) -> None:
    system = kitchen(tmp_path)
    for name in ("total", "baseline", "../up", ""):
        with pytest.raises(ValueError, match="cannot name a stage"):
            replace(system, stages=(replace(system.stages[0], name=name),))
    with pytest.raises(ValueError, match="unique"):
        replace(system, stages=(system.stages[0], system.stages[0]))
    with pytest.raises(ValueError, match="no settings for the lengths"):
        replace(system, lengths={Length.QUICK: {}})


def test_a_part_outside_its_gate_keeps_the_whole_out_of_the_headline(tmp_path: Path) -> None:
    def hasty(trial: Trial) -> Measurement:
        good = cook_in_turn(trial)
        return replace(good, quality=0.5) if trial.workers == 2 else good

    options = Options(length=Length.QUICK, keep_going=True)
    result = run_study(kitchen(tmp_path, cook_run=hasty), options, make_profile(), runs=tmp_path / "runs")
    assert result.headline.row is not None
    assert result.headline.row.workers == 1


def test_a_repeated_stage_measures_its_baseline_beside_it(tmp_path: Path) -> None:
    system = kitchen(tmp_path, cook_run=cook_in_turn)
    stages = tuple(replace(stage, repeats=2) for stage in system.stages)
    options = {"workers": (1, 2), "settings": {"dishes": 4, "dish_s": 0.001}}
    result = run_study(replace(system, stages=stages), Options(**options), make_profile(), runs=tmp_path / "runs")
    first = stages[0].name
    ran = [(e["workers"], e["repeat"]) for e in result.folder.events("run") if e["stage"] == first]
    assert ran == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    assert [row.repeat for row in result.folder.panel().of(first, 0)] == [0, 1]
    quick = run_study(
        replace(system, stages=stages), Options(length=Length.QUICK, **options), make_profile(), runs=tmp_path / "runs"
    )
    assert len([e for e in quick.folder.events("run") if e["stage"] == first]) == 3
