"""What the page shows: a coordinator's folder as one record, read anew each time; nothing of it is of one patient."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sixfold.errors import InputError, UserError
from sixfold.files import read_json, read_json_lines
from sixfold.systems.hospital.coordinator_folder import CoordinatorFolder, FederationSettings
from sixfold.systems.hospital.federation.reporting import metrics_from
from sixfold.systems.hospital.gate import SiteMetrics
from sixfold.systems.hospital.monitor import Monitor, SiteState, disparity
from sixfold.systems.hospital.monitor_report import report_from
from sixfold.systems.hospital.operation.release import Release, read_release
from sixfold.systems.hospital.operation.steward import in_force, replayed

__all__ = ["page_state"]

_EVENTS = 12  # of the log, the newest
_TAIL_BYTES = 1 << 16
_ESTIMATES = ("auroc", "accuracy", "tpr", "fpr")


def page_state(folder: Path, now: float) -> dict[str, Any]:
    """All sections; one that cannot be read is None, and `errors` says why. Raises InputError without settings."""
    home = CoordinatorFolder.read(folder)
    errors: list[str] = []

    def section(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (UserError, OSError, KeyError, TypeError, ValueError) as error:
            errors.append(str(error)[:400])
            return None

    def operation() -> dict[str, Any]:
        roster = home.kit().roster
        release = in_force(home.releases, roster)
        return {
            "release": None if release is None else _release(home, release, roster),
            "monitor": None if release is None else _monitor(home, release),
            "earlier": _earlier(home, release, roster),
        }

    found = {
        "federation": _about(home.settings),
        "folder": str(folder),
        "trainings": section(lambda: _trainings(home.state, now)),
        "blocked": section(lambda: _blocked(home)),
        "log": section(lambda: _log_tail(home.state / "audit.jsonl")),
        **(section(operation) or {"release": None, "monitor": None, "earlier": []}),
    }
    return {**found, "errors": errors}


def _about(own: FederationSettings) -> dict[str, Any]:
    record = own.model_dump(mode="json", include={"federation", "permit", "dataset", "purpose", "protection"})
    return {
        **record,
        "sites": sorted(own.sites),
        "minimum_sites": own.minimum_sites,
        "algorithm": own.algorithm,
        "epsilon": own.epsilon,
        "delta": own.delta,
        "gate": asdict(own.gate),
    }


def _trainings(state: Path, now: float) -> list[dict[str, Any]]:
    """Newest first."""
    found = []
    for path in state.glob("*/job.json"):
        about = read_json(path)
        if about["job"]["output"] == "model_update":
            found.append((path.stat().st_mtime, path.parent, about))
    return [_training(folder, about, now) for _, folder, about in sorted(found, key=lambda each: -each[0])]


def _training(folder: Path, about: Mapping[str, Any], now: float) -> dict[str, Any]:
    job, rounds_path, offer_path = about["job"], folder / "rounds.jsonl", folder / "offer.json"
    lines = list(read_json_lines(rounds_path))
    attempts = [
        {
            "round": line["round"],
            "attempt": line["attempt"],
            "asked": line["asked"],
            "counted": line["counted"],
            "bytes": line["down_bytes"] + line["up_bytes"],
            "wall_s": line["wall_s"],
            "why": line["why"],
        }
        for line in lines
    ]
    spent: dict[str, dict[str, float]] = {site: {} for site in job["sites"]}
    for line in lines:
        for name in ("spent", "left"):
            for site, value in line[name].items():
                spent[site][name] = value
    newest = max(path.stat().st_mtime for path in (folder / "job.json", rounds_path) if path.exists())
    return {
        "job": folder.name,
        "federation": job["federation"],
        "replaces": job["replaces"],
        "budget": job["budget"],
        "rounds": about["rounds"],
        "done": len({line["round"] for line in attempts if line["counted"]}),
        "attempts": attempts,
        "refused": {site: why for site, why in (read_json(offer_path) if offer_path.exists() else {}).items() if why},
        "epsilon": {site: both for site, both in spent.items() if both},
        "quiet_s": max(0.0, now - newest),
    }


def _release(home: CoordinatorFolder, release: Release, roster: Mapping[str, Ed25519PublicKey]) -> dict[str, Any]:
    folder = home.releases / release.digest[:16]
    _, signers = read_release(folder, roster)
    reports = {site: _metrics(report) for site, report in sorted(release.reports.items())}
    return {
        "digest": release.digest,
        "job": release.job.digest[:16],
        "person": release.person,
        "signers": list(signers),
        "replaces": release.replaces,
        "period": release.period,
        "at": (folder / "signatures.json").stat().st_mtime,
        "facts": dict(release.facts),
        "gate": asdict(release.gate),
        "reasons": [reason.text for reason in release.verdict().reasons],
        "sites": reports,
    }


def _metrics(report: Mapping[str, Any]) -> dict[str, Any]:
    """A hospital's numbers, with their intervals."""
    metrics: SiteMetrics = metrics_from(report)
    return {
        "patients": metrics.patients,
        "ece": metrics.ece,
        "coverage": metrics.coverage,
        **{name: asdict(getattr(metrics, name)) for name in _ESTIMATES},
    }


def _earlier(
    home: CoordinatorFolder, current: Release | None, roster: Mapping[str, Ed25519PublicKey]
) -> list[dict[str, Any]]:
    """Releases that are not in force any more, newest first."""
    found = []
    for path in home.releases.glob("*/signatures.json"):
        if path.parent.name != "candidate" and (current is None or path.parent.name != current.digest[:16]):
            release, _ = read_release(path.parent, roster)
            at = path.stat().st_mtime
            found.append({"digest": release.digest, "person": release.person, "at": at, "job": release.job.digest[:16]})
    return sorted(found, key=lambda each: -each["at"])


def _blocked(home: CoordinatorFolder) -> dict[str, Any] | None:
    """The last model that the gate did not let pass."""
    path = home.releases / "blocked.json"
    if not path.exists():
        return None
    record = read_json(path)
    sites = {site: _metrics(report) for site, report in sorted(record["reports"].items())}
    return {"digest": record["release"], "at": record["at"], "reasons": record["reasons"], "sites": sites}


def _monitor(home: CoordinatorFolder, release: Release) -> dict[str, Any]:
    folder = home.releases / release.digest[:16]
    history: dict[str, list[dict[str, Any]]] = {}
    states: Mapping[str, SiteState] = {}
    monitor = Monitor(release.plan, release.watch)
    chart_limit = release.watch.chart().limit
    for states in replayed(release, folder):
        for site, state in states.items():
            past = history.setdefault(site, [])
            if past and past[-1]["period"] == state.period:
                past.pop()  # an answer within the period
            past.append({"period": state.period, "phase": state.phase, "drift": _nearest(state)})
    return {
        "delay": monitor.plan.delay,
        "unwatched": sorted(set(release.job.sites) - set(states)),
        "disparity": _disparity(release, folder),
        "sites": {
            site: {
                "period": state.period,
                "phase": state.phase,
                "reasons": list(state.reasons),
                "silent": state.silent,
                "drifts": [asdict(drift) for drift in state.drifts],
                "cusum": {"height": state.chart.height, "limit": chart_limit, "as_of": state.as_of},
                "answers": [asdict(answer) for answer in state.answers],
                "history": history[site],
            }
            for site, state in sorted(states.items())
        },
    }


def _nearest(state: SiteState) -> float | None:
    """The largest drift of a period as a share of its limit; from 1 on it is a signal. None if nothing was told."""
    return max((drift.index / drift.limit for drift in state.drifts), default=None)


def _disparity(release: Release, folder: Path) -> dict[str, Any] | None:
    """Gaps of the error rates between hospitals, of the last period whose outcomes are known at two of them."""
    for event in reversed(list(_periods(folder))):
        period = int(event["period"])
        told = {site: report for site, report in event["reports"].items() if report is not None}
        reports = [report_from(report, release.plan, site, period) for site, report in told.items()]
        known = [report for report in reports if report.outcomes is not None]
        if len(known) > 1:
            found = disparity(release.plan, known)
            return {"as_of": found.as_of, "tpr": asdict(found.tpr), "fpr": asdict(found.fpr)}
    return None


def _periods(folder: Path) -> Iterator[Mapping[str, Any]]:
    for event in read_json_lines(folder / "events.jsonl"):
        if event["kind"] == "period":
            yield event


def _log_tail(path: Path) -> dict[str, Any]:
    """How many entries there are, and the newest but those of witnesses; only the end is read, nothing is verified."""
    if not path.exists():
        return {"entries": 0, "events": []}
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().split(b"\n")
    whole = lines[1:-1] if size > _TAIL_BYTES else lines[:-1]
    if not whole:
        return {"entries": 0, "events": []}
    try:
        entries = [json.loads(line) for line in whole]
        told = [entry for entry in entries if entry["kind"] != "witness"][-_EVENTS:]
        events = [{name: entry[name] for name in ("index", "time", "kind", "facts")} for entry in told]
        return {"entries": entries[-1]["index"] + 1, "events": events[::-1]}
    except (ValueError, KeyError, TypeError):
        raise InputError("not a log", path=path) from None
