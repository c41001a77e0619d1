"""Laws of nearest-neighbour search held against published sweeps: effort for a recall, distances, speed, size."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from sixfold.design.checks import Floats
from sixfold.design.laws.data import ivf_distances_per_query
from sixfold.design.laws.index_size import flat_bytes, vamana_bytes
from sixfold.design.laws.retrieval import fit_search_curve, scan_queries_per_s
from sixfold.design.validation.retrieval_fit import Searches, fit
from sixfold.design.validation.retrieval_rows import FIRST, MET, SearchRow, dimension_of, search_rows
from sixfold.design.validation.rows import Row, read_rows
from sixfold.design.validation.score import Case, Family, score

__all__ = ["families"]

_FILES = ("ann_bigann", "retrieval_data")
# Of a query, a candidate list, a probe (its tables) and a byte of codes at some GB/s a thread: s, and how sure (logs).
_SCAN_S, _SCAN_SPREAD, _SCAN_ERROR = (5e-6, 3e-6, 4e-6, 1.5e-10), (1.0, 1.0, 1.0, 0.5), 0.2
_PILOT = 5  # settings of a sweep at least, of which two are a pilot


def families(data: Path | None = None) -> list[Family]:
    """Return the families of the files of searches, shipped and of `data`, that have rows to predict.

    Raises InputError for a file or field that cannot be read.
    """
    read = [row for name in _FILES for row in read_rows(name, data) if row.use != "context"]
    rows, left_out = search_rows(read)
    scored = [row for row in rows if row.row.use == "score"]
    made: list[Family | None] = []
    if any(row.row.use == "calibrate" for row in rows):
        made += _efforts(rows, scored, fit(rows), left_out)
        made += [_pilot(rows), _distances(rows), _speed(rows)]
    made += [_disk(read), _memory(read)]
    return [family for family in made if family is not None]


def _efforts(
    rows: Sequence[SearchRow], scored: Sequence[SearchRow], known: Searches, left_out: Counter[str]
) -> list[Family | None]:
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    files = [row for row in scored if row.kind == "ivf"]
    graphs = [row for row in scored if row.kind == "graph"]
    calibrated = [row for row in rows if row.row.use == "calibrate"]
    return [
        _steps(
            "probes for a recall",
            [row for row in files if known.knows(row)],
            known,
            calibrated,
            f"sets of vectors of which calibration rows tell something; of files left out: {reasons}",
        ),
        _steps(
            "probes for a recall, sets without calibration",
            [row for row in files if not known.knows(row)],
            known,
            calibrated,
            "the mean curve of other sets",
        ),
        _steps("ann graph: search list for a recall", graphs, known, calibrated, "the mean curve of other graphs"),
        _recalls("ann recall of probes", files, known, calibrated),
        _recalls("ann recall of search lists", graphs, known, calibrated),
    ]


def _steps(
    name: str, rows: Sequence[SearchRow], known: Searches, calibrated: Sequence[SearchRow], about: str
) -> Family | None:
    """Which setting of the published ones reaches the recall of each row, and how many steps off that is."""
    if not rows:
        return None
    grids = _grids(rows)
    wanted = known.effort(rows)
    usual = [row.effort for row in calibrated if row.kind == rows[0].kind]
    constant = math.exp(float(np.mean(np.log(usual)))) if usual else math.nan
    cases, steps = [], []
    for row, effort in zip(rows, wanted, strict=True):
        grid = grids[row.sweep]
        at = _nearest(grid, float(effort))
        steps.append(abs(at - grid.index(row.effort)))
        baseline = grid[_nearest(grid, constant)] if usual else math.nan
        cases.append(Case(row.row.id, _source(row.row), row.effort, grid[at], baseline))
    within = sum(step <= 1 for step in steps)
    note = (
        f"{within} of {len(steps)} within one step of the published grid, {sum(step == 0 for step in steps)} on it, at "
        f"most {max(steps)} off; {about}; baseline: the mean effort of calibration rows"
    )
    target, passed = "within one step of the published grid", max(steps) <= 1
    return score(name, cases, target=target, note=note, passes=lambda _: passed)


def _pilot(rows: Sequence[SearchRow]) -> Family | None:
    """The other settings of calibration sweeps, from two of each: what a pilot on one's own data is worth.

    Two settings, at a quarter and three quarters of the grid, and nothing else: the expectation is that of the law. Of
    the candidates for lists the most that were tried, so that probes alone vary.
    """
    sweeps: dict[tuple[str, ...], dict[float, SearchRow]] = defaultdict(dict)
    for row in rows:
        best = sweeps[row.sweep].get(row.effort)
        if row.row.use == "calibrate" and row.counts != FIRST and (best is None or row.coarse > best.coarse):
            sweeps[row.sweep][row.effort] = row
    cases, steps = [], []
    for tried in sweeps.values():
        grid = sorted(tried)
        if len(grid) < _PILOT:
            continue
        two = [grid[len(grid) // 4], grid[(3 * len(grid)) // 4]]
        coded = tried[two[0]].counts != MET and bool(tried[two[0]].bits)
        curve = fit_search_curve(two, [tried[effort].recall for effort in two], exact=not coded)
        middle = math.sqrt(two[0] * two[1])
        for effort, row in tried.items():
            if effort not in two:
                at = _nearest(grid, float(curve.effort(row.recall)))
                steps.append(abs(at - grid.index(effort)))
                cases.append(Case(row.row.id, _source(row.row), effort, grid[at], grid[_nearest(grid, middle)]))
    if not cases:
        return None
    within = sum(step <= 1 for step in steps)
    note = (
        f"{within} of {len(steps)} within one step, {sum(step == 0 for step in steps)} on it; rows for calibration, of "
        "each sweep all but the two settings that it is predicted from; baseline: the middle of the two"
    )
    target, passed = "within one step of the published grid", max(steps) <= 1
    return score(
        "ann effort for a recall, from a pilot of two", cases, target=target, note=note, passes=lambda _: passed
    )


def _grids(rows: Sequence[SearchRow]) -> dict[tuple[str, ...], list[float]]:
    efforts: dict[tuple[str, ...], set[float]] = defaultdict(set)
    for row in rows:
        efforts[row.sweep].add(row.effort)
    return {sweep: sorted(found) for sweep, found in efforts.items()}


def _nearest(grid: Sequence[float], effort: float) -> int:
    """The place of the setting that is nearest to an effort, by ratio."""
    away = [abs(math.log(max(effort, 1e-9) / setting)) if math.isfinite(effort) else -setting for setting in grid]
    return int(np.argmin(away))


def _recalls(name: str, rows: Sequence[SearchRow], known: Searches, calibrated: Sequence[SearchRow]) -> Family | None:
    """The recall that each row's effort gives. Baseline: the mean recall of calibration rows."""
    alike = [row.recall for row in calibrated if rows and row.kind == rows[0].kind]
    if not rows or not alike:
        return None
    constant = float(np.mean(alike))
    predicted = known.recall(rows)
    cases = [
        Case(row.row.id, _source(row.row), row.recall, float(value), constant)
        for row, value in zip(rows, predicted, strict=True)
    ]
    strangers = sum(not known.knows(row) for row in rows)
    return score(name, cases, lower_is_better=False, note=f"{strangers} of sets without calibration rows")


def _distances(rows: Sequence[SearchRow]) -> Family | None:
    """Distances that a query computes: probes x mean list x imbalance. Baseline: the mean of calibration rows."""
    told = [row for row in rows if row.kind == "ivf" and (_field(row.row, "distcomps") or 0.0) > 0.0]
    given, asked = _split(told)
    if not given or not asked:
        return None
    imbalance = math.exp(float(np.mean([math.log(_distcomps(row) / _even(row)) for row in given])))
    constant = math.exp(float(np.mean([math.log(_distcomps(row)) for row in given])))
    cases = [Case(row.row.id, _source(row.row), _distcomps(row), imbalance * _even(row), constant) for row in asked]
    note = f"imbalance {imbalance:.2f} of calibration rows; lists as usual for the size where none are told"
    return score("ann distances scanned", cases, note=note)


def _distcomps(row: SearchRow) -> float:
    return _field(row.row, "distcomps") or math.nan


def _even(row: SearchRow) -> float:
    """Distances in lists of one length; centroids are searched by a graph and not counted."""
    return float(ivf_distances_per_query(row.vectors, row.effort, row.lists) - row.lists)


def _speed(rows: Sequence[SearchRow]) -> Family | None:
    """Queries/s of a scan of lists: a time for each query, candidate list, probe and byte, on each thread.

    The four times are fitted to the calibration rows by relative error, around what physics expects of them: lists are
    alike long in most sweeps, so that a probe and its bytes are hard to tell apart. Baseline: the mean thread's
    queries/s of those rows.
    """
    from scipy.optimize import least_squares

    told = [row for row in rows if row.kind == "ivf" and (_rate(row) or 0.0) > 0.0 and _threads(row.row) and row.coarse]
    given, asked = _split(told)
    if not given or not asked:
        return None
    thread_s = np.array([(_threads(row.row) or 1.0) / (_rate(row) or math.nan) for row in given])
    terms = _terms(given)
    start, width = np.log(np.array(_SCAN_S)), np.array(_SCAN_SPREAD)

    def misses(logs: Floats) -> Floats:
        return np.concatenate([np.log(terms @ np.exp(logs) / thread_s) / _SCAN_ERROR, (logs - start) / width])

    times = np.exp(least_squares(misses, start).x)
    predicted = scan_queries_per_s([_threads(row.row) or 1.0 for row in asked], _terms(asked) @ times)
    constant = math.exp(-float(np.mean(np.log(thread_s))))
    cases = [
        Case(row.row.id, _source(row.row), _rate(row) or math.nan, float(rate), constant * (_threads(row.row) or 1.0))
        for row, rate in zip(asked, predicted, strict=True)
    ]
    note = (
        f"{1e6 * times[1]:.2g} us a candidate list, {1e6 * times[2]:.2g} us a probe, {1e9 * times[3]:.2g} ns a byte of "
        "a thread; fitted on another machine of as many threads, whose clock is not taken into account"
    )
    return score("ann queries/s of a scan", cases, lower_is_better=False, note=note)


def _terms(rows: Sequence[SearchRow]) -> Floats:
    """What a query does, in columns: itself, candidates for lists, probes, bytes."""
    scanned = [_even(row) * row.code_bytes for row in rows]
    efforts = [row.effort for row in rows]
    return np.column_stack([np.ones(len(rows)), [row.coarse for row in rows], efforts, scanned])


def _rate(row: SearchRow) -> float | None:
    return _field(row.row, "qps")


def _threads(row: Row) -> float | None:
    """Threads that answer, of a description of hardware."""
    found = re.search(r"([0-9]+)\s*(?:threads|vCPU)", row.text("hardware"))
    return float(found.group(1)) if found else None


def _disk(rows: Sequence[Row]) -> Family | None:
    """Queries/s of a graph on disk: threads x reads/s of each / reads a query, of an index that computes little.

    Reads/s of a thread: the most of calibration rows, where the device was not what limited. Baseline: the mean
    thread's queries/s.
    """
    told = [row for row in rows if (_field(row, "mean_ssd_ios") or 0.0) > 0.0 and _field(row, "qps") and _threads(row)]
    given = [row for row in told if row.use == "calibrate"]
    asked = [row for row in told if row.use == "score"]
    if not given or not asked:
        return None
    each = [(_field(row, "qps") or 0.0) / (_threads(row) or 1.0) for row in given]
    reads_per_s = max(rate * (_field(row, "mean_ssd_ios") or 0.0) for rate, row in zip(each, given, strict=True))
    constant = math.exp(float(np.mean(np.log(each))))
    cases = []
    for row in asked:
        threads, reads = _threads(row) or 1.0, _field(row, "mean_ssd_ios") or math.nan
        rate = float(scan_queries_per_s(threads, reads / reads_per_s))
        cases.append(Case(row.id, _source(row), _field(row, "qps") or math.nan, rate, constant * threads))
    note = f"input: reads a query; {reads_per_s:,.0f} reads/s of a thread, the most of calibration rows"
    return score("ann on disk: queries/s from reads", cases, lower_is_better=False, note=note)


def _memory(rows: Sequence[Row]) -> Family | None:
    """Memory of a graph over vectors, once an index. Nothing is fitted; baseline: the vectors alone."""
    seen: set[Hashable] = set()
    cases = []
    for row in rows:
        size = _field(row, "index_size_KB")
        graph = re.search(r"(?<![A-Z])R([0-9]+)_L[0-9]+", row.text("parameters"))
        about = dimension_of(row.text("dataset"))
        vectors = re.search(r"([0-9.]+)([MB])$", row.text("dataset"))
        plain = "filter" not in row.text("track").lower()
        if row.use != "score" or not (size and size > 0 and graph and about and vectors and plain):
            continue
        key = (row.text("source"), row.text("track"), row.text("algorithm"), graph.group(0))
        if key in seen:
            continue
        seen.add(key)
        number = float(vectors.group(1)) * {"M": 1e6, "B": 1e9}[vectors.group(2)]
        predicted = float(vamana_bytes(number, about[0], float(graph.group(1)), about[1]))
        cases.append(
            Case(row.id, _source(row), size * 1024.0, predicted, float(flat_bytes(number, about[0], about[1])))
        )
    if not cases:
        return None
    note = "graphs whose degree is told, full vectors; measured: growth of the process; baseline: the vectors alone"
    return score("ann graph memory", cases, note=note)


def _split(rows: Sequence[SearchRow]) -> tuple[list[SearchRow], list[SearchRow]]:
    given = [row for row in rows if row.row.use == "calibrate"]
    return given, [row for row in rows if row.row.use == "score"]


def _field(row: Row, name: str) -> float | None:
    return row.number(name) if name in row.fields else None


def _source(row: Row) -> str:
    return f"{row.text('source')}, {row.text('locator')}"
