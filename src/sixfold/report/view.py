"""The measured half of the page: headline, ladder, losses, rows, reproducibility."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sixfold.axes import Axis
from sixfold.report.breaking import HOLDS_BELOW, Loss, Outcome, against_prediction, explain, lost_time
from sixfold.report.facts import Fact, facts, labels_in
from sixfold.report.record import Record, Rung, cost_ratio, mapping, speedup
from sixfold.study.milestone import Prediction, Verdict
from sixfold.study.row import TOTAL, Row
from sixfold.units import byte_count, dollars, number, percent, quantity, seconds, times

__all__ = [
    "Break",
    "Group",
    "Headline",
    "Line",
    "Shares",
    "Step",
    "Tile",
    "breaks",
    "by_axis",
    "headline",
    "lines",
    "reproducibility",
    "steps",
    "summary",
]

_RELATIVE = ", relative to "  # how the runner words a milestone judged against the machine's ceiling


@dataclass(frozen=True, slots=True)
class Tile:
    """One big number with what stands under it."""

    name: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Headline:
    """The tiles of the row a study is quoted by; without tiles there is none and `reason` says why."""

    reason: str
    where: str = ""
    tiles: tuple[Tile, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of the ladder table."""

    rung: Rung
    verdict: Verdict | None
    target: str
    predicted: str
    measured: str
    error: str
    note: str
    state: str  # passed, failed, or open
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Break:
    """What a stage lost at its most workers, and how the prediction did."""

    name: str
    loss: Loss
    outcome: Outcome
    tag: str  # the outcome in a few words
    sentence: str
    prediction: str | None
    law: str
    terms: tuple[tuple[str, str], ...]
    efficiency: float
    cores: str  # what the cores alone would allow


@dataclass(frozen=True, slots=True)
class Shares:
    """Busy seconds and bytes of one stage, by axis."""

    name: str
    workers: int
    cells: list[tuple[str, str]]
    idle: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table of all rows."""

    stage: str
    row: Row
    speedup: float | None
    cost_ratio: float | None
    state: str  # baseline, inside, outside
    reason: str
    chosen: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A titled list of facts in the reproducibility block."""

    title: str
    facts: list[Fact] = field(default_factory=list)


def headline(record: Record) -> Headline:
    """The row that the runner chose, or why there is none."""
    chosen = mapping(record.manifest.get("headline"))
    if not chosen:
        return Headline("the run did not get as far as choosing one")
    reason = str(chosen.get("reason", ""))
    if not isinstance(chosen.get("workers"), int):
        return Headline(reason or "no row qualifies")
    stage, p = str(chosen.get("stage", "")), max(1, int(chosen["workers"]))
    rung = record.whole if stage == TOTAL else next((r for r in record.rungs if r.name == stage), None)
    baseline = rung.baseline if rung else None
    quality, metric = _float(chosen, "quality"), str(chosen.get("quality_metric", "quality"))
    tiles = (
        Tile("Speed-up", times(_float(chosen, "speedup")),
             f"{seconds(_float(chosen, 'baseline_wall_s'))} → {seconds(_float(chosen, 'wall_s'))}"),
        Tile("Efficiency", number(_float(chosen, "efficiency")),
             f"speed-up / {p} {'worker' if p == 1 else 'workers'}; floor {record.min_efficiency:.2f}"),
        Tile("Quality in gate", number(quality, 4), _quality_note(metric, baseline, record.tolerance)),
        Tile("Cost ratio", times(_float(chosen, "cost_ratio")), _cost_note(chosen, baseline)),
    )  # fmt: skip
    place = "The whole pipeline" if stage == TOTAL else stage
    return Headline(reason, f"{place} at p = {p}", tiles)


def steps(record: Record) -> list[Step]:
    """The ladder, rung by rung, with the rungs that were not reached."""
    result = []
    for rung in record.rungs:
        verdict = rung.verdict
        if verdict is None:
            result.append(Step(rung, None, rung.milestone, *_so_far(record, rung), "", "", "open"))
            continue
        unit, _, note = verdict.unit.partition(_RELATIVE)
        result.append(
            Step(
                rung,
                verdict,
                target=f"{_SIGNS.get(verdict.comparator.value, '=')} {quantity(verdict.target, unit)}",
                predicted=quantity(verdict.predicted, unit),
                measured=quantity(verdict.value, unit),
                error=percent(_error(verdict), signed=True),
                note=f"relative to {note}" if note else "",
                state="passed" if verdict.passed else "failed",
                labels=labels_in([verdict.to_json(), dict.fromkeys(_extras(rung), True)]),
            )
        )
    return result


def breaks(record: Record) -> list[Break]:
    """For each stage at its most workers: which part of the time took what linear scaling would give."""
    result = []
    for rung in record.rungs:
        loss = lost_time(rung.last, rung.baseline) if rung.last and rung.baseline else None
        if rung.last is None or rung.baseline is None or loss is None:
            continue
        prediction = rung.predictions.get(rung.last.workers) or Prediction(0, math.nan, "")
        allowed = record.ceiling(rung.last.processors)
        result.append(
            Break(
                name=rung.name,
                loss=loss,
                outcome=(outcome := loss.outcome(record.min_efficiency)),
                tag=_TAGS[outcome].format(loss.largest.words),
                sentence=explain(loss, record.min_efficiency),
                prediction=against_prediction(rung),
                law=prediction.law,
                terms=tuple((name, seconds(term_s)) for name, term_s in prediction.terms.items()),
                efficiency=speedup(rung.last, rung.baseline) / rung.last.processors,
                cores="" if allowed is None or loss.workers == 1 else number(allowed),
            )
        )
    return result


def summary(record: Record, breaks: list[Break]) -> str:
    """Where scaling broke in a few sentences: how far it holds, the worst stage, anything superlinear."""
    scaled = [item for item in breaks if item.loss.workers > 1]
    if not scaled:
        return "No stage was measured at more than one worker, so there is no scaling to break."
    most = max(item.loss.workers for item in scaled)
    floor = record.min_efficiency
    hold = sum(item.efficiency >= floor for item in scaled)
    stages = "stage keeps" if len(scaled) == 1 else "stages keep"
    said = [f"At up to p = {most}, {hold} of {len(scaled)} {stages} E ≥ {floor:.2f}."]
    lossy = [item for item in scaled if item.outcome in (Outcome.BROKE, Outcome.LOSES)]
    if lossy:
        worst = min(lossy, key=lambda item: item.efficiency)
        loss = worst.loss
        broke = worst.outcome is Outcome.BROKE
        said.append(
            f"{'Scaling broke furthest' if broke else 'Nothing broke; most is lost'} in {worst.name}: "
            f"E({loss.workers}) = {number(worst.efficiency)}, and {loss.largest.words} takes the largest "
            "share."
        )
    else:
        said.append("Nothing broke.")
    above = [
        f"{rung.name} at p = {row.processors} (E = {number(efficiency)})"
        for rung in record.rungs
        for row in rung.rows
        if rung.baseline and (efficiency := speedup(row, rung.baseline) / row.processors) > 1 + HOLDS_BELOW
    ]
    if above:
        said.append(f"Superlinear, so to be explained: {', '.join(above)}.")
    return " ".join(said)


def by_axis(record: Record) -> tuple[list[str], list[Shares]]:
    """The axes that took time or moved bytes, and each stage's share of them at its most workers."""
    whole = [record.whole] if record.whole and len(record.verdicts) > 1 else []
    rungs = [rung for rung in (*whole, *record.rungs) if rung.last]
    axes = [
        axis.value
        for axis in Axis
        if any(axis in rung.last.axis_s or axis in rung.last.axis_bytes for rung in rungs if rung.last)
    ]
    shares = []
    for rung in rungs:
        if (row := rung.last) is None:
            continue
        cells = [
            (seconds(row.axis_s[axis]) if axis in row.axis_s else "",
             byte_count(row.axis_bytes[axis]) if row.axis_bytes.get(axis) else "")
            for axis in axes
        ]  # fmt: skip
        shares.append(Shares(rung.name, row.processors, cells, seconds(row.idle_s)))
    return axes, shares if axes else []


def lines(record: Record) -> list[Line]:
    """Every row of the panel and the totals; a row that fails a gate says which."""
    chosen = mapping(record.manifest.get("headline"))
    picked = (chosen.get("stage"), chosen.get("workers"), _float(chosen, "wall_s"))
    rows = list(record.panel)
    if record.whole is not None and len(record.verdicts) > 1 and record.whole.baseline is not None:
        rows += [record.whole.baseline, *record.whole.rows]
    order = {name: place for place, name in enumerate(dict.fromkeys(row.stage for row in rows))}
    result = []
    for row in sorted(rows, key=lambda row: (order[row.stage], row.workers, row.repeat)):
        baseline = record.baseline_of(row.stage)
        labels = labels_in({name: value for name, value in row.extra.items() if value})
        if row.is_baseline or baseline is None:
            state, reason = ("baseline", "baseline") if row.is_baseline else ("outside", "no baseline yet")
            result.append(Line(row.stage, row, None, None, state, reason, False, labels))
            continue
        why = record.why_not_headline(row, baseline)
        is_chosen = picked == (row.stage, row.workers, row.wall_s)
        state, reason = ("outside", why) if why else ("inside", "headline" if is_chosen else "inside both gates")
        result.append(
            Line(
                row.stage,
                row,
                speedup(row, baseline),
                cost_ratio(row, baseline),
                state,
                reason,
                is_chosen,
                labels,
            )
        )
    return result


def reproducibility(record: Record) -> list[Group]:
    """Everything that is needed to run it again and to see whether it was the same."""
    manifest = record.manifest
    run = {key: manifest.get(key) for key in ("system", "status", "started_at", "finished_at", "again", "resumed")}
    run |= {"git_commit": manifest.get("git_commit"), "config hash": manifest.get("config")}
    run |= {"rows": len(record.panel), "events": len(record.events)}
    options = {key: each for key, each in mapping(manifest.get("options")).items() if key != "settings"}
    profile = {key: v for key, v in mapping(manifest.get("profile")).items() if key not in ("machine", "version")}
    price = manifest.get("usd_per_worker_s")
    if isinstance(price, (int, float)) and not manifest.get("worker_price"):
        run["price"] = f"${number(price * 3600)} a worker-hour"
    groups = [
        ("Run", run),
        ("Options", options),
        ("Settings", manifest.get("settings")),
        ("Data hashes", manifest.get("data")),
        ("Price of a worker", manifest.get("worker_price")),
        ("Machine", manifest.get("machine")),
        ("Lab", manifest.get("lab")),
        ("Profile of the machine", profile),
        ("Versions", manifest.get("versions")),
    ]
    return [Group(title, listed) for title, value in groups if (listed := list(facts(value)))]


_TAGS = {
    Outcome.HOLDS: "holds",
    Outcome.LOSES: "holds; loses most to {}",
    Outcome.BROKE: "broke on {}",
    Outcome.SUPERLINEAR: "superlinear",
}
_SIGNS = {">=": "≥", "<=": "≤", "==": "="}


def _error(verdict: Verdict) -> float:
    if not (math.isfinite(verdict.predicted) and verdict.predicted and math.isfinite(verdict.value)):
        return 0.0 if verdict.predicted == verdict.value else math.nan
    return (verdict.value - verdict.predicted) / abs(verdict.predicted)


def _so_far(record: Record, rung: Rung) -> tuple[str, str]:
    """What was predicted and measured of a rung that was not judged, as far as there is anything."""
    forecast = next((e for e in record.events_of("forecast") if e.get("stage") == rung.name), {})
    predicted = number(_float(forecast, "predicted")) if forecast else ""
    return predicted, f"T({rung.last.processors}) {seconds(rung.last.wall_s)}" if rung.last else ""


def _extras(rung: Rung) -> Iterator[str]:
    for row in (*rung.rows, *((rung.baseline,) if rung.baseline else ())):
        yield from (name for name, value in row.extra.items() if value)


def _float(values: Mapping[str, Any], key: str) -> float | None:
    value = values.get(key)
    return float(value) if isinstance(value, (int, float)) else None


def _quality_note(metric: str, baseline: Row | None, tolerance: float) -> str:
    if baseline is None:
        return metric
    floor = number(baseline.quality - tolerance, 4)
    return f"{metric}; baseline {number(baseline.quality, 4)}, gate ≥\N{NO-BREAK SPACE}{floor}"


def _cost_note(chosen: Mapping[str, Any], baseline: Row | None) -> str:
    cost = f"{dollars(_float(chosen, 'cost_usd'))} a run"
    return f"{cost}; baseline {dollars(baseline.cost_usd)}" if baseline else cost
