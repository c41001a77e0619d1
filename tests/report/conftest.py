"""A run folder as the runner leaves one, written by the run folder's own code, with invented seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sixfold.axes import Axis
from sixfold.study.milestone import Check, Comparator, Prediction, Verdict
from sixfold.study.row import BASELINE, Panel, Row
from sixfold.study.run_folder import RunFolder

CONFIG = "4f1d09a2b7c6e835"
USD_PER_WORKER_S = 0.0425 / 3600

# stage: (work, unit, quality, metric, {p: (compute, communication, idle, rework)}); p = 0 is the baseline
STAGES: Mapping[str, tuple[float, str, float, str, Mapping[int, tuple[float, float, float, float]]]] = {
    "crawl-clean-dedup": (1733, "pages", 0.958, "extraction F1",
        {0: (46.2, 0, 1.4, 0), 1: (46.6, 1.1, 1.9, 0.1), 2: (23.5, 0.8, 1.4, 0.15)}),
    "index": (1604, "documents", 1.0, "identical top-10",
        {0: (6.31, 0, 0, 0), 1: (6.4, 0.2, 0.11, 0), 2: (3.3, 0.31, 0.24, 0)}),
    "embed": (9120, "chunks", 0.9995, "cosine to fp32",
        {0: (88.1, 0, 0, 0), 1: (88.7, 0.5, 0.6, 0), 2: (45.2, 0.6, 1.9, 0)}),
    "retrieve": (500, "queries", 0.991, "recall@10",
        {0: (1.84, 0, 0, 0), 1: (0.9, 0.35, 0.12, 0), 2: (0.52, 0.51, 0.46, 0.02)}),
}  # fmt: skip
REMOVES = {
    "crawl-clean-dedup": "one process reads everything",
    "index": "the index fits one node",
    "embed": "one encoder",
    "retrieve": "one exact scan",
}
AXES = {"crawl-clean-dedup": Axis.DATA, "index": Axis.DATA, "embed": Axis.INFERENCE, "retrieve": Axis.CLUSTER}


def reading(median: float) -> dict[str, Any]:
    return {"median": median, "min": median * 0.98, "max": median * 1.01, "n": 7}


PROFILE: dict[str, Any] = {
    "version": 1,
    "machine": {"name": "box", "cpu_model": "a CPU", "cores": 2, "memory_bytes": 25276502016,
                "system": "Linux 6.1", "python": "3.11.9", "numpy": "2.2.6", "ray": "2.60.0"},
    "measured_at": "2026-11-22T19:40:11Z",
    "quick": False,
    "foreign_load": 0.01,
    "core_flops_per_s": reading(92.3e9),
    "all_core_flops_per_s": reading(181e9),
    "core_memory_bytes_per_s": reading(11.9e9),
    "all_core_memory_bytes_per_s": reading(19.4e9),
    "python_efficiency": {"1": reading(1.0), "2": reading(0.962)},
    "python_efficiency_cpu": {"1": reading(1.0), "2": reading(0.981)},
    "disk_write_bytes_per_s": reading(412e6),
    "disk_read_bytes_per_s": reading(1.31e9),
    "disk_read_uncached": True,
    "process_link": {"alpha_s": reading(21e-6), "beta_s_per_byte": reading(3.1e-10)},
    "ray": None,
}  # fmt: skip

DESIGN: dict[str, Any] = {
    "system": "rag",
    "title": "Web-scale text build",
    "problem": "Turn a crawl that no machine can read in a night into an index that answers at once.",
    "ceiling": "data",
    "ceiling_reason": "10^9 pages of 60 kB are 60 TB; one node holds 2 TB.",
    "axes": [
        {"axis": "data", "role": "pages are partitioned by host, documents by shard"},
        {"axis": "inference", "role": "every worker encodes its own chunks"},
        {"axis": "cluster", "role": "queries are scattered over the shards"},
    ],
    "topology": "hybrid",
    "topology_reason": "hosts are owned by one crawler each; a coordinator leases URLs.",
    "mode": [{"mode": "batch", "role": "the build"}, {"mode": "interactive", "role": "retrieval"}],
    "metric": "throughput",
    "metric_reason": "pages a second for a dollar",
    "constraints": [
        {"metric": "quality", "detail": "inside its gate"},
        {"metric": "latency", "detail": "p99 of a query below 100 ms"},
    ],
    "taxes": [
        {"tax": "communication", "where": "statistics of every shard are exchanged once a build"},
        {"tax": "failure", "where": "a lease that runs out is crawled twice"},
    ],
    "slots": {
        name: {"choice": choice, "rejected": [{"alternative": other, "why": why}]}
        for name, choice, other, why in (
            ("partition", "host hash for the crawl, document hash for the index", "by term",
             "every query would touch every node for its rarest term"),
            ("communication", "one exchange of global statistics", "broadcast of each update", "n² messages"),
            ("consistency", "immutable segments, manifest swapped atomically", "in-place updates",
             "a reader would see half a segment"),
            ("coordination", "URL leases with a timeout", "a lock a host",
             "a dead crawler would keep its hosts"),
            ("fault tolerance", "a journal by record", "checkpoints of a whole file",
             "hours of work done twice"),
            ("load balancing", "chunks batched by length", "round robin", "padding took 38 % of the time"),
        )
    },
    "workload": {
        "pages": {"value": 1e9, "unit": "pages", "source": "the target deployment; extrapolated from 1,733"},
        "page_size": {"value": 60e3, "unit": "bytes", "source": "assumption: the mean of the embedded web"},
    },
}  # fmt: skip


def make_row(stage: str, workers: int, repeat: int = 0, /, *, scale: float = 1.0, **changes: Any) -> Row:
    work, unit, quality, metric, times = STAGES[stage]
    compute_s, communication_s, idle_s, rework_s = (part * scale for part in times[workers])
    wall_s = compute_s + communication_s + idle_s + rework_s
    values: dict[str, Any] = {
        "stage": stage, "axis": AXES[stage], "workers": workers, "repeat": repeat, "wall_s": wall_s,
        "compute_s": compute_s, "communication_s": communication_s, "idle_s": idle_s, "rework_s": rework_s,
        "moved_bytes": 0 if workers == BASELINE else 3_200_000 * workers, "work": work, "work_unit": unit,
        "quality": quality, "quality_metric": metric,
        "cost_usd": max(1, workers) * wall_s * USD_PER_WORKER_S, "config": CONFIG, "extra": {},
        "axis_s": (
            {"cluster": communication_s, AXES[stage].value: compute_s + rework_s}
            if AXES[stage] is not Axis.CLUSTER
            else {"cluster": wall_s - idle_s}
        ),
        "axis_bytes": {} if workers == BASELINE else {"cluster": 3_200_000 * workers},
    }  # fmt: skip
    return Row(**{**values, **changes})


def make_manifest(**changes: Any) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "system": "rag",
        "title": "Web-scale text build",
        "composition": "pipeline",
        "stages": [
            {"name": name, "removes": REMOVES[name], "axis": AXES[name].value, "milestone": "E(2) >= 0.8",
             "relative_to_ceiling": True, "scales": True}
            for name in STAGES
        ],
        "gate": {"tolerance": 0.01},
        "min_efficiency": 0.70,
        "options": {"workers": [1, 2], "length": "default", "seed": 0, "stage": None, "keep_going": True,
                    "address": None, "settings": {}},
        "settings": {"repeats": 3, "max_pages": 1733, "chunk_tokens": 128},
        "design": DESIGN,
        "worker_price": {"id": "vcpu", "usd_per_hour": 0.0425, "source": "a list", "date": "2026-11-01"},
        "usd_per_worker_s": USD_PER_WORKER_S,
        "profile": PROFILE,
        "machine": {"cores": 2, "cpu": "a CPU", "memory_bytes": 25276502016, "system": "Linux 6.1"},
        "versions": {"python": "3.11.9", "ray": "2.60.0", "numpy": "2.2.6", "sixfold": "0.1.0"},
        "git_commit": "04d90e9c61f3a2b8b1c4d5e6f708192a3b4c5d6e",
        "command": "sixfold study rag --keep-going",
        "again": None,
        "started_at": "2026-11-22T20:00:00+00:00",
        "lab": {"kind": "local", "address": "127.0.0.1:0", "workers": 2, "oversubscribed": False, "nodes": 1,
                "node_cpus": [2], "ray_version": "2.60.0"},
        "status": "created",
    }  # fmt: skip
    return {**manifest, **changes}


def make_verdicts() -> list[Verdict]:
    note = "E(2), relative to this machine's ceiling of 0.962"
    checks = (
        Check("coverage", True, "1,733 of 1,733 pages"),
        Check("parts add up", True, "largest gap 0.2 %"),
    )
    return [
        Verdict("crawl-clean-dedup", "efficiency", Comparator.AT_LEAST, 0.9, 0.981, 0.957, note, True,
                checks),
        Verdict("index", "identical top-10", Comparator.EQUAL, 1.0, 1.0, 1.0, "fraction", True,
                (Check("one shard cannot hold it", True, "18.2 MB of text, 12.0 MB allowed"),)),
        Verdict("embed", "efficiency", Comparator.AT_LEAST, 0.8, 0.990, 0.960, note, True),
        Verdict("retrieve", "p50 latency", Comparator.AT_MOST, 0.0025, 0.0021, 0.00302, "s", False,
                (Check("sharded = unsharded", True, "500 of 500 queries"),
                 Check("recall@10", False, "0.979, exact 0.991, at most 0.010 below"))),
    ]  # fmt: skip


def predict(folder: RunFolder, stage: str, workers: int) -> None:
    base = make_row(stage, BASELINE)
    terms = {"compute": base.compute_s * 0.99 / workers, "communication": 0.3, "idle": base.idle_s / workers}
    law = f"alpha-beta: T({workers}) = compute / {workers} + 40 messages x 7.5 ms"
    folder.emit("prediction", stage=stage, **asdict(Prediction(workers, sum(terms.values()), law, terms)))


def write_run(path: Path) -> RunFolder:
    """A whole run of four stages, three repeats at p = 1 and 2; its last milestone is not met."""
    path.mkdir(parents=True)
    folder = RunFolder(path)
    folder.emit("prepare", system="rag")
    panel = Panel()
    for name in STAGES:
        for repeat in range(3):
            panel.add(make_row(name, BASELINE, repeat, scale=1 + 0.01 * repeat))
    for name in STAGES:
        for workers in (1, 2):
            predict(folder, name, workers)
        for repeat in range(3):
            for workers in (1, 2):
                panel.add(make_row(name, workers, repeat, scale=1 + 0.02 * repeat))
    panel.save(folder.panel_path)
    verdicts = make_verdicts()
    folder.write_verdicts(verdicts)
    base, _, best = panel.totals(STAGES)
    headline = {
        "stage": "total", "workers": 2, "wall_s": best.wall_s, "speedup": best.speedup(base),
        "efficiency": best.efficiency(base), "quality": best.quality, "quality_metric": best.quality_metric,
        "cost_usd": best.cost_usd, "cost_ratio": best.cost_ratio(base), "baseline_wall_s": base.wall_s,
        "reason": "fastest of 2 rows inside both gates",
    }  # fmt: skip
    data = {
        "corpus": "blake2b:9c1e77f0",
        "queries": {"hash": "blake2b:77aa01", "origin": "synthetic known items"},
    }
    folder.write_manifest(
        make_manifest(data=data, config=CONFIG, headline=headline, status="finished",
                      finished_at="2026-11-22T20:06:41+00:00")
    )  # fmt: skip
    folder.emit("finished", headline=headline)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A finished run, runs/rag-1."""
    return write_run(tmp_path / "runs" / "rag-1")


@pytest.fixture
def manifest_of() -> Callable[..., dict[str, Any]]:
    """Makes a manifest of the runner's form, with fields replaced."""
    return make_manifest


@pytest.fixture
def row_of() -> Callable[..., Row]:
    """Makes one row of a stage of that run, with fields replaced."""
    return make_row
