"""The tiny systems of the contract test: one from docs/study.md, one pipeline with a Ray stage."""

import importlib.util
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from sixfold.axes import Axis
from sixfold.study import (
    Check,
    Comparator,
    Composition,
    Context,
    Gate,
    Length,
    Measurement,
    Meter,
    Milestone,
    Outcome,
    Part,
    Prediction,
    Row,
    Stage,
    System,
    Trial,
    metered,
    span,
)

GUIDE = Path(__file__).parents[2] / "docs" / "study.md"


def block(language: str) -> str:
    """The one code block of a language in docs/study.md."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    return str(text)


def write_design(folder: Path, system: str) -> Path:
    """The guide's design.yaml under another name."""
    path = folder / "design.yaml"
    path.write_text(block("yaml").replace("system: census", f"system: {system}"))
    return path


def census(folder: Path) -> ModuleType:
    """The example of docs/study.md, imported from `folder`: its `system(folder)` is the system."""
    write_design(folder, "census")
    source = folder / "census_stages.py"
    source.write_text(block("python"))
    spec = importlib.util.spec_from_file_location("census_stages", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["census_stages"] = module
    spec.loader.exec_module(module)
    return module


def cook(dish: int, seconds: float) -> int:
    """One dish takes some of somebody's time."""
    with span(Part.COMPUTE):
        time.sleep(seconds)
    return dish * dish


def cook_alone(trial: Trial) -> Measurement:
    """The baseline's kitchen: one cook, no engine."""
    began = time.perf_counter()
    with Meter(Axis.INFERENCE) as meter:
        settings = trial.context.settings
        dishes = [cook(n, settings["dish_s"]) for n in range(settings["dishes"])]
    return _served(trial, dishes, time.perf_counter() - began, [meter.reading()])


def cook_on_ray(trial: Trial) -> Measurement:
    """p cooks: Ray tasks of one CPU each, each with its share of the dishes."""
    import ray

    trial.context.lab()
    seconds = trial.context.settings["dish_s"]

    def share(dishes: list[int]) -> list[int]:  # complete in itself: Ray's workers cannot import this file
        with span(Part.COMPUTE):
            time.sleep(seconds * len(dishes))
        return [dish * dish for dish in dishes]

    task = ray.remote(metered(Axis.INFERENCE, Part.IDLE)(share))
    ray.get([task.remote([0]) for _ in range(trial.workers)])  # the workers are up; not measured
    orders = list(range(int(trial.context.settings["dishes"])))
    began = time.perf_counter()
    results = ray.get([task.remote(orders[n :: trial.workers]) for n in range(trial.workers)])
    wall_s = time.perf_counter() - began
    return _served(trial, [dish for part, _ in results for dish in part], wall_s, [r for _, r in results])


def _served(trial: Trial, dishes: list[int], wall_s: float, readings: list) -> Measurement:
    (trial.folder / "dishes.txt").write_text(" ".join(map(str, sorted(dishes))))
    right = sorted(dishes) == [n * n for n in range(int(trial.context.settings["dishes"]))]
    return Measurement(wall_s, readings, len(dishes), "dish", float(right), "dishes right")


def inspect(trial: Trial) -> Measurement:
    """A constraint, not speed: every dish is looked at before it leaves; one inspector, no engine."""
    began = time.perf_counter()
    with Meter(Axis.INTELLIGENCE) as meter, span(Part.COMPUTE):
        time.sleep(0.005)
        dishes = int(trial.context.settings["dishes"])
    wall_s = time.perf_counter() - began
    return Measurement(wall_s, [meter.reading()], dishes, "dish", 1.0, "unsafe dishes caught")


def kitchen(
    folder: Path,
    *,
    cook_run: Callable[[Trial], Measurement] = cook_on_ray,
    dish_s: float = 0.005,
    target_e: float = 0.05,  # a busy machine is no reason to fail
    inspect_holds: bool = True,
    on_predict: Callable[[str, int], float | None] = lambda stage, workers: None,
    on_baseline: Callable[[Trial], None] = lambda trial: None,
) -> System:
    """Cook on p workers, then inspect on one: a pipeline whose second stage is a safety constraint."""

    def predict(stage: str) -> Callable[[Context, Row, int], Prediction]:
        def law(context: Context, baseline: Row, workers: int) -> Prediction:
            wall_s = on_predict(stage, workers) or baseline.wall_s / workers
            return Prediction(workers, wall_s, "T(1) / p", {"compute": wall_s})

        return law

    def baseline(trial: Trial) -> Measurement:
        on_baseline(trial)
        return cook_alone(trial) if trial.stage == "cook" else inspect(trial)

    def efficiency(outcome: Outcome) -> float:
        return outcome.last.efficiency(outcome.baseline)

    return System(
        name="kitchen",
        title="Dishes, cooked and inspected",
        design=write_design(folder, "kitchen"),
        composition=Composition.PIPELINE,
        stages=(
            Stage(
                "cook",
                "one cook",
                Axis.INFERENCE,
                Milestone(
                    "E",
                    Comparator.AT_LEAST,
                    target_e,
                    "",
                    efficiency,
                    lambda f: 1.0,
                    relative_to_ceiling=True,
                ),
                predict("cook"),
                cook_run,
                checks=lambda outcome: [Check("dishes", outcome.last.quality == 1.0, "same as the baseline's")],
            ),
            Stage(
                "inspect",
                "dishes leave unseen",
                Axis.INTELLIGENCE,
                Milestone("caught", Comparator.EQUAL, 1.0, "share", lambda o: o.last.quality, lambda f: 1.0),
                predict("inspect"),
                inspect,
                checks=lambda outcome: [Check("nothing unsafe left", inspect_holds, "counted")],
                scales=False,
            ),
        ),
        baseline=baseline,
        gate=Gate(0.0),
        lengths={length: {"dishes": 8, "dish_s": dish_s} for length in Length},
        prepare=lambda context: {"orders": "squares"},
        min_efficiency=0.05,
    )
