"""A run is a folder; this is its layout, and nothing in a report comes from anywhere else."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from sixfold.errors import InputError
from sixfold.files import append_json_line, read_json, read_json_lines, replace_json
from sixfold.study.milestone import Verdict
from sixfold.study.row import Panel

__all__ = [
    "RunFolder",
    "command_line",
    "config_hash",
    "describe_machine",
    "describe_versions",
    "git_commit",
    "utc_now",
]


class RunFolder:
    """manifest.json, panel.parquet, milestones.json, events.jsonl, report.html; `work/` while it runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest_path = path / "manifest.json"
        self.panel_path = path / "panel.parquet"
        self.milestones_path = path / "milestones.json"
        self.events_path = path / "events.jsonl"
        self.report_path = path / "report.html"
        self.work = path / "work"

    @staticmethod
    def create(runs: Path, system: str) -> RunFolder:
        """A new folder below `runs`, named after the system and the time."""
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        for suffix in ("", *(f"-{n}" for n in range(2, 100))):
            path = runs / f"{system}-{stamp}{suffix}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            return RunFolder(path)
        raise InputError("too many runs began in this second", path=runs)

    @staticmethod
    def open(path: Path) -> RunFolder:
        """An existing run; InputError if the folder is not one."""
        folder = RunFolder(path)
        if not folder.manifest_path.is_file():
            raise InputError("not a run: it has no manifest.json", path=path)
        return folder

    def manifest(self) -> dict[str, Any]:
        """The manifest as it stands."""
        value = read_json(self.manifest_path)
        if not isinstance(value, dict) or "system" not in value:
            raise InputError("not the manifest of a run", path=self.manifest_path, field="system")
        return value

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace the manifest."""
        replace_json(self.manifest_path, manifest)

    def panel(self) -> Panel:
        """The rows so far."""
        return Panel.load(self.panel_path) if self.panel_path.exists() else Panel()

    def verdicts(self) -> list[Verdict]:
        """The milestones so far."""
        if not self.milestones_path.exists():
            return []
        try:
            return [Verdict.from_json(record) for record in read_json(self.milestones_path)]
        except InputError as error:
            raise InputError(str(error), path=self.milestones_path) from None

    def write_verdicts(self, verdicts: list[Verdict]) -> None:
        """Replace milestones.json."""
        replace_json(self.milestones_path, [verdict.to_json() for verdict in verdicts])

    def emit(self, event: str, /, **fields: Any) -> dict[str, Any]:
        """Append one event, stamped with the time."""
        record = {"at": round(time.time(), 3), "event": event, **fields}
        append_json_line(self.events_path, record)
        return record

    def events(self, kind: str | None = None) -> Iterator[dict[str, Any]]:
        """The events so far, of one kind if asked."""
        for record in read_json_lines(self.events_path):
            if kind is None or record["event"] == kind:
                yield record


def config_hash(*parts: Any) -> str:
    """A short hash of anything JSON can hold: what makes two rows comparable."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def describe_machine() -> dict[str, Any]:
    """What this run ran on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": model,
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
    }


def describe_versions() -> dict[str, str]:
    """Python and every installed package that Sixfold or the extra of a system names."""
    versions = {"python": platform.python_version()}
    for requirement in importlib.metadata.requires("sixfold") or []:
        if 'extra == "dev"' in requirement:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        with suppress(importlib.metadata.PackageNotFoundError):  # of an extra that is not installed
            versions[name] = importlib.metadata.version(name)
    return {**versions, "sixfold": importlib.metadata.version("sixfold")}


def git_commit() -> str | None:
    """The commit of the checkout that the code runs from, with a "+" if it has changes; None outside one."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)  # installed below another project's checkout?
        return _git("rev-parse", "HEAD") + ("+" if _git("status", "--porcelain", "--", "..") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
    return result.stdout.strip()


def command_line() -> str:
    """How this process was started, for the manifest."""
    return shlex.join(["sixfold", *sys.argv[1:]])


def utc_now() -> str:
    """The time, as a manifest writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
