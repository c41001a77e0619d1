"""Which input, a tenth more or less, changes the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sixfold.axes import Axis
from sixfold.design.attempts import best_after_taxes
from sixfold.design.checks import Floats
from sixfold.design.curves import curve
from sixfold.design.search import Found, search, worth
from sixfold.design.spec import Spec

__all__ = ["Influence", "sensitivity", "shortlist", "verdict_key"]

STEP = 0.1
_KEPT = 3_000


@dataclass(frozen=True, slots=True)
class Influence:
    """One input, a tenth down and a tenth up.

    down, up: the objective's value over that of the spec as given; None where no design holds any more, or where the
    input would be out of its bounds, as out_of_bounds says ("down", "up"). flips: what changes of the verdict, in
    words; empty where nothing does.
    """

    field: str
    value: float
    down: float | None
    up: float | None
    flips: tuple[str, ...]
    out_of_bounds: tuple[str, ...] = ()


def shortlist(found: Found) -> dict[str, Floats]:
    """The designs that stay in question when an input moves a little: the best and nearly possible of every size."""
    slack = np.nan_to_num(found.shares(), nan=np.inf)
    value = np.nan_to_num(worth(found), nan=np.inf)
    kept: set[int] = set()
    for order in (np.lexsort((value, slack > 1.0 + 2 * STEP)), np.argsort(slack, kind="stable")):
        kept.update(int(at) for at in order[:_KEPT])
    for p in np.unique(found.estimates.nodes)[:200]:
        here = np.flatnonzero(found.estimates.nodes == p)
        kept.add(int(here[np.lexsort((value[here], slack[here] > 1.0))[0]]))
    return found.take(np.array(sorted(kept), dtype=np.int64))


def verdict_key(found: Found) -> dict[str, str]:
    """What a verdict says, roughly: whether it can be met, on one node or more, which axes are used."""
    at = best_after_taxes(found, curve(found))
    if at is None:
        return {"feasible": "no design holds"}
    one = found.estimates.nodes[at] <= 1.0
    used = [
        choice.axis
        for choice in found.choices
        if choice.name != "machine" and float(found.columns[choice.name][at]) != choice.values[0]
    ]
    axes = ", ".join(axis for axis in Axis if axis in used)
    return {"feasible": "yes", "nodes": "one" if one else "more than one", "axes": axes or "none"}


def sensitivity(spec: Spec[Any], found: Found) -> list[Influence]:
    """Move every number of the spec by a tenth, and search again among the designs that stay in question."""
    columns = shortlist(found)
    base = search(spec, columns)
    key, best = verdict_key(base), _value(base)
    influences = []
    for name, given, moved in _moves(spec):
        results = {word: search(one, columns) if one is not None else None for word, one in moved.items()}
        flips = [
            f"{word} {STEP:.0%}: {change}"
            for word, result in results.items()
            if result is not None
            for change in _changes(key, verdict_key(result))
        ]
        ratio = {word: _ratio(result, best) for word, result in results.items()}
        out = tuple(side for side, word in (("down", "less"), ("up", "more")) if moved[word] is None)
        influences.append(Influence(name, given, ratio["less"], ratio["more"], tuple(flips), out))
    return sorted(influences, key=lambda one: (not one.flips, -_swing(one)))


def _changes(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """What a verdict says that it did not say before."""
    if before["feasible"] != after["feasible"]:
        yield "no design does it" if "nodes" not in after else "some design does it"
    if "nodes" in before and "nodes" in after:
        if before["nodes"] != after["nodes"]:
            yield f"{after['nodes']} node{'' if after['nodes'] == 'one' else 's'} instead of {before['nodes']}"
        if before["axes"] != after["axes"]:
            yield f"axes in use: {after['axes']}, instead of {before['axes']}"


def _moves(spec: Spec[Any]) -> Iterator[tuple[str, float, dict[str, Spec[Any] | None]]]:
    """Every number of the spec, and the specs in which it is a tenth less and a tenth more."""
    given = spec.to_json()
    for section in ("workload", "objective", "budget", "platform"):
        for name, value in given[section].items():
            if isinstance(value, bool) or not isinstance(value, int | float) or value == 0:
                continue
            moved = {
                word: _with(spec, section, name, value, factor)
                for word, factor in (("less", 1 - STEP), ("more", 1 + STEP))
            }
            yield f"{section}.{name}", float(value), moved


def _with(spec: Spec[Any], section: str, name: str, value: float, factor: float) -> Spec[Any] | None:
    """The spec with one number changed; None where that would be out of its bounds."""
    now = value * factor
    if isinstance(value, int):
        now = max(round(now), value + 1) if factor > 1 else min(round(now), value - 1)
    given = spec.to_json()
    try:
        return type(spec).model_validate({**given, section: {**given[section], name: now}})
    except ValueError:
        return None


def _value(found: Found) -> float | None:
    at = best_after_taxes(found, curve(found))
    return None if at is None else float(worth(found)[at])


def _ratio(found: Found | None, best: float | None) -> float | None:
    value = None if found is None else _value(found)
    return None if value is None or not best else value / best


def _swing(one: Influence) -> float:
    return max(abs((ratio or 1.0) - 1.0) for ratio in (one.down, one.up))
