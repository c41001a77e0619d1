"""Laws of failures held against publications, interruptions and effective time, and against a simulated job.

Rates of failure come from rows marked for calibration, which are of other clusters than those that are scored. How long
a restart takes is that of the cluster which is calibrated on too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from sixfold.design.laws.failures import (
    RESTART_S,
    STATE_BYTES,
    STORAGE_BYTES_PER_S,
    daly_interval_s,
    effective_time_ratio,
    first_order_time_ratio,
    job_mtbf_s,
    optimal_interval_s,
    wasted_share,
)
from sixfold.design.validation.checkpoint_simulation import simulated_wasted_share
from sixfold.design.validation.failure_rows import (
    FailureRow,
    Rates,
    devices_of,
    failure_rows,
    fit_rates,
    parameters_of,
    published,
)
from sixfold.design.validation.rows import Row, read_rows
from sixfold.design.validation.score import Case, Family, score

__all__ = ["families"]

_CHECKPOINT_S = 10.0  # Kokolis et al. 2025: a checkpoint that is written behind the computation stops it so long
_TARGET = "Llama 3 within 5 %"
_EFFECTIVE = ("ettr", "effective training time", "effective time", "goodput")
_FAILURES = 200_000  # simulated of each case: its own error is some tenths of a per cent
_SEED = 20_260
_HOURS, _CHECKPOINTS_S, _RESTARTS_S, _TIMES = (0.5, 2.0, 8.0, 24.0), (5.0, 60.0, 300.0), (60.0, 600.0), (0.5, 1.0, 2.0)


def families(data: Path | None = None) -> list[Family]:
    """Return the families of the failures file, shipped and of `data`, that have rows to predict, and the simulation.

    Raises InputError for a file that cannot be read.
    """
    rows = [row for row in read_rows("failures", data) if row.use != "context"]
    quantities, left_out = failure_rows(rows)
    rates = fit_rates(quantities)
    made = [_interruptions(quantities, rates, left_out), _effective_time(rows, rates), _simulation()]
    return [family for family in made if family is not None]


def _interruptions(rows: Sequence[FailureRow], rates: Rates, left_out: Counter[str]) -> Family | None:
    """Counts, rates, mean times and chances from rates of other clusters. Baseline: one rate for every device."""
    cases = [
        Case(row.row.id, _source(row.row), row.value, row.predicted(rates.of(row)), row.linear(rates.constant))
        for row in rows
        if row.row.use == "score"
    ]
    if not cases:
        return None
    note = (
        f"rates from {len(rates.told)} calibration rows: of all hardware, or of devices alone; baseline: one rate "
        f"a device over all of them, {rates.constant:.2e} a day. Clusters differ by ten times in how often they fail, "
        "and no law here knows which one it is"
    )
    return score("training interruptions", cases, target=_TARGET, passes=_llama_within, note=_note(note, left_out))


def _effective_time(rows: Sequence[Row], rates: Rates) -> Family | None:
    """The share of time that counted, from devices and the size of the model. Baseline: of calibration rows, or 1."""
    left_out: Counter[str] = Counter()
    told: dict[str, list[tuple[Row, float, float]]] = {"score": [], "calibrate": []}
    for row in rows:
        if any(word in row.text("metric").lower() for word in _EFFECTIVE):
            measured, devices = published(row), devices_of(row)
            if measured is None or devices is None or measured > 1.0:
                left_out["without devices or a figure"] += 1
            else:
                told[row.use].append((row, measured, devices))
    if not told["score"]:
        return None
    fitted = [measured for _, measured, _ in told["calibrate"]]
    constant = float(np.mean(fitted)) if fitted else 1.0
    cases = []
    for row, measured, devices in told["score"]:
        rate = rates.of(FailureRow(row, "count", "hardware", measured, devices, 1.0))
        between_s = job_mtbf_s(devices, rate / 24.0)
        pause_s = _checkpoint_s(row, devices)
        predicted = effective_time_ratio(optimal_interval_s(pause_s, between_s), pause_s, RESTART_S, between_s)
        cases.append(Case(row.id, _source(row), measured, float(predicted), constant))
    note = (
        "checkpoints at the best interval, restarts of 10 minutes (Kokolis et al.: 5 to 20), rates as for "
        "interruptions; bounds count as figures; baseline: "
    )
    note += "mean of calibration rows" if fitted else "nothing lost, as no row is for calibration"
    return score(
        "effective training time",
        cases,
        lower_is_better=False,
        target=_TARGET,
        passes=_llama_within,
        note=_note(note, left_out),
    )


def _checkpoint_s(row: Row, devices: float) -> float:
    """How long a checkpoint stops a job: its bytes over what the storage takes, where the size of the model is told."""
    size = parameters_of(row)
    return _CHECKPOINT_S if size is None else STATE_BYTES * size / (devices * STORAGE_BYTES_PER_S)


def _simulation() -> Family:
    """Wasted time over a grid against a simulated job. Baseline: the first-order form. Groups choose an interval."""
    gaps = np.random.default_rng(_SEED).exponential(size=_FAILURES)
    cases = []
    for hours, checkpoint_s, restart_s in product(_HOURS, _CHECKPOINTS_S, _RESTARTS_S):
        mtbf_s = 3600.0 * hours
        for times in _TIMES:
            interval_s = times * float(daly_interval_s(checkpoint_s, mtbf_s))
            given = (interval_s, checkpoint_s, restart_s, mtbf_s)
            cases.append(
                Case(
                    id=f"simulated: M {hours:g} h, c {checkpoint_s:g} s, R {restart_s:g} s, {times:g} x Daly",
                    source="simulated here",
                    measured=simulated_wasted_share(*given, gaps),
                    predicted=float(wasted_share(*given)),
                    baseline=float(1.0 - first_order_time_ratio(*given)),
                    group=(hours, checkpoint_s, restart_s),
                )
            )
    note = (
        f"simulated, not published: {_FAILURES:,} failures a case, seed {_SEED}, exponential as the law assumes, so "
        "that it checks the algebra and not the assumption; baseline: the first-order form; regret: of the best of "
        "three intervals"
    )
    return score("Young/Daly against simulation", cases, target="every case within 3 %", passes=_all_within, note=note)


def _llama_within(family: Family) -> bool:
    own = [case for case in family.cases if case.source.startswith("Llama 3")]
    return bool(own) and all(abs(case.predicted / case.measured - 1.0) <= 0.05 for case in own)


def _all_within(family: Family) -> bool:
    return all(abs(case.predicted / case.measured - 1.0) <= 0.03 for case in family.cases)


def _source(row: Row) -> str:
    return f"{row.text('source')}, {row.text('locator')}"


def _note(text: str, left_out: Counter[str]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    return f"{text}; left out: {reasons}" if reasons else text
