"""How far the builds of an index are, from the files that they have written: no build needs to be asked."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

from sixfold.errors import SixfoldError
from sixfold.files import read_json
from sixfold.systems.rag.build import builds_of
from sixfold.systems.rag.build_embed import vectors_beside
from sixfold.systems.rag.build_folder import BuildFolder

__all__ = ["build_progress"]

_MOST_BUILDS = 20  # the newest


def build_progress(index: Path) -> list[dict[str, Any]]:
    """The newest builds first: state, and done of total for every step."""
    folders = [folder for folder in builds_of(index) if folder.plan_path.exists()]
    alive = _is_building(index)
    builds = []
    for at, folder in enumerate(reversed(folders[-_MOST_BUILDS:])):
        try:
            builds.append(_progress(folder, running=alive and at == 0))
        except (OSError, SixfoldError, KeyError):  # it is being written or cleared away at this moment
            continue
    return builds


def _progress(folder: BuildFolder, *, running: bool) -> dict[str, Any]:
    if folder.done_path.exists():
        summary = read_json(folder.done_path)
        return {
            "build": folder.path.name,
            "state": "done",
            "steps": [],
            "records": summary["records"],
            "documents": summary["documents"],
            "passages": summary["passages"],
            "dropped": summary["dropped"],
        }
    parts = len(folder.read_plan()[2])
    reports = [read_json(path) for part in range(parts) if (path := folder.clean_report(part)).exists()]
    cut = [folder.chunks(part) for part in range(parts) if folder.chunks(part).exists()]
    embedded = [
        chunks for chunks in cut if all(vectors_beside(path).exists() for path in sorted(chunks.glob("*.parquet")))
    ]
    shards = folder.read_shards() or 0
    segments = list((folder.path.parents[1] / "segments").glob(f"{folder.path.name}-*"))
    steps = [
        ("clean", len(reports), parts),
        ("deduplicate", int(folder.drop_counts.exists()), 1),
        ("cut", len(cut), parts),
        ("embed", len(embedded), parts),
        ("index", len(segments), shards),
    ]
    return {
        "build": folder.path.name,
        "state": "running" if running else "interrupted",
        "steps": [{"step": step, "done": done, "total": total} for step, done, total in steps],
        "records": sum(report["kept"] + report["dropped"] for report in reports),
        "documents": sum(report["kept"] for report in reports),
        "passages": 0,
        "dropped": read_json(folder.drop_counts) if folder.drop_counts.exists() else {},
    }


def _is_building(index: Path) -> bool:
    """Whether a process holds the lock of `build.build`."""
    try:
        with (index / ".build.lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
