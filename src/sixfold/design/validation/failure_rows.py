"""Published failures as quantities that a rate of failures predicts: counts, rates, mean times, shares, chances."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sixfold.design.catalog.devices import find_device
from sixfold.design.laws.failures import expected_interruptions, interruption_probability, job_mtbf_s
from sixfold.design.validation.rows import Row

__all__ = ["FailureRow", "Rates", "devices_of", "failure_rows", "fit_rates", "parameters_of", "published"]

_DEVICES_PER_NODE = 8.0  # where a source names devices and no nodes: of every machine that large jobs run on
_DAYS = {"second": 1 / 86400, "minute": 1 / 1440, "hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.4375}
_DAYS |= {"year": 365.25, "s": 1 / 86400, "min": 1 / 1440, "hr": 1 / 24, "h": 1 / 24, "d": 1.0}
_NUMBER = r"[0-9][0-9,]*(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?"
_COUNTED = re.compile(r"(?:[a-z-]+ ){0,3}(?:interruptions?|interrupts|failures|restarts)")
_LEAST, _MOST = 1e-9, 1e9  # of figures, devices and days: what is beyond is a slip
_ONE_CAUSE = (
    "hbm", "sram", "software", "nic", "network", "switch", "cable", "cuda", "cpu", "oom", "disk", "ssd", "infiniband",
    "hang", "mfu", "nan", "ecc", "memory", "faulty gpu", "maintenance", "power", "code", "configuration", "thermal",
    "storage", "filesystem", "data adjustment", "corruption", "xid", "nvlink", "pcie", "timeout",
)  # fmt: skip
_UNTOLD = "whose devices or period are not told"


@dataclass(frozen=True, slots=True)
class FailureRow:
    """One figure that follows from how often a device fails.

    kind: count (of a job within `days`), rate (of a node within `days`), time (between failures, in units of `days`),
    share (of nodes that fail within `days`), chance (of any failure of a job within `days`). devices: of the job, or of
    the part of it that the figure is of. scope: whether all hardware that can stop a job counts, or its devices alone.
    """

    row: Row
    kind: Literal["count", "rate", "time", "share", "chance"]
    scope: Literal["hardware", "devices"]
    value: float
    devices: float
    days: float

    @property
    def device(self) -> str:
        """The id of the device in the catalog; "" where it is not known."""
        found = find_device(self.row.text("hardware"))
        return found.id if found else ""

    def predicted(self, per_device_day: float) -> float:
        """The figure at a constant rate of failures."""
        per_hour, span_s = per_device_day / 24.0, self.days * 86400.0
        if self.kind in ("count", "rate"):
            return float(expected_interruptions(self.devices, per_hour, span_s))
        if self.kind == "time":
            return float(job_mtbf_s(self.devices, per_hour)) / span_s
        return float(interruption_probability(self.devices, per_hour, span_s))

    def linear(self, per_device_day: float) -> float:
        """The same without saturation: chances as expected counts, at most 1."""
        if self.kind in ("share", "chance"):
            return min(1.0, per_device_day * self.devices * self.days)
        return self.predicted(per_device_day)

    def per_device_day(self) -> float:
        """The rate at which the figure would be as it was published."""
        if self.kind in ("share", "chance"):
            return -math.log1p(-self.value) / (self.devices * self.days)
        return (1.0 / self.value if self.kind == "time" else self.value) / (self.devices * self.days)


@dataclass(frozen=True, slots=True)
class Rates:
    """Failures a device-day by scope and device, geometric means over sources; `constant`: one for all there is."""

    told: tuple[tuple[str, str, float], ...]  # scope, device, rate
    constant: float

    def of(self, row: FailureRow) -> float:
        """That of the same scope and device, else of the same scope on any, else of all."""
        same = [rate for scope, device, rate in self.told if (scope, device) == (row.scope, row.device) and device]
        alike = same or [rate for scope, _, rate in self.told if scope == row.scope]
        return _geometric(alike) if alike else self.constant


def fit_rates(rows: Iterable[FailureRow]) -> Rates:
    """Return what rows marked for calibration say. Raises ValueError when there is none."""
    told = tuple((row.scope, row.device, row.per_device_day()) for row in rows if row.row.use == "calibrate")
    if not told:
        raise ValueError("no row of failures is marked for calibration")
    return Rates(told, _geometric([rate for *_, rate in told]))


def failure_rows(rows: Sequence[Row]) -> tuple[list[FailureRow], Counter[str]]:
    """Return the rows that a rate predicts, and how many others there are by the reason.

    Restarts by hand and automatic ones of a system are parts of its interruptions and are added up. Where a source
    counts unexpected interruptions, its count of all, which includes planned ones, is left out.
    """
    left_out: Counter[str] = Counter()
    read: list[FailureRow] = []
    for row in rows:
        found = _read(row)
        if isinstance(found, str):
            if found:
                left_out[found] += 1
        else:
            read.append(found)
    counts: dict[tuple[str, str, str], list[FailureRow]] = defaultdict(list)
    for told in read:
        if told.kind == "count":
            counts[(told.row.text("source"), told.row.text("system"), told.row.use)].append(told)
    kept = [told for told in read if told.kind != "count"]
    for members in counts.values():
        unexpected = [each for each in members if _unexpected(each.row)]
        if unexpected:
            left_out["that include planned ones"] += sum(_scope_text(each.row) == "all" for each in members)
            members = [each for each in members if _scope_text(each.row) != "all"]
        restarts = [each for each in members if "restart" in each.row.text("metric").lower()]
        kept += [each for each in members if each not in restarts]
        if restarts:
            kept.append(replace(restarts[0], value=sum(each.value for each in restarts)))
    return kept, left_out


def published(row: Row) -> float | None:
    """The figure: a bound counts as its value, a span as its geometric mean, per cents as shares; None for all else."""
    text = row.text("value").lower().replace("\u2013", "-")
    span = re.fullmatch(rf"({_NUMBER})\s*-\s*({_NUMBER})", text)
    single = re.fullmatch(rf"(?:[<>~\u2265\u2264]=?)?\s*({_NUMBER})\s*(%?)", text)
    if span:
        value = _geometric([_float(span[1]), _float(span[2])])
    elif single:
        value = _float(single[1])
    else:
        return None
    if text.endswith("%") or row.text("unit").lower().startswith(("%", "percent")):
        value /= 100.0
    return value if _LEAST < value < _MOST else None


def devices_of(row: Row) -> float | None:
    """Devices of a job: the column, eight a node, or what the texts say ("9,600-16,384 GPU jobs"); None if nothing."""
    stated = _plain(row.text("gpus"))
    if stated is None and (nodes := _plain(row.text("nodes"))) is not None:
        return nodes * _DEVICES_PER_NODE
    if stated is not None:
        return stated
    text = f"{row.text('cause_or_scope')} ; {row.text('metric')} ; {row.text('unit')}".lower()
    found = re.search(
        rf"({_NUMBER})\+?(?:\s*-\s*({_NUMBER}))?\s*(?:x\s*)?(?:nvidia\s*)?(?:gpu|tpu|device|accelerator|[abhv]\d00)",
        text,
    )
    if found is None:
        return None
    told = [_float(group) for group in found.groups() if group]
    return _geometric(told) if all(_LEAST < value < _MOST for value in told) else None


def parameters_of(row: Row) -> float | None:
    """Parameters of the model that the name of the system tells ("Llama 3 405B"); None where it does not."""
    found = re.search(r"(?<![\w.])([0-9]+(?:\.[0-9]+)?)\s?([BT])\b", row.text("system"))
    return float(found[1]) * {"B": 1e9, "T": 1e12}[found[2]] if found and 0 < float(found[1]) < 1e6 else None


def _read(row: Row) -> FailureRow | str:
    """A row as a quantity, the reason why it is none, or "" where it is about something else."""
    metric, unit, scope = row.text("metric").lower(), row.text("unit").lower(), _scope_text(row)
    kind = _kind(metric, unit)
    if kind is None:
        return ""
    if "implied" in metric or row.text("notes").lower() == "derived":
        return "that follow from another row"
    if "planned" in scope and "unplanned" not in scope:
        return "planned by people"
    if any(re.search(rf"\b{cause}[0-9]*\b", f"{metric} {scope}") for cause in _ONE_CAUSE):
        return "of one cause, for which nothing is calibrated"
    value = published(row)
    if value is None or (kind in ("share", "chance") and value >= 1.0):
        return "without a figure"
    devices, per_node = devices_of(row), _per_node(row)
    days = _span_days(metric, unit)
    of_devices = metric.startswith("gpu fail") or scope in ("gpu", "gpus", "devices")
    if kind == "rate":
        each = 1.0 if re.search(r"\b(gpu|device)-(?:day|hour)", unit) else per_node
        of = 1e6 if "million" in unit else 1e3 if re.search("1,?000|thousand", unit) else 1.0
        value, days = value / of, days or 1.0
    elif kind == "share" or re.search(r"per (node|machine|server)", metric):
        each = per_node
    elif re.search(r"per (device|gpu|accelerator|chip)", metric):
        each = 1.0
    else:
        each = devices or 0.0
    if kind == "count" and days is None:
        days = _plain(row.text("period_days"))
    if not each or not days:
        return _UNTOLD
    return FailureRow(row, kind, "devices" if of_devices else "hardware", value, each, days)


def _kind(metric: str, unit: str) -> Literal["count", "rate", "time", "share", "chance"] | None:
    if "error" in metric or "mtbe" in metric:
        return None  # errors that a machine survives are no failures of a job
    if re.search(r"chance of (at least one|any) failure", metric):
        return "chance"
    if "failure rate" in metric and re.search(r"(node|gpu|device)-(day|hour)", unit):
        return "rate"
    if re.search(r"mttf|mtbf|mean time (between|to) (failure|interrupt)|failure interval", metric):
        return "time" if _span_days("", unit) else None
    if re.search(r"failure probability|(machines|nodes) failing$", metric):
        return "share" if _span_days("", unit) else None
    counted = _COUNTED.fullmatch(metric) and (unit.startswith("count") or re.match(r"per (day|week|month|year)", unit))
    return "count" if counted else None


def _span_days(metric: str, unit: str) -> float | None:
    """The period of a figure: of its unit ("per week", "per node-day", "hours"), or of its metric ("a day")."""
    for text in (unit, metric):
        found = re.search(r"(?:per |a |-|^)(second|minute|hour|day|week|month|year|min|hr|s|h|d)s?(?:\b|$)", text)
        if found:
            return _DAYS[found[1]]
    return None


def _per_node(row: Row) -> float:
    devices, nodes = _plain(row.text("gpus")), _plain(row.text("nodes"))
    return devices / nodes if devices and nodes else _DEVICES_PER_NODE


def _scope_text(row: Row) -> str:
    return row.text("cause_or_scope").lower()


def _unexpected(row: Row) -> bool:
    return re.search(r"unexpected|unplanned", f"{row.text('metric').lower()} {_scope_text(row)}") is not None


def _plain(text: str) -> float | None:
    """A number above 0; None for anything else."""
    value = _float(text) if re.fullmatch(_NUMBER, text.lower()) else 0.0
    return value if _LEAST < value < _MOST else None


def _float(text: str) -> float:
    return float(text.replace(",", ""))


def _geometric(values: Sequence[float]) -> float:
    with np.errstate(divide="ignore"):
        return float(np.exp(np.mean(np.log(values))))
