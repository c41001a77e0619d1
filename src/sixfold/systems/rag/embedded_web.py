"""The embedded web of a study: rendered before it, served while it runs, and crawled by it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from sixfold.systems.rag.crawl.limits import CrawlLimits
from sixfold.systems.rag.site import SiteServer, render_site, serve

__all__ = ["cache_folder", "hub_and_limits", "serve_site", "server_cpu_s", "start_site", "stop_site"]

# The site's own faults stay: broken pages are not retried, and nothing waits longer than its slowest page.
_LIMITS = CrawlLimits(capacity=200_000, retries=0, max_delay_s=0.002, timeout_s=10.0)

_running: dict[Path, SiteServer] = {}  # by the study's work folder: a server belongs to one study


def cache_folder() -> Path:
    """Where rendered sites are kept: below $SIXFOLD_CACHE, $XDG_CACHE_HOME/sixfold or ~/.cache/sixfold."""
    if own := os.environ.get("SIXFOLD_CACHE"):
        return Path(own) / "site"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sixfold" / "site"


def start_site(work: Path, packages: list[str] | None, pages: int, seed: int) -> dict[str, Any]:
    """Render the site if this has not been done, serve it, and describe it for the manifest."""
    folder = render_site(cache_folder(), packages, pages, seed, progress=True)
    site = SiteServer(folder).start()
    _running[work] = site
    return {"site": folder.name, "hub": site.hub}


def serve_site(packages: list[str] | None, pages: int | None, seed: int, port: int) -> None:
    """Render the site if this has not been done, and serve it until Ctrl-C."""
    serve(render_site(cache_folder(), packages, pages, seed, progress=True), port)


def stop_site(work: Path) -> None:
    """Stop the server of a study, if it has one."""
    if (site := _running.pop(work, None)) is not None:
        site.stop()


def hub_and_limits(work: Path) -> tuple[str, CrawlLimits]:
    """The URL where a crawl of the study's site begins, and the bounds that keep it on the site."""
    site = _running[work]
    return site.hub, replace(_LIMITS, scope=tuple(site.scope))


def server_cpu_s(work: Path) -> float:
    """CPU seconds that the study's site server has used so far: it shares the cores with the crawl."""
    pid = _running[work].pid if work in _running else None
    if pid is None:
        return 0.0
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
