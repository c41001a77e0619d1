"""The catalog for a reader: its kinds, their entries as rows with source and date, and one entry in full."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sixfold.design.catalog.architectures import architectures
from sixfold.design.catalog.datasets import Dataset, datasets
from sixfold.design.catalog.dates import is_stale
from sixfold.design.catalog.devices import Device, devices
from sixfold.design.catalog.failure_rates import FailureRate, failure_rates
from sixfold.design.catalog.instances import Instance, instances
from sixfold.design.catalog.links import Link, links
from sixfold.design.catalog.prices import Price, Rate, TokenPrice, prices, rates, token_prices
from sixfold.design.catalog.tools import Tool, tools
from sixfold.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["AGING", "KINDS", "entries_of", "kind_of", "record", "table"]

KINDS: dict[str, Callable[[], Mapping[str, Any]]] = {
    "devices": devices,
    "links": links,
    "instances": instances,
    "prices": prices,
    "token-prices": token_prices,
    "rates": rates,
    "failure-rates": failure_rates,
    "datasets": datasets,
    "tools": tools,
    "architectures": architectures,
}
AGING = frozenset({"prices", "token-prices", "rates"})  # the kinds whose entries go stale; a data sheet does not


def kind_of(name: str) -> str:
    """Return the kind that a name means; case, `_` and a missing plural `s` do not matter.

    Raises:
        ConfigError: there is none like it; the text lists those that there are.
    """
    plain = name.strip().lower().replace("_", "-")
    for kind in (plain, f"{plain}s"):
        if kind in KINDS:
            return kind
    raise ConfigError(f"got catalog kind {name!r}, expected one of {', '.join(KINDS)}")


def entries_of(kind: str, entry_id: str | None = None) -> list[Any]:
    """Return the entries of a kind, or the one of this id.

    Raises:
        ConfigError: no such kind or id; the text lists those that there are.
    """
    found = KINDS[kind_of(kind)]()
    if entry_id is None:
        return list(found.values())
    if entry_id not in found:
        raise ConfigError(f"got {kind_of(kind)} id {entry_id!r}, expected one of {', '.join(found)}")
    return [found[entry_id]]


def record(kind: str, entry: Any, today: datetime.date) -> dict[str, Any]:
    """Return an entry as plain values, with what follows from them (`stale`, dollars of a worker, rate an hour)."""
    fields: dict[str, Any] = entry.model_dump(mode="json", exclude_none=True)
    if isinstance(entry, Price):
        fields["usd_per_worker_hour"] = entry.usd
    elif isinstance(entry, Rate):
        fields["base"] = entry.base
    elif isinstance(entry, FailureRate):
        fields["per_hour"] = entry.per_hour
    if kind_of(kind) in AGING:
        fields["stale"] = is_stale(entry, today)
    return fields


def table(kind: str, today: datetime.date) -> Table:
    """Return the entries of a kind as a table: what matters most of each, its source and its date."""
    from rich.table import Column
    from rich.table import Table as RichTable

    entries = entries_of(kind)
    facts = [_facts(entry) for entry in entries]
    shown = RichTable(Column("id", no_wrap=True), *facts[0], "date", Column("source", overflow="fold"))
    for entry, cells in zip(entries, facts, strict=True):
        old = kind_of(kind) in AGING and is_stale(entry, today)
        shown.add_row(entry.id, *cells.values(), f"{entry.date} (stale)" if old else entry.date, entry.source)
    return shown


def _facts(entry: Any) -> dict[str, str]:
    """The cells of an entry by the heading of their column."""
    if isinstance(entry, Device):
        bits = next((key for key in ("bf16", "fp16", "fp8", "fp32") if key in entry.flops), "")
        return {
            "memory": f"{entry.memory_bytes / 2.0**30:g} GiB",
            "GB/s": f"{entry.memory_bytes_per_s * 1e-9:,.5g}",
            "TFLOP/s": f"{entry.flops[bits] * 1e-12:,.5g} {bits}",  # type: ignore[index]
            "scale-up": f"{entry.scale_up_bytes_per_s * 1e-9:g} GB/s x {entry.scale_up_size}"
            if entry.scale_up_bytes_per_s
            else "",
            "W": f"{entry.tdp_w:g}" if entry.tdp_w else "",
        }
    if isinstance(entry, Link):
        return {"kind": entry.kind, "start-up": f"{entry.alpha_s * 1e6:g} us", "MB/s": f"{entry.bytes_per_s * 1e-6:,g}"}
    if isinstance(entry, Instance):
        rate = entry.network_bytes_per_s
        return {
            "vCPUs": str(entry.vcpus),
            "memory": f"{entry.memory_bytes / 2.0**30:g} GiB",
            "devices": f"{entry.devices} x {entry.device}" if entry.device else "",
            "network": "" if rate is None else f"{'up to ' if entry.burst else ''}{rate * 8e-9:g} Gb/s",
            "disk": "" if entry.disk_bytes is None else f"{entry.disk_bytes * 1e-9:,.0f} GB",
        }
    if isinstance(entry, Price):
        worker = entry.device or "vCPU"
        return {
            "term": entry.term,
            "USD/h": f"{entry.machine_usd_per_hour:g}",
            "a worker": f"{entry.usd:.4g}",
            "is a": worker,
        }
    if isinstance(entry, TokenPrice):
        return {
            "tier": entry.tier,
            "in, USD/M": f"{entry.input_usd_per_million:g}",
            "out, USD/M": f"{entry.output_usd_per_million:g}",
        }
    if isinstance(entry, Rate):
        stated = f"{entry.value:g}" if entry.value is not None else f"{entry.low:g} to {entry.high:g}"
        return {"what": entry.name, "value": stated, "unit": entry.unit}
    if isinstance(entry, FailureRate):
        stated = f"{entry.value:g} {entry.unit}"
        return {"of": entry.of, "cause": entry.cause, "stated": stated, "an hour": f"{entry.per_hour:.3g}"}
    if isinstance(entry, Dataset):
        return {
            "ceiling": entry.ceiling.value,
            "size": "" if entry.size_bytes is None else _bytes(entry.size_bytes),
            "licence": entry.licence,
            "read": entry.reads,
        }
    if isinstance(entry, Tool):
        axes = ", ".join(axis.value for axis in entry.axes)
        return {"axes": axes, "does": entry.does, "does not": entry.does_not, "licence": entry.licence}
    return {name: str(value) for name, value in list(entry.model_dump(exclude={"id", "source", "date"}).items())[:4]}


def _bytes(size: float) -> str:
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:g} B"
