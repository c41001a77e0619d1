"""A balance as one HTML page: the result, the Pareto picture, the candidates side by side, and every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sixfold.files import replace_bytes
from sixfold.report.page import style, templates
from sixfold.report.svg import COLOURS, canvas, inline
from sixfold.report.ticks import log_ticks, name_axes
from sixfold.study.balance import Balance, BalanceTrial
from sixfold.study.balance_result import BalanceResult, Confirmed
from sixfold.units import number, quantity, tie

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

__all__ = ["write_balance"]

_KINDS = (("joint", "o", "accent"), ("alone", "^", "communication"), ("together", "s", "idle"), ("start", "X", "ink"))
_ORDER = ("start", "alone", "joint")


@dataclass(frozen=True, slots=True)
class Side:
    """A row of the candidates side by side: its name, a cell each, and whether they differ."""

    name: str
    cells: tuple[str, ...]
    differs: bool


def write_balance(
    path: Path, manifest: Mapping[str, Any], balance: Balance, result: BalanceResult, trials: Sequence[BalanceTrial]
) -> Path:
    """Write the page, whole or not at all, and return its path."""
    by_name = {one.candidate: one for one in result.candidates}
    candidates = [by_name[name] for name in _ORDER if name in by_name]
    page = templates().get_template("balance.html").render(
        style=style(),
        manifest=manifest,
        balance=balance,
        result=result,
        sentence=result.sentence(balance),
        limits=[balance.limit_words(limit) for limit in balance.limits],
        candidates=candidates,
        measured=_measured(balance, candidates),
        knobs=_knobs(manifest, candidates),
        metrics=[balance.said(metric) for metric in balance.metrics],
        trials=[_row(at, trial, manifest, balance) for at, trial in enumerate(trials, start=1)],
        picture=_picture(balance, result, trials),
    )  # fmt: skip
    replace_bytes(path, page.lstrip().encode("utf-8", "replace"))
    return path


def _units(balance: Balance) -> dict[str, str]:
    goals = {goal.metric: goal.unit for goal in (balance.objective, balance.second)}
    return {**{limit.metric: limit.unit for limit in balance.limits}, **goals}


def _measured(balance: Balance, candidates: Sequence[Confirmed]) -> list[Side]:
    units, goal = _units(balance), balance.objective
    rows = [
        Side(balance.said(name), tuple(quantity(one.metrics[name], units[name]) for one in candidates), differs=True)
        for name in balance.metrics
    ]
    spread = tuple(f"{quantity(one.least, goal.unit)} to {quantity(one.most, goal.unit)}" for one in candidates)
    rows.insert(1, Side("its least and most", spread, differs=False))
    rows.append(Side("limits", tuple("held" if one.held else "missed" for one in candidates), differs=True))
    return rows


def _knobs(manifest: Mapping[str, Any], candidates: Sequence[Confirmed]) -> list[Side]:
    rows = []
    for name, knob in manifest["knobs"].items():
        values = [one.knobs[name] for one in candidates]
        rows.append(Side(f"{name}, {knob['unit']}", tuple(map(number, values)), differs=len(set(values)) > 1))
    return rows


def _row(at: int, trial: BalanceTrial, manifest: Mapping[str, Any], balance: Balance) -> dict[str, Any]:
    """A run as the table shows it: only the knobs that are not where they started."""
    units, knobs = _units(balance), manifest["knobs"]
    moved = [f"{name} {number(value)}" for name, value in trial.knobs.items() if value != knobs[name]["default"]]
    return {
        "at": at,
        "phase": trial.phase.replace(":", ": "),
        "moved": ", ".join(moved) or "as at the start",
        "cells": [] if trial.error else [tie(quantity(trial.metrics[name], units[name])) for name in balance.metrics],
        "error": trial.error,
        "held": trial.excess(balance) == 0,
        "seconds": tie(quantity(trial.seconds, "s")),
    }


def _picture(balance: Balance, result: BalanceResult, trials: Sequence[BalanceTrial]) -> Markup | None:
    """The objective against the second goal: each kind of search its mark, faint beyond a limit, the front a line."""
    ran = [trial for trial in trials if trial.error is None]
    if not ran:
        return None
    x, y = balance.objective, balance.second
    with canvas(720, 380, (64, 110, 46, 16)) as figure:
        axes = figure.axes[0]
        for name, goal in (("x", x), ("y", y)):
            _scale(axes, name, [trial.metrics[goal.metric] for trial in ran])
        for kind, marker, colour in _KINDS:
            for held, alpha in ((True, 0.95), (False, 0.3)):
                points = [
                    (trial.metrics[x.metric], trial.metrics[y.metric])
                    for trial in ran
                    if trial.phase.split(":")[0] == kind and (trial.excess(balance) == 0) is held
                ]
                axes.plot(
                    [p for p, _ in points], [q for _, q in points], linestyle="none", marker=marker, markersize=7,
                    color=COLOURS[colour], alpha=alpha, label=kind if held else "_",
                )  # fmt: skip
        front = [(trial.metrics[x.metric], trial.metrics[y.metric]) for trial in result.front]
        axes.step([p for p, _ in front], [q for _, q in front], where="post", color=COLOURS["muted"], linewidth=1.4)
        for limit in balance.limits:
            for goal, line in ((x, axes.axvline), (y, axes.axhline)):
                if goal.metric == limit.metric:
                    line(limit.value, color=COLOURS["warn"], linewidth=1.2, linestyle=(0, (5, 3)), label="limit")
        if result.chosen is not None:
            chosen = result.chosen.metrics
            axes.plot(
                [chosen[x.metric]], [chosen[y.metric]], linestyle="none", marker="D", markersize=12,
                markerfacecolor="none", markeredgecolor=COLOURS["warn"], markeredgewidth=2.2, label="chosen, again",
            )  # fmt: skip
        axes.grid(color=COLOURS["hairline"], linewidth=0.8)
        name_axes(axes, f"{balance.said(x.metric)}, {x.unit}", f"{balance.said(y.metric)}, {y.unit}")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, labelcolor=COLOURS["ink"])
        about = f"{len(ran)} runs, {balance.said(x.metric)} against {balance.said(y.metric)}."
        return inline(figure, "balance", "Runs and Pareto front", about)


def _scale(axes: Axes, name: str, values: Sequence[float]) -> None:
    """Logarithmic where values spread over more than a few times."""
    if min(values) > 0 and max(values) > 5 * min(values):
        getattr(axes, f"set_{name}scale")("log")
        log_ticks(axes, values, name)
