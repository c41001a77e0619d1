"""The manifest: everything that is needed to repeat a run, and what it may be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sixfold.design.catalog import Price
from sixfold.design.checklist import Design
from sixfold.errors import ConfigError, InputError
from sixfold.lab.profile import Profile
from sixfold.study.options import Options
from sixfold.study.run_folder import (
    RunFolder,
    command_line,
    describe_machine,
    describe_versions,
    git_commit,
    utc_now,
)
from sixfold.study.stage import System

__all__ = ["new_manifest", "resumed_manifest"]


def new_manifest(
    system: System,
    options: Options,
    settings: Mapping[str, Any],
    design: Design,
    profile: Profile,
    worker: Price,
    again: str | None,
) -> dict[str, Any]:
    """The manifest of a run that begins; `again` is the run it repeats, `worker` what one costs."""
    stages = [
        {
            "name": stage.name,
            "removes": stage.removes,
            "axis": stage.axis.value,
            "milestone": stage.milestone.sentence,
            "relative_to_ceiling": stage.milestone.relative_to_ceiling,
            "scales": stage.scales,
        }
        for stage in system.stages
    ]
    return {
        "system": system.name,
        "title": system.title,
        "composition": system.composition.value,
        "stages": stages,
        "gate": asdict(system.gate),
        "min_efficiency": system.min_efficiency,
        "options": options.to_json(),
        "settings": dict(settings),
        "design": design.to_json(),
        "worker_price": {**worker.model_dump(mode="json"), "usd_per_hour": worker.usd},
        "usd_per_worker_s": worker.usd / 3600,
        "profile": profile.model_dump(mode="json"),
        "machine": describe_machine(),
        "versions": describe_versions(),
        "git_commit": git_commit(),
        "command": command_line(),
        "again": again,
        "started_at": utc_now(),
        "lab": None,
        "status": "created",
    }


def resumed_manifest(run: RunFolder, system: System, options: Options) -> dict[str, Any]:
    """The manifest of a run that goes on; ConfigError if it is of another system or machine."""
    manifest = run.manifest()
    for name in ("machine", "profile", "usd_per_worker_s"):
        if name not in manifest:
            raise InputError("missing, so that the run cannot go on", path=run.manifest_path, field=name)
    if manifest["system"] != system.name:
        raise ConfigError(f"{run.path} is a run of {manifest['system']}, not of {system.name}")
    machine = describe_machine()
    for key in ("cpu", "cores"):
        if (before := manifest["machine"].get(key)) != machine[key]:
            raise ConfigError(
                f"{run.path} was begun on another machine ({key} {before}, "
                f"here {machine[key]}), and times are not comparable: start a new run with --again {run.path}"
            )
    session = {"at": utc_now(), "git_commit": git_commit(), "command": command_line()}
    manifest["resumed"] = [*manifest.get("resumed", []), session]
    manifest["options"] = options.to_json()
    return manifest
