"""What a reader has to know before any number: when it ran, whether it ended, and what in it is not real."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sixfold.report.facts import labels_in
from sixfold.report.record import Record, mapping

__all__ = ["Notice", "about", "notices"]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a reader has to know before any number: the run is unfinished, or not all of it is real."""

    kind: str  # "bad", "warn" or "info"
    title: str
    text: str = ""


def notices(record: Record) -> list[Notice]:
    """Everything that limits what the page may be quoted for, the gravest first."""
    found = []
    rows = len(record.panel)
    kept = f"{rows} measured {'row is' if rows == 1 else 'rows are'} kept"
    if record.status in ("failed", "interrupted"):
        last = next((str(e.get("error", "")) for e in reversed(record.events_of(record.status))), "")
        last = "Stopped from the keyboard" if last.startswith("KeyboardInterrupt") else last
        title = f"This run {'failed' if record.status == 'failed' else 'was interrupted'} before it ended"
        found.append(Notice("bad", title, f"{last + '. ' if last else ''}{kept}; the run can be resumed."))
    elif record.status != "finished":
        text = f"Its status is {record.status!r}: it is still going, or it was killed. {kept.capitalize()}."
        found.append(Notice("bad", "This run has not finished", text))
    if record.damage:
        found.append(Notice("warn", "Some events could not be read", record.damage))
    for event in record.events_of("stopped"):
        stage, reason = event.get("stage", "?"), event.get("reason", "")
        found.append(Notice("warn", f"The ladder stops at {stage}", f"{reason}. Later stages were not run."))
    lab = mapping(record.manifest.get("lab"))
    if "oversubscribed" in labels_in(lab):
        text = f"{lab.get('workers', 'More')} workers shared fewer cores: their times say nothing about scaling."
        found.append(Notice("warn", "Oversubscribed", text))
    if mapping(record.manifest.get("options")).get("length") == "quick":
        found.append(Notice("info", "Quick run", "Small inputs, as tests use them; not for a published claim."))
    labelled = {label: where for label, where in _labelled(record).items() if label != "oversubscribed"}
    if labelled:
        text = "; ".join(f"{label}: {', '.join(where)}" for label, where in labelled.items())
        found.append(Notice("info", "Not everything here was measured on real input", f"{text}."))
    return found


def about(record: Record) -> list[str]:
    """The line under the title: when, for how long, on how many cores, at which length, and the status."""
    manifest = record.manifest
    began, ended = _moment(manifest.get("started_at")), _moment(manifest.get("finished_at"))
    cores = mapping(manifest.get("machine")).get("cores")
    length = mapping(manifest.get("options")).get("length")
    said = [
        f"{began.day} {began:%B %Y, %H:%M} UTC" if began else "",
        f"took {_whole_seconds((ended - began).total_seconds())}" if began and ended else "",
        f"{cores} {'core' if cores == 1 else 'cores'}" if cores else "",
        f"{length} length" if length else "",
        record.status,
    ]
    return [each for each in said if each]


def _whole_seconds(value_s: float) -> str:
    """A duration between two stamps, which are whole seconds."""
    minutes, rest_s = divmod(round(value_s), 60)
    if minutes:
        return f"{minutes:,} min {rest_s} s"
    return f"{rest_s} s" if rest_s else "under 1 s"


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return None


def _labelled(record: Record) -> dict[str, list[str]]:
    """Which parts of the run carry which label."""
    places: dict[str, object] = {
        f"{key} of the run": record.manifest.get(key) for key in ("data", "lab", "settings", "machine", "profile")
    }
    design = mapping(record.manifest.get("design"))
    places |= {"workload of the design": design.get("workload") or design.get("numbers")}
    places |= {f"milestone of {verdict.stage}": verdict.to_json() for verdict in record.verdicts}
    places |= {f"rows of {row.stage}": row.extra for row in record.panel if labels_in(row.extra)}
    found: dict[str, list[str]] = {}
    for place, value in places.items():
        for label in labels_in(value):
            found.setdefault(label, []).append(place)
    return found
