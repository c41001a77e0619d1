"""Stage "crawl-clean-dedup": hosts, records and hash partitions are divided among p workers."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import pyarrow.parquet as pq

from sixfold.axes import Axis
from sixfold.design.laws.scaling import amdahl_time_s
from sixfold.study import (
    BASELINE,
    Check,
    Context,
    Measurement,
    Outcome,
    Prediction,
    Reading,
    Row,
    Trial,
    output_folder,
)
from sixfold.systems.rag.build_folder import BuildFolder, BuildSettings
from sixfold.systems.rag.build_steps import GROUPS_A_WORKER, clean, drop_duplicates, plan, rehearse
from sixfold.systems.rag.crawl.actors import crawl_distributed
from sixfold.systems.rag.crawl.crawler import crawl_single
from sixfold.systems.rag.crew import Crew, RayCrew, SerialCrew
from sixfold.systems.rag.dedup import DEDUP_MAPS
from sixfold.systems.rag.embedded_web import hub_and_limits, server_cpu_s

__all__ = ["build_settings", "checks", "corpus_folder", "kept_digests", "predict", "run"]

STAGE = "crawl-clean-dedup"


def build_settings(settings: Any) -> BuildSettings:
    """What the study builds with: the rules for documentation, and each page's first sentence kept for queries."""
    return BuildSettings(
        preset=settings["preset"],
        split_bytes=settings["split_bytes"],
        strip_known_items=True,
    )


def corpus_folder(context: Context) -> BuildFolder:
    """The baseline's documents: what every later stage works on, at every p."""
    return BuildFolder(output_folder(context, STAGE, BASELINE) / "build")


def run(trial: Trial) -> Measurement:
    """Crawl the site (or take the given input), clean every page, drop the duplicates."""
    context, single = trial.context, trial.workers == BASELINE
    folder = BuildFolder(trial.folder / "build")
    settings = build_settings(context.settings)

    def advance(step: str, done: int, total: int) -> None:
        context.emit("progress", step=step, done=done, total=total)

    if not single:
        context.lab()
    server_s = server_cpu_s(context.work)
    inputs, crawl_s, crawl_readings = _crawl(trial)
    server_s = server_cpu_s(context.work) - server_s
    # Workers live as long as a build: what they load once is not part of what a page costs.
    crew: Crew = SerialCrew(Axis.DATA) if single else RayCrew(trial.workers, Axis.DATA)
    crew.warm_up(partial(rehearse, settings))
    began = time.perf_counter()
    plan(folder, inputs, settings)
    reports = clean(folder, crew, advance)
    cleaned = time.perf_counter()
    counts = drop_duplicates(folder, crew, [])
    ended = time.perf_counter()
    readings = crew.readings()
    crew.close()
    pages = sum(report.kept + report.dropped for report in reports)
    in_tasks_s = sum(reading.wall_s for reading in readings)
    return Measurement(
        wall_s=crawl_s + ended - began,
        readings=[*crawl_readings, *readings],
        work=pages,
        work_unit="pages",
        quality=_agreement(context, folder),
        quality_metric="documents shared with the baseline",
        extra={
            "crawl_s": crawl_s,
            "clean_s": cleaned - began,
            "dedup_s": ended - cleaned,
            "driver_s": max(0.0, ended - began - in_tasks_s / max(1, trial.workers)),
            "server_cpu_s": server_s,
            "splits": len(reports),
            "documents": sum(report.kept for report in reports) - sum(counts.values()),
            "rework_records": sum(report.rework for report in reports),
            **{f"dropped {stage}": float(n) for stage, n in counts.items()},
        },
    )


def predict(context: Context, baseline: Row, workers: int) -> Prediction:
    """Amdahl over what p cores give; a message a task; the site's server shares the cores."""
    profile, extra = context.profile, baseline.extra
    serial = min(1.0, extra["driver_s"] / baseline.wall_s)
    compute_s = float(amdahl_time_s(baseline.wall_s, serial, workers)) / profile.ceiling(workers)
    ray = profile.ray
    tasks = extra["splits"] + DEDUP_MAPS * GROUPS_A_WORKER * workers
    hand_out_s = tasks * ray.actor_alpha_s.median if ray is not None else 0.0
    cores = profile.machine.cores
    server_s = extra["server_cpu_s"] / cores if workers >= cores else 0.0
    terms = {
        "compute": compute_s,
        "communication": hand_out_s / workers,
        "idle: the site's server on a shared core": server_s,
    }
    law = "T(1) (s + (1-s)/p) / ceiling(p) + tasks alpha_Ray / p + server / cores"
    return Prediction(workers, sum(terms.values()), law, terms)


def checks(outcome: Outcome) -> Iterable[Check]:
    """The documents are the baseline's, whoever crawled and cleaned them."""
    context = outcome.context
    single = kept_digests(corpus_folder(context))
    for row in outcome.rows:
        other = kept_digests(BuildFolder(output_folder(context, STAGE, row.workers, row.repeat) / "build"))
        yield Check(
            f"{row.who}: the documents of one process are kept",
            single == other,
            f"{len(single)} documents by URL and text, {len(single ^ other)} differ",
        )


def kept_digests(folder: BuildFolder) -> set[tuple[str, bytes]]:
    """(doc_id, digest of the text) of every document that was kept."""
    gone = {
        (r["source_file"], r["source_offset"])
        for r in pq.read_table(folder.drops, columns=["source_file", "source_offset"]).to_pylist()
    }
    kept = set()
    for part in range(len(folder.read_plan()[2])):
        columns = ["doc_id", "text_digest", "source_file", "source_offset"]
        for r in pq.read_table(folder.documents(part), columns=columns).to_pylist():
            if (r["source_file"], r["source_offset"]) not in gone:
                kept.add((r["doc_id"], r["text_digest"]))
    return kept


def _crawl(trial: Trial) -> tuple[list[str], float, list[Reading]]:
    """Crawl the embedded web into WARC files; where they are, the seconds, the meters.

    With input of the user's there is nothing to crawl.
    """
    given = list(trial.context.settings["inputs"])
    if given:
        return given, 0.0, []
    out = trial.folder / "crawl"
    hub, limits = hub_and_limits(trial.context.work)
    if trial.workers == BASELINE:
        report = crawl_single([hub], out, limits)
    else:
        report = crawl_distributed([hub], out, limits, workers=trial.workers)
    return [str(out / "warc")], report.seconds, list(report.readings)


def _agreement(context: Context, folder: BuildFolder) -> float:
    """|A and B| / |A or B| of the kept documents and the baseline's."""
    mine, single = kept_digests(folder), kept_digests(corpus_folder(context))
    union = mine | single
    return len(mine & single) / len(union) if union else 1.0
